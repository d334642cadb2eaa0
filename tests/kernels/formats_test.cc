#include "formats.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>
#include <string>

#include "kernels/kernel_test.h"
#include "support/test_data.h"

namespace slm::test {
namespace {

class FormatTest : public ::testing::TestWithParam<FormatInfo> {};
INSTANTIATE_TEST_SUITE_P(, FormatTest, EveryFormat(), InstanceName());

// The files hold blocks and the floats that the reference implementation makes of them; see make_formats.py.
TEST_P(FormatTest, GivesTheReferencesFloatsBitForBit) {
  const FormatInfo& format = GetParam();
  const std::string file = ReadFile(DataPath("formats") / (std::string(format.name) + ".bin"));
  const std::size_t bytes_per_block = format.block_bytes + format.block_elements * sizeof(float);
  const std::size_t n_blocks = file.size() / bytes_per_block;
  ASSERT_GT(n_blocks, 30u);
  ASSERT_EQ(file.size(), n_blocks * bytes_per_block);

  const std::size_t n = n_blocks * format.block_elements;
  std::vector<std::uint32_t> blocks((n_blocks * format.block_bytes + 3) / 4);
  std::memcpy(blocks.data(), file.data(), n_blocks * format.block_bytes);
  std::vector<std::uint32_t> expected(n);
  std::memcpy(expected.data(), file.data() + n_blocks * format.block_bytes, n * sizeof(float));

  std::vector<float> actual(n);
  format.to_float(blocks.data(), static_cast<std::int64_t>(n), actual.data());
  for (std::size_t i = 0; i < n; ++i) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(actual[i]), expected[i])
        << "weight " << i % format.block_elements << " of block " << i / format.block_elements << ": " << actual[i]
        << ", expected " << std::bit_cast<float>(expected[i]);
  }
}

// A block is bad exactly if it makes weights that are no numbers: no finite scales overflow a float.
TEST_P(FormatTest, FindsBadBlocks) {
  const FormatInfo& format = GetParam();
  Random random(1);
  std::vector<std::byte> block(format.block_bytes);
  std::vector<float> weights(format.block_elements);
  int bad_ones = 0;
  for (int i = 0; i < 5000; ++i) {
    std::ranges::generate(block, [&] { return static_cast<std::byte>(random() >> 8); });
    format.to_float(block.data(), format.block_elements, weights.data());
    const bool bad = !std::ranges::all_of(weights, [](float x) { return std::isfinite(x); });
    ASSERT_EQ(format.find_bad_block(block.data(), 1), bad ? 0 : -1) << "random block " << i;
    if (!bad || ++bad_ones > 3) continue;
    for (const std::int64_t where : {0, 1, 7, 8}) {
      std::vector<std::byte> blocks = RandomBlocks(format, 9, random);
      ASSERT_EQ(format.find_bad_block(blocks.data(), 9), -1);
      std::ranges::copy(block, blocks.begin() + where * format.block_bytes);
      ASSERT_EQ(format.find_bad_block(blocks.data(), 9), where);
      ASSERT_EQ(format.find_bad_block(blocks.data(), where), -1);
    }
  }
  EXPECT_GT(bad_ones, 0);
}

TEST(Formats, AreInAscendingOrderAndFoundById) {
  std::int64_t previous = -1;
  for (const FormatInfo& format : AllFormats()) {
    const auto id = static_cast<std::uint32_t>(format.format);
    EXPECT_GT(id, previous);
    EXPECT_LT(id, kFormatIdEnd);
    EXPECT_EQ(FindFormat(id), &format);
    EXPECT_EQ(UnsupportedFormatName(id), nullptr);
    previous = id;
  }
  EXPECT_EQ(previous + 1, static_cast<std::int64_t>(kFormatIdEnd));
}

TEST(Formats, RowBytes) {
  EXPECT_EQ(RowBytes(*FindFormat(0), 7), 28u);
  EXPECT_EQ(RowBytes(*FindFormat(8), 640), 640u / 32 * 34);
  EXPECT_EQ(RowBytes(*FindFormat(14), 2048), 8u * 210);
}

// Every id that GGUF has ever given out is either computed with or has a name.
TEST(Formats, EveryIdIsKnown) {
  std::set<std::string> names;
  for (std::uint32_t id = 0; id <= 42; ++id) {
    const FormatInfo* format = FindFormat(id);
    const char* unsupported = UnsupportedFormatName(id);
    ASSERT_NE(format != nullptr, unsupported != nullptr) << id;
    EXPECT_TRUE(names.insert(format != nullptr ? format->name : unsupported).second) << id;
  }
  for (const std::uint32_t id : {43u, 255u, 0x7FFFFFFFu, 0xFFFFFFFFu}) {
    EXPECT_EQ(FindFormat(id), nullptr);
    EXPECT_EQ(UnsupportedFormatName(id), nullptr);
  }
}

