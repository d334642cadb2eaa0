#include <gtest/gtest.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/kernel_test.h"

namespace slm::test {
namespace {

class QuantizeTest : public KernelSetTest {
 protected:
  // Quantizes a row and compares every bit with the plain restatement.
  void ExpectExact(const std::vector<float>& x, const char* what) {
    ASSERT_EQ(x.size() % 32, 0u);
    std::vector<ActivationBlock> actual(x.size() / 32);
    std::memset(actual.data(), 0xEE, actual.size() * sizeof(ActivationBlock));
    kernels().quantize(x.data(), static_cast<std::int64_t>(x.size()), actual.data());
    const std::vector<ActivationBlock> expected = QuantizedRow(x);
    for (std::size_t block = 0; block < actual.size(); ++block) {
      for (int i = 0; i < 32; ++i) {
        ASSERT_EQ(actual[block].q[i], expected[block].q[i]) << what << ", x = " << x[block * 32 + i];
        ASSERT_GE(actual[block].q[i], -127) << what;
      }
      ASSERT_EQ(std::memcmp(&actual[block], &expected[block], sizeof(ActivationBlock)), 0)
          << what << ": scale " << actual[block].scale << " for " << expected[block].scale << ", sum "
          << actual[block].sum << " for " << expected[block].sum << ", half sums " << actual[block].half_sum[0] << ", "
          << actual[block].half_sum[1] << " for " << expected[block].half_sum[0] << ", " << expected[block].half_sum[1];
    }
  }
};
INSTANTIATE_TEST_SUITE_P(, QuantizeTest, EverySet(), InstanceName());

TEST_P(QuantizeTest, RandomBlocksOfAnyMagnitude) {
  Random random(1);
  for (int n_blocks = 1; n_blocks <= 9; ++n_blocks) {
    for (int exponent = -126; exponent <= 124; exponent += 5) {
      std::vector<float> x = RandomFloats(static_cast<std::size_t>(32 * n_blocks), random);
      for (float& value : x) value = std::ldexp(value, exponent);
      ExpectExact(x, "random block");
    }
  }
}

TEST_P(QuantizeTest, WritesNothingFromNothing) {
  ActivationBlock block = {};
  block.scale = 5;
  kernels().quantize(nullptr, 0, &block);
  EXPECT_EQ(block.scale, 5);
}

// With a largest magnitude of 127 in every group the values are their own codes, and k + 1/2 is a tie.
TEST_P(QuantizeTest, TiesGoToTheEvenNeighbour) {
  for (int first = -127; first < 127; first += 31) {
    std::vector<float> x(32, 127.0f);
    for (int i = 0; i < 32; ++i) {
      if (i % 8 != 0)
        x[static_cast<std::size_t>(i)] = std::clamp(static_cast<float>(first + i) + 0.5f, -126.5f, 126.5f);
    }
    ExpectExact(x, "ties");
    for (float& value : x) value = -value;
    ExpectExact(x, "negative ties");
  }
}

// The largest value may sit anywhere, and x * (127 / |x|) may round to either side of 127.
TEST_P(QuantizeTest, LargestValueGetsCode127) {
  Random random(2);
  for (std::size_t where = 0; where < 32; ++where) {
    for (int i = 0; i < 200; ++i) {
      std::vector<float> x(32, 0.25f);
      x[where] = std::ldexp(1.0f + static_cast<float>(random() % 0x800000) * 0x1p-23f, 3) * (i % 2 == 0 ? 1.0f : -1.0f);
      ExpectExact(x, "one large value");
      ActivationBlock block;
      kernels().quantize(x.data(), 32, &block);
      ASSERT_EQ(std::abs(block.q[where]), 127);
    }
  }
}

// One large value must not cost the other groups their precision.
TEST_P(QuantizeTest, GroupsKeepTheirOwnPrecision) {
  Random random(4);
  for (int exponent = 0; exponent >= -12; --exponent) {
    std::vector<float> x = RandomFloats(96, random);
    for (std::size_t i = 8; i < x.size(); ++i) x[i] = std::ldexp(x[i], exponent);
    ExpectExact(x, "groups of different size");
    std::vector<ActivationBlock> blocks(x.size() / 32);
    kernels().quantize(x.data(), static_cast<std::int64_t>(x.size()), blocks.data());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const ActivationBlock& block = blocks[i / 32];
      const int factor = block.factors[i / 8 % 4][0];
      const float step = block.scale * static_cast<float>(factor);
      ASSERT_NEAR(block.q[i % 32] * step, x[i], step * 0.501f);
      ASSERT_GE(factor, 1);
      ASSERT_LE(factor, 4095);
      // Nowhere a step much larger than 1/127 of the group's largest value needs.
      float group_largest = 0;
      for (std::size_t j = i / 8 * 8; j < i / 8 * 8 + 8; ++j) group_largest = std::max(group_largest, std::abs(x[j]));
      ASSERT_LE(step * 127, group_largest + block.scale * 127.01f);
    }
  }
}

TEST_P(QuantizeTest, ZeroAndTinyBlocksAreZero) {
  const float smallest_usable = 127 * 4095 / FLT_MAX;
  for (const float amax :
       {0.0f, -0.0f, FLT_TRUE_MIN, -FLT_TRUE_MIN, FLT_MIN, 1e-37f, std::nextafter(smallest_usable, 0.0f),
        smallest_usable, std::nextafter(smallest_usable, 1.0f), 4e-37f, 1e-35f, 1e-32f}) {
    std::vector<float> x(32, amax);
    ExpectExact(x, "tiny block");
    x[7] = 0;
    x[31] = -amax / 2;
    ExpectExact(x, "tiny block with zeros");
  }
  std::vector<float> mixed(64, FLT_TRUE_MIN);
  mixed[40] = 1;
  ExpectExact(mixed, "subnormals beside one");
}

TEST_P(QuantizeTest, HugeBlocks) {
  std::vector<float> x(32, FLT_MAX);
  ExpectExact(x, "largest floats");
  for (std::size_t i = 0; i < 32; i += 2) x[i] = -FLT_MAX;
  ExpectExact(x, "largest floats of both signs");
}

// A fault upstream must stay visible: NaN goes into the scale of the row.
TEST_P(QuantizeTest, NonFiniteValuesMakeTheRowNan) {
  Random random(3);
  for (std::size_t where = 0; where < 32; ++where) {
    for (const float bad : {NAN, -NAN, INFINITY, -INFINITY, std::bit_cast<float>(0x7F800001u)}) {
      std::vector<float> x = RandomFloats(96, random);
      x[32 + where] = bad;
      ExpectExact(x, "row with a value that is no number");
    }
  }
  ExpectExact(std::vector<float>(32, NAN), "all NaN");
  ExpectExact(std::vector<float>(32, -INFINITY), "all infinite");
}

}  // namespace
}  // namespace slm::test
