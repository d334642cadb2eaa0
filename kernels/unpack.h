// The formats, one short struct each, which says all there is to say of it: its name, its id in GGUF files, its block,
// and how a block is taken apart. Tables of formats and products are made from lists of these types (format_table.h,
// scalar/matmul.h, simd/kernel_set-inl.h).
//
// A quantized format is unsigned codes in groups, and a scale and a minimum a group.
//   weight = scale * (code - kZero) + minimum
// It is either symmetric (kZero > 0, no minimum) or has minimums (kZero = 0).
//
// This file has the formats of plain numbers and those of 32 weights a block; those of 256 are in unpack_k.h and
// unpack_iq.h.
//
// Files compiled with instruction-set flags use the types and their constants, but must not call the functions: the
// linker may keep any file's copy of them.

#ifndef SLM_KERNELS_UNPACK_H_
#define SLM_KERNELS_UNPACK_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "formats.h"
#include "iq_grids.h"

namespace slm {

template <class... Formats>
struct TypeList {};

// Block `index` of those at `blocks`, which files in memory may have at any address.
template <class Block>
Block BlockAt(const void* blocks, std::int64_t index) {
  Block block;
  std::memcpy(&block, static_cast<const std::byte*>(blocks) + static_cast<std::size_t>(index) * sizeof(Block),
              sizeof(Block));
  return block;
}

// A format of numbers.
template <Format kId, class Element>
struct Plain {
  using Block = Element;
  static constexpr Format kFormat = kId;
  static constexpr Activation kActivation = Activation::kFloat;
  static constexpr int kElements = 1;
};

inline bool IsFiniteHalf(Half x) { return (x & 0x7C00) != 0x7C00; }

struct F32 : Plain<Format::kF32, float> {
  static constexpr const char* kName = "F32";
  static float ToFloat(float x) { return x; }
  static bool IsFinite(float x) { return std::isfinite(x); }
};

struct F16 : Plain<Format::kF16, Half> {
  static constexpr const char* kName = "F16";
  static float ToFloat(Half x) { return HalfToFloat(x); }
  static bool IsFinite(Half x) { return IsFiniteHalf(x); }
};

struct BF16 : Plain<Format::kBF16, Half> {
  static constexpr const char* kName = "BF16";
  static float ToFloat(Half x) { return Bfloat16ToFloat(x); }
  static bool IsFinite(Half x) { return (x & 0x7F80) != 0x7F80; }
};

// Blocks of kElements weights, each kGroup of which have a scale.
template <Format kId, class BlockOfFormat, int kElementsOfBlock, int kElementsOfGroup, int kZeroPoint>
struct Quantized {
  using Block = BlockOfFormat;
  static_assert(std::has_unique_object_representations_v<Block>, "a block has no padding");
  static constexpr Format kFormat = kId;
  static constexpr Activation kActivation = Activation::kInt8;
  static constexpr int kElements = kElementsOfBlock;
  static constexpr int kGroup = kElementsOfGroup;
  static constexpr int kZero = kZeroPoint;

  // Whether the block's weights are finite: those of most formats are if d is, and the minimums' m or dmin.
  static bool IsFinite(const Block& block) {
    bool finite = IsFiniteHalf(block.d);
    if constexpr (requires { block.m; }) finite = finite && IsFiniteHalf(block.m);
    if constexpr (requires { block.dmin; }) finite = finite && IsFiniteHalf(block.dmin);
    return finite;
  }
};

// Large enough for any format: 256 codes, 16 groups.
struct UnpackedBlock {
  std::uint8_t codes[256];
  float scales[16];
  float minimums[16];  // left alone by symmetric formats
};

// 16 bytes of two codes each: weights 0..15 in the low nibbles, 16..31 in the high ones.
inline void UnpackNibbles(const std::uint8_t qs[16], std::uint8_t codes[32]) {
  for (int i = 0; i < 16; ++i) {
    codes[i] = qs[i] & 15;
    codes[i + 16] = qs[i] >> 4;
  }
}

// Adds the fifth bits: bit i % 8 of byte i / 8 for weight i.
inline void AddFifthBits(const std::uint8_t qh[4], std::uint8_t codes[32]) {
  for (int i = 0; i < 32; ++i) codes[i] |= static_cast<std::uint8_t>((qh[i / 8] >> (i % 8) & 1) << 4);
}

struct Q4_0 : Quantized<Format::kQ4_0, BlockQ4_0, 32, 32, 8> {
  static constexpr const char* kName = "Q4_0";

