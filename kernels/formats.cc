#include "formats.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "unpack.h"

namespace slm {
namespace {

void FloatsToFloat(const void* blocks, std::int64_t n, float* out) {
  if (n > 0) std::memcpy(out, blocks, static_cast<std::size_t>(n) * sizeof(float));
}

template <float (*Convert)(Half)>
void HalvesToFloat(const void* blocks, std::int64_t n, float* out) {
  std::transform(static_cast<const Half*>(blocks), static_cast<const Half*>(blocks) + n, out, Convert);
}

template <class Unpacker>
void QuantizedToFloat(const void* blocks, std::int64_t n, float* out) {
  const auto* block = static_cast<const typename Unpacker::Block*>(blocks);
  for (std::int64_t begin = 0; begin < n; begin += Unpacker::kElements, ++block) {
    UnpackedBlock unpacked;
    Unpacker::Unpack(*block, unpacked);
    for (int i = 0; i < Unpacker::kElements; ++i) {
      const int group = i / Unpacker::kGroup;
      float x = unpacked.scales[group] * static_cast<float>(unpacked.codes[i] - Unpacker::kZero);
      if constexpr (Unpacker::kZero == 0) x += unpacked.minimums[group];
      out[begin + i] = x;
    }
  }
}

bool IsFiniteFloat(float x) { return std::isfinite(x); }
bool IsFiniteHalf(Half x) { return (x & 0x7C00) != 0x7C00; }
bool IsFiniteBfloat16(Half x) { return (x & 0x7F80) != 0x7F80; }

template <class Element, bool (*IsFinite)(Element)>
std::int64_t FindBadElement(const void* elements, std::int64_t n) {
  const auto* begin = static_cast<const Element*>(elements);
  const auto* bad = std::find_if_not(begin, begin + n, IsFinite);
  return bad == begin + n ? -1 : bad - begin;
}

template <class Block, Half Block::*... kScales>
std::int64_t FindBadBlock(const void* blocks, std::int64_t n) {
  const auto* begin = static_cast<const Block*>(blocks);
  const auto* bad =
      std::find_if_not(begin, begin + n, [](const Block& block) { return (IsFiniteHalf(block.*kScales) && ...); });
  return bad == begin + n ? -1 : bad - begin;
}

constexpr FormatInfo kFormats[] = {
    {Format::kF32, "F32", 1, sizeof(float), Activation::kFloat, FloatsToFloat, FindBadElement<float, IsFiniteFloat>},
    {Format::kF16, "F16", 1, sizeof(Half), Activation::kFloat, HalvesToFloat<HalfToFloat>,
     FindBadElement<Half, IsFiniteHalf>},
    {Format::kQ4_0, "Q4_0", 32, sizeof(BlockQ4_0), Activation::kInt8, QuantizedToFloat<UnpackQ4_0>,
     FindBadBlock<BlockQ4_0, &BlockQ4_0::d>},
    {Format::kQ4_1, "Q4_1", 32, sizeof(BlockQ4_1), Activation::kInt8, QuantizedToFloat<UnpackQ4_1>,
     FindBadBlock<BlockQ4_1, &BlockQ4_1::d, &BlockQ4_1::m>},
    {Format::kQ5_0, "Q5_0", 32, sizeof(BlockQ5_0), Activation::kInt8, QuantizedToFloat<UnpackQ5_0>,
     FindBadBlock<BlockQ5_0, &BlockQ5_0::d>},
    {Format::kQ5_1, "Q5_1", 32, sizeof(BlockQ5_1), Activation::kInt8, QuantizedToFloat<UnpackQ5_1>,
     FindBadBlock<BlockQ5_1, &BlockQ5_1::d, &BlockQ5_1::m>},
    {Format::kQ8_0, "Q8_0", 32, sizeof(BlockQ8_0), Activation::kInt8, QuantizedToFloat<UnpackQ8_0>,
     FindBadBlock<BlockQ8_0, &BlockQ8_0::d>},
    {Format::kQ4_K, "Q4_K", 256, sizeof(BlockQ4_K), Activation::kInt8, QuantizedToFloat<UnpackQ4_K>,
     FindBadBlock<BlockQ4_K, &BlockQ4_K::d, &BlockQ4_K::dmin>},
    {Format::kQ5_K, "Q5_K", 256, sizeof(BlockQ5_K), Activation::kInt8, QuantizedToFloat<UnpackQ5_K>,
     FindBadBlock<BlockQ5_K, &BlockQ5_K::d, &BlockQ5_K::dmin>},
    {Format::kQ6_K, "Q6_K", 256, sizeof(BlockQ6_K), Activation::kInt8, QuantizedToFloat<UnpackQ6_K>,
     FindBadBlock<BlockQ6_K, &BlockQ6_K::d>},
    {Format::kBF16, "BF16", 1, sizeof(Half), Activation::kFloat, HalvesToFloat<Bfloat16ToFloat>,
     FindBadElement<Half, IsFiniteBfloat16>},
};

struct UnsupportedFormat {
  std::uint32_t id;
  const char* name;
};

constexpr UnsupportedFormat kUnsupportedFormats[] = {
    {4, "Q4_2 (removed from GGUF; re-quantise to Q4_0)"},
    {5, "Q4_3 (removed from GGUF; re-quantise to Q4_1)"},
    {9, "Q8_1 (never stored in files; re-quantise to Q8_0)"},
    {10, "Q2_K"},
    {11, "Q3_K"},
    {15, "Q8_K (never stored in files; re-quantise to Q8_0)"},
    {16, "IQ2_XXS"},
    {17, "IQ2_XS"},
    {18, "IQ3_XXS"},
    {19, "IQ1_S"},
    {20, "IQ4_NL"},
    {21, "IQ3_S"},
    {22, "IQ2_S"},
    {23, "IQ4_XS"},
    {24, "I8"},
    {25, "I16"},
    {26, "I32"},
    {27, "I64"},
    {28, "F64"},
    {29, "IQ1_M"},
    {31, "Q4_0_4_4 (removed from GGUF; re-quantise to Q4_0)"},
    {32, "Q4_0_4_8 (removed from GGUF; re-quantise to Q4_0)"},
    {33, "Q4_0_8_8 (removed from GGUF; re-quantise to Q4_0)"},
    {34, "TQ1_0"},
    {35, "TQ2_0"},
    {36, "IQ4_NL_4_4 (removed from GGUF; re-quantise to Q4_0)"},
    {37, "IQ4_NL_4_8 (removed from GGUF; re-quantise to Q4_0)"},
    {38, "IQ4_NL_8_8 (removed from GGUF; re-quantise to Q4_0)"},
    {39, "MXFP4"},
    {40, "NVFP4"},
    {41, "Q1_0"},
    {42, "Q2_0"},
};

constexpr std::uint32_t kFloatExponent = 0x7F800000;
constexpr std::uint32_t kHalfExponent = 0x7C00;
// Mantissa bits a float has and a half has not, and the difference of the exponents' biases.
constexpr int kMantissaShift = 13;
constexpr std::uint32_t kBiasDifference = 112;

}  // namespace

std::span<const FormatInfo> AllFormats() { return kFormats; }

const FormatInfo* FindFormat(std::uint32_t id) {
  const auto* found =
      std::ranges::find(kFormats, id, [](const FormatInfo& info) { return static_cast<std::uint32_t>(info.format); });
  return found == std::end(kFormats) ? nullptr : found;
}

const char* UnsupportedFormatName(std::uint32_t id) {
  const auto* found = std::ranges::find(kUnsupportedFormats, id, &UnsupportedFormat::id);
  return found == std::end(kUnsupportedFormats) ? nullptr : found->name;
}

float HalfToFloat(Half half) {
  const std::uint32_t sign = (half & 0x8000u) << 16;
  const std::uint32_t magnitude = half & 0x7FFFu;
  std::uint32_t bits = (magnitude << kMantissaShift) + (kBiasDifference << 23);
  if (magnitude >= kHalfExponent) {  // infinity or NaN
    bits = kFloatExponent | magnitude << kMantissaShift;
  } else if (magnitude < 0x400) {  // zero or subnormal: a multiple of 2^-24
    bits = std::bit_cast<std::uint32_t>(static_cast<float>(magnitude) * 0x1p-24f);
  }
  return std::bit_cast<float>(sign | bits);
}

Half FloatToHalf(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 16 & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7FFFFFFFu;
  std::uint32_t half;
  if (magnitude > kFloatExponent) {  // NaN: stays one, quiet, whatever the payload's upper bits
    half = kHalfExponent | 0x200u | (magnitude >> kMantissaShift & 0x3FFu);
  } else if (magnitude >=
             std::bit_cast<std::uint32_t>(65520.0f)) {  // nearer to 2^16 than to the largest half, or a tie
    half = kHalfExponent;
  } else if (magnitude < std::bit_cast<std::uint32_t>(0x1p-14f)) {
    // A subnormal half is a multiple of 2^-24, the last bit of a float at 0.5: the addition rounds.
    half = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - std::bit_cast<std::uint32_t>(0.5f);
  } else {
    const std::uint32_t odd = magnitude >> kMantissaShift & 1;  // a tie goes to the even neighbour
    half = ((magnitude + 0xFFF + odd) >> kMantissaShift) - (kBiasDifference << 10);
  }
  return static_cast<Half>(sign | half);
}

float Bfloat16ToFloat(Half bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

}  // namespace slm
