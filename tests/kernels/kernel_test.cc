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

ActivationBlock QuantizedBlock(const float x[32]) {
  ActivationBlock block = {};
  float largest = 0;
  float group_largest[4] = {};
  for (int i = 0; i < 32; ++i) {
    if (!std::isfinite(x[i])) {
      block.scale = block.sum = block.half_sum[0] = block.half_sum[1] = std::numeric_limits<float>::quiet_NaN();
      return block;
    }
    largest = std::max(largest, std::abs(x[i]));
    group_largest[i / 8] = std::max(group_largest[i / 8], std::abs(x[i]));
  }
  const float inverse = 16129 / largest;
  if (largest == 0 || std::isinf(inverse)) return block;

  int half_sum[2] = {};
  for (int i = 0; i < 32; ++i) {
    int factor = 1;
    while (static_cast<float>(factor) < group_largest[i / 8] / largest * 127) ++factor;
    const float scaled = x[i] * (inverse / static_cast<float>(factor));
    const float below = std::floor(scaled);
    const float fraction = scaled - below;  // exact
    const int lower = static_cast<int>(below);
    const bool up = fraction > 0.5f || (fraction == 0.5f && lower % 2 != 0);
    block.q[i] = static_cast<std::int8_t>(up ? lower + 1 : lower);
    block.factors[i / 8][0] = block.factors[i / 8][1] = static_cast<std::int16_t>(factor);
    half_sum[i / 16] += factor * block.q[i];
  }
  block.scale = largest / 16129;
  block.sum = block.scale * static_cast<float>(half_sum[0] + half_sum[1]);
  for (int half = 0; half < 2; ++half) block.half_sum[half] = block.scale * static_cast<float>(half_sum[half]);
  return block;
}

}  // namespace slm::test
