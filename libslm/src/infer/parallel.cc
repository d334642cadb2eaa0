#include "infer/parallel.h"

#include <omp.h>

#include <algorithm>

namespace slm {

namespace {

// Steps are a few to a few hundred microseconds long. Waiting longer than this means that another process has the core:
// then sleeping gives it back sooner.
constexpr int kSpins = 4000;

inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

int AvailableProcessors() { return std::max(1, omp_get_num_procs()); }

Range Worker::Share(std::int64_t n, std::int64_t granule) const {
  const std::int64_t granules = (n + granule - 1) / granule;
  const std::int64_t begin = granules * rank_ / size_ * granule;
  const std::int64_t end = granules * (rank_ + 1) / size_ * granule;
  return {std::min(begin, n), std::min(end, n)};
}

void Worker::Barrier() const {
  if (size_ > 1) team_.Wait(size_);
}

Team::Team(int threads) : threads_(threads > 0 ? threads : AvailableProcessors()) {}

void Team::Wait(int size) {
  const int generation = generation_.load(std::memory_order_acquire);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size) {
    arrived_.store(0, std::memory_order_relaxed);
    generation_.store(generation + 1, std::memory_order_release);
    generation_.notify_all();
    return;
  }
  for (int spin = 0; spin < kSpins; ++spin) {
    if (generation_.load(std::memory_order_acquire) != generation) return;
    Pause();
  }
  generation_.wait(generation, std::memory_order_acquire);
}

void Team::Run(const std::function<void(const Worker&)>& work) {
  if (threads_ == 1) {
    work(Worker(*this, 0, 1));
    return;
  }
  // OpenMP orders memory at both ends of the region; started_ and the last barrier say the same in C++ terms, for tools
  // that can't see inside the OpenMP runtime.
  started_.fetch_add(1, std::memory_order_release);
#pragma omp parallel num_threads(threads_)
  {
    (void)started_.load(std::memory_order_acquire);
    const Worker worker(*this, omp_get_thread_num(), omp_get_num_threads());
    work(worker);
    worker.Barrier();
  }
}

}  // namespace slm
