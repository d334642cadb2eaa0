#include "slm/sampler.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/status_macros.h"

namespace slm {

namespace {

struct Candidate {
  float logit;
  Token token;
};

// A total order, so that what is kept does not depend on how the standard library selects.
bool IsBetter(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

Status BadLogit(Token token, float logit) {
  return {StatusCode::kInvalidNumber,
          Cat("The logit of token ", token, " is ", logit,
              "; expected a finite number. The model file may be damaged: `slm-inspect check` tells.")};
}

Status NoCandidates() {
  return {StatusCode::kInvalidNumber, "No token can be chosen: every logit is -infinity, or there are no logits."};
}

Result<Token> Greedy(std::span<const float> logits) {
  float best = -std::numeric_limits<float>::infinity();
  Token token = -1;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] <= best) continue;  // false for NaN
    token = static_cast<Token>(i);
    if (std::isnan(logits[i]) || std::isinf(logits[i])) return BadLogit(token, logits[i]);
    best = logits[i];
  }
  if (token < 0) return NoCandidates();
  return token;
}

// The `count` best tokens, in no particular order. Linear in the vocabulary: candidates gather in a buffer of twice the
// size, and whenever it is full its worse half goes.
Status SelectBest(std::span<const float> logits, std::size_t count, std::vector<Candidate>& best) {
  best.clear();
  float threshold = -std::numeric_limits<float>::infinity();
  const auto drop_worse = [&] {
    std::nth_element(best.begin(), best.begin() + static_cast<std::ptrdiff_t>(count - 1), best.end(), IsBetter);
    best.resize(count);
    threshold = best.back().logit;
  };
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] <= threshold) continue;  // false for NaN
    const Candidate candidate{logits[i], static_cast<Token>(i)};
    if (std::isnan(candidate.logit) || std::isinf(candidate.logit)) return BadLogit(candidate.token, candidate.logit);
    best.push_back(candidate);
    if (best.size() == 2 * count) drop_worse();
  }
  if (best.size() > count) drop_worse();
  return best.empty() ? NoCandidates() : Status();
}

// exp(logit - max_logit), of which all probabilities are a multiple.
double Weight(const Candidate& candidate, float max_logit) {
  return std::exp(static_cast<double>(candidate.logit) - static_cast<double>(max_logit));
}

// Keeps the shortest beginning of the descending order whose weights reach `wanted`, or everything. Sorts no more than
// about twice what it keeps.
void KeepUntilWeight(double wanted, float max_logit, std::vector<Candidate>& candidates) {
  double sum = 0;
  std::size_t kept = 0;
  for (std::size_t sorted = 0; kept < candidates.size(); ++kept) {
    if (kept == sorted) {
      sorted = std::min(candidates.size(), std::max<std::size_t>(64, 2 * sorted));
      const auto begin = candidates.begin();
      std::partial_sort(begin + static_cast<std::ptrdiff_t>(kept), begin + static_cast<std::ptrdiff_t>(sorted),
                        candidates.end(), IsBetter);
    }
    sum += Weight(candidates[kept], max_logit);
    if (sum >= wanted) {
      candidates.resize(kept + 1);
      return;
    }
  }
}

// Uniform in [0, 1) from the upper 53 bits: the distributions of <random> differ between standard libraries.
double Uniform(std::mt19937_64& generator) { return static_cast<double>(generator() >> 11) * 0x1p-53; }

}  // namespace

struct Sampler::State {
  explicit State(const SamplerOptions& o) : options(o), validity(Validate(o)), generator(o.seed) {}

  std::span<const float> Penalized(std::span<const float> logits);
  float Truncate();
  Token Draw(float max_logit);

  SamplerOptions options;
  Status validity;
  std::mt19937_64 generator;
  std::deque<Token> recent;           // the last repeat_last_n accepted tokens
  std::vector<float> penalized;       // scratch
  std::vector<Candidate> candidates;  // scratch
  std::vector<double> cumulative;     // scratch
};

// Works from the original logits, so that a token seen twice is penalized once.
std::span<const float> Sampler::State::Penalized(std::span<const float> logits) {
  if (options.repeat_penalty == 1.0f || recent.empty()) return logits;
  penalized.assign(logits.begin(), logits.end());
  for (const Token token : recent) {
    if (token < 0 || static_cast<std::size_t>(token) >= logits.size()) continue;
    const float logit = logits[token];
    penalized[token] = logit > 0 ? logit / options.repeat_penalty : logit * options.repeat_penalty;
  }
  return penalized;
}

