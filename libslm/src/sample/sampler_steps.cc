#include "sample/sampler_steps.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/format.h"

namespace slm {

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

Status BadLogit(Token token, float logit) {
  return {StatusCode::kInvalidNumber,
          Cat("The logit of token ", token, " is ", logit,
              "; expected a finite number. The model file may be damaged: `slm-inspect check` tells.")};
}

Status NoCandidates() {
  return {StatusCode::kInvalidNumber,
          "No token can be chosen: every logit is -infinity or banned by a bias, or there are no logits."};
}

float LargestLogit(const Candidates& candidates) {
  float largest = -kInfinity;
  for (const Candidate& candidate : candidates) largest = std::max(largest, candidate.logit);
  return largest;
}

double Weight(const Candidate& candidate, float largest) {
  return std::exp(static_cast<double>(candidate.logit) - static_cast<double>(largest));
}

double TotalWeight(const Candidates& candidates, float largest) {
  double total = 0;
  for (const Candidate& candidate : candidates) total += Weight(candidate, largest);
  return total;
}

// Keeps the shortest beginning of the order `before` whose weights together are `enough`, or everything. Linear but for
// what it keeps.
template <typename Before, typename Enough>
void KeepBeginning(Before before, float largest, Enough enough, Candidates& candidates) {
  const auto after = [before](const Candidate& a, const Candidate& b) { return before(b, a); };
  auto heap_end = candidates.end();
  std::make_heap(candidates.begin(), heap_end, after);
  double sum = 0;
  do {
    std::pop_heap(candidates.begin(), heap_end--, after);  // what is kept gathers at the end, the first one last
    sum += Weight(*heap_end, largest);
  } while (heap_end != candidates.begin() && !enough(sum));
  candidates.erase(candidates.begin(), heap_end);
  std::reverse(candidates.begin(), candidates.end());
}

}  // namespace

bool IsBetter(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

Status SelectBest(std::span<const float> logits, Candidates& candidates) {
  candidates.clear();
  Candidate best{-kInfinity, -1};
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] <= best.logit) continue;  // false for NaN
    best = {logits[i], static_cast<Token>(i)};
    if (std::isnan(best.logit) || std::isinf(best.logit)) return BadLogit(best.token, best.logit);
  }
  if (best.token < 0) return NoCandidates();
  candidates.push_back(best);
  return {};
}

// Linear in the vocabulary: candidates gather in a buffer of twice the size, and whenever it is full its worse half
// goes.
Status SelectBest(std::span<const float> logits, std::size_t count, Candidates& candidates) {
  candidates.clear();
  float threshold = -kInfinity;
  const auto drop_worse = [&] {
    std::nth_element(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(count - 1), candidates.end(),
                     IsBetter);
    candidates.resize(count);
    threshold = candidates.back().logit;
  };
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] <= threshold) continue;  // false for NaN
    const Candidate candidate{logits[i], static_cast<Token>(i)};
    if (std::isnan(candidate.logit) || std::isinf(candidate.logit)) return BadLogit(candidate.token, candidate.logit);
    candidates.push_back(candidate);
    if (candidates.size() == 2 * count) drop_worse();
  }
  if (candidates.size() > count) drop_worse();
  return candidates.empty() ? NoCandidates() : Status();
}

void KeepTopNSigma(float sigmas, std::span<const float> logits, Candidates& candidates) {
  double sum = 0;
  double count = 0;
  for (const float logit : logits) {
    if (logit == -kInfinity) continue;
    sum += logit;
    ++count;
  }
  const double mean = sum / count;
  double squares = 0;
  for (const float logit : logits) {
    if (logit != -kInfinity) squares += (logit - mean) * (logit - mean);
  }
  const double least = LargestLogit(candidates) - static_cast<double>(sigmas) * std::sqrt(squares / count);
  std::erase_if(candidates, [least](const Candidate& candidate) { return candidate.logit < least; });
}

