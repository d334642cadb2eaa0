#include "text/vocabulary.h"

#include <limits>
#include <string>
#include <utility>

#include "base/format.h"
#include "base/keyed_hash.h"
#include "base/status_macros.h"

namespace slm {

namespace {

constexpr std::string_view kTokensKey = "tokenizer.ggml.tokens";
constexpr std::string_view kScoresKey = "tokenizer.ggml.scores";
constexpr std::string_view kTypesKey = "tokenizer.ggml.token_type";

Status CheckArray(std::string_view key, const GgufValue& value, GgufType element_type, std::int64_t count) {
  if (value.type() != GgufType::kArray || value.element_type() != element_type) {
    return {StatusCode::kCorruptFile, Cat("The metadata key ", key, " must be an array of ", GgufTypeName(element_type),
                                          ", but is of type ", value.TypeName(), ".")};
  }
  if (!std::cmp_equal(value.count(), count)) {
    return {StatusCode::kCorruptFile, Cat("The metadata key ", key, " must have ", count,
                                          " entries, one for each token, but has ", value.count(), ".")};
  }
  return {};
}

std::vector<TokenKind> ToKinds(const std::vector<std::int64_t>& types, const LogCallback& log) {
  std::vector<TokenKind> kinds(types.size(), TokenKind::kNormal);
  std::size_t unknown = 0;
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (types[i] >= 1 && types[i] <= 6) {
      kinds[i] = static_cast<TokenKind>(types[i]);
    } else {
      ++unknown;
    }
  }
  if (unknown > 0 && log) {
    log(LogLevel::kWarning,
        Cat(kTypesKey, " has ", unknown, " values outside 1 to 6; these tokens count as normal ones."));
  }
  return kinds;
}

}  // namespace

Result<Vocabulary> Vocabulary::Load(const GgufFile& file, std::int64_t rows, const LogCallback& log) {
  const GgufValue* tokens = file.Find(kTokensKey);
  const std::int64_t size = tokens != nullptr && rows == 0 ? static_cast<std::int64_t>(tokens->count()) : rows;
  if (size < 0 || size > std::numeric_limits<std::int32_t>::max()) {
    return Status(StatusCode::kCorruptFile, Cat("A vocabulary of ", size, " tokens is not possible."));
  }
  Vocabulary vocabulary;
  vocabulary.size_ = static_cast<std::int32_t>(size);
  if (tokens == nullptr) return vocabulary;

  SLM_RETURN_IF_ERROR(CheckArray(kTokensKey, *tokens, GgufType::kString, size));
  vocabulary.texts_ = tokens->AsStrings().value_or(std::vector<std::string_view>());
  if (const GgufValue* scores = file.Find(kScoresKey)) {
    SLM_RETURN_IF_ERROR(CheckArray(kScoresKey, *scores, GgufType::kF32, size));
    vocabulary.scores_ = scores->AsFloats().value_or(std::vector<float>());
  }
  if (const GgufValue* types = file.Find(kTypesKey)) {
    SLM_RETURN_IF_ERROR(CheckArray(kTypesKey, *types, GgufType::kI32, size));
    vocabulary.kinds_ = ToKinds(types->AsInts().value_or(std::vector<std::int64_t>()), log);
  }
  vocabulary.BuildIndex(log);
  return vocabulary;
}

std::size_t Vocabulary::FindSlot(std::string_view text, std::uint64_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  const auto tag = static_cast<std::uint32_t>(hash >> 32);
  std::size_t i = hash & mask;
  while (slots_[i].token >= 0 && (slots_[i].tag != tag || texts_[static_cast<std::size_t>(slots_[i].token)] != text)) {
    i = (i + 1) & mask;
  }
  return i;
}

void Vocabulary::BuildIndex(const LogCallback& log) {
  slots_.assign(HashTableSize(texts_.size()), Slot());
  std::size_t repeated = 0;
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    if (texts_[i].empty()) continue;
    const std::uint64_t hash = KeyedHash(texts_[i]);
    Slot& slot = slots_[FindSlot(texts_[i], hash)];
    if (slot.token >= 0) {
      ++repeated;
      continue;
    }
    slot = {static_cast<std::uint32_t>(hash >> 32), static_cast<Token>(i)};
  }
  if (repeated > 0 && log) {
    log(LogLevel::kWarning, Cat(repeated,
                                " tokens of the vocabulary repeat the text of an earlier one; text is encoded "
                                "to the first of them."));
  }
}

void Vocabulary::MakeControl(Token token) {
  kinds_.resize(static_cast<std::size_t>(size_), TokenKind::kNormal);
  kinds_[static_cast<std::size_t>(token)] = TokenKind::kControl;
}

std::optional<Token> Vocabulary::Find(std::string_view text) const {
  if (text.empty() || slots_.empty()) return std::nullopt;
  const Slot& slot = slots_[FindSlot(text, KeyedHash(text))];
  if (slot.token < 0) return std::nullopt;
  return slot.token;
}

std::optional<Token> Vocabulary::FindPiece(std::string_view text) const {
  const std::optional<Token> token = Find(text);
  if (!token || Kind(*token) == TokenKind::kNormal || Kind(*token) == TokenKind::kUserDefined) return token;
  return std::nullopt;
}

}  // namespace slm
