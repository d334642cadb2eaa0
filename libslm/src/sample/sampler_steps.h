// The truncating steps of sampling and temperature, as functions over the list of tokens that are still possible.
//
// A step that keeps "the best" means the largest logits, the lowest ids among equals, and keeps at least one. Steps
// work with weights, exp(logit - largest logit), of which all probabilities are a multiple. What is kept does not
// depend on how the standard library sorts and selects.

#ifndef SLM_SAMPLE_SAMPLER_STEPS_H_
#define SLM_SAMPLE_SAMPLER_STEPS_H_

#include <cstddef>
#include <span>
#include <vector>

#include "slm/sampler.h"
#include "slm/status.h"
#include "slm/tokenizer.h"

namespace slm {

struct Candidate {
  float logit;  // finite
  Token token;
};
using Candidates = std::vector<Candidate>;  // never empty once selected

bool IsBetter(const Candidate& a, const Candidate& b);

// The best token alone, or the `count` best in no particular order; tokens of logit -infinity are none. kInvalidNumber
// if a logit is NaN or +infinity, or no token is left.
Status SelectBest(std::span<const float> logits, Candidates& candidates);
Status SelectBest(std::span<const float> logits, std::size_t count, Candidates& candidates);

// Keeps logits of at least the largest minus `sigmas` standard deviations, which are those of all finite `logits`.
void KeepTopNSigma(float sigmas, std::span<const float> logits, Candidates& candidates);

// Keeps those whose surprise, -ln p, is nearest to the entropy, until their probability is above `typical_p`.
void KeepTypical(float typical_p, Candidates& candidates);

// Keeps the best until their probability reaches `top_p`, and of these what has at least `min_p` times the best one's.
void KeepTopPAndMinP(float top_p, float min_p, Candidates& candidates);

// XTC: drops all of probability `threshold` or more but the last of them, if they are at least two.
void ExcludeTopChoices(float threshold, Candidates& candidates);

// The temperature for these candidates: the option itself, unless a range makes it follow the entropy.
double TemperatureFor(const SamplerOptions& options, const Candidates& candidates);

// weights[i] = exp((logit - largest logit) / temperature), the largest of which is 1. Returns their sum.
double Weigh(const Candidates& candidates, double temperature, std::vector<double>& weights);

// Mirostat: drops candidates, and their weights, with a surprise of more than `bound` bits, but never the best. Returns
// the sum of the weights that are left; `total` is the sum before.
double DropSurprising(double bound, double total, Candidates& candidates, std::vector<double>& weights);

}  // namespace slm

#endif  // SLM_SAMPLE_SAMPLER_STEPS_H_
