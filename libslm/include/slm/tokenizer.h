// Text to token ids and back, as the model's own file defines it.
//
// Text is bytes; valid UTF-8 is expected but not required. What a user typed is data: with the default options no piece
// of it ever becomes a control token, whatever it spells.
//
//   slm::Result<std::vector<slm::Token>> ids = model.tokenizer().Encode("Hello world");
//   std::string text = model.tokenizer().Decode(*ids);
//
// Thread-safety: immutable after loading; all methods may be called from any number of threads.

#ifndef SLM_TOKENIZER_H_
#define SLM_TOKENIZER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "slm/status.h"

namespace slm {

// An index into the vocabulary, 0 <= token < vocab_size().
using Token = std::int32_t;

// tokenizer.ggml.token_type of GGUF.
enum class TokenKind : std::uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

struct EncodeOptions {
  // True: the texts of control and unknown tokens become those tokens. For text the application wrote itself
  // (templates).
  bool parse_special = false;
  // True: begin (end) with BOS (EOS) if the model's file asks for it.
  bool add_special = false;
  // False: the text continues other text, so that a tokenizer which begins a text with a space (add_space_prefix) must
  // not do so here.
  bool at_start = true;
  // False: the text is to be continued, so that add_special puts no EOS behind it.
  bool at_end = true;
};

// A part of a text that has several authors.
struct TextPart {
  std::string text = {};
  // True: written by a program that knows the model, such as a chat template; texts of control tokens become those
  // tokens. False: somebody's words.
  bool markup = false;
  // If not empty, the encoding of the text, which is taken as it is.
  std::vector<Token> tokens = {};
  bool operator==(const TextPart&) const = default;
};

class ModelFile;

class Tokenizer {
 public:
  // Of a file whose model need not be one this library can run. `file` must outlive the Tokenizer. Fails as Model::Open
  // does where the vocabulary is damaged.
  static Result<Tokenizer> Open(const ModelFile& file);

  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  // Linear in the text for practical purposes (n log n), whatever the text and the vocabulary are; no recursion. Fails
  // with kUnsupported when the file names a tokenizer or pre-tokenizer this library does not know (the message names
  // it), and with kInvalidArgument when the vocabulary can't spell the text: it lacks bytes, and an unknown token.
  Result<std::vector<Token>> Encode(std::string_view text, const EncodeOptions& options = {}) const;

  // The encoding of a text in parts. Between control tokens the parts are one text: words may join across their ends,
  // as if it had been encoded whole, but no control token begins or ends outside markup. A space that the tokenizer
  // would put before the text, or after a control token, is left out where the text has one already. Nothing is added
  // at the beginning or end.
  Result<std::vector<Token>> EncodeParts(std::span<const TextPart> parts) const;

  // The bytes of a whole sequence. Control tokens render as nothing unless render_special. A leading space that Encode
  // would have added is dropped. The result is valid UTF-8 only if the tokens spell valid UTF-8. Ids outside the
  // vocabulary render as nothing.
  std::string Decode(std::span<const Token> tokens, bool render_special = false) const;

  // The bytes one token adds in the middle of a text: no special handling of leading spaces. May be part of a UTF-8
  // character.
  std::string Piece(Token token, bool render_special = false) const;

  std::int32_t vocab_size() const;
  // The token's text exactly as stored in the file ("" outside the vocabulary).
  std::string_view Text(Token token) const;
  TokenKind Kind(Token token) const;
  // The token stored with exactly this text, if any.
  std::optional<Token> Find(std::string_view text) const;

  std::optional<Token> bos() const;
  std::optional<Token> eos() const;
  bool adds_bos() const;
  // Whether texts are encoded with a space before them.
  bool adds_space() const;
  // Whether the model uses this token to end its turn or the text: eos, eot, eom and the control tokens known to mean
  // it. Of those that are known, and of what else marks turns, a file may say that they are something other than
  // control tokens; they are all the same, with a warning.
  bool IsEndOfGeneration(Token token) const;
  // All such tokens, ascending.
  std::span<const Token> end_of_generation() const;

  // "llama", "gpt2", ... and the pre-tokenizer's name ("" where the kind has none), as stored in the file.
  std::string_view kind() const;
  std::string_view pre_tokenizer() const;

 private:
  friend struct Internal;
  class Impl;
  explicit Tokenizer(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

// Joins streamed pieces into whole UTF-8 characters: holds back at most three bytes until the rest of a character
// arrives. Bytes that can't become valid UTF-8 are replaced by U+FFFD. Not thread-safe.
class Utf8Stream {
 public:
  // Appends the bytes of `piece` and returns what is complete now.
  std::string Push(std::string_view piece);
  // Returns what is left, an incomplete character as U+FFFD, and starts over.
  std::string Flush();

 private:
  std::string pending_;
};

}  // namespace slm

#endif  // SLM_TOKENIZER_H_
