// When a session is in use, and when others need not wait for it.

#ifndef SLM_SESSION_CALLBACK_SCOPE_H_
#define SLM_SESSION_CALLBACK_SCOPE_H_

#include "base/internal.h"
#include "slm/session.h"
#include "slm/status.h"

namespace slm {

// While a session reads or generates: the next step of its batch waits for what it wants. May be nested.
class PresenceScope {
 public:
  explicit PresenceScope(Session& session);
  explicit PresenceScope(ImplOf<Session>& session);
  ~PresenceScope();
  PresenceScope(const PresenceScope&) = delete;
  PresenceScope& operator=(const PresenceScope&) = delete;

 private:
  ImplOf<Session>& session_;
  const bool was_present_;
};

// While a session waits for something else: no step of its batch waits for it.
class AwayScope {
 public:
  explicit AwayScope(ImplOf<Session>& session);
  ~AwayScope();
  AwayScope(const AwayScope&) = delete;
  AwayScope& operator=(const AwayScope&) = delete;

 private:
  ImplOf<Batch>* const batch_;  // nullptr: none does anyway
};

// While a callback of the application runs: the session is in use, and away.
class CallbackScope {
 public:
  explicit CallbackScope(Session& session);
  explicit CallbackScope(ImplOf<Session>& session);
  ~CallbackScope();
  CallbackScope(const CallbackScope&) = delete;
  CallbackScope& operator=(const CallbackScope&) = delete;

 private:
  ImplOf<Session>& session_;
  const AwayScope away_;
};

// Fails in a callback that the session, or whoever generates with it, has called, and in one of another session that
// computes for the same batch.
Status CheckIdle(const Session& session);

}  // namespace slm

#endif  // SLM_SESSION_CALLBACK_SCOPE_H_
