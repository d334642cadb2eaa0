// Speculation: tokens that a text may go on with are evaluated in the step of the one before them. What the sampler
// then chooses decides, as ever, so the text is the same; each guess that it chooses saves a step.

#ifndef SLM_SESSION_LOOKAHEAD_H_
#define SLM_SESSION_LOOKAHEAD_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/internal.h"
#include "session/guess_policy.h"
#include "session/text_guesser.h"
#include "slm/generate.h"
#include "slm/session.h"
#include "slm/status.h"
#include "slm/tokenizer.h"

namespace slm {

// Of a session that generates. Counts what it guesses in `result`.
class Lookahead {
 public:
  Lookahead(Session& session, const GenerateOptions& options, GenerateResult& result);

  // Adds a token that was sampled to the session, and returns the logits that follow it, as Session::Append does. Of
  // tokens that were guessed wrongly nothing is left.
  Result<std::span<const float>> Append(Token token);

 private:
  std::size_t MostGuesses() const;
  // Makes the next step: the token, and what is guessed to follow it.
  Status Guess(Token token);
  // Adds what the draft thinks to the step, at most `most` tokens; returns what that cost, in steps of one token.
  Result<double> AskDraft(std::size_t most);

  ImplOf<Session>& session_;
  const GenerateOptions& options_;
  GenerateResult& result_;
  TextGuesser guesser_;
  // The last step. Where no guess is evaluated there is one all the same, to see whether it would have been right.
  std::vector<Token> step_;
  std::vector<GuessKind> kinds_;  // of each guess
  std::size_t evaluated_ = 0;     // tokens of the guess
  std::size_t right_ = 0;         // tokens of the guess that were sampled since
};

}  // namespace slm

#endif  // SLM_SESSION_LOOKAHEAD_H_
