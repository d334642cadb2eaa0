// The quantized formats taken apart, one short struct each: unsigned codes in groups, and a scale and a minimum a
// group.
//   weight = scale * (code - kZero) + minimum
// A format is either symmetric (kZero > 0, no minimum) or has minimums (kZero = 0).
//
// This file has the formats of 32 weights a block; those of 256 are in unpack_k.h and unpack_iq.h.
//
// For formats.cc and scalar/ only: the linker may keep any file's copy of these functions, so no file compiled with
// instruction-set flags may include them.

#ifndef SLM_KERNELS_UNPACK_H_
#define SLM_KERNELS_UNPACK_H_

#include <cmath>
#include <cstdint>

#include "formats.h"
#include "iq_grids.h"

namespace slm {

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

struct UnpackQ4_0 {
  using Block = BlockQ4_0;
  static constexpr int kElements = 32;
  static constexpr int kGroup = 32;
  static constexpr int kZero = 8;

  static void Unpack(const Block& block, UnpackedBlock& out) {
    UnpackNibbles(block.qs, out.codes);
    out.scales[0] = HalfToFloat(block.d);
  }
};

struct UnpackQ4_1 {
  using Block = BlockQ4_1;
  static constexpr int kElements = 32;
  static constexpr int kGroup = 32;
  static constexpr int kZero = 0;

  static void Unpack(const Block& block, UnpackedBlock& out) {
    UnpackNibbles(block.qs, out.codes);
    out.scales[0] = HalfToFloat(block.d);
    out.minimums[0] = HalfToFloat(block.m);
  }
};

struct UnpackQ5_0 {
  using Block = BlockQ5_0;
  static constexpr int kElements = 32;
  static constexpr int kGroup = 32;
  static constexpr int kZero = 16;

  static void Unpack(const Block& block, UnpackedBlock& out) {
    UnpackNibbles(block.qs, out.codes);
    AddFifthBits(block.qh, out.codes);
    out.scales[0] = HalfToFloat(block.d);
  }
};

struct UnpackQ5_1 {
  using Block = BlockQ5_1;
  static constexpr int kElements = 32;
  static constexpr int kGroup = 32;
  static constexpr int kZero = 0;

  static void Unpack(const Block& block, UnpackedBlock& out) {
    UnpackNibbles(block.qs, out.codes);
    AddFifthBits(block.qh, out.codes);
    out.scales[0] = HalfToFloat(block.d);
    out.minimums[0] = HalfToFloat(block.m);
  }
};

struct UnpackQ8_0 {
  using Block = BlockQ8_0;
  static constexpr int kElements = 32;
  static constexpr int kGroup = 32;
  static constexpr int kZero = 128;

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

struct UnpackIQ4_NL {
  using Block = BlockIQ4_NL;
  static constexpr int kElements = 32;
  static constexpr int kGroup = 32;
  static constexpr int kZero = 128;

  static void Unpack(const Block& block, UnpackedBlock& out) {
    LookUpNibbles(block.qs, kIq4Codes, out.codes);
    out.scales[0] = HalfToFloat(block.d);
  }
};

struct UnpackMXFP4 {
  using Block = BlockMXFP4;
  static constexpr int kElements = 32;
  static constexpr int kGroup = 32;
  static constexpr int kZero = 16;

  static void Unpack(const Block& block, UnpackedBlock& out) {
    LookUpNibbles(block.qs, kMxfp4Codes, out.codes);
    out.scales[0] = std::ldexp(1.0f, block.e - 128);
  }
};

}  // namespace slm

#endif  // SLM_KERNELS_UNPACK_H_
