// Threads. The only part of the library that knows OpenMP.
//
// Work is written from the view of one member of a team: every worker runs the same function, takes its share of each step
// and meets the others at barriers where a step needs what another worker made.

#ifndef SLM_INFER_PARALLEL_H_
#define SLM_INFER_PARALLEL_H_

#include <atomic>
#include <cstdint>
#include <functional>

namespace slm {

struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

class Team;

// One member of a running team.
class Worker {
 public:
  Worker(Team& team, int rank, int size) : team_(team), rank_(rank), size_(size) {}

  int rank() const { return rank_; }
  int size() const { return size_; }

  // This worker's part of 0..n, cut at multiples of `granule`. The parts of all workers are disjoint and cover 0..n.
  Range Share(std::int64_t n, std::int64_t granule = 1) const;

  // Returns when every worker of the team has called it. What was written before is visible after.
  void Barrier() const;

 private:
  Team& team_;
  int rank_;
  int size_;
};

class Team {
 public:
  // 0 threads: one per processor this process may use.
  explicit Team(int threads);

  int threads() const { return threads_; }

  // Runs `work` once on each thread at the same time and returns when all are done. It must not throw.
  void Run(const std::function<void(const Worker&)>& work);

 private:
  friend class Worker;
  void Wait(int size);

  int threads_;
  std::atomic<int> started_{0};
  std::atomic<int> arrived_{0};
  std::atomic<int> generation_{0};
};

// Processors this process may run on.
int AvailableProcessors();

}  // namespace slm

#endif  // SLM_INFER_PARALLEL_H_
