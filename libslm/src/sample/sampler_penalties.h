// Steps that change logits before any token is dropped: bias, and penalties on the tokens of the recent text.
//
// A finite logit stays finite, whatever is added to it, except for a bias of -infinity.

#ifndef SLM_SAMPLE_SAMPLER_PENALTIES_H_
#define SLM_SAMPLE_SAMPLER_PENALTIES_H_

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "slm/sampler.h"
#include "slm/status.h"
#include "slm/tokenizer.h"

namespace slm {

// The result of a computation on `logit`, as a logit.
float AdjustedLogit(float logit, double result);

// kInvalidArgument if a token lies beyond the logits.
Status ApplyLogitBias(const std::vector<LogitBias>& biases, std::span<float> logits);

// The accepted tokens, and how often each occurs among the last of them.
class TokenHistory {
 public:
  // How many tokens are counted; -1: all.
  explicit TokenHistory(std::int32_t counted) : counted_(counted) {}

  void Accept(Token token);
  void Clear();

  // The last `count` tokens, or as many as there are; -1: all.
  std::span<const Token> Last(std::int32_t count) const;
  const std::unordered_map<Token, std::int32_t>& counts() const { return counts_; }

 private:
  std::int32_t counted_;
  std::vector<Token> tokens_;
  std::unordered_map<Token, std::int32_t> counts_;
};

// Whether the token ends a turn; no tokenizer knows of none. Such tokens are in a text because its template puts them
// behind every turn. That is no repetition, and if it counted as one, answers would go on and on.
bool EndsTurn(const Tokenizer* tokenizer, Token token);

// Repetition, frequency and presence penalty. Tokens beyond the logits, and such that end a turn, are left alone.
void ApplyPenalties(const SamplerOptions& options, const TokenHistory& history, const Tokenizer* tokenizer,
                    std::span<float> logits);

}  // namespace slm

#endif  // SLM_SAMPLE_SAMPLER_PENALTIES_H_
