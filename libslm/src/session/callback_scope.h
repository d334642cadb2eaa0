// Callbacks of the application, in which their session is in use.

#ifndef SLM_SESSION_CALLBACK_SCOPE_H_
#define SLM_SESSION_CALLBACK_SCOPE_H_

#include "slm/session.h"
#include "slm/status.h"

namespace slm {

// While a callback runs.
class CallbackScope {
 public:
  explicit CallbackScope(bool& in_callback) : in_callback_(in_callback) { in_callback_ = true; }
  explicit CallbackScope(Session& session);
  ~CallbackScope() { in_callback_ = false; }
  CallbackScope(const CallbackScope&) = delete;
  CallbackScope& operator=(const CallbackScope&) = delete;

 private:
  bool& in_callback_;
};

// Fails in a callback that the session, or whoever generates with it, has called.
Status CheckIdle(const Session& session);

}  // namespace slm

#endif  // SLM_SESSION_CALLBACK_SCOPE_H_
