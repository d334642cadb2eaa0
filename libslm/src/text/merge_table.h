// The merges of byte-level BPE: which pairs of tokens become one, and how early.

#ifndef SLM_TEXT_MERGE_TABLE_H_
#define SLM_TEXT_MERGE_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "file/gguf.h"
#include "slm/log.h"
#include "slm/status.h"
#include "text/pair_merger.h"
#include "text/vocabulary.h"

namespace slm {

// Immutable.
class MergeTable {
 public:
  MergeTable() = default;  // no merges

  // Reads tokenizer.ggml.merges: texts "left right", the rank is the index. kCorruptFile if it is no array of those.
  // Merges of or to texts the vocabulary does not have can never apply and are left out, with a warning.
  static Result<MergeTable> Load(const GgufValue& merges, const Vocabulary& vocabulary, const LogCallback& log);

  std::optional<Merge> Find(Token left, Token right) const;

 private:
  struct Slot {
    Token left = -1;
    Token right = -1;
    Merge merge{};
  };
  // The slot that holds the pair, or the empty one where it belongs.
  std::size_t FindSlot(Token left, Token right) const;

  std::vector<Slot> slots_ = std::vector<Slot>(1);  // open addressing with linear probing; at least one is empty
};

}  // namespace slm

#endif  // SLM_TEXT_MERGE_TABLE_H_
