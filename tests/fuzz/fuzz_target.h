// What a fuzz target is: a file that defines the two functions below. With the preset `fuzz` libFuzzer drives it
// (docs/testing.md); elsewhere a small main() replays its seeds.

#ifndef SLM_TESTS_FUZZ_FUZZ_TARGET_H_
#define SLM_TESTS_FUZZ_FUZZ_TARGET_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace slm::test {

// Inputs to begin with, the same at every call.
std::vector<std::string> Seeds();

// Does with the input what a program could do with it. Ends the process where the library broke a promise.
void Fuzz(std::string_view input);

// A promise; in every build type.
inline void Require(bool condition, std::string_view promise) {
  if (condition) return;
  std::fprintf(stderr, "broken promise: %.*s\n", static_cast<int>(promise.size()), promise.data());
  std::abort();
}

}  // namespace slm::test

// Where a target has a mutator of its own, it is libFuzzer's: changes `data` in place, at most up to `capacity` bytes,
// and returns the new size. The other is libFuzzer's own mutator.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t capacity,
                                               unsigned seed);
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t capacity);

#endif  // SLM_TESTS_FUZZ_FUZZ_TARGET_H_
