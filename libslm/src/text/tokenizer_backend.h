// What the kinds of tokenizers have in common, and what each does its own way.

#ifndef SLM_TEXT_TOKENIZER_BACKEND_H_
#define SLM_TEXT_TOKENIZER_BACKEND_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/internal.h"
#include "slm/status.h"
#include "slm/tokenizer.h"
#include "text/special_matcher.h"
#include "text/vocabulary.h"

namespace slm {

// The tokenizer.ggml.* keys besides the vocabulary, defaults filled in.
struct TokenizerConfig {
  std::string_view kind;
  std::string_view pre_tokenizer;
  std::optional<Token> bos;
  std::optional<Token> eos;
  std::optional<Token> unknown;
  bool add_bos = false;
  bool add_eos = false;
  bool add_space_prefix = false;
  // White space after a special token is no part of the text (but for a few tokens: see StripsNothing in tokenizer.cc).
  bool strips_after_special = false;
  // User-defined tokens spelled "<|x>" or "<x|>" match only where control tokens do: they frame tool calls and
  // channels, and are stored as user-defined only so that they show in the output.
  bool guards_marks = false;
  std::vector<Token> end_of_generation;  // ascending
  // Why text can't be encoded; OK if it can.
  Status encoding;
};

// Immutable.
class Tokenizer::Impl {
 public:
  Impl(Vocabulary vocabulary, TokenizerConfig config)
      : vocabulary_(std::move(vocabulary)), config_(std::move(config)), specials_(vocabulary_, config_.guards_marks) {}
  virtual ~Impl() = default;

  // Appends the tokens of a stretch of text that holds no special tokens and is not empty. `begins`: the text begins
  // here or follows a special token. Only called if config().encoding is OK. Returns how many bytes no token stands
  // for.
  virtual std::size_t EncodeText(std::string_view text, bool begins, std::vector<Token>& out) const = 0;
  // Appends the bytes that the stored text of a normal token stands for.
  virtual void AppendBytes(std::string_view stored, std::string& out) const = 0;

  const Vocabulary& vocabulary() const { return vocabulary_; }
  const TokenizerConfig& config() const { return config_; }
  const SpecialMatcher& specials() const { return specials_; }

 private:
  Vocabulary vocabulary_;
  TokenizerConfig config_;
  SpecialMatcher specials_;
};
using TokenizerBackend = ImplOf<Tokenizer>;

// The byte that a token text "<0xHH>" (two upper-case hexadecimal digits) stands for.
std::optional<unsigned char> ParseByteToken(std::string_view text);

}  // namespace slm

#endif  // SLM_TEXT_TOKENIZER_BACKEND_H_
