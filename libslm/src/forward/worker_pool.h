// A pool of threads that help whoever computes.

#ifndef SLM_FORWARD_WORKER_POOL_H_
#define SLM_FORWARD_WORKER_POOL_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/internal.h"
#include "slm/workers.h"

namespace slm {

// Thread-safe.
class WorkerPool {
 public:
  // What a thread does for a job; `rank` tells the job's threads apart.
  using Work = std::function<void(int rank)>;

  // limit: threads that compute at the same time, callers included, unless a job asks for more.
  WorkerPool(int limit, const std::vector<std::int32_t>& processors);
  // Nothing may run.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Makes the threads that a job on `threads` needs. Returns on how many it can run: fewer where the system makes no
  // more threads.
  int Reserve(int threads);

  // Calls work(0) here and work(1), work(2) and so on, each at most once and up to work(threads - 1), on threads of the
  // pool that are free before it is done. Returns when all have returned. It must not throw.
  void Run(int threads, const Work& work);

  // Whether its threads are in this process.
  bool alive() const;

 private:
  struct Job {
    const Work& work;
    int threads;                  // it may run on
    int ranks = 1;                // given out; 0 is the caller's
    std::atomic<int> helpers{0};  // of the pool, that are at it
  };

  void Host(int first_place, int count);
  void Serve(int place);
  // With the mutex held.
  void AddHelpers(int count);
  Job* FindJob();
  void Close(const Job& job);
  void TellHelpers();

  const int limit_;
  const std::vector<std::int32_t> processors_;
  const long process_;
  std::mutex mutex_;
  std::vector<Job*> jobs_;  // that helpers may join
  int computing_ = 0;       // threads
  int helpers_ = 0;
  bool closing_ = false;
  bool exhausted_ = false;  // no more threads could be made: jobs do not try again, a session to come does
  std::vector<std::thread> hosts_;
  // Numbers that change when there is something to do, and when a helper has left a job: threads can sleep on them.
  std::atomic<std::uint32_t> news_{0};
  std::atomic<std::uint32_t> leavings_{0};
};

// The pool behind a handle. The threads of one are not in a child of fork(), which gets another.
struct Workers::Impl {
  Impl(int limit, std::vector<std::int32_t> places) : threads(limit), processors(std::move(places)) {}
  ~Impl();

  WorkerPool& pool();

  const int threads;
  const std::vector<std::int32_t> processors;

 private:
  std::atomic<WorkerPool*> pool_{nullptr};
};

}  // namespace slm

#endif  // SLM_FORWARD_WORKER_POOL_H_
