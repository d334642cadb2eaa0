// The steps of sampling in their order (see slm/sampler.h), up to the distribution that a token is drawn from.

#ifndef SLM_SAMPLE_SAMPLER_CHAIN_H_
#define SLM_SAMPLE_SAMPLER_CHAIN_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "sample/sampler_dry.h"
#include "sample/sampler_penalties.h"
#include "sample/sampler_steps.h"
#include "slm/sampler.h"
#include "slm/status.h"
#include "slm/tokenizer.h"

namespace slm {

// kInvalidArgument if an option is outside its range.
Status ValidateSamplerOptions(const SamplerOptions& options);

class SamplerChain {
 public:
  // `tokenizer`: null, or outlives the object. Options that are not valid make Distribute fail.
  SamplerChain(const SamplerOptions& options, const Tokenizer* tokenizer);

  void Accept(Token token);
  void ClearHistory();
  void Reseed(std::uint64_t seed);

  // What may come next: candidates() and their weights(), which are probabilities times total_weight(). With XTC on,
  // part of it is drawn.
  Status Distribute(std::span<const float> logits);
  std::span<const Candidate> candidates() const { return candidates_; }
  std::span<const double> weights() const { return weights_; }
  double total_weight() const { return total_weight_; }

  // One of the candidates. Mirostat's bound follows from how surprising it is.
  Token Draw();

  const SamplerOptions& options() const { return options_; }

 private:
  bool mirostat() const { return options_.mirostat == 2; }
  // The logits after bias, penalties and DRY: the argument itself if all are off.
  Result<std::span<const float>> Adjust(std::span<const float> logits);
  Status Truncate(std::span<const float> logits);
  double Uniform();

  SamplerOptions options_;
  const Tokenizer* tokenizer_;
  Status validity_;
  bool penalizes_;
  bool dry_;
  TokenHistory history_;
  DryPenalty dry_penalty_;
  std::mt19937_64 generator_;
  double surprise_bound_;

  std::vector<float> adjusted_;  // scratch
  Candidates candidates_;
  std::vector<double> weights_;
  double total_weight_ = 0;
};

}  // namespace slm

#endif  // SLM_SAMPLE_SAMPLER_CHAIN_H_
