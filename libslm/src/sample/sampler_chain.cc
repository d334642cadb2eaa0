#include "sample/sampler_chain.h"

#include <algorithm>
#include <cmath>

#include "base/status_macros.h"

namespace slm {

namespace {

bool Penalizes(const SamplerOptions& o) {
  return o.repeat_last_n != 0 &&
         (o.repeat_penalty != 1.0f || o.frequency_penalty != 0.0f || o.presence_penalty != 0.0f);
}

bool UsesDry(const SamplerOptions& o) { return o.dry_multiplier > 0.0f && o.dry_penalty_last_n != 0; }

// Of the options, and whether they come with the tokenizer they need.
Status Validity(const SamplerOptions& options, const Tokenizer* tokenizer) {
  SLM_RETURN_IF_ERROR(ValidateSamplerOptions(options));
  if (UsesDry(options) && !options.dry_sequence_breakers.empty() && tokenizer == nullptr) {
    return {StatusCode::kInvalidArgument,
            "The sampling option dry_multiplier is set, but the sampler was made without a tokenizer, which it needs "
            "to find dry_sequence_breakers in the text. Give it the model's, or clear the breakers."};
  }
  return {};
}

double FirstSurpriseBound(const SamplerOptions& options) { return 2.0 * static_cast<double>(options.mirostat_tau); }

}  // namespace

SamplerChain::SamplerChain(const SamplerOptions& options, const Tokenizer* tokenizer)
    : options_(options),
      tokenizer_(tokenizer),
      validity_(Validity(options, tokenizer)),
      penalizes_(validity_.ok() && Penalizes(options)),
      dry_(validity_.ok() && UsesDry(options)),
      history_(options.repeat_last_n),
      dry_penalty_(options, tokenizer),
      generator_(options.seed),
      surprise_bound_(FirstSurpriseBound(options)) {}

void SamplerChain::Accept(Token token) {
  if (penalizes_ || dry_) history_.Accept(token);
  if (dry_) dry_penalty_.Accept(token);
}

void SamplerChain::ClearHistory() {
  history_.Clear();
  dry_penalty_.Clear();
}

void SamplerChain::Reseed(std::uint64_t seed) {
  options_.seed = seed;
  generator_.seed(seed);
  surprise_bound_ = FirstSurpriseBound(options_);
}

Result<std::span<const float>> SamplerChain::Adjust(std::span<const float> logits) {
  if (options_.logit_bias.empty() && !penalizes_ && !dry_) return logits;
  adjusted_.assign(logits.begin(), logits.end());
  SLM_RETURN_IF_ERROR(ApplyLogitBias(options_.logit_bias, adjusted_));
  if (penalizes_) ApplyPenalties(options_, history_, tokenizer_, adjusted_);
  if (dry_) dry_penalty_.Apply(history_.Last(options_.dry_penalty_last_n), adjusted_);
  return std::span<const float>(adjusted_);
}

Status SamplerChain::Truncate(std::span<const float> logits) {
  const std::size_t count = options_.top_k > 0 ? static_cast<std::size_t>(options_.top_k) : logits.size();
  SLM_RETURN_IF_ERROR(SelectBest(logits, count, candidates_));
  // A fixed order for the sums below, whatever order the selection left.
  if (options_.top_k > 0) std::sort(candidates_.begin(), candidates_.end(), IsBetter);
  // Top-k and this each keep a beginning of the descending order, so that either may come first.
  if (options_.top_n_sigma >= 0.0f) KeepTopNSigma(options_.top_n_sigma, logits, candidates_);
  if (options_.typical_p < 1.0f) KeepTypical(options_.typical_p, candidates_);
  KeepTopPAndMinP(options_.top_p, options_.min_p, candidates_);
  weights_.reserve(candidates_.size());  // nothing is drawn where there is no memory for the rest
  if (options_.xtc_probability > 0.0f && Uniform() < static_cast<double>(options_.xtc_probability)) {
    ExcludeTopChoices(options_.xtc_threshold, candidates_);
  }
  return {};
}

Status SamplerChain::Distribute(std::span<const float> logits) {
  SLM_RETURN_IF_ERROR(validity_);
  SLM_ASSIGN_OR_RETURN(const std::span<const float> adjusted, Adjust(logits));
  if (options_.temperature == 0.0f) {
    SLM_RETURN_IF_ERROR(SelectBest(adjusted, candidates_));
  } else if (mirostat()) {
    SLM_RETURN_IF_ERROR(SelectBest(adjusted, adjusted.size(), candidates_));
  } else {
    SLM_RETURN_IF_ERROR(Truncate(adjusted));
  }
  total_weight_ = Weigh(candidates_, TemperatureFor(options_, candidates_), weights_);
  if (mirostat()) total_weight_ = DropSurprising(surprise_bound_, total_weight_, candidates_, weights_);
  return {};
}

// The first candidate at which the sum of weights is above the drawn number; the last one for what rounding leaves.
Token SamplerChain::Draw() {
  const double drawn = Uniform() * total_weight_;
  std::size_t chosen = 0;
  for (double sum = weights_[0]; sum <= drawn && chosen + 1 < weights_.size(); sum += weights_[chosen]) ++chosen;
  if (mirostat()) {
    const double surprise = std::log2(total_weight_ / weights_[chosen]);
    surprise_bound_ -= static_cast<double>(options_.mirostat_eta) * (surprise - options_.mirostat_tau);
  }
  return candidates_[chosen].token;
}

// In [0, 1), from the upper 53 bits: the distributions of <random> differ between standard libraries.
double SamplerChain::Uniform() { return static_cast<double>(generator_() >> 11) * 0x1p-53; }

}  // namespace slm