// Top-p and min-p each keep a beginning of the descending order, so that the shorter one counts and their order does
// not matter as long as top-p's total is that of what top-k left. Min-p needs no sorting and goes first. Returns the
// largest logit.
float Sampler::State::Truncate() {
  // A fixed order for the sum, whatever order the selection left.
  if (options.top_k > 0) std::sort(candidates.begin(), candidates.end(), IsBetter);
  const float max = std::min_element(candidates.begin(), candidates.end(), IsBetter)->logit;
  double total = 0;
  if (options.top_p < 1.0f) {
    for (const Candidate& candidate : candidates) total += Weight(candidate, max);
  }
  if (options.min_p > 0.0f) {
    const double least = static_cast<double>(max) + std::log(static_cast<double>(options.min_p));
    std::erase_if(candidates, [least](const Candidate& candidate) { return candidate.logit < least; });
  }
  if (options.top_p < 1.0f) KeepUntilWeight(static_cast<double>(options.top_p) * total, max, candidates);
  return max;
}

Token Sampler::State::Draw(float max_logit) {
  cumulative.clear();
  double sum = 0;
  for (const Candidate& candidate : candidates) {
    sum += std::exp((static_cast<double>(candidate.logit) - max_logit) / options.temperature);
    cumulative.push_back(sum);
  }
  // The first candidate whose sum is above the drawn number; there is one, because Uniform is below 1.
  const auto drawn = std::upper_bound(cumulative.begin(), cumulative.end() - 1, Uniform(generator) * sum);
  return candidates[static_cast<std::size_t>(drawn - cumulative.begin())].token;
}

Sampler::Sampler(const SamplerOptions& options) : state_(std::make_unique<State>(options)) {}
Sampler::~Sampler() = default;
Sampler::Sampler(Sampler&&) noexcept = default;
Sampler& Sampler::operator=(Sampler&&) noexcept = default;

Status Sampler::Validate(const SamplerOptions& options) {
  const auto invalid = [](const char* name, auto value, const char* expected) {
    return Status(StatusCode::kInvalidArgument,
                  Cat("The sampling option ", name, " is ", value, "; expected ", expected, "."));
  };
  if (!(options.temperature >= 0.0f) || std::isinf(options.temperature)) {
    return invalid("temperature", options.temperature, "a finite number, 0 or more");
  }
  if (options.top_k < 0) return invalid("top_k", options.top_k, "0 (all tokens) or more");
  if (!(options.top_p >= 0.0f && options.top_p <= 1.0f)) return invalid("top_p", options.top_p, "a number from 0 to 1");
  if (!(options.min_p >= 0.0f && options.min_p <= 1.0f)) return invalid("min_p", options.min_p, "a number from 0 to 1");
  if (!(options.repeat_penalty > 0.0f) || std::isinf(options.repeat_penalty)) {
    return invalid("repeat_penalty", options.repeat_penalty, "a finite number above 0");
  }
  if (options.repeat_last_n < 0) return invalid("repeat_last_n", options.repeat_last_n, "0 (off) or more");
  return {};
}

Result<Token> Sampler::Sample(std::span<const float> logits) {
  SLM_RETURN_IF_ERROR(state_->validity);
  const SamplerOptions& options = state_->options;
  const std::span<const float> penalized = state_->Penalized(logits);
  if (options.temperature == 0.0f) return Greedy(penalized);
  const std::size_t count = options.top_k > 0 ? static_cast<std::size_t>(options.top_k) : logits.size();
  SLM_RETURN_IF_ERROR(SelectBest(penalized, count, state_->candidates));
  return state_->Draw(state_->Truncate());
}

void Sampler::Accept(Token token) {
  std::deque<Token>& recent = state_->recent;
  recent.push_back(token);
  while (std::cmp_greater(recent.size(), std::max(state_->options.repeat_last_n, 0))) recent.pop_front();
}

void Sampler::SetHistory(std::span<const Token> tokens) {
  state_->recent.clear();
  for (const Token token : tokens) Accept(token);
}

const SamplerOptions& Sampler::options() const { return state_->options; }

}  // namespace slm
