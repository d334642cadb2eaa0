// How many steps the library takes: basic blocks of its code, which compilers report where they are asked to.

#ifndef SLM_TESTS_STEPS_STEP_COUNTER_H_
#define SLM_TESTS_STEPS_STEP_COUNTER_H_

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>

namespace slm::test {

// Taken so far, by all threads. Code of the C and C++ libraries' own binaries does not count.
std::uint64_t Steps();

// `work(n)` makes an input of size n and gives back what is done with it. Eight times the size may take fourteen times
// the steps: what is quadratic would take 64 times as many.
template <typename Work>
void ExpectLinear(std::size_t size, Work work) {
  const auto steps_of = [&](std::size_t n) {
    const auto input = work(n);
    const std::uint64_t before = Steps();
    input();
    return Steps() - before;
  };
  const std::uint64_t few = steps_of(size), many = steps_of(8 * size);
  EXPECT_GT(few, size) << "the work is not done";
  EXPECT_LE(many, 14 * few);
}

}  // namespace slm::test

#endif  // SLM_TESTS_STEPS_STEP_COUNTER_H_
