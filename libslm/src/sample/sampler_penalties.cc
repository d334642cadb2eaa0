#include "sample/sampler_penalties.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

#include "base/format.h"

namespace slm {

float AdjustedLogit(float logit, double result) {
  if (!std::isfinite(logit)) return logit;
  constexpr double kLargest = std::numeric_limits<float>::max();
  return static_cast<float>(std::clamp(result, -kLargest, kLargest));
}

bool EndsTurn(const Tokenizer* tokenizer, Token token) {
  return tokenizer != nullptr && tokenizer->IsEndOfGeneration(token);
}

Status ApplyLogitBias(const std::vector<LogitBias>& biases, std::span<float> logits) {
  for (const auto& [token, bias] : biases) {
    if (token < 0 || std::cmp_greater_equal(token, logits.size())) {
      return {StatusCode::kInvalidArgument, Cat("The sampling option logit_bias names token ", token,
                                                ", but the vocabulary has ", logits.size(), " tokens.")};
    }
    float& logit = logits[static_cast<std::size_t>(token)];
    logit = std::isinf(bias) ? logit + bias : AdjustedLogit(logit, static_cast<double>(logit) + bias);
  }
  return {};
}

void TokenHistory::Accept(Token token) {
  tokens_.push_back(token);
  ++counts_[token];
  if (counted_ < 0 || std::cmp_less_equal(tokens_.size(), counted_)) return;
  const auto leaving = counts_.find(tokens_[tokens_.size() - 1 - static_cast<std::size_t>(counted_)]);
  if (--leaving->second == 0) counts_.erase(leaving);
}

void TokenHistory::Clear() {
  tokens_.clear();
  counts_.clear();
}

std::span<const Token> TokenHistory::Last(std::int32_t count) const {
  const std::span<const Token> all(tokens_);
  if (count < 0 || std::cmp_greater_equal(count, all.size())) return all;
  return all.last(static_cast<std::size_t>(count));
}

void ApplyPenalties(const SamplerOptions& options, const TokenHistory& history, const Tokenizer* tokenizer,
                    std::span<float> logits) {
  const double repeat = options.repeat_penalty;
  for (const auto& [token, count] : history.counts()) {
    if (token < 0 || std::cmp_greater_equal(token, logits.size()) || EndsTurn(tokenizer, token)) continue;
    float& logit = logits[static_cast<std::size_t>(token)];
    const double repeated = logit > 0 ? logit / repeat : logit * repeat;
    const double subtracted = static_cast<double>(options.frequency_penalty) * count + options.presence_penalty;
    logit = AdjustedLogit(logit, repeated - subtracted);
  }
}

}  // namespace slm
