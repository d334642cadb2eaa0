#include "random_weights.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "random.h"

namespace slm::bench {
namespace {

constexpr float kDeviation = 0.02f;
constexpr std::int64_t kWeights = 1 << 16;

struct Made {
  std::vector<std::byte> blocks;
  std::vector<float> weights;
};

Made Make(const FormatInfo& format, std::uint64_t seed) {
  Made made{std::vector<std::byte>(RowBytes(format, kWeights)), std::vector<float>(kWeights)};
  Random random(seed, "test");
  RandomWeights(format.format, kDeviation).Fill(random, made.blocks);
  format.to_float(made.blocks.data(), kWeights, made.weights.data());
  return made;
}

class RandomWeightsTest : public testing::TestWithParam<Format> {
 protected:
  const FormatInfo& format() const { return *FindFormat(static_cast<std::uint32_t>(GetParam())); }
};

TEST_P(RandomWeightsTest, HaveTheMeanAndDeviationAskedFor) {
  double sum = 0;
  double squares = 0;
  for (const float weight : Make(format(), 1).weights) {
    ASSERT_TRUE(std::isfinite(weight));
    sum += weight;
    squares += static_cast<double>(weight) * weight;
  }
  EXPECT_NEAR(sum / kWeights, 0, kDeviation / 50);
  EXPECT_NEAR(std::sqrt(squares / kWeights), kDeviation, kDeviation / 30);
}

TEST_P(RandomWeightsTest, DifferFromBlockToBlock) {
  const Made made = Make(format(), 1);
  std::set<float> largest;
  const std::int64_t step = format().block_elements;
  for (std::int64_t begin = 0; begin < 100 * step; begin += step) {
    float magnitude = 0;
    for (std::int64_t i = begin; i < begin + step; ++i) magnitude = std::max(magnitude, std::abs(made.weights[i]));
    largest.insert(magnitude);
  }
  EXPECT_GT(largest.size(), 30u);
}

TEST_P(RandomWeightsTest, DependOnTheSeedOnly) {
  EXPECT_EQ(Make(format(), 7).blocks, Make(format(), 7).blocks);
  EXPECT_NE(Make(format(), 7).blocks, Make(format(), 8).blocks);
}

INSTANTIATE_TEST_SUITE_P(Formats, RandomWeightsTest,
                         testing::Values(Format::kF32, Format::kQ4_0, Format::kQ5_0, Format::kQ5_1, Format::kQ8_0,
                                         Format::kQ4_K, Format::kQ5_K, Format::kQ6_K),
                         [](const auto& test) { return FindFormat(static_cast<std::uint32_t>(test.param))->name; });

TEST(RandomWeights, HaveNoCodeThatQuantizersNeverWrite) {
  const std::vector<std::byte> blocks = Make(*FindFormat(static_cast<std::uint32_t>(Format::kQ8_0)), 1).blocks;
  std::set<int> codes;
  for (std::size_t at = 0; at < blocks.size(); at += sizeof(BlockQ8_0)) {
    BlockQ8_0 block;
    std::memcpy(&block, &blocks[at], sizeof(block));
    codes.insert(std::begin(block.qs), std::end(block.qs));
  }
  EXPECT_EQ(*codes.begin(), -127);
  EXPECT_EQ(*codes.rbegin(), 127);
}

TEST(Random, EachNameHasNumbersOfItsOwn) {
  EXPECT_EQ(Random(1, "a").Next(), Random(1, "a").Next());
  EXPECT_NE(Random(1, "a").Next(), Random(1, "b").Next());
  EXPECT_NE(Random(1, "a").Next(), Random(2, "a").Next());
}

}  // namespace
}  // namespace slm::bench
