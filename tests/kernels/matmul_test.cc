// Matrix products against sums in double over the weights and activations as numbers.

#include "scalar/matmul.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "format_table.h"
#include "kernels/kernel_test.h"
#include "kernels/unit_blocks.h"

namespace slm::test {
namespace {

constexpr std::int64_t kRows = 40;
constexpr std::int64_t kTokens = 20;
constexpr std::int64_t kOutStride = kRows + 3;

// Weights and activations, laid out as a product finds them: rows apart by more than their bytes, at any address (here
// an odd one), and nothing behind the last of them.
struct Operands {
  const FormatInfo* format = nullptr;
  std::int64_t columns = 0;
  std::size_t row_bytes = 0;
  std::vector<std::byte> bytes;         // one, then the weights
  std::vector<float> x;                 // [kTokens][columns]
  std::vector<float> floats;            // [kTokens][stride], if the format wants floats
  std::vector<ActivationBlock> blocks;  // [kTokens][stride], if it wants int8
  std::int64_t stride = 0;

  const std::byte* weights() const { return bytes.data() + 1; }
  bool Int8() const { return format->activation == Activation::kInt8; }
  const void* Activations(std::int64_t token) const {
    return Int8() ? static_cast<const void*>(blocks.data() + token * stride) : floats.data() + token * stride;
  }
  std::vector<float> WeightRow(std::int64_t row) const {
    std::vector<float> floats_of_row(static_cast<std::size_t>(columns));
    format->to_float(weights() + static_cast<std::size_t>(row) * row_bytes, columns, floats_of_row.data());
    return floats_of_row;
  }
};

void SetWeights(Operands& operands, const std::vector<std::byte>& blocks) {
  const std::size_t bytes = RowBytes(*operands.format, operands.columns);
  const std::size_t rows = blocks.size() / bytes;
  operands.row_bytes = bytes + operands.format->block_bytes;
  operands.bytes.assign(1 + (rows - 1) * operands.row_bytes + bytes, std::byte{0xFF});
  for (std::size_t row = 0; row < rows; ++row) {
    std::memcpy(operands.bytes.data() + 1 + row * operands.row_bytes, blocks.data() + row * bytes, bytes);
  }
}

Operands RandomOperands(const FormatInfo& format, std::int64_t columns, Random& random) {
  Operands operands;
  operands.format = &format;
  operands.columns = columns;
  SetWeights(operands, RandomBlocks(format, static_cast<std::size_t>(kRows * columns / format.block_elements), random));
  operands.x = RandomFloats(static_cast<std::size_t>(kTokens * columns), random);
  // Magnitudes differ from block to block, and one block is zero.
  for (std::size_t i = 0; i < operands.x.size(); ++i) operands.x[i] *= static_cast<float>(1 << (i / 32 % 5));
  std::fill_n(operands.x.begin(), std::min<std::int64_t>(columns / 2, 32), 0.0f);
  if (operands.Int8()) {
    operands.stride = columns / 32 + 1;
    operands.blocks.resize(static_cast<std::size_t>((kTokens - 1) * operands.stride + columns / 32));
    for (std::int64_t token = 0; token < kTokens; ++token) {
      const float* row = operands.x.data() + token * columns;
      std::ranges::copy(QuantizedRow({row, static_cast<std::size_t>(columns)}),
                        operands.blocks.begin() + token * operands.stride);
    }
  } else {
    operands.stride = columns + 5;
    operands.floats.assign(static_cast<std::size_t>((kTokens - 1) * operands.stride + columns), NAN);
    for (std::int64_t token = 0; token < kTokens; ++token) {
      std::copy_n(operands.x.data() + token * columns, columns, operands.floats.data() + token * operands.stride);
    }
  }
  return operands;
}

struct Range {
  std::int64_t begin;
  std::int64_t end;
};

// The product of some rows and some tokens, at their places in out[kTokens][kOutStride]; the rest of it are canaries.
std::vector<float> Multiply(KernelSet::MatMulFn matmul, const Operands& operands, Range rows, Range tokens) {
  std::vector<float> out(static_cast<std::size_t>(kTokens * kOutStride), Canary());
  AlignedBuffer<std::byte> scratch;
  EXPECT_TRUE(scratch.Allocate(MatMulScratchBytes(operands.columns)));
  std::memset(scratch.data(), 0xFF, scratch.size());
  MatMulTask task;
  task.weights = operands.weights();
  task.row_bytes = operands.row_bytes;
  task.columns = operands.columns;
  task.row_begin = rows.begin;
  task.row_end = rows.end;
  task.activations = operands.Activations(tokens.begin);
  task.activation_stride = operands.stride;
  task.tokens = tokens.end - tokens.begin;
  task.out = out.data() + tokens.begin * kOutStride;
  task.out_stride = kOutStride;
  task.scratch = scratch.data();
  matmul(task);
  return out;
}

// Wherever the product was asked for it has the same bits as in `whole`, and nothing else was written.
void ExpectPart(const std::vector<float>& part, const std::vector<float>& whole, Range rows, Range tokens) {
  for (std::int64_t token = 0; token < kTokens; ++token) {
    for (std::int64_t row = 0; row < kOutStride; ++row) {
      const auto at = static_cast<std::size_t>(token * kOutStride + row);
      const bool wanted = rows.begin <= row && row < rows.end && tokens.begin <= token && token < tokens.end;
      const std::uint32_t expected = wanted ? std::bit_cast<std::uint32_t>(whole[at]) : kCanaryBits;
      ASSERT_EQ(std::bit_cast<std::uint32_t>(part[at]), expected)
          << (wanted ? "other bits" : "written without being asked for") << ": row " << row << ", token " << token
          << " of rows " << rows.begin << ".." << rows.end << ", tokens " << tokens.begin << ".." << tokens.end;
    }
  }
}

// The exact product of a row and a token, and how far off a float sum of its terms may be.
struct Expected {
  double value = 0;
  double bound = 0;
};

Expected ExactProduct(const Operands& operands, const std::vector<float>& weights, std::int64_t token) {
  Expected expected;
  double magnitude = 0;
  if (!operands.Int8()) {
    const float* x = operands.floats.data() + token * operands.stride;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      expected.value += static_cast<double>(weights[i]) * x[i];
      magnitude += std::abs(static_cast<double>(weights[i]) * x[i]);
    }
    expected.bound = static_cast<double>(weights.size() + 1) * kRounding * magnitude;
    return expected;
  }
  for (std::size_t i = 0; i < weights.size(); i += 32) {
    const ActivationBlock& block = operands.blocks[static_cast<std::size_t>(token * operands.stride) + i / 32];
    double largest = 0;
    double q_sum = 0;
    for (std::size_t j = 0; j < 32; ++j) {
      const int code = block.q[j] * block.factors[j / 8][0];
      expected.value += static_cast<double>(weights[i + j]) * code * block.scale;
      largest = std::max(largest, static_cast<double>(std::abs(weights[i + j])));
      q_sum += std::abs(code);
    }
    magnitude += largest * q_sum * block.scale;
  }
  // A kernel's terms are scale * code * q and minimum * q. With codes spread over their range, as random ones are,
  // neither factor of q exceeds 4 times the largest weight. A group of 16 columns adds both with at most four
  // roundings; the last one is that of the scale.
  const double roundings = static_cast<double>(weights.size()) / 16 * 4 + 1;
  expected.bound = roundings * kRounding * 4 * magnitude;
  return expected;
}

std::vector<std::int64_t> ColumnsFor(const FormatInfo& format) {
  std::vector<std::int64_t> columns = {1, 3, 7, 12, 32, 40, 48, 64, 96, 256, 512, 640};
  std::erase_if(columns, [&](std::int64_t n) { return n % format.block_elements != 0; });
  return columns;
}

std::vector<FormatInfo> Int8Formats() {
  std::vector<FormatInfo> formats(AllFormats().begin(), AllFormats().end());
  std::erase_if(formats, [](const FormatInfo& format) { return format.activation != Activation::kInt8; });
  return formats;
}

class MatMulTest : public KernelFormatTest {};
INSTANTIATE_TEST_SUITE_P(, MatMulTest, ::testing::Combine(EverySet(), EveryFormat()), InstanceName());

class MatMulInt8Test : public KernelFormatTest {};
INSTANTIATE_TEST_SUITE_P(, MatMulInt8Test, ::testing::Combine(EverySet(), ::testing::ValuesIn(Int8Formats())),
                         InstanceName());

TEST_P(MatMulTest, MatchesSumsInDouble) {
  Random random(1);
  for (const std::int64_t columns : ColumnsFor(format())) {
    const Operands operands = RandomOperands(format(), columns, random);
    const std::vector<float> out = Multiply(matmul(), operands, {0, kRows}, {0, kTokens});
    for (std::int64_t row = 0; row < kRows; ++row) {
      const std::vector<float> weights = operands.WeightRow(row);
      for (std::int64_t token = 0; token < kTokens; ++token) {
        const Expected expected = ExactProduct(operands, weights, token);
        ASSERT_NEAR(out[static_cast<std::size_t>(token * kOutStride + row)], expected.value, expected.bound)
            << columns << " columns, row " << row << ", token " << token;
      }
    }
  }
}

// Any number of tokens and any range of rows gives what the whole product gives, bit for bit.
TEST_P(MatMulTest, PartsHaveTheBitsOfTheWhole) {
  Random random(2);
  for (const std::int64_t columns : ColumnsFor(format())) {
    SCOPED_TRACE(std::to_string(columns) + " columns");
    const Operands operands = RandomOperands(format(), columns, random);
    const std::vector<float> whole = Multiply(matmul(), operands, {0, kRows}, {0, kTokens});
    const auto expect_part = [&](Range rows, Range tokens) {
      ExpectPart(Multiply(matmul(), operands, rows, tokens), whole, rows, tokens);
    };
    expect_part({0, kRows}, {0, kTokens});
    for (std::int64_t n = 1; n <= kTokens; ++n) {
      expect_part({0, 17}, {0, n});
      expect_part({23, kRows}, {kTokens - n, kTokens});
    }
    for (std::int64_t n = 1; n <= kRows; ++n) {
      for (const std::int64_t tokens : {1, 2, 5, 7, 13}) expect_part({0, n}, {0, tokens});
      expect_part({kRows - n, kRows}, {3, 4});
      expect_part({kRows - n, kRows}, {3, 12});
    }
    expect_part({5, 5}, {0, kTokens});
    expect_part({0, kRows}, {4, 4});
    if (HasFatalFailure()) return;
  }
}

// Few tokens take another way through long rows.
TEST_P(MatMulTest, FewTokensHaveTheBitsOfMany) {
  Random random(4);
  const Operands operands = RandomOperands(format(), 16384, random);
  const std::vector<float> many = Multiply(matmul(), operands, {0, kRows}, {0, kTokens});
  for (const std::int64_t tokens : {1, 2, 3, 4, 7, 16})
    ExpectPart(Multiply(matmul(), operands, {0, kRows}, {2, 2 + tokens}), many, {0, kRows}, {2, 2 + tokens});
  for (const std::int64_t rows : {1, 8, 9, 17, 31})
    ExpectPart(Multiply(matmul(), operands, {3, 3 + rows}, {0, 5}), many, {3, 3 + rows}, {0, 5});
}

// A fault in one token shows in that token, and nowhere else.
TEST_P(MatMulTest, NanStaysInItsToken) {
  Random random(3);
  constexpr std::int64_t kBad = 7;
  for (const std::int64_t columns : ColumnsFor(format())) {
    Operands operands = RandomOperands(format(), columns, random);
    const std::vector<float> sound = Multiply(matmul(), operands, {0, kRows}, {0, kTokens});
    if (operands.Int8()) {
      std::vector<float> x(static_cast<std::size_t>(columns), 1.0f);
      x[20] = NAN;
      std::ranges::copy(QuantizedRow(x), operands.blocks.begin() + kBad * operands.stride);
    } else {
      operands.floats[static_cast<std::size_t>(kBad * operands.stride + columns - 1)] = NAN;
    }
    const std::vector<float> out = Multiply(matmul(), operands, {0, kRows}, {0, kTokens});
    for (std::int64_t row = 0; row < kRows; ++row) {
      for (std::int64_t token = 0; token < kTokens; ++token) {
        const auto at = static_cast<std::size_t>(token * kOutStride + row);
        if (token == kBad) {
          ASSERT_TRUE(std::isnan(out[at])) << row;
        } else {
          ASSERT_EQ(out[at], sound[at]) << row << ", " << token;
        }
      }
    }
  }
}

ActivationBlock UnitActivations(std::int8_t even, std::int8_t odd, std::int16_t factor) {
  ActivationBlock block = {};
  for (auto& pair : block.factors) pair[0] = pair[1] = factor;
  for (int i = 0; i < 32; ++i) block.q[i] = i % 2 == 0 ? even : odd;
  block.scale = 1;
  block.half_sum[0] = block.half_sum[1] = 8 * factor * (even + odd);
  block.sum = 2 * block.half_sum[0];
  return block;
}

// The largest integers that can occur, in every combination of signs. With scales of 1 and factors of 1 all sums are
// integers below 2^24: a result that is off by anything comes from a product that saturated or overflowed. With the
// largest factors sums are rounded, and an overflow is off by 2^32.
TEST_P(MatMulInt8Test, LargestIntegersAreExact) {
  constexpr std::uint8_t kBytes[] = {0x00, 0xFF, 0x80, 0x7F, 0x0F, 0xF0};
  constexpr std::int8_t kCodes[] = {127, -127, 0, 1};
  constexpr std::int64_t kColumns = 256;
  Operands operands;
  operands.format = &format();
  operands.columns = kColumns;
  std::vector<std::byte> rows;
  for (const std::uint8_t even : kBytes) {
    for (const std::uint8_t odd : kBytes) {
      const std::vector<std::byte> row = UnitBlocks(format().format, kColumns / format().block_elements, even, odd);
      rows.insert(rows.end(), row.begin(), row.end());
    }
  }
  SetWeights(operands, rows);
  operands.stride = kColumns / 32;
  for (const std::int8_t even : kCodes) {
    for (const std::int8_t odd : kCodes) {
      operands.blocks.insert(operands.blocks.end(), kColumns / 32, UnitActivations(even, odd, 1));
    }
  }
  constexpr std::int64_t kExactTokens = std::size(kCodes) * std::size(kCodes);
  for (const std::int8_t even : {std::int8_t{127}, std::int8_t{-127}}) {
    for (const std::int8_t odd : {std::int8_t{127}, std::int8_t{-127}})
      operands.blocks.insert(operands.blocks.end(), kColumns / 32, UnitActivations(even, odd, 4095));
  }

  constexpr Range kAllRows = {0, std::size(kBytes) * std::size(kBytes)};
  constexpr Range kAllTokens = {0, kExactTokens + 4};
  const std::vector<float> out = Multiply(matmul(), operands, kAllRows, kAllTokens);
  for (std::int64_t row = 0; row < kAllRows.end; ++row) {
    const std::vector<float> weights = operands.WeightRow(row);
    for (std::int64_t token = 0; token < kAllTokens.end; ++token) {
      const Expected expected = ExactProduct(operands, weights, token);
      ASSERT_NEAR(out[static_cast<std::size_t>(token * kOutStride + row)], expected.value,
                  token < kExactTokens ? 0 : expected.bound)
          << "codes of row pattern " << row << ", activations " << token;
    }
  }
  for (std::int64_t token = 0; token < kAllTokens.end; ++token) {
    const Range one = {token, token + 1};
    ExpectPart(Multiply(matmul(), operands, kAllRows, one), out, kAllRows, one);
  }
}

class MatMulSetTest : public KernelSetTest {};
INSTANTIATE_TEST_SUITE_P(, MatMulSetTest, EverySet(), InstanceName());

// The scale of MXFP4 is a power of two, from numbers that only subnormal floats hold on. One weight of each row is 1
// times the scale, the others are 0.
TEST_P(MatMulSetTest, Mxfp4TakesEveryExponent) {
  constexpr auto kFormat = Format::kMXFP4;
  constexpr std::int64_t kExponents = 32;  // at a time
  for (std::int64_t first = 0; first < 256; first += kExponents) {
    Operands operands;
    operands.format = FindFormat(static_cast<std::uint32_t>(kFormat));
    operands.columns = 32;
    std::vector<BlockMXFP4> blocks(kExponents);
    for (std::int64_t i = 0; i < kExponents; ++i)
      blocks[static_cast<std::size_t>(i)] = {.e = static_cast<std::uint8_t>(first + i), .qs = {0x02}};
    const auto bytes = std::as_bytes(std::span(blocks));
    SetWeights(operands, {bytes.begin(), bytes.end()});
    operands.blocks.assign(2, UnitActivations(1, 0, 1));
    operands.stride = 1;
    for (const std::int64_t tokens : {1, 2}) {
      const std::vector<float> out =
          Multiply(kernels().matmul[static_cast<std::size_t>(kFormat)], operands, {0, kExponents}, {0, tokens});
      for (std::int64_t i = 0; i < kExponents; ++i)
        EXPECT_EQ(out[static_cast<std::size_t>(i)], std::ldexp(1.0f, static_cast<int>(first + i) - 127)) << first + i;
    }
  }
}

// A format that GGUF no longer has: one type,
struct BlockMadeUp {  // x = d * scale * (q - 8)
  Half d;
  std::uint8_t scales[4];
  std::uint8_t qs[32];
};
struct MadeUp : Quantized<static_cast<Format>(38), BlockMadeUp, 64, 16, 8> {
  static constexpr const char* kName = "MadeUp";

