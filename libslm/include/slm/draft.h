// A smaller model that guesses how a text goes on, so that the larger one has several tokens to evaluate in a step.
//
//   slm::Result<slm::Draft> draft = slm::Draft::Create(model, small_model);
//   auto answer = chat->Send("Why is the sky blue?", on_piece, {.draft = &*draft});
//
// The text is that of the larger model alone, bit for bit: what its sampler chooses decides. How far the draft guesses
// follows from how often it was right and from what steps of both models cost here; where it doesn't pay, it rests and
// tries again later. Sessions that compute with others at the moment go without.
//
// Thread-safety: a Draft must not be used by two calls at once. It may serve one text after another.

#ifndef SLM_DRAFT_H_
#define SLM_DRAFT_H_

#include <memory>

#include "slm/model.h"
#include "slm/session.h"
#include "slm/status.h"

namespace slm {

class Draft {
 public:
  // For sessions of `model`, whose vocabulary must be that of `small`; either may have more tokens at the end. Both may
  // go out of scope. `options` are those of a session that reads the texts: one longer than its context goes without
  // guesses. Fails with kInvalidArgument (says the first token that differs) or as Session::Create does.
  static Result<Draft> Create(const Model& model, const Model& small, const SessionOptions& options = {});
  ~Draft();
  Draft(Draft&&) noexcept;
  Draft& operator=(Draft&&) noexcept;

  // Of the smaller model. Its tokens are what it has read, and perhaps guesses.
  const Session& session() const;

 private:
  friend struct Internal;
  struct Impl;
  explicit Draft(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace slm

#endif  // SLM_DRAFT_H_
