#include "kernels/kernel_test.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string_view>

namespace slm::test {

std::string ReasonToSkip(const KernelSet& set) {
  if (!CanRun(set)) return std::string("this machine cannot run the kernel set ") + set.name;
  const char* wanted = std::getenv("SLM_KERNELS");
  if (wanted != nullptr && std::string_view(wanted) != set.name) return std::string("SLM_KERNELS is ") + wanted;
  return "";
}

std::vector<float> RandomFloats(std::size_t n, Random& random) {
  std::normal_distribution<float> normal;
  std::vector<float> floats(n);
  std::ranges::generate(floats, [&] { return normal(random); });
  return floats;
}

std::vector<std::byte> RandomBlocks(const FormatInfo& format, std::size_t n_blocks, Random& random) {
  // Most random scales are far too large or too small: draws are rejected until a pool is full.
  constexpr std::size_t kPoolSize = 256;
  std::vector<std::byte> pool;
  std::vector<std::byte> block(format.block_bytes);
  std::vector<float> weights(format.block_elements);
  while (pool.size() < kPoolSize * format.block_bytes) {
    std::ranges::generate(block, [&] { return static_cast<std::byte>(random() >> 8); });
    format.to_float(block.data(), format.block_elements, weights.data());
    float largest = 0;
    for (const float x : weights) largest = std::isfinite(x) ? std::max(largest, std::abs(x)) : INFINITY;
    if (largest >= 0x1p-6f && largest <= 0x1p6f) pool.insert(pool.end(), block.begin(), block.end());
  }
  std::vector<std::byte> blocks;
  for (std::size_t i = 0; i < n_blocks; ++i) {
    const auto chosen = pool.begin() + static_cast<std::ptrdiff_t>(random() % kPoolSize * format.block_bytes);
    blocks.insert(blocks.end(), chosen, chosen + format.block_bytes);
  }
  return blocks;
}

std::vector<ActivationBlock> QuantizedRow(std::span<const float> x) {
  std::vector<ActivationBlock> blocks(x.size() / 32);
  float largest = 0;
  for (const float value : x) {
    if (!std::isfinite(value)) {
      for (ActivationBlock& block : blocks) block.scale = std::numeric_limits<float>::quiet_NaN();
      return blocks;
    }
    largest = std::max(largest, std::abs(value));
  }
  const float inverse = 127 * 4095 / largest;
  if (largest == 0 || std::isinf(inverse)) return blocks;

  for (std::size_t group = 0; group < x.size() / 8; ++group) {
    ActivationBlock& block = blocks[group / 4];
    float group_largest = 0;
    for (const float value : x.subspan(8 * group, 8)) group_largest = std::max(group_largest, std::abs(value));
    int factor = 1;
    while (static_cast<float>(factor) < group_largest / largest * 4095) ++factor;
    block.factors[group % 4][0] = block.factors[group % 4][1] = static_cast<std::int16_t>(factor);
    for (std::size_t i = 8 * group; i < 8 * group + 8; ++i) {
      const float scaled = x[i] * (inverse / static_cast<float>(factor));
      const float below = std::floor(scaled);
      const float fraction = scaled - below;  // exact
      const int lower = static_cast<int>(below);
      const bool up = fraction > 0.5f || (fraction == 0.5f && lower % 2 != 0);
      const int q = up ? lower + 1 : lower;
      block.q[i % 32] = static_cast<std::int8_t>(q);
      block.half_sum[i / 16 % 2] += factor * q;
      block.sum += factor * q;
    }
    block.scale = largest / (127 * 4095);
  }
  return blocks;
}

}  // namespace slm::test
