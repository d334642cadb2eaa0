#include "forward/parallel.h"

#include <omp.h>

#include "slm/machine.h"

namespace slm {

namespace {

// Chunks are a few to a few hundred microseconds long. Waiting longer than this (tens of microseconds) means that
// another process has the core of whoever holds the last chunk: then sleeping gives it back sooner.
constexpr int kSpins = 2000;

inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

int DefaultThreads() {
  static const int kThreads = DescribeMachine().default_threads;
  return kThreads;
}

std::int64_t Team::Take(std::uint32_t step, std::int64_t chunks) {
  std::uint64_t next = next_.load(std::memory_order_acquire);
  while (next >> kChunkBits == step) {
    const auto chunk = static_cast<std::int64_t>(next & 0xFFFFFFFF);
    if (chunk == chunks) break;
    if (next_.compare_exchange_weak(next, next + 1, std::memory_order_acquire)) return chunk;
  }
  return -1;
}

void Team::Finish(std::uint32_t step, std::int64_t chunks) {
  if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 < chunks) return;
  done_.store(0, std::memory_order_relaxed);
  next_.store(static_cast<std::uint64_t>(step + 1) << kChunkBits, std::memory_order_release);
  current_.store(step + 1, std::memory_order_release);
  if (threads_ > 1) current_.notify_all();
}

void Team::WaitFor(std::uint32_t step) {
  // A worker may be many steps late: then the current step is past its own.
  for (int spin = 0; spin < kSpins; ++spin) {
    if (current_.load(std::memory_order_acquire) != step) return;
    Pause();
  }
  current_.wait(step, std::memory_order_acquire);
}

void Team::Run(int threads, const std::function<void(Worker&)>& work) {
  const std::uint32_t first_step = current_.load(std::memory_order_relaxed);
  if (threads == 1) {
    Worker worker(*this, 0, first_step);
    work(worker);
    return;
  }
  // OpenMP orders memory at both ends of the region; the stores and loads here say the same in C++ terms, for tools
  // that can't see inside the OpenMP runtime.
  current_.store(first_step, std::memory_order_release);
#pragma omp parallel num_threads(threads)
  {
    (void)current_.load(std::memory_order_acquire);
    Worker worker(*this, omp_get_thread_num(), first_step);
    work(worker);
  }
}

}  // namespace slm
