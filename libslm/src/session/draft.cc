#include "slm/draft.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "base/format.h"
#include "base/status_macros.h"
#include "file/escape.h"
#include "session/draft_impl.h"

namespace slm {

namespace {

// Less than e to this power of the likeliest token's probability adds nothing to their sum.
constexpr float kNothing = -16;

// As far as both have tokens.
Status CheckSameVocabulary(const Tokenizer& model, const Tokenizer& small) {
  const Token size = std::min(model.vocab_size(), small.vocab_size());
  for (Token token = 0; token < size; ++token) {
    if (model.Text(token) == small.Text(token) && model.Kind(token) == small.Kind(token)) continue;
    const auto quoted = [&](const Tokenizer& tokenizer) { return Quoted(tokenizer.Text(token)); };
    return {StatusCode::kInvalidArgument, Cat("the draft has another vocabulary: token ", token, " is ", quoted(small),
                                              ", expected the model's ", quoted(model))};
  }
  return {};
}

}  // namespace

LikelyToken FindLikeliest(std::span<const float> logits) {
  const auto largest = std::ranges::max_element(logits);
  double sum = 0;
  for (const float logit : logits) {
    if (const float below = logit - *largest; below > kNothing) sum += std::exp(below);
  }
  return {.token = static_cast<Token>(largest - logits.begin()), .probability = 1 / sum};
}

bool Draft::Impl::Knows(std::span<const Token> text) const {
  const Token vocab = session.model().vocab_size();
  return std::ssize(text) <= session.context_length() &&
         std::ranges::all_of(text, [vocab](Token token) { return token < vocab; });
}

Result<LikelyToken> Draft::Impl::After(std::span<const Token> text, const CancelToken* cancel) {
  Reuse reuse;
  SLM_ASSIGN_OR_RETURN(const std::span<const float> logits,
                       session.Follow(text, {.cancel = cancel, .progress = {}}, &reuse));
  const auto common = static_cast<std::size_t>(std::min(model.vocab_size(), session.model().vocab_size()));
  LikelyToken likely = FindLikeliest(logits.first(common));
  likely.read_tokens = text.size() - static_cast<std::size_t>(reuse.cached_tokens);
  return likely;
}

Draft::Draft(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Draft::~Draft() = default;
Draft::Draft(Draft&&) noexcept = default;
Draft& Draft::operator=(Draft&&) noexcept = default;

Result<Draft> Draft::Create(const Model& model, const Model& small, const SessionOptions& options) try {
  SLM_RETURN_IF_ERROR(CheckSameVocabulary(model.tokenizer(), small.tokenizer()));
  SLM_ASSIGN_OR_RETURN(Session session, Session::Create(small, options));
  return Draft(std::make_unique<Impl>(model, std::move(session)));
}
SLM_CATCH_OUT_OF_MEMORY

const Session& Draft::session() const { return impl_->session; }

}  // namespace slm
