// What a Draft holds, and its guesses.

#ifndef SLM_SESSION_DRAFT_IMPL_H_
#define SLM_SESSION_DRAFT_IMPL_H_

#include <cstddef>
#include <optional>
#include <span>
#include <utility>

#include "slm/draft.h"
#include "slm/model.h"
#include "slm/session.h"
#include "slm/status.h"
#include "slm/tokenizer.h"

namespace slm {

// The token with the largest of some logits, and its probability among them.
struct LikelyToken {
  Token token = 0;
  double probability = 0;
  std::size_t read_tokens = 0;  // to find it
};
LikelyToken FindLikeliest(std::span<const float> logits);

struct Draft::Impl {
  Impl(const Model& served, Session small) : model(served), session(std::move(small)) {}

  // Whether it can read a text: there is room, and no token that it doesn't know.
  bool Knows(std::span<const Token> text) const;
  // What follows `text`, of which it reads what it has not read. Fails as Session::Follow does.
  Result<LikelyToken> After(std::span<const Token> text, const CancelToken* cancel);

  const Model model;  // that it guesses for
  Session session;
};

}  // namespace slm

#endif  // SLM_SESSION_DRAFT_IMPL_H_
