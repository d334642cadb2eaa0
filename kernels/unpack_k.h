// The quantized formats of 256 weights a block whose codes are plain numbers: Q2_K to Q6_K, TQ1_0 and TQ2_0. See
// unpack.h.

#ifndef SLM_KERNELS_UNPACK_K_H_
#define SLM_KERNELS_UNPACK_K_H_

#include <algorithm>
#include <cstdint>

#include "formats.h"
#include "unpack.h"

namespace slm {

// Each half of 128 weights is four runs of 32: bits 2k and 2k + 1 of 32 bytes are run k.
inline void UnpackTwoBits(const std::uint8_t qs[64], std::uint8_t codes[256]) {
  for (int e = 0; e < 256; ++e) {
    const int half = e / 128;
    const int run = e / 32 % 4;
    codes[e] = qs[32 * half + e % 32] >> (2 * run) & 3;
  }
}

// The scales are the low nibbles, the minimums the high ones.
struct Q2_K : Quantized<Format::kQ2_K, BlockQ2_K, 256, 16, 0> {
  static constexpr const char* kName = "Q2_K";

  static void Unpack(const Block& block, UnpackedBlock& out) {
    UnpackTwoBits(block.qs, out.codes);
    for (int j = 0; j < 16; ++j) {
      out.scales[j] = HalfToFloat(block.d) * static_cast<float>(block.scales[j] & 15);
      out.minimums[j] = -(HalfToFloat(block.dmin) * static_cast<float>(block.scales[j] >> 4));
    }
  }
};

// Bit j of hmask[l] is the third bit of weight l of the j-th 32. The low nibbles of scales 0..7 and 8..15 are the low
// and high nibbles of bytes 0..7; their top two bits are in bytes 8..11, those of scale j in bits 2 * (j / 4) and up of
// byte 8 + j % 4.
struct Q3_K : Quantized<Format::kQ3_K, BlockQ3_K, 256, 16, 4> {
  static constexpr const char* kName = "Q3_K";

  static void Unpack(const Block& block, UnpackedBlock& out) {
    UnpackTwoBits(block.qs, out.codes);
    for (int e = 0; e < 256; ++e) {
      out.codes[e] |= static_cast<std::uint8_t>((block.hmask[e % 32] >> (e / 32) & 1) << 2);
    }
    for (int j = 0; j < 16; ++j) {
      const int low = block.scales[j % 8] >> (j / 8 * 4) & 15;
      const int high = block.scales[8 + j % 4] >> (j / 4 * 2) & 3;
      out.scales[j] = HalfToFloat(block.d) * static_cast<float>((low | high << 4) - 32);
    }
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

struct Q4_K : Quantized<Format::kQ4_K, BlockQ4_K, 256, 32, 0> {
  static constexpr const char* kName = "Q4_K";

  static void Unpack(const Block& block, UnpackedBlock& out) {
    UnpackSubScales(block.scales, block.d, block.dmin, out);
    UnpackNibblePairs(block.qs, out.codes);
  }
};

// Bit j of qh[l] is the fifth bit of weight l of sub-block j.
struct Q5_K : Quantized<Format::kQ5_K, BlockQ5_K, 256, 32, 0> {
  static constexpr const char* kName = "Q5_K";

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
struct Q6_K : Quantized<Format::kQ6_K, BlockQ6_K, 256, 16, 32> {
  static constexpr const char* kName = "Q6_K";

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

// Five digits of base 3 a byte, which is the fraction they make times 256, rounded up: multiplied by 3 its overflow is
// the first digit, and what remains is the fraction of the others. 32 bytes hold weights 0..159 (byte m: m, m + 32
// ...), 16 the next 80, and four of four digits the last 16.
struct TQ1_0 : Quantized<Format::kTQ1_0, BlockTQ1_0, 256, 32, 1> {
  static constexpr const char* kName = "TQ1_0";

  static void UnpackDigits(const std::uint8_t* bytes, int n_bytes, int n_digits, std::uint8_t* codes) {
    for (int m = 0; m < n_bytes; ++m) {
      int fraction = bytes[m];
      for (int n = 0; n < n_digits; ++n) {
        codes[n * n_bytes + m] = static_cast<std::uint8_t>(fraction * 3 >> 8);
        fraction = fraction * 3 & 255;
      }
    }
  }

  static void Unpack(const Block& block, UnpackedBlock& out) {
    UnpackDigits(block.qs, 32, 5, out.codes);
    UnpackDigits(block.qs + 32, 16, 5, out.codes + 160);
    UnpackDigits(block.qh, 4, 4, out.codes + 240);
    std::fill_n(out.scales, 8, HalfToFloat(block.d));
  }
};

struct TQ2_0 : Quantized<Format::kTQ2_0, BlockTQ2_0, 256, 32, 1> {
  static constexpr const char* kName = "TQ2_0";

  static void Unpack(const Block& block, UnpackedBlock& out) {
    UnpackTwoBits(block.qs, out.codes);
    std::fill_n(out.scales, 8, HalfToFloat(block.d));
  }
};

namespace k {
using Formats = TypeList<Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, TQ1_0, TQ2_0>;
}

}  // namespace slm

#endif  // SLM_KERNELS_UNPACK_K_H_
