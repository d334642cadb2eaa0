#include "text/merge_table.h"

#include <string>

#include "base/format.h"
#include "base/keyed_hash.h"

namespace slm {

namespace {

constexpr std::string_view kMergesKey = "tokenizer.ggml.merges";

}  // namespace

Result<MergeTable> MergeTable::Load(const GgufValue& merges, const Vocabulary& vocabulary, const LogCallback& log) {
  const std::optional<std::vector<std::string_view>> texts = merges.AsStrings();
  if (!texts) {
    return Status(
        StatusCode::kCorruptFile,
        Cat("The metadata key ", kMergesKey, " must be an array of string, but is of type ", merges.TypeName(), "."));
  }
  MergeTable table;
  table.slots_.resize(HashTableSize(texts->size()));
  std::string joined;
  std::size_t useless = 0;
  for (std::size_t rank = 0; rank < texts->size(); ++rank) {
    const std::string_view text = (*texts)[rank];
    const std::size_t space = text.find(' ', 1);
    if (space == std::string_view::npos) {
      return Status(StatusCode::kCorruptFile, Cat("Entry ", rank, " of the metadata key ", kMergesKey,
                                                  " must be two texts separated by a space, but has no space."));
    }
    joined.assign(text.substr(0, space)).append(text.substr(space + 1));
    const std::optional<Token> left = vocabulary.FindPiece(text.substr(0, space));
    const std::optional<Token> right = vocabulary.FindPiece(text.substr(space + 1));
    const std::optional<Token> result = vocabulary.FindPiece(joined);
    if (!left || !right || !result) {
      ++useless;
      continue;
    }
    Slot& slot = table.slots_[table.FindSlot(*left, *right)];
    if (slot.left < 0) slot = {*left, *right, {static_cast<std::uint32_t>(rank), *result}};
  }
  if (useless > 0 && log) {
    log(LogLevel::kWarning, Cat(useless, " of the ", texts->size(), " entries of ", kMergesKey,
                                " name texts that are not in the vocabulary; they are ignored."));
  }
  return table;
}

std::size_t MergeTable::FindSlot(Token left, Token right) const {
  const std::size_t mask = slots_.size() - 1;
  const std::uint64_t key = std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
  std::size_t i = KeyedHash(key) & mask;
  while (slots_[i].left >= 0 && (slots_[i].left != left || slots_[i].right != right)) i = (i + 1) & mask;
  return i;
}

std::optional<Merge> MergeTable::Find(Token left, Token right) const {
  const Slot& slot = slots_[FindSlot(left, right)];
  if (slot.left < 0) return std::nullopt;
  return slot.merge;
}

}  // namespace slm
