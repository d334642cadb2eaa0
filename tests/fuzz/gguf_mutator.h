// Changes GGUF files where it matters: a key, a number, a shape, an offset, rather than a byte of a weight. What comes
// out is as often a file that fits together, but for one thing, as a damaged one.

#ifndef SLM_TESTS_FUZZ_GGUF_MUTATOR_H_
#define SLM_TESTS_FUZZ_GGUF_MUTATOR_H_

#include <cstddef>
#include <cstdint>

namespace slm::test {

// As LLVMFuzzerCustomMutator.
std::size_t MutateGguf(std::uint8_t* data, std::size_t size, std::size_t capacity, unsigned seed);

}  // namespace slm::test

#endif  // SLM_TESTS_FUZZ_GGUF_MUTATOR_H_
