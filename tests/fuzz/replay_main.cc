// A fuzz target without libFuzzer: its seeds, and each with some random bytes changed, or the files given.
//
// usage: TARGET [FILE...]

#include <algorithm>
#include <filesystem>
#include <random>

#include "fuzz/fuzz_target.h"
#include "support/test_data.h"

namespace {
std::minstd_rand random_numbers;  // the same every time
}

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t capacity) {
  if (size == 0 && capacity > 0) data[size++] = 0;
  if (size > 0) data[random_numbers() % size] = static_cast<std::uint8_t>(random_numbers() >> 8);
  return size;
}

// Targets without a mutator of their own have this one.
extern "C" __attribute__((weak)) std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                                                     std::size_t capacity, unsigned /*seed*/) {
  return LLVMFuzzerMutate(data, size, capacity);
}

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    std::fprintf(stderr, "%s\n", argv[i]);
    slm::test::Fuzz(slm::test::ReadFile(argv[i]));
  }
  if (argc > 1) return 0;

  constexpr std::size_t kGrowth = 256;
  std::size_t inputs = 0;
  for (const std::string& seed : slm::test::Seeds()) {
    slm::test::Fuzz(seed);
    std::string changed = seed;
    changed.resize(seed.size() + kGrowth);
    const std::size_t size = LLVMFuzzerCustomMutator(reinterpret_cast<std::uint8_t*>(changed.data()), seed.size(),
                                                     changed.size(), static_cast<unsigned>(inputs));
    slm::test::Fuzz(std::string_view(changed).substr(0, size));
    inputs += 2;
  }
  std::printf("%zu inputs\n", inputs);
  return inputs == 0;
}
