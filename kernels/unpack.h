// The quantized formats taken apart, one short struct each: unsigned codes in groups, and a scale and a minimum a
// group.
//   weight = scale * (code - kZero) + minimum
// A format is either symmetric (kZero > 0, no minimum) or has minimums (kZero = 0).
//
// For formats.cc and scalar/ only: the linker may keep any file's copy of these functions, so no file compiled with
// instruction-set flags may include them.

#ifndef SLM_KERNELS_UNPACK_H_
#define SLM_KERNELS_UNPACK_H_

#include <cstdint>

#include "formats.h"

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

// The eight 6-bit scales and minimums of Q4_K and Q5_K. Bytes 0..3 hold scales 0..3 and bytes 4..7 minimums 0..3 in
// their low six bits; bytes 8..11 hold the low nibbles of scales and minimums 4..7, whose top two bits fill bytes 0..7
// up.
inline void UnpackSubScales(const std::uint8_t packed[12], Half d, Half dmin, UnpackedBlock& out) {
  for (int j = 0; j < 8; ++j) {
    int scale = packed[j] & 63;
    int minimum = packed[j + 4] & 63;
    if (j >= 4) {
      scale = (packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4;
      minimum = (packed[j + 4] >> 4) | (packed[j] >> 6) << 4;
    }
    out.scales[j] = HalfToFloat(d) * static_cast<float>(scale);
    out.minimums[j] = -(HalfToFloat(dmin) * static_cast<float>(minimum));
  }
}

// Sub-blocks 2k and 2k + 1 are the low and the high nibbles of the k-th 32 bytes.
inline void UnpackNibblePairs(const std::uint8_t qs[128], std::uint8_t codes[256]) {
  for (int e = 0; e < 256; ++e) {
    const int pair = e / 64;
    const int shift = e / 32 % 2 * 4;
    codes[e] = qs[32 * pair + e % 32] >> shift & 15;
  }
}

struct UnpackQ4_K {
  using Block = BlockQ4_K;
  static constexpr int kElements = 256;
  static constexpr int kGroup = 32;
  static constexpr int kZero = 0;

  static void Unpack(const Block& block, UnpackedBlock& out) {
    UnpackSubScales(block.scales, block.d, block.dmin, out);
    UnpackNibblePairs(block.qs, out.codes);
  }
};

// Bit j of qh[l] is the fifth bit of weight l of sub-block j.
struct UnpackQ5_K {
  using Block = BlockQ5_K;
  static constexpr int kElements = 256;
  static constexpr int kGroup = 32;
  static constexpr int kZero = 0;

  static void Unpack(const Block& block, UnpackedBlock& out) {
    UnpackSubScales(block.scales, block.d, block.dmin, out);
    UnpackNibblePairs(block.qs, out.codes);
    for (int e = 0; e < 256; ++e) {
      out.codes[e] |= static_cast<std::uint8_t>((block.qh[e % 32] >> (e / 32) & 1) << 4);
    }
  }
};

// Each half of 128 weights is four runs of 32. Runs 0 and 1 are the low, runs 2 and 3 the high nibbles of 64 bytes of
// ql; bits 2k and 2k + 1 of 32 bytes of qh are the top bits of run k.
struct UnpackQ6_K {
  using Block = BlockQ6_K;
  static constexpr int kElements = 256;
  static constexpr int kGroup = 16;
  static constexpr int kZero = 32;

  static void Unpack(const Block& block, UnpackedBlock& out) {
    for (int e = 0; e < 256; ++e) {
      const int half = e / 128;
      const int run = e / 32 % 4;
      const int low = block.ql[64 * half + 32 * (run % 2) + e % 32] >> (run / 2 * 4) & 15;
      const int high = block.qh[32 * half + e % 32] >> (2 * run) & 3;
      out.codes[e] = static_cast<std::uint8_t>(low | high << 4);
    }
    for (int j = 0; j < 16; ++j) out.scales[j] = HalfToFloat(block.d) * static_cast<float>(block.scales[j]);
  }
};

}  // namespace slm

#endif  // SLM_KERNELS_UNPACK_H_
