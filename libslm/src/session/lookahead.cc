#include "session/lookahead.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/status_macros.h"
#include "session/draft_impl.h"
#include "session/session_impl.h"

namespace slm {

namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace

Lookahead::Lookahead(Session& session, const GenerateOptions& options, GenerateResult& result)
    : session_(Internal::Impl(session)), options_(options), result_(result) {
  if (options_.guess_tokens != 0) guesser_.Reset(session.tokens());
}

Result<std::span<const float>> Lookahead::Append(Token token) {
  // A step would see it, but there may be none.
  if (options_.cancel != nullptr && options_.cancel->cancelled()) return Status(StatusCode::kCancelled, "cancelled");
  if (options_.guess_tokens != 0) {
    // Shifts let a text grow without end.
    const std::int64_t most = 2 * std::int64_t{session_.settings.context_length};
    if (std::cmp_greater(guesser_.size(), most)) guesser_.Reset(session_.tokens);
    guesser_.Add(token);
  }
  if (1 + right_ < step_.size()) {
    const bool right = step_[1 + right_] == token;
    session_.guess_policy.Learn(kinds_[right_], right);
    if (right && ++right_ <= evaluated_) {
      session_.tokens.push_back(token);
      ++result_.accepted_tokens;
      const auto row = static_cast<std::int64_t>(right_);
      SLM_RETURN_IF_ERROR(session_.CheckLogits(row, 1, static_cast<std::int32_t>(session_.tokens.size()) - 1));
      return session_.LogitsOf(row);
    }
  }
  SLM_RETURN_IF_ERROR(Guess(token));
  const std::span<const Token> step = std::span(step_).first(1 + evaluated_);
  const std::size_t before = session_.tokens.size();
  const Clock::time_point start = Clock::now();
  const Status status = session_.Evaluate(step, {.cancel = options_.cancel, .progress = {}}, std::ssize(step));
  session_.tokens.resize(std::min(session_.tokens.size(), before + 1));  // cells of guesses are written again
  SLM_RETURN_IF_ERROR(status);
  // With others there it was not its own price.
  if (session_.engine().present() == 1) session_.guess_policy.Took(step.size(), SecondsSince(start));
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

Status Lookahead::Guess(Token token) {
  step_.assign(1, token);
  kinds_.clear();
  evaluated_ = right_ = 0;
  const std::size_t most = MostGuesses();
  if (options_.guess_tokens == 0 || most == 0) return {};
  const std::size_t match = guesser_.Find(most, step_);
  kinds_.assign(step_.size() - 1, KindOfMatch(match));
  GuessPolicy& policy = session_.guess_policy;
  const bool alone = session_.engine().present() == 1;
  const std::size_t wanted = std::min(most, static_cast<std::size_t>(std::max(options_.guess_tokens, 0)));
  const bool measures = alone && wanted == 0 && !policy.measured();
  GuessPolicy::Choice choice;
  if (!measures) choice = policy.Choose(kinds_, 0);
  if (options_.draft != nullptr && alone && !measures) {
    const std::size_t asked = wanted > 0 ? wanted : policy.CountDraft(most, choice.gain);
    if (asked > 0) {
      SLM_ASSIGN_OR_RETURN(const double spent, AskDraft(asked));
      choice = policy.Choose(kinds_, spent);
    }
  }
  evaluated_ = std::min(wanted > 0 ? wanted : choice.tokens, kinds_.size());
  kinds_.resize(std::min(kinds_.size(), std::max<std::size_t>(evaluated_, 1)));
  step_.resize(1 + kinds_.size());
  result_.guessed_tokens += static_cast<std::int32_t>(evaluated_);
  return {};
}

Result<double> Lookahead::AskDraft(std::size_t most) {
  GuessPolicy& policy = session_.guess_policy;
  ImplOf<Draft>& draft = Internal::Impl(*options_.draft);
  std::vector<Token> text = session_.tokens;
  text.push_back(step_.front());
  if (!draft.Knows(text)) return 0;
  step_.resize(1);
  kinds_.clear();
  const AwayScope away(session_);  // the draft may be of a batch, too, and wait for others there
  double sure = 1, spent = 0;
  while (kinds_.size() < most && std::ssize(text) <= draft.session.context_length()) {
    const Clock::time_point start = Clock::now();
    SLM_ASSIGN_OR_RETURN(const LikelyToken likely, draft.After(text, options_.cancel));
    // Where it had more to read, that was not for this guess.
    if (likely.read_tokens <= 2) policy.DraftTook(SecondsSince(start));
    spent += policy.DraftCost();
    text.push_back(likely.token);
    step_.push_back(likely.token);
    kinds_.push_back(KindOfProbability(likely.probability));
    sure *= policy.Right(kinds_.back());
    if (options_.guess_tokens < 0 && sure < policy.DraftCost()) break;  // one more costs more than it can bring
  }
  return spent;
}

}  // namespace slm
