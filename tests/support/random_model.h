// Small models with everything drawn at random: which keys the file has and which it leaves to defaults, dimensions
// that are nobody's multiple, per-layer arrays, windows shorter than the text, soft-caps and scaling strong enough to
// matter, and weights that spread the logits. The same seed gives the same file on every machine.

#ifndef SLM_TESTS_SUPPORT_RANDOM_MODEL_H_
#define SLM_TESTS_SUPPORT_RANDOM_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "slm/tokenizer.h"

namespace slm::test {

struct RandomModel {
  std::string architecture;
  std::string gguf;  // the file's bytes
  // A text longer than its windows, and the context and pieces to read it in.
  std::vector<Token> tokens;
  std::int32_t context_length = 0;
  std::size_t split = 0;
};

// Nothing for an architecture that this function does not know.
std::optional<RandomModel> MakeRandomModel(std::string_view architecture, std::uint32_t seed);

}  // namespace slm::test

#endif  // SLM_TESTS_SUPPORT_RANDOM_MODEL_H_
