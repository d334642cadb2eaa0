// The machine: processors and memory this process may use, how many threads suit it, and what it can do at most.

#ifndef SLM_MACHINE_H_
#define SLM_MACHINE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "slm/status.h"

namespace slm {

// Counts are at least 1. What the system does not tell is assumed to be plain: every processor a core of its own, all
// equally fast, no quota.
struct Machine {
  std::string processor;               // "AMD Ryzen 7 7840U", "" if the system does not say
  std::int32_t processors = 1;         // logical ones this process may run on (affinity mask)
  std::int32_t cores = 1;              // physical cores among them
  std::int32_t performance_cores = 1;  // the fast ones among those; all of them where all are alike
  double quota = 0;                    // processors' worth of time the control group grants; 0: no limit
  // Threads that suit both reading a prompt and generating: one for each performance core, at most the quota.
  std::int32_t default_threads = 1;
  // Bytes of memory, and those of them that can be had now without anything being swapped out; what only caches files
  // counts as free. Neither is more than the control group's limit and what is left of it. 0: the system does not say.
  std::uint64_t memory_bytes = 0;
  std::uint64_t available_bytes = 0;
};

// Never fails: see Machine. Thread-safe.
Machine DescribeMachine();

// What the machine reaches in loops that do nothing else, to hold rates against.
struct MachinePeaks {
  double read_bytes_per_second = 0;     // reading memory far larger than the caches, all threads together
  double multiply_adds_per_second = 0;  // the kernel set's fastest int8 instruction on registers, all threads together
};

// Measures for about a second. kernels: as ModelOptions::kernels. threads: 0 for default_threads. Fails with
// kInvalidArgument (kernels, threads) or kOutOfMemory (256 MiB are read).
Result<MachinePeaks> MeasurePeaks(std::string_view kernels, std::int32_t threads);

}  // namespace slm

#endif  // SLM_MACHINE_H_
