// How many tokens to guess, so that it pays.

#ifndef SLM_SESSION_GUESS_POLICY_H_
#define SLM_SESSION_GUESS_POLICY_H_

#include <array>
#include <cstddef>

namespace slm {

// Weighs how often guesses came true, by how long their matches were, against how long steps of several tokens took
// here. Both are learned all the time: whether the first token of a guess would have been right shows without
// evaluating it. Not thread-safe.
class GuessPolicy {
 public:
  // Tokens to guess after a match of so many, at most `most`; 0: none, the next token is better computed alone.
  std::size_t Count(std::size_t match, std::size_t most) const;

  // Of a guess, `right` tokens were what the text had, and then, if `refused`, one was not.
  void Learn(std::size_t match, std::size_t right, bool refused);
  // A step of so many tokens took so long.
  void Took(std::size_t tokens, double seconds);

 private:
  static constexpr std::size_t kClasses = 4;  // of matches: 3 to 4, 5 to 8, 9 to 16, more
  static constexpr std::size_t kSteps = 5;    // of 1, 2, 3 to 4, 5 to 8, 9 to 16 tokens

  // A share of right tokens, of which the newest count most; the first value counts as some tokens.
  struct Share {
    double right;
    double all;
  };

  static std::size_t ClassOf(std::size_t match);
  double Cost(std::size_t step) const;

  std::array<Share, kClasses> shares_ = {{{1.2, 4}, {2.2, 4}, {2.8, 4}, {3.4, 4}}};
  std::array<double, kSteps> seconds_ = {};  // 0: not known yet
};

}  // namespace slm

#endif  // SLM_SESSION_GUESS_POLICY_H_
