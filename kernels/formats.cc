#include "formats.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "unpack.h"
#include "unpack_iq.h"
#include "unpack_k.h"

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

template <class Block, Half Block::*... kScales>
bool HasFiniteScales(const Block& block) {
  return (IsFiniteHalf(block.*kScales) && ...);
}

bool HasFiniteScale(const BlockIQ1_M& block) { return IsFiniteHalf(UnpackIQ1_M::ScaleOf(block)); }

// A scale of MXFP4 is always finite, but the largest make infinite weights.
bool HasFiniteWeights(const BlockMXFP4& block) {
  float weights[UnpackMXFP4::kElements];
  QuantizedToFloat<UnpackMXFP4>(&block, UnpackMXFP4::kElements, weights);
  return std::ranges::all_of(weights, IsFiniteFloat);
}

// Element is one of a plain format or a block.
template <class Element, auto kIsFinite>
std::int64_t FindBad(const void* elements, std::int64_t n) {
  const auto* begin = static_cast<const Element*>(elements);
  const auto* bad = std::find_if_not(begin, begin + n, kIsFinite);
  return bad == begin + n ? -1 : bad - begin;
}

template <class Element, auto kIsFinite>
constexpr FormatInfo Plain(Format format, const char* name, void (*to_float)(const void*, std::int64_t, float*)) {
  return {format, name, 1, sizeof(Element), Activation::kFloat, to_float, FindBad<Element, kIsFinite>};
}

template <class Unpacker, auto kIsFinite>
constexpr FormatInfo Checked(Format format, const char* name) {
  using Block = typename Unpacker::Block;
  return {format,
          name,
          Unpacker::kElements,
          sizeof(Block),
          Activation::kInt8,
          QuantizedToFloat<Unpacker>,
          FindBad<Block, kIsFinite>};
}

// A format whose blocks are bad where one of these is not finite.
template <class Unpacker, Half Unpacker::Block::*... kScales>
constexpr FormatInfo Scaled(Format format, const char* name) {
  return Checked<Unpacker, HasFiniteScales<typename Unpacker::Block, kScales...>>(format, name);
}

constexpr FormatInfo kFormats[] = {
    Plain<float, IsFiniteFloat>(Format::kF32, "F32", FloatsToFloat),
    Plain<Half, IsFiniteHalf>(Format::kF16, "F16", HalvesToFloat<HalfToFloat>),
    Scaled<UnpackQ4_0, &BlockQ4_0::d>(Format::kQ4_0, "Q4_0"),
    Scaled<UnpackQ4_1, &BlockQ4_1::d, &BlockQ4_1::m>(Format::kQ4_1, "Q4_1"),
    Scaled<UnpackQ5_0, &BlockQ5_0::d>(Format::kQ5_0, "Q5_0"),
    Scaled<UnpackQ5_1, &BlockQ5_1::d, &BlockQ5_1::m>(Format::kQ5_1, "Q5_1"),
    Scaled<UnpackQ8_0, &BlockQ8_0::d>(Format::kQ8_0, "Q8_0"),
    Scaled<UnpackQ2_K, &BlockQ2_K::d, &BlockQ2_K::dmin>(Format::kQ2_K, "Q2_K"),
    Scaled<UnpackQ3_K, &BlockQ3_K::d>(Format::kQ3_K, "Q3_K"),
    Scaled<UnpackQ4_K, &BlockQ4_K::d, &BlockQ4_K::dmin>(Format::kQ4_K, "Q4_K"),
    Scaled<UnpackQ5_K, &BlockQ5_K::d, &BlockQ5_K::dmin>(Format::kQ5_K, "Q5_K"),
    Scaled<UnpackQ6_K, &BlockQ6_K::d>(Format::kQ6_K, "Q6_K"),
    Scaled<UnpackIQ2_XXS, &BlockIQ2_XXS::d>(Format::kIQ2_XXS, "IQ2_XXS"),
    Scaled<UnpackIQ2_XS, &BlockIQ2_XS::d>(Format::kIQ2_XS, "IQ2_XS"),
    Scaled<UnpackIQ3_XXS, &BlockIQ3_XXS::d>(Format::kIQ3_XXS, "IQ3_XXS"),
    Scaled<UnpackIQ1_S, &BlockIQ1_S::d>(Format::kIQ1_S, "IQ1_S"),
    Scaled<UnpackIQ4_NL, &BlockIQ4_NL::d>(Format::kIQ4_NL, "IQ4_NL"),
    Scaled<UnpackIQ3_S, &BlockIQ3_S::d>(Format::kIQ3_S, "IQ3_S"),
    Scaled<UnpackIQ2_S, &BlockIQ2_S::d>(Format::kIQ2_S, "IQ2_S"),
    Scaled<UnpackIQ4_XS, &BlockIQ4_XS::d>(Format::kIQ4_XS, "IQ4_XS"),
    Checked<UnpackIQ1_M, HasFiniteScale>(Format::kIQ1_M, "IQ1_M"),
    Plain<Half, IsFiniteBfloat16>(Format::kBF16, "BF16", HalvesToFloat<Bfloat16ToFloat>),
    Scaled<UnpackTQ1_0, &BlockTQ1_0::d>(Format::kTQ1_0, "TQ1_0"),
    Scaled<UnpackTQ2_0, &BlockTQ2_0::d>(Format::kTQ2_0, "TQ2_0"),
    Checked<UnpackMXFP4, HasFiniteWeights>(Format::kMXFP4, "MXFP4"),
};

struct UnsupportedFormat {
  std::uint32_t id;
  const char* name;
};

constexpr UnsupportedFormat kUnsupportedFormats[] = {
    {4, "Q4_2 (removed from GGUF; re-quantise to Q4_0)"},
    {5, "Q4_3 (removed from GGUF; re-quantise to Q4_1)"},
    {9, "Q8_1 (never stored in files; re-quantise to Q8_0)"},
    {15, "Q8_K (never stored in files; re-quantise to Q8_0)"},
    {24, "I8"},
    {25, "I16"},
    {26, "I32"},
    {27, "I64"},
    {28, "F64"},
    {31, "Q4_0_4_4 (removed from GGUF; re-quantise to Q4_0)"},
    {32, "Q4_0_4_8 (removed from GGUF; re-quantise to Q4_0)"},
    {33, "Q4_0_8_8 (removed from GGUF; re-quantise to Q4_0)"},
    {36, "IQ4_NL_4_4 (removed from GGUF; re-quantise to Q4_0)"},
    {37, "IQ4_NL_4_8 (removed from GGUF; re-quantise to Q4_0)"},
    {38, "IQ4_NL_8_8 (removed from GGUF; re-quantise to Q4_0)"},
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
