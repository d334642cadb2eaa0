// Hours of use in minutes: everything a program does with the library, in random order and with faults.
//
// usage: soak MODEL MINUTES [SEED]

#include "soak/soak.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <vector>

#include "support/run_program.h"

namespace slm::test {

void Require(bool condition, const std::string& promise) {
  if (condition) return;
  std::fprintf(stderr, "soak: broken promise: %s\n", promise.c_str());
  std::abort();
}

namespace {

using Clock = std::chrono::steady_clock;

// With everything closed.
struct MemoryUse {
  double heap = 0;      // bytes that are allocated
  double resident = 0;  // bytes

  static MemoryUse Now() {
    malloc_trim(0);
    const struct mallinfo2 info = mallinfo2();
    double size = 0, resident = 0;
    std::ifstream("/proc/self/statm") >> size >> resident;
    return {static_cast<double>(info.uordblks + info.hblkhd), resident * 4096};
  }
};

void RunRound(World& world) {
  switch (world.dice.Below(4)) {
    case 0:
      return RunTokens(world);
    case 1:
      return RunDamagedFiles(world);
    default:
      return RunConversation(world);
  }
}

// The most after the first quarter of the time may be 5 % above what there was then.
void CheckMemory(const char* what, const std::vector<MemoryUse>& uses, double MemoryUse::*use) {
  const std::size_t warm = uses.size() / 4;
  double before = 0, after = 0;
  for (std::size_t i = 0; i < uses.size(); ++i)
    (i <= warm ? before : after) = std::max(i <= warm ? before : after, uses[i].*use);
  std::printf("%s: at most %.2f MB in the first quarter, %.2f MB later (%+.1f %%)\n", what, before / 1e6, after / 1e6,
              100 * (after / before - 1));
  Require(after <= 1.05 * before, std::string(what) + " stays as it was");
}

}  // namespace
}  // namespace slm::test

int main(int argc, char** argv) {
  using namespace slm::test;
  if (argc < 3) {
    std::fprintf(stderr, "usage: soak MODEL MINUTES [SEED]\n");
    return 2;
  }
  std::signal(SIGXFSZ, SIG_IGN);
  const double minutes = std::atof(argv[2]);
  const std::uint64_t seed = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : std::random_device()();
  const TemporaryFolder folder;
  World world{.model_path = argv[1], .folder = folder.path(), .dice = Dice(seed), .counts = {}};
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);

  KillWhileSaving(world, 100);
  std::vector<MemoryUse> uses;
  const auto end = Clock::now() + std::chrono::duration<double>(minutes * 60);
  do {
    RunRound(world);
    uses.push_back(MemoryUse::Now());
  } while (Clock::now() < end);

  for (const auto& [what, count] : world.counts)
    std::printf("%8llu %s\n", static_cast<unsigned long long>(count), what.c_str());
  std::printf("%8zu rounds\n", uses.size());
  CheckMemory("heap", uses, &MemoryUse::heap);
  CheckMemory("resident memory", uses, &MemoryUse::resident);
}