TEST(Formats, RemovedIdsSayWhatToDo) {
  for (const std::uint32_t id : {4u, 5u, 31u, 32u, 33u, 36u, 37u, 38u}) {
    EXPECT_NE(std::string(UnsupportedFormatName(id)).find("re-quantise to Q4_"), std::string::npos) << id;
  }
  EXPECT_STREQ(UnsupportedFormatName(40), "NVFP4");
}

// An IEEE number with 5 or 8 bits of exponent and 10 or 7 of mantissa, by its definition.
double Decode(std::uint32_t bits, int mantissa_bits) {
  const int exponent_bits = 15 - mantissa_bits;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  const int exponent = static_cast<int>(bits & 0x7FFF) >> mantissa_bits;
  const double fraction = std::ldexp(bits & ((1u << mantissa_bits) - 1), -mantissa_bits);
  if (exponent == (1 << exponent_bits) - 1) return fraction == 0 ? sign * INFINITY : NAN;
  if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias);
  return sign * std::ldexp(1 + fraction, exponent - bias);
}

void ExpectSame(float actual, double expected, std::uint32_t bits) {
  if (std::isnan(expected)) {
    EXPECT_TRUE(std::isnan(actual)) << std::hex << bits;
  } else {
    EXPECT_EQ(actual, expected) << std::hex << bits;
    EXPECT_EQ(std::signbit(actual), std::signbit(expected)) << std::hex << bits;
  }
}

TEST(Halves, ToFloatIsExactForAll) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    ExpectSame(HalfToFloat(static_cast<Half>(bits)), Decode(bits, 10), bits);
    ExpectSame(Bfloat16ToFloat(static_cast<Half>(bits)), Decode(bits, 7), bits);
  }
}

TEST(Halves, FromFloatAndBackIsTheSame) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float x = HalfToFloat(static_cast<Half>(bits));
    if (std::isnan(x)) {
      EXPECT_TRUE(std::isnan(HalfToFloat(FloatToHalf(x))));
    } else {
      EXPECT_EQ(FloatToHalf(x), bits);
    }
  }
}

// Between two neighbouring halves the nearer one is chosen, midway the even one. The neighbour above the largest is
// infinity, as if it were 2^16.
TEST(Halves, FromFloatRoundsToNearestEven) {
  for (std::uint32_t bits = 0; bits < 0x7C00; ++bits) {
    const double low = Decode(bits, 10);
    const double high = bits + 1 == 0x7C00 ? 65536 : Decode(bits + 1, 10);
    const auto middle = static_cast<float>((low + high) / 2);
    ASSERT_EQ(middle, (low + high) / 2);
    const std::uint32_t even = bits % 2 == 0 ? bits : bits + 1;
    for (const std::uint32_t sign : {0u, 0x8000u}) {
      const auto convert = [sign](float x) { return FloatToHalf(sign != 0 ? -x : x); };
      EXPECT_EQ(convert(middle), sign | even) << middle;
      EXPECT_EQ(convert(std::nextafter(middle, 0.0f)), sign | bits) << middle;
      EXPECT_EQ(convert(std::nextafter(middle, INFINITY)), sign | (bits + 1)) << middle;
    }
  }
}

TEST(Halves, FromFloatAtTheEnds) {
  EXPECT_EQ(FloatToHalf(std::numeric_limits<float>::denorm_min()), 0);
  EXPECT_EQ(FloatToHalf(-std::numeric_limits<float>::denorm_min()), 0x8000);
  EXPECT_EQ(FloatToHalf(std::numeric_limits<float>::max()), 0x7C00);
  EXPECT_EQ(FloatToHalf(std::numeric_limits<float>::lowest()), 0xFC00);
  // A NaN whose payload lies in the low bits only must not become an infinity.
  EXPECT_TRUE(std::isnan(HalfToFloat(FloatToHalf(std::bit_cast<float>(0x7F800001u)))));
  EXPECT_TRUE(std::isnan(HalfToFloat(FloatToHalf(std::bit_cast<float>(0xFFFFFFFFu)))));
}

}  // namespace
}  // namespace slm::test
