#include "session/lookahead.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/status_macros.h"
#include "session/session_impl.h"

namespace slm {

namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

Lookahead::Lookahead(Session& session, const GenerateOptions& options, GenerateResult& result)
    : session_(Internal::Impl(session)), options_(options), result_(result) {
  if (options_.guess_tokens != 0) guesser_.Reset(session.tokens());
}

Result<std::span<const float>> Lookahead::Append(Token token) {
  if (options_.guess_tokens != 0) {
    // Shifts let a text grow without end.
    const std::int64_t most = 2 * std::int64_t{session_.settings.context_length};
    if (std::cmp_greater(guesser_.size(), most)) guesser_.Reset(session_.tokens);
    guesser_.Add(token);
  }
  if (1 + right_ < step_.size()) {
    const bool refused = step_[1 + right_] != token;
    if (!refused && ++right_ <= evaluated_) {
      session_.tokens.push_back(token);
      ++result_.accepted_tokens;
      const auto row = static_cast<std::int64_t>(right_);
      SLM_RETURN_IF_ERROR(session_.CheckLogits(row, 1, static_cast<std::int32_t>(session_.tokens.size()) - 1));
      return session_.LogitsOf(row);
    }
    session_.guess_policy.Learn(match_, right_, refused);
  } else if (evaluated_ > 0) {
    session_.guess_policy.Learn(match_, right_, false);
  }
  Guess(token);
  const std::span<const Token> step = std::span(step_).first(1 + evaluated_);
  const std::size_t before = session_.tokens.size();
  const Clock::time_point start = Clock::now();
  const Status status = session_.Evaluate(step, {.cancel = options_.cancel, .progress = {}}, std::ssize(step));
  session_.tokens.resize(std::min(session_.tokens.size(), before + 1));  // cells of guesses are written again
  SLM_RETURN_IF_ERROR(status);
  session_.guess_policy.Took(step.size(), std::chrono::duration<double>(Clock::now() - start).count());
  return session_.LogitsOf(0);
}

// So many that the step still has the price of its memory, that the context holds, and that are wanted.
std::size_t Lookahead::MostGuesses() const {
  const std::int64_t rows = std::min<std::int64_t>(
      {kFewTokens / std::max(session_.engine().present(), 1), session_.settings.batch_size, Forward::kLogitsRows});
  std::int64_t most = std::min(rows - 1, session_.settings.context_length - std::ssize(session_.tokens) - 1);
  if (options_.max_tokens >= 0) most = std::min<std::int64_t>(most, options_.max_tokens - result_.generated_tokens - 1);
  return static_cast<std::size_t>(std::max<std::int64_t>(most, 0));
}

void Lookahead::Guess(Token token) {
  step_.assign(1, token);
  evaluated_ = right_ = 0;
  const std::size_t most = MostGuesses();
  if (options_.guess_tokens == 0 || most == 0) return;
  match_ = guesser_.Find(most, step_);
  if (match_ == 0) return;
  const auto wanted = static_cast<std::size_t>(std::max(options_.guess_tokens, 0));
  evaluated_ = wanted > 0 ? std::min(wanted, most) : session_.guess_policy.Count(match_, most);
  step_.resize(1 + std::max<std::size_t>(evaluated_, 1));
  result_.guessed_tokens += static_cast<std::int32_t>(evaluated_);
}

}  // namespace slm