  static void Unpack(const Block& block, UnpackedBlock& out) {
    for (int i = 0; i < kElements; ++i) out.codes[i] = block.qs[i / 2] >> (i % 2 * 4) & 15;
    for (int j = 0; j < 4; ++j) out.scales[j] = HalfToFloat(block.d) * static_cast<float>(block.scales[j]);
  }
};
// and one row.
using FormatsAndMadeUp = decltype(KnownFormats() + TypeList<MadeUp>());

// It is in every table then, and every set multiplies with it.
TEST_P(MatMulSetTest, FormatIsOneTypeAndOneRow) {
  static constexpr auto kFormats = MakeFormatTable(FormatsAndMadeUp());
  ASSERT_EQ(kFormats.size(), AllFormats().size() + 1);
  const FormatInfo& format = *std::ranges::find(kFormats, MadeUp::kFormat, &FormatInfo::format);
  const KernelSet set = WithProducts(kernels(), scalar::MakeMatMulTable(FormatsAndMadeUp()));
  const auto id = static_cast<std::size_t>(MadeUp::kFormat);
  ASSERT_EQ(kernels().matmul[id], nullptr);

  Random random(5);
  for (const std::int64_t columns : {64, 192}) {
    const Operands operands = RandomOperands(format, columns, random);
    EXPECT_EQ(format.find_bad_block(operands.weights(), columns / 64), -1);
    const std::vector<float> out = Multiply(set.matmul[id], operands, {0, kRows}, {0, kTokens});
    for (std::int64_t row = 0; row < kRows; ++row) {
      const std::byte* row_bytes = operands.weights() + static_cast<std::size_t>(row) * operands.row_bytes;
      std::vector<float> weights;
      for (std::int64_t i = 0; i < columns; ++i) {
        const auto block = BlockAt<BlockMadeUp>(row_bytes, i / 64);
        const int q = i % 2 == 0 ? block.qs[i % 64 / 2] % 16 : block.qs[i % 64 / 2] / 16;
        weights.push_back(HalfToFloat(block.d) * static_cast<float>(block.scales[i % 64 / 16] * (q - 8)));  // exact
      }
      ASSERT_EQ(operands.WeightRow(row), weights);
      for (std::int64_t token = 0; token < kTokens; ++token) {
        const Expected expected = ExactProduct(operands, weights, token);
        ASSERT_NEAR(out[static_cast<std::size_t>(token * kOutStride + row)], expected.value, expected.bound)
            << columns << " columns, row " << row << ", token " << token;
      }
    }
  }
}

}  // namespace
}  // namespace slm::test
