// Hours of use in minutes: everything a program does with the library, in random order and with faults.
//
// usage: soak MODEL MINUTES [SEED]

#include "soak/soak.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "support/run_program.h"

namespace slm::test {

void Require(bool condition, const std::string& promise) {
  if (condition) return;
  std::fflush(stdout);
  std::fprintf(stderr, "soak: broken promise: %s\n", promise.c_str());
  std::abort();
}

namespace {

using Clock = std::chrono::steady_clock;

// Bytes, with everything closed.
double ResidentMemory() {
  malloc_trim(0);
  double size = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

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
  const auto begin = Clock::now();
  const std::chrono::duration<double> time(minutes * 60);
  double warm = 0, later = 0;  // the most memory in the first quarter of the time, and after it
  do {
    RunRound(world);
    ++world.counts["rounds"];
    double& most = Clock::now() < begin + time / 4 ? warm : later;
    most = std::max(most, ResidentMemory());
  } while (Clock::now() < begin + time);

  for (const auto& [what, count] : world.counts) {
    std::printf("%8llu %s\n", static_cast<unsigned long long>(count), what.c_str());
  }
  std::printf("memory: %.2f MB in the first quarter of the time, %.2f MB later\n", warm / 1e6, later / 1e6);
  Require(later <= 1.05 * warm, "memory stays as it was");
}
