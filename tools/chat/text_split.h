// Cuts a text that is too long to be read at once.

#ifndef SLM_TOOLS_TEXT_SPLIT_H_
#define SLM_TOOLS_TEXT_SPLIT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "slm/status.h"

namespace slm::tools {

// Bytes [begin, end) of a text.
struct TextRange {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool operator==(const TextRange&) const = default;
};

struct SplitOptions {
  std::int64_t limit = 0;  // what a part may measure
  double overlap = 0.1;    // about how much of a part the next one repeats; below a half
};

// How long a text is, for example in tokens. Longer texts measure more, apart from small irregularities.
using TextMeasure = std::function<Result<std::int64_t>(std::string_view text)>;

// Parts that together are the whole of a non-empty UTF-8 text, in order and about equally long, none of which measures
// more than the limit. Each begins where the last one ends or, to overlap, before that. Cuts are between paragraphs if
// that leaves parts long enough, otherwise between sentences, lines, words or, at last, characters; never within a
// character.
//
// Fails as `measure` does, and with kInvalidArgument if a single character measures more than the limit.
Result<std::vector<TextRange>> SplitText(std::string_view text, const TextMeasure& measure,
                                         const SplitOptions& options);

}  // namespace slm::tools

#endif  // SLM_TOOLS_TEXT_SPLIT_H_