// With ln p = logit - ln Z, the distance between surprise and entropy is that between the logit and the mean logit
// under p: ln Z cancels out.
void KeepTypical(float typical_p, Candidates& candidates) {
  const float largest = LargestLogit(candidates);
  const double total = TotalWeight(candidates, largest);
  double mean = 0;
  for (const Candidate& candidate : candidates) mean += Weight(candidate, largest) / total * candidate.logit;
  const auto nearer = [mean](const Candidate& a, const Candidate& b) {
    const double distance_a = std::abs(a.logit - mean);
    const double distance_b = std::abs(b.logit - mean);
    return distance_a != distance_b ? distance_a < distance_b : IsBetter(a, b);
  };
  KeepBeginning(
      nearer, largest, [&](double sum) { return sum > static_cast<double>(typical_p) * total; }, candidates);
}

// Each keeps a beginning of the descending order, so that the shorter one counts, and min-p, which needs no sorting,
// may go first as long as top-p's total is that of what came before both.
void KeepTopPAndMinP(float top_p, float min_p, Candidates& candidates) {
  const float largest = LargestLogit(candidates);
  const double total = top_p < 1.0f ? TotalWeight(candidates, largest) : 0;
  if (min_p > 0.0f) {
    const double least = static_cast<double>(largest) + std::log(static_cast<double>(min_p));
    std::erase_if(candidates, [least](const Candidate& candidate) { return candidate.logit < least; });
  }
  if (top_p < 1.0f) {
    KeepBeginning(
        IsBetter, largest, [&](double sum) { return sum >= static_cast<double>(top_p) * total; }, candidates);
  }
}

// Where fewer than two reach the threshold, none is better than the last that does. Two can't reach more than a half.
void ExcludeTopChoices(float threshold, Candidates& candidates) {
  const float largest = LargestLogit(candidates);
  const double least = static_cast<double>(threshold) * TotalWeight(candidates, largest);
  Candidate last{kInfinity, -1};
  for (const Candidate& candidate : candidates) {
    if (Weight(candidate, largest) >= least && IsBetter(last, candidate)) last = candidate;
  }
  std::erase_if(candidates, [&last](const Candidate& candidate) { return IsBetter(candidate, last); });
}

double TemperatureFor(const SamplerOptions& options, const Candidates& candidates) {
  const double temperature = options.temperature;
  const double range = options.dynatemp_range;
  if (range == 0 || candidates.size() == 1) return temperature;
  const float largest = LargestLogit(candidates);
  const double total = TotalWeight(candidates, largest);
  double entropy = std::log(total);
  for (const Candidate& candidate : candidates) {
    entropy -= Weight(candidate, largest) / total * (static_cast<double>(candidate.logit) - largest);
  }
  const double evenness = std::clamp(entropy / std::log(static_cast<double>(candidates.size())), 0.0, 1.0);
  const double low = std::max(0.0, temperature - range);
  return low + (temperature + range - low) * std::pow(evenness, static_cast<double>(options.dynatemp_exponent));
}

double Weigh(const Candidates& candidates, double temperature, std::vector<double>& weights) {
  const double largest = LargestLogit(candidates);
  const double divisor = std::max(temperature, std::numeric_limits<double>::min());  // 0 / 0 would be no number
  weights.clear();
  for (const Candidate& candidate : candidates) {
    weights.push_back(std::exp((static_cast<double>(candidate.logit) - largest) / divisor));
  }
  return std::accumulate(weights.begin(), weights.end(), 0.0);
}

double DropSurprising(double bound, double total, Candidates& candidates, std::vector<double>& weights) {
  const double least = std::min(1.0, std::exp2(-bound) * total);  // the best one's weight is 1
  double sum = 0;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (weights[i] < least) continue;
    sum += weights[i];
    candidates[kept] = candidates[i];
    weights[kept++] = weights[i];
  }
  candidates.resize(kept);
  weights.resize(kept);
  return sum;
}

}  // namespace slm
