#include "session/guess_policy.h"

#include <algorithm>
#include <bit>

namespace slm {

namespace {

constexpr double kMemory = 0.98;  // of a token's weight in a share, a token later
constexpr double kNewest = 0.2;   // weight of the newest step in a time
// Less than this is not worth it: times are not that exact.
constexpr double kLeastGain = 1.05;
// What a token more costs in a step, in steps of one token, until it is known: between what memory and what arithmetic
// makes of it.
constexpr double kUsualCost = 0.15;

std::size_t StepOf(std::size_t tokens) { return static_cast<std::size_t>(std::bit_width(tokens - 1)); }

}  // namespace

std::size_t GuessPolicy::ClassOf(std::size_t match) { return match <= 4 ? 0 : match <= 8 ? 1 : match <= 16 ? 2 : 3; }

// Of a step's most tokens, in steps of one token.
double GuessPolicy::Cost(std::size_t step) const {
  if (step == 0) return 1;
  if (seconds_[0] > 0 && seconds_[step] > 0) return std::max(1.0, seconds_[step] / seconds_[0]);
  return 1 + kUsualCost * static_cast<double>((std::size_t{1} << step) - 1);
}

std::size_t GuessPolicy::Count(std::size_t match, std::size_t most) const {
  const Share& share = shares_[ClassOf(match)];
  const double right = share.right / share.all;
  double best = kLeastGain;
  std::size_t count = 0;
  for (std::size_t step = 1; step < kSteps; ++step) {
    const std::size_t guesses = std::min((std::size_t{1} << step) - 1, most);
    if (StepOf(guesses + 1) < step) break;
    double tokens = 1, all_right = 1;
    for (std::size_t i = 0; i < guesses; ++i) tokens += all_right *= right;
    const double gain = tokens / Cost(step);
    if (gain <= best) continue;
    best = gain;
    count = guesses;
  }
  return count;
}

void GuessPolicy::Learn(std::size_t match, std::size_t right, bool refused) {
  Share& share = shares_[ClassOf(match)];
  const auto add = [&](double value) {
    share.right = kMemory * share.right + value;
    share.all = kMemory * share.all + 1;
  };
  for (std::size_t i = 0; i < right; ++i) add(1);
  if (refused) add(0);
}

void GuessPolicy::Took(std::size_t tokens, double seconds) {
  if (tokens == 0 || StepOf(tokens) >= kSteps) return;
  double& usual = seconds_[StepOf(tokens)];
  usual = usual > 0 ? usual + kNewest * (seconds - usual) : seconds;
}

}  // namespace slm
