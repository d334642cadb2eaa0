// How many steps the library takes: basic blocks of its code, which compilers report where they are asked to.

#ifndef SLM_TESTS_STEPS_STEP_COUNTER_H_
#define SLM_TESTS_STEPS_STEP_COUNTER_H_

#include <cstdint>

namespace slm::test {

// Taken so far, by all threads. Code of the C and C++ libraries' own binaries does not count.
std::uint64_t Steps();

}  // namespace slm::test

#endif  // SLM_TESTS_STEPS_STEP_COUNTER_H_
