#include "forward/parallel.h"

#include "forward/spin.h"
#include "slm/machine.h"

namespace slm {

namespace {

// Chunks are a few to a few hundred microseconds long. Waiting longer than this (tens of microseconds) means that
// another process has the core of whoever holds the last chunk: then sleeping gives it back sooner.
constexpr int kSpins = 2000;

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
  const auto over = [&] { return current_.load(std::memory_order_acquire) != step; };
  if (!SpinUntil(kSpins, over)) current_.wait(step, std::memory_order_acquire);
}

}  // namespace slm
