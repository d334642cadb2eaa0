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
// makes of it. And what a draft costs.
constexpr double kUsualCost = 0.15;
constexpr double kUsualDraftCost = 0.3;

std::size_t StepOf(std::size_t tokens) { return static_cast<std::size_t>(std::bit_width(tokens - 1)); }

void Average(double seconds, double& usual) { usual = usual > 0 ? usual + kNewest * (seconds - usual) : seconds; }

}  // namespace

GuessKind KindOfMatch(std::size_t match) {
  return match <= 4    ? GuessKind::kMatch4
         : match <= 8  ? GuessKind::kMatch8
         : match <= 16 ? GuessKind::kMatch16
                       : GuessKind::kMatch32;
}

GuessKind KindOfProbability(double probability) {
  return probability < 0.4    ? GuessKind::kUnlikely
         : probability < 0.7  ? GuessKind::kPossible
         : probability < 0.95 ? GuessKind::kLikely
                              : GuessKind::kSure;
}

void GuessPolicy::Share::Add(bool value) {
  right = kMemory * right + (value ? 1 : 0);
  all = kMemory * all + 1;
}

// Of a step's most tokens, in steps of one token.
double GuessPolicy::Cost(std::size_t step) const {
  if (step == 0) return 1;
  if (seconds_[0] > 0 && seconds_[step] > 0) return std::max(1.0, seconds_[step] / seconds_[0]);
  return 1 + kUsualCost * static_cast<double>((std::size_t{1} << step) - 1);
}

double GuessPolicy::DraftCost() const {
  return seconds_[0] > 0 && draft_seconds_ > 0 ? draft_seconds_ / seconds_[0] : kUsualDraftCost;
}

GuessPolicy::Choice GuessPolicy::Best(std::span<const double> right, double spent, double each) const {
  Choice best = {.gain = kLeastGain / (1 + spent)};
  double expected = 1, all_right = 1;
  std::size_t counted = 0;
  for (std::size_t step = 1; step < kSteps; ++step) {
    const std::size_t guesses = std::min((std::size_t{1} << step) - 1, right.size());
    if (guesses == counted) break;
    for (; counted < guesses; ++counted) expected += all_right *= right[counted];
    const double gain = expected / (Cost(step) + spent + each * static_cast<double>(guesses));
    if (gain > best.gain) best = {.tokens = guesses, .gain = gain};
  }
  return best;
}

GuessPolicy::Choice GuessPolicy::Choose(std::span<const GuessKind> guess, double spent) const {
  std::array<double, kMostGuesses> right;
  guess = guess.first(std::min(guess.size(), right.size()));
  std::ranges::transform(guess, right.begin(), [this](GuessKind kind) { return Right(kind); });
  return Best(std::span(right).first(guess.size()), spent, 0);
}

std::size_t GuessPolicy::CountDraft(std::size_t most, double other_gain) {
  std::array<double, kMostGuesses> right;
  right.fill(of_draft_.value());
  const Choice choice = Best(std::span(right).first(std::min(most, right.size())), 0, DraftCost());
  if (choice.tokens > 0) {
    rested_ = 0;
    rest_ = kFirstRest;
    return choice.gain > other_gain ? choice.tokens : 0;
  }
  if (++rested_ < rest_) return 0;
  rested_ = 0;
  rest_ = std::min(2 * rest_, kLongestRest);
  return std::min<std::size_t>(most, 1);
}

void GuessPolicy::Learn(GuessKind kind, bool right) {
  shares_[static_cast<std::size_t>(kind)].Add(right);
  if (kind >= GuessKind::kUnlikely) of_draft_.Add(right);
}

double GuessPolicy::Right(GuessKind kind) const { return shares_[static_cast<std::size_t>(kind)].value(); }

void GuessPolicy::Took(std::size_t tokens, double seconds) {
  if (tokens == 0 || StepOf(tokens) >= kSteps) return;
  Average(seconds, seconds_[StepOf(tokens)]);
}

void GuessPolicy::DraftTook(double seconds) { Average(seconds, draft_seconds_); }

}  // namespace slm