  static void Unpack(const Block& block, UnpackedBlock& out) {
    UnpackNibbles(block.qs, out.codes);
    out.scales[0] = HalfToFloat(block.d);
  }
};

struct Q4_1 : Quantized<Format::kQ4_1, BlockQ4_1, 32, 32, 0> {
  static constexpr const char* kName = "Q4_1";

  static void Unpack(const Block& block, UnpackedBlock& out) {
    UnpackNibbles(block.qs, out.codes);
    out.scales[0] = HalfToFloat(block.d);
    out.minimums[0] = HalfToFloat(block.m);
  }
};

struct Q5_0 : Quantized<Format::kQ5_0, BlockQ5_0, 32, 32, 16> {
  static constexpr const char* kName = "Q5_0";

  static void Unpack(const Block& block, UnpackedBlock& out) {
    UnpackNibbles(block.qs, out.codes);
    AddFifthBits(block.qh, out.codes);
    out.scales[0] = HalfToFloat(block.d);
  }
};

struct Q5_1 : Quantized<Format::kQ5_1, BlockQ5_1, 32, 32, 0> {
  static constexpr const char* kName = "Q5_1";

  static void Unpack(const Block& block, UnpackedBlock& out) {
    UnpackNibbles(block.qs, out.codes);
    AddFifthBits(block.qh, out.codes);
    out.scales[0] = HalfToFloat(block.d);
    out.minimums[0] = HalfToFloat(block.m);
  }
};

struct Q8_0 : Quantized<Format::kQ8_0, BlockQ8_0, 32, 32, 128> {
  static constexpr const char* kName = "Q8_0";

  static void Unpack(const Block& block, UnpackedBlock& out) {
    for (int i = 0; i < 32; ++i) out.codes[i] = static_cast<std::uint8_t>(block.qs[i] + 128);
    out.scales[0] = HalfToFloat(block.d);
  }
};

// Nibbles as UnpackNibbles, each looked up.
inline void LookUpNibbles(const std::uint8_t qs[16], const std::uint8_t table[16], std::uint8_t codes[32]) {
  UnpackNibbles(qs, codes);
  for (int i = 0; i < 32; ++i) codes[i] = table[codes[i]];
}

struct IQ4_NL : Quantized<Format::kIQ4_NL, BlockIQ4_NL, 32, 32, 128> {
  static constexpr const char* kName = "IQ4_NL";

  static void Unpack(const Block& block, UnpackedBlock& out) {
    LookUpNibbles(block.qs, kIq4Codes, out.codes);
    out.scales[0] = HalfToFloat(block.d);
  }
};

struct MXFP4 : Quantized<Format::kMXFP4, BlockMXFP4, 32, 32, 16> {
  static constexpr const char* kName = "MXFP4";

  static void Unpack(const Block& block, UnpackedBlock& out) {
    LookUpNibbles(block.qs, kMxfp4Codes, out.codes);
    out.scales[0] = std::ldexp(1.0f, block.e - 128);
  }

  // A scale is always finite, but with the largest some weights are not.
  static bool IsFinite(const Block& block) {
    UnpackedBlock unpacked;
    Unpack(block, unpacked);
    return std::ranges::all_of(unpacked.codes, unpacked.codes + kElements, [&](std::uint8_t code) {
      return std::isfinite(unpacked.scales[0] * static_cast<float>(code - kZero));
    });
  }
};

// A family is what is compiled together for an instruction set (kernels/CMakeLists.txt).
namespace basic {
using Formats = TypeList<F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, IQ4_NL, MXFP4>;
}

}  // namespace slm

#endif  // SLM_KERNELS_UNPACK_H_
