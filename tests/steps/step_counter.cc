#include "steps/step_counter.h"

namespace {
std::uint64_t steps = 0;
}  // namespace

// What -fsanitize-coverage=trace-pc calls.
extern "C" void __sanitizer_cov_trace_pc();
extern "C" void __sanitizer_cov_trace_pc() { ++steps; }

namespace slm::test {
std::uint64_t Steps() { return steps; }
}  // namespace slm::test
