// The tokens of a model file: text, kind and score of each, and the way back from text to token.

#ifndef SLM_TEXT_VOCABULARY_H_
#define SLM_TEXT_VOCABULARY_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "file/gguf.h"
#include "slm/log.h"
#include "slm/tokenizer.h"

namespace slm {

// Flat arrays over the file's bytes, which must outlive the object. Immutable but for MakeControl.
class Vocabulary {
 public:
  // Reads tokenizer.ggml.tokens, scores and token_type. `rows` is the number of rows of the embedding table, 0 if that
  // is not known. A file without tokens gives `rows` tokens without text. kCorruptFile: an array of another type or
  // length than it must have.
  static Result<Vocabulary> Load(const GgufFile& file, std::int64_t rows, const LogCallback& log);

  std::int32_t size() const { return size_; }
  bool Contains(Token token) const { return token >= 0 && token < size_; }

  // Outside the vocabulary, or where the file has no such array: "", kNormal, 0.
  std::string_view Text(Token token) const { return At(texts_, token, std::string_view()); }
  TokenKind Kind(Token token) const { return At(kinds_, token, TokenKind::kNormal); }
  float Score(Token token) const { return At(scores_, token, 0.0f); }

  // Corrects what the file says a token is.
  void MakeControl(Token token);

  bool has_texts() const { return !texts_.empty(); }
  bool has_kinds() const { return !kinds_.empty(); }
  bool has_scores() const { return !scores_.empty(); }

  // The token with exactly this text; the first if there are several. Empty texts are never found.
  std::optional<Token> Find(std::string_view text) const;
  // The same, but only if ordinary text may become the token: kNormal and kUserDefined. Encoding never yields another
  // kind from text it was not told to search for control tokens.
  std::optional<Token> FindPiece(std::string_view text) const;

 private:
  struct Slot {
    std::uint32_t tag = 0;  // bits of the hash that spare most comparisons of text
    Token token = -1;
  };

  template <typename T>
  static T At(const std::vector<T>& values, Token token, T otherwise) {
    const auto index = static_cast<std::size_t>(token);  // negative: huge
    return index < values.size() ? values[index] : otherwise;
  }
  // The slot that holds `text`, or the empty one where it belongs.
  std::size_t FindSlot(std::string_view text, std::uint64_t hash) const;
  void BuildIndex(const LogCallback& log);

  std::int32_t size_ = 0;
  std::vector<std::string_view> texts_;
  std::vector<TokenKind> kinds_;
  std::vector<float> scores_;
  std::vector<Slot> slots_;  // open addressing with linear probing
};

}  // namespace slm

#endif  // SLM_TEXT_VOCABULARY_H_
