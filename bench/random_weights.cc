#include "random_weights.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace slm::bench {

namespace {

using Scales = std::array<Half, 256>;

// What follows turns a block of random bytes into one of sane weights. The bytes where the scale belongs choose it.

// Formats without a minimum have one code more below zero than above. Scales of both signs, as quantizers write them,
// keep the mean at 0.
Half SignedScale(Half random, const Scales& scales) {
  return static_cast<Half>(scales[random & 0xff] | (random & 0x8000));
}

void Tame(BlockQ4_0& block, const Scales& scales, const Scales&) { block.d = SignedScale(block.d, scales); }
void Tame(BlockQ5_0& block, const Scales& scales, const Scales&) { block.d = SignedScale(block.d, scales); }
void Tame(BlockQ6_K& block, const Scales& scales, const Scales&) { block.d = scales[block.d & 0xff]; }

void Tame(BlockQ5_1& block, const Scales& scales, const Scales& minimums) {
  const std::size_t choice = block.d & 0xff;
  block.d = scales[choice];
  block.m = static_cast<Half>(minimums[choice] | 0x8000);  // is added, not subtracted as in K formats
}

void Tame(BlockQ8_0& block, const Scales& scales, const Scales&) {
  block.d = scales[block.d & 0xff];
  for (std::int8_t& code : block.qs) code = std::max<std::int8_t>(code, -127);
}

// The two upper bits of a sub-block's scale and minimum are the same, the first of them set; the four lower bits are
// random. So each sub-block's middle is near 0, but not at it.
template <class Block>
void TameWithMinimums(Block& block, const Scales& scales, const Scales& minimums) {
  const std::size_t choice = block.d & 0xff;
  block.d = scales[choice];
  block.dmin = minimums[choice];
  for (int i = 0; i < 4; ++i) {
    block.scales[i] |= 0xa0;
    block.scales[i + 4] = static_cast<std::uint8_t>((block.scales[i] & 0xf0) | (block.scales[i + 4] & 0x0f));
  }
}
void Tame(BlockQ4_K& block, const Scales& scales, const Scales& minimums) { TameWithMinimums(block, scales, minimums); }
void Tame(BlockQ5_K& block, const Scales& scales, const Scales& minimums) { TameWithMinimums(block, scales, minimums); }

template <class Block>
void TameAll(std::span<std::byte> bytes, const Scales& scales, const Scales& minimums) {
  const std::span blocks(reinterpret_cast<Block*>(bytes.data()), bytes.size() / sizeof(Block));
  for (Block& block : blocks) Tame(block, scales, minimums);
}

void FillFloats(Random& random, float deviation, std::span<std::byte> bytes) {
  const float half_width = std::sqrt(3.0f) * deviation;  // of the uniform distribution
  const std::span floats(reinterpret_cast<float*>(bytes.data()), bytes.size() / sizeof(float));
  for (float& value : floats) value = (2 * random.Uniform() - 1) * half_width;
}

struct Recipe {
  Format format;
  float deviation;  // of the codes under a scale of 1
  float middle;     // of the codes, which the minimum moves to 0; 0: the format has its own offset
  void (*tame)(std::span<std::byte> blocks, const Scales& scales, const Scales& minimums);
};
constexpr Recipe kRecipes[] = {
    {Format::kQ4_0, 4.64f, 0, TameAll<BlockQ4_0>},      // -8..7
    {Format::kQ5_0, 9.25f, 0, TameAll<BlockQ5_0>},      // -16..15
    {Format::kQ5_1, 9.23f, 15.5f, TameAll<BlockQ5_1>},  // 0..31
    {Format::kQ8_0, 73.6f, 0, TameAll<BlockQ8_0>},      // -127..127
    {Format::kQ4_K, 229, 7.5f, TameAll<BlockQ4_K>},     // 0..15, times sub-block scales of 32..63
    {Format::kQ5_K, 459, 15.5f, TameAll<BlockQ5_K>},    // 0..31, times the same
    {Format::kQ6_K, 1366, 0, TameAll<BlockQ6_K>},       // -32..31, times -128..127
};

const Recipe* FindRecipe(Format format) {
  for (const Recipe& recipe : kRecipes) {
    if (recipe.format == format) return &recipe;
  }
  return nullptr;
}

}  // namespace

RandomWeights::RandomWeights(Format format, float deviation) : format_(format), deviation_(deviation) {
  const Recipe* recipe = FindRecipe(format);
  assert((recipe != nullptr || format == Format::kF32) && "no recipe for this format");
  if (recipe == nullptr) return;
  for (std::size_t i = 0; i < scales_.size(); ++i) {
    const float variation = 0.75f + static_cast<float>(i) / 512;
    const float scale = deviation / recipe->deviation * variation;
    scales_[i] = FloatToHalf(scale);
    minimums_[i] = FloatToHalf(recipe->middle * scale);
  }
}

void RandomWeights::Fill(Random& random, std::span<std::byte> blocks) const {
  const Recipe* recipe = FindRecipe(format_);
  if (recipe == nullptr) return FillFloats(random, deviation_, blocks);
  random.Fill(blocks);
  recipe->tame(blocks, scales_, minimums_);
}

}  // namespace slm::bench
