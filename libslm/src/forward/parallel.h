// Work for several threads.
//
// Work is a sequence of steps, each cut into independent chunks. Whichever worker is free takes the next chunk, and a
// step is over when its chunks are done, not when every worker has come by: a thread that another process has pushed
// off its core holds up nothing but the chunk it was at.

#ifndef SLM_FORWARD_PARALLEL_H_
#define SLM_FORWARD_PARALLEL_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>

#include "forward/worker_pool.h"
#include "slm/workers.h"

namespace slm {

class Team;

// One thread's place in a running team.
class Worker {
 public:
  Worker(Team& team, int rank, std::uint32_t first_step) : team_(team), rank_(rank), step_(first_step) {}

  // 0 <= rank < Team::threads(): which scratch memory is this worker's.
  int rank() const { return rank_; }

  // A step: calls f(chunk) once for each chunk in 0..chunks - 1, on whichever workers are free, and returns when all
  // have been done. What earlier steps wrote is visible. Every worker of the team must make the same calls in the same
  // order.
  template <class F>
  void ForEach(std::int64_t chunks, const F& f);

 private:
  Team& team_;
  int rank_;
  std::uint32_t step_;
};

class Team {
 public:
  // At most `threads` (1 or more) at a time.
  explicit Team(int threads, Workers workers = {}) : threads_(threads), workers_(std::move(workers)) {}

  int threads() const { return threads_; }

  // Runs `work` on this thread and, at the same time, on those of threads - 1 others (threads: 1..threads()) that are
  // free before it is done: work(Worker&). Returns when all are done. It must not throw.
  template <class F>
  void Run(int threads, const F& work);
  template <class F>
  void Run(const F& work) {
    Run(threads_, work);
  }

 private:
  friend class Worker;

  // The next chunk of a step, or -1 if none is left to take (or the step is over).
  std::int64_t Take(std::uint32_t step, std::int64_t chunks);
  void Finish(std::uint32_t step, std::int64_t chunks);
  void WaitFor(std::uint32_t step);

  static constexpr int kChunkBits = 32;

  int threads_;
  Workers workers_;
  // Step (high half) and next chunk (low half); what is being handed out.
  alignas(64) std::atomic<std::uint64_t> next_{0};
  alignas(64) std::atomic<std::int64_t> done_{0};      // chunks of the current step
  alignas(64) std::atomic<std::uint32_t> current_{0};  // the step; a number threads can sleep on
};

template <class F>
void Worker::ForEach(std::int64_t chunks, const F& f) {
  if (chunks == 0) return;
  const std::uint32_t step = step_++;
  for (std::int64_t chunk = team_.Take(step, chunks); chunk >= 0; chunk = team_.Take(step, chunks)) {
    f(chunk);
    team_.Finish(step, chunks);
  }
  team_.WaitFor(step);
}

template <class F>
void Team::Run(int threads, const F& work) {
  const std::uint32_t first_step = current_.load(std::memory_order_relaxed);
  const auto run = [&](int rank) {
    Worker worker(*this, rank, first_step);
    work(worker);
  };
  Internal::Impl(workers_).pool().Run(threads, std::cref(run));  // by reference, which takes no memory
}

// Machine::default_threads, found out once.
int DefaultThreads();

}  // namespace slm

#endif  // SLM_FORWARD_PARALLEL_H_
