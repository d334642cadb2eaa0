// What the differential targets of kernels share: numbers drawn from an input, and how each set is compared with the
// scalar one.

#ifndef SLM_TESTS_FUZZ_KERNEL_INPUT_H_
#define SLM_TESTS_FUZZ_KERNEL_INPUT_H_

#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "dispatch.h"
#include "fuzz/fuzz_target.h"
#include "kernels/kernel_test.h"

namespace slm::test {

inline const KernelSet& ScalarSet() { return *FindKernelSet("scalar"); }

// The others that this machine can run.
inline std::vector<const KernelSet*> OtherSets() {
  std::vector<const KernelSet*> sets;
  for (const KernelSet* set : AllKernelSets()) {
    if (CanRun(*set) && set != &ScalarSet()) sets.push_back(set);
  }
  return sets;
}

class KernelInput {
 public:
  explicit KernelInput(std::string_view input)
      : data_(reinterpret_cast<const std::uint8_t*>(input.data()), input.size()),
        random_(data_.ConsumeIntegral<std::uint32_t>()) {}

  std::int64_t Int(std::int64_t low, std::int64_t high) { return data_.ConsumeIntegralInRange(low, high); }
  bool Chance() { return data_.ConsumeBool(); }
  Random& random() { return random_; }

  // Normally distributed, of a magnitude the input chooses; now and then with numbers that are the input's own bits.
  std::vector<float> Floats(std::int64_t n, bool any_bits = false) {
    std::vector<float> floats = RandomFloats(static_cast<std::size_t>(n), random_);
    const float magnitude = std::ldexp(1.0f, static_cast<int>(Int(-20, 20)));
    for (float& x : floats) x *= magnitude;
    for (std::int64_t i = any_bits && n > 0 ? Int(0, 3) : 0; i > 0; --i)
      floats[static_cast<std::size_t>(Int(0, n - 1))] = std::bit_cast<float>(data_.ConsumeIntegral<std::uint32_t>());
    return floats;
  }

 private:
  FuzzedDataProvider data_;
  Random random_;
};

// Both are what they should be within `bound`, or no numbers.
inline bool Near(double actual, double expected, double bound) {
  if (!std::isfinite(expected) || !std::isfinite(bound)) return true;
  return std::abs(actual - expected) <= bound;
}

inline bool SameBits(float a, float b) { return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b); }

// Rows of `columns` floats as products with int8 want them.
inline std::vector<ActivationBlock> Quantize(const std::vector<float>& rows, std::int64_t columns) {
  std::vector<ActivationBlock> blocks(rows.size() / 32);
  for (std::size_t i = 0; i < blocks.size(); i += static_cast<std::size_t>(columns / 32))
    ScalarSet().quantize(rows.data() + 32 * i, columns, blocks.data() + i);
  return blocks;
}

// Rows of `dim` floats as a cache stores them.
inline std::vector<std::byte> Store(CacheFormat format, const std::vector<float>& rows, std::int64_t dim) {
  const std::size_t cell = CacheBytes(format, dim);
  std::vector<std::byte> stored(rows.size() / static_cast<std::size_t>(dim) * cell);
  for (std::size_t i = 0; i * cell < stored.size(); ++i) {
    const float* row = rows.data() + static_cast<std::int64_t>(i) * dim;
    std::byte* to = stored.data() + i * cell;
    if (format == CacheFormat::kF32) std::copy_n(reinterpret_cast<const std::byte*>(row), cell, to);
    if (format == CacheFormat::kF16) ScalarSet().to_half(row, dim, reinterpret_cast<Half*>(to));
    if (format == CacheFormat::kQ8_0) ScalarSet().to_q8_0(row, dim, reinterpret_cast<BlockQ8_0*>(to));
  }
  return stored;
}

// Each number is what scalar computes, but for so many roundings of magnitude(index).
inline void RequireNear(const std::vector<float>& actual, const std::vector<float>& expected, double rounding,
                        auto magnitude) {
  for (std::size_t i = 0; i < actual.size(); ++i)
    Require(Near(actual[i], expected[i], rounding * kRounding * magnitude(i) + 1e-36),
            "a set computes what scalar does");
}

// Short inputs of bytes of all kinds.
inline std::vector<std::string> RandomSeeds(std::size_t count, std::size_t size) {
  Random random(1);
  std::vector<std::string> seeds(count, std::string(size, '\0'));
  for (std::string& seed : seeds) {
    for (char& byte : seed) byte = static_cast<char>(random());
  }
  return seeds;
}

}  // namespace slm::test

#endif  // SLM_TESTS_FUZZ_KERNEL_INPUT_H_
