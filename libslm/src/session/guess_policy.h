// How many tokens to guess, so that it pays.

#ifndef SLM_SESSION_GUESS_POLICY_H_
#define SLM_SESSION_GUESS_POLICY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace slm {

// Where a guessed token is from. Those of a kind come true about as often.
enum class GuessKind : std::uint8_t {
  // After as many tokens in common with an earlier place of the text.
  kMatch4,
  kMatch8,
  kMatch16,
  kMatch32,
  // From a draft, by what it thinks of the token.
  kUnlikely,
  kPossible,
  kLikely,
  kSure,
};
GuessKind KindOfMatch(std::size_t match);
GuessKind KindOfProbability(double probability);

// Weighs how often guesses came true against how long steps of several tokens took here. Both are learned all the time:
// whether the first token of a guess would have been right shows without evaluating it. Not thread-safe.
class GuessPolicy {
 public:
  struct Choice {
    std::size_t tokens = 0;  // to guess; 0: none, the next token is better computed alone
    double gain = 1;         // tokens a step that has the price of one token alone
  };

  // Of a guess with tokens of these kinds, how many to evaluate. `spent`: what guessing has cost, in steps of one
  // token.
  Choice Choose(std::span<const GuessKind> guess, double spent) const;

  // How many tokens to ask of a draft, at most `most`, where there is another guess of that gain. Where it does not
  // pay, 1 now and then, to see whether it does now.
  std::size_t CountDraft(std::size_t most, double other_gain);
  // What a token of the draft costs, in steps of one token.
  double DraftCost() const;

  // A guessed token was what the text had, or not.
  void Learn(GuessKind kind, bool right);
  double Right(GuessKind kind) const;
  // A step of so many tokens took so long; and one of the draft. All is weighed against a step of one token: until one
  // was measured, the prices are guesses, too.
  void Took(std::size_t tokens, double seconds);
  bool measured() const { return seconds_[0] > 0; }
  void DraftTook(double seconds);

 private:
  static constexpr std::size_t kKinds = static_cast<std::size_t>(GuessKind::kSure) + 1;
  static constexpr std::size_t kSteps = 5;  // of 1, 2, 3 to 4, 5 to 8, 9 to 16 tokens
  static constexpr std::size_t kMostGuesses = 15;
  static constexpr std::size_t kFirstRest = 32, kLongestRest = 256;  // tokens without a draft

  // A share of right tokens, of which the newest count most; the first value counts as some tokens.
  struct Share {
    double right;
    double all;

    void Add(bool value);
    double value() const { return right / all; }
  };

  double Cost(std::size_t step) const;
  // Of guesses that come true so often, if the ones before did, and cost `each`.
  Choice Best(std::span<const double> right, double spent, double each) const;

  // As is usual, until it is known better: what counts as four tokens is soon outweighed.
  std::array<Share, kKinds> shares_ = {
      {{1.2, 4}, {2.2, 4}, {2.8, 4}, {3.4, 4}, {0.8, 4}, {1.6, 4}, {2.6, 4}, {3.6, 4}}};
  Share of_draft_ = {2.6, 4};                // all its kinds
  std::array<double, kSteps> seconds_ = {};  // 0: not known yet
  double draft_seconds_ = 0;
  std::size_t rested_ = 0, rest_ = kFirstRest;
};

}  // namespace slm

#endif  // SLM_SESSION_GUESS_POLICY_H_
