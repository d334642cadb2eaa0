// What the machine reaches at most: see MachinePeaks.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <numeric>
#include <string_view>

#include "base/aligned_buffer.h"
#include "base/format.h"
#include "base/kernel_choice.h"
#include "base/status_macros.h"
#include "forward/parallel.h"
#include "slm/machine.h"

namespace slm {

namespace {

constexpr std::int32_t kMaxThreads = 1024;
constexpr double kSeconds = 0.5;  // for either peak
constexpr std::int64_t kReadBytes = 256 << 20;
constexpr std::int64_t kReadChunks = 64;

// Amount per second of the best of several passes: what else the machine does makes a pass slower, never faster.
// pass() does all of its work, on all threads, and returns the amount.
template <class Pass>
double BestRate(const Pass& pass) {
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  double best = 0;
  const Clock::time_point begin = Clock::now();
  do {
    const Clock::time_point start = Clock::now();
    const double amount = pass();
    best = std::max(best, amount / since(start));
  } while (since(begin) < kSeconds);
  return best;
}

// Reads all of the memory, by one number of each 64-byte line: lines are what memory moves, and more loads of the same
// one would only fill the queue of those under way. Several sums, so that loads don't wait for additions.
std::uint64_t ReadLines(const std::uint64_t* memory, std::int64_t count) {
  constexpr std::int64_t kLine = 64 / sizeof(std::uint64_t), kSums = 8;
  std::uint64_t sums[kSums] = {};
  for (std::int64_t i = 0; i < count; i += kSums * kLine) {
    for (std::int64_t j = 0; j < kSums; ++j) sums[j] += memory[i + j * kLine];
  }
  return std::accumulate(std::begin(sums), std::end(sums), std::uint64_t{0});
}

Result<double> MeasureRead(Team& team) {
  constexpr std::int64_t kChunkNumbers = kReadBytes / kReadChunks / static_cast<std::int64_t>(sizeof(std::uint64_t));
  AlignedBuffer<std::uint64_t> memory;
  if (!memory.Allocate(kReadBytes / sizeof(std::uint64_t))) {
    return Status(StatusCode::kOutOfMemory,
                  Cat("no memory to measure the read bandwidth with: ", kReadBytes >> 20, " MiB"));
  }
  const auto for_each_chunk = [&](const auto& f) {
    team.Run([&](Worker& worker) {
      worker.ForEach(kReadChunks, [&](std::int64_t chunk) { f(memory.data() + chunk * kChunkNumbers); });
    });
  };
  // Pages nobody has written to would all be the same one.
  for_each_chunk([](std::uint64_t* chunk) { std::fill_n(chunk, kChunkNumbers, 1); });
  std::atomic<std::uint64_t> total = 0;  // somebody wants the sums
  return BestRate([&] {
    for_each_chunk([&](const std::uint64_t* chunk) { total += ReadLines(chunk, kChunkNumbers); });
    return static_cast<double>(kReadBytes);
  });
}

double MeasureMultiplyAdds(Team& team, const KernelSet& kernels) {
  // Chunks of some hundred microseconds, a few for each thread: cores need not be equally fast.
  constexpr std::uint64_t kRounds = 1 << 18;
  const std::int64_t chunks = std::int64_t{16} * team.threads();
  return BestRate([&] {
    std::atomic<std::uint64_t> done = 0;
    team.Run(
        [&](Worker& worker) { worker.ForEach(chunks, [&](std::int64_t) { done += kernels.int8_peak(kRounds); }); });
    return static_cast<double>(done);
  });
}

}  // namespace

Result<MachinePeaks> MeasurePeaks(std::string_view kernels, std::int32_t threads) try {
  SLM_ASSIGN_OR_RETURN(const KernelSet* set, ChooseKernels(kernels));
  if (threads < 0 || threads > kMaxThreads) {
    return Status(StatusCode::kInvalidArgument, Cat("threads is ", threads, "; it must be from 0 to ", kMaxThreads));
  }
  Team team(threads != 0 ? threads : DefaultThreads());
  MachinePeaks peaks;
  SLM_ASSIGN_OR_RETURN(peaks.read_bytes_per_second, MeasureRead(team));
  peaks.multiply_adds_per_second = MeasureMultiplyAdds(team, *set);
  return peaks;
}
SLM_CATCH_OUT_OF_MEMORY

}  // namespace slm
