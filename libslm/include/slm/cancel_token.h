// How a call that takes long is ended from elsewhere.

#ifndef SLM_CANCEL_TOKEN_H_
#define SLM_CANCEL_TOKEN_H_

#include <atomic>

namespace slm {

// Set from any thread (or a signal handler) to make a running call return kCancelled soon. Reset it before reuse.
class CancelToken {
 public:
  void Cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  void Reset() { cancelled_.store(false, std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> cancelled_{false};
};

}  // namespace slm

#endif  // SLM_CANCEL_TOKEN_H_
