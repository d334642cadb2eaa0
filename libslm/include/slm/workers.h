// The threads that sessions compute on.
//
//   slm::Result<slm::Workers> workers = slm::Workers::Create({.threads = 4, .processors = {0, 2, 4, 6}});
//   auto session = slm::Session::Create(model, {.workers = &*workers});
//
// Sessions share a pool of threads: all of a process do, unless they are given another. A call computes on the thread
// that made it, and on threads of the pool that have nothing else to do; so N sessions that N threads use at the same
// time keep N processors busy, not N times as many. Results do not depend on it.
//
// After fork() the child has no threads but the one that forked: a pool makes its threads anew when the child first
// needs them. A session that was computing at that moment, for another thread or around a progress callback, is of no
// use in the child.
//
// Thread-safety: may be used from any number of threads. A Workers is a cheap handle; copies are the same pool.

#ifndef SLM_WORKERS_H_
#define SLM_WORKERS_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "slm/status.h"

namespace slm {

struct WorkersOptions {
  // That compute at the same time, those that made the calls included, as long as no session asks for more. 0:
  // Machine::default_threads.
  std::int32_t threads = 0;
  // The logical processors that a call's threads run on: the first is that of the caller, who is not bound by it, the
  // others in turn are those of the pool's threads. Empty: where the system puts them.
  std::vector<std::int32_t> processors = {};
};

class Workers {
 public:
  // The pool of the process.
  Workers();
  // Another one. Fails with kInvalidArgument (threads; a processor that this process may not run on) or kUnsupported
  // (processors, on a system that can't bind threads).
  static Result<Workers> Create(const WorkersOptions& options);

  std::int32_t threads() const;

 private:
  friend struct Internal;
  struct Impl;
  explicit Workers(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

}  // namespace slm

#endif  // SLM_WORKERS_H_
