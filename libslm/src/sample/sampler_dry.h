// DRY, "don't repeat yourself": the longer the repetition that a token would continue, the less likely the token.

#ifndef SLM_SAMPLE_SAMPLER_DRY_H_
#define SLM_SAMPLE_SAMPLER_DRY_H_

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "slm/sampler.h"
#include "slm/tokenizer.h"

namespace slm {

// Follows the text to know how far back its last breaker is. Breakers are looked for in the bytes of the text, so that
// it makes no difference how they are cut into tokens, or what else their tokens spell.
class BreakerFinder {
 public:
  // `tokenizer` may be null if there are no breakers, and must outlive the object otherwise.
  BreakerFinder(std::vector<std::string> breakers, const Tokenizer* tokenizer);

  void Accept(Token token);
  void Clear();

  // How many tokens follow the last one with which a breaker ends; all tokens if there was none.
  std::size_t tokens_since() const { return tokens_since_; }
  // Whether the token alone spells a breaker, among other text perhaps.
  bool Spells(Token token) const;

 private:
  // Whether a breaker lies in `text` and ends behind its first `known` bytes.
  bool EndsBehind(std::size_t known, std::string_view text) const;

  std::vector<std::string> breakers_;
  const Tokenizer* tokenizer_;
  std::size_t overlap_ = 0;  // bytes that a breaker can have before the token it ends with
  std::string tail_;         // that many of the last bytes of the text
  std::size_t tokens_since_ = 0;
};

class DryPenalty {
 public:
  // `tokenizer` as for BreakerFinder.
  DryPenalty(const SamplerOptions& options, const Tokenizer* tokenizer);

  void Accept(Token token) { breakers_.Accept(token); }
  void Clear() { breakers_.Clear(); }

  // `recent`: the last of the accepted tokens, among which repetitions count. Linear in their number.
  void Apply(std::span<const Token> recent, std::span<float> logits);

 private:
  double multiplier_;
  double base_;
  std::size_t allowed_length_;
  BreakerFinder breakers_;
  std::vector<std::size_t> shared_;                 // scratch
  std::unordered_map<Token, std::size_t> longest_;  // scratch: of the repetitions that a token would continue
};

}  // namespace slm

#endif  // SLM_SAMPLE_SAMPLER_DRY_H_
