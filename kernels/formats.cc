#include "formats.h"

#include <algorithm>
#include <bit>
#include <iterator>

#include "format_table.h"

namespace slm {
namespace {

constexpr auto kFormats = MakeFormatTable(KnownFormats());

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
  const auto found = std::ranges::find(kFormats, static_cast<Format>(id), &FormatInfo::format);
  return found == kFormats.end() ? nullptr : &*found;
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
