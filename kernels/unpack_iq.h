// The quantized formats of 256 weights a block whose codes are looked up in tables. See unpack.h.
//
// IQ2 and IQ3 blocks hold indices of tables of magnitudes, four or eight weights an index, and signs; IQ1 blocks
// indices of tables of -1, 0 and 1, which for the whole group are shifted up or down by 1/8. All scales are exact in
// float.

#ifndef SLM_KERNELS_UNPACK_IQ_H_
#define SLM_KERNELS_UNPACK_IQ_H_

#include <bit>
#include <cstdint>

#include "formats.h"
#include "iq_grids.h"
#include "unpack.h"

namespace slm {

// The scales are 6 bits, less 32: for each 32 weights a nibble of scales_l and two bits of scales_h.
struct IQ4_XS : Quantized<Format::kIQ4_XS, BlockIQ4_XS, 256, 32, 128> {
  static constexpr const char* kName = "IQ4_XS";

  static void Unpack(const Block& block, UnpackedBlock& out) {
    for (int j = 0; j < 8; ++j) {
      LookUpNibbles(block.qs + 16 * j, kIq4Codes, out.codes + 32 * j);
      const int low = block.scales_l[j / 2] >> (j % 2 * 4) & 15;
      const int high = block.scales_h >> (2 * j) & 3;
      out.scales[j] = HalfToFloat(block.d) * static_cast<float>((low | high << 4) - 32);
    }
  }
};

// Nibble j of the scales of IQ2_XS, IQ2_S and IQ3_S.
inline int NibbleAt(const std::uint8_t* bytes, int j) { return bytes[j / 2] >> (j % 2 * 4) & 15; }

// kCount magnitudes with the sign of bit i of `signs`, as codes.
template <int kCount>
inline void SetSigned(const std::uint8_t* magnitudes, std::uint32_t signs, int zero, std::uint8_t* codes) {
  for (int i = 0; i < kCount; ++i) {
    codes[i] = static_cast<std::uint8_t>((signs >> i & 1) != 0 ? zero - magnitudes[i] : zero + magnitudes[i]);
  }
}

// Four times seven signs and a scale of 4 bits, as IQ2_XXS and IQ3_XXS have for each 32 weights. The eighth sign makes
// the number of minuses even.
struct SignsAndScale {
  std::uint32_t bits;

  explicit SignsAndScale(const std::uint16_t halves[2]) : bits(halves[0] | std::uint32_t{halves[1]} << 16) {}

  static std::uint32_t WithEighth(std::uint32_t seven) {
    return seven | static_cast<std::uint32_t>(std::popcount(seven) & 1) << 7;
  }
  std::uint32_t Signs(int of_eight) const { return WithEighth(bits >> (7 * of_eight) & 127); }
  float Scale() const { return 0.5f + static_cast<float>(bits >> 28); }
};

struct IQ3_XXS : Quantized<Format::kIQ3_XXS, BlockIQ3_XXS, 256, 32, 64> {
  static constexpr const char* kName = "IQ3_XXS";

  static void Unpack(const Block& block, UnpackedBlock& out) {
    for (int j = 0; j < 8; ++j) {
      const SignsAndScale of_group(block.signs_and_scales + 2 * j);
      for (int i = 0; i < 8; ++i) {
        const std::uint32_t signs = of_group.Signs(i / 2) >> (i % 2 * 4);
        SetSigned<4>(kIq3XxsGrid.values[block.qs[8 * j + i]], signs, kZero, out.codes + 32 * j + 4 * i);
      }
      out.scales[j] = HalfToFloat(block.d) * of_group.Scale() * 0.5f;
    }
  }
};

// Bit i of qh[j] is the ninth bit of index i of the j-th 32 weights.
struct IQ3_S : Quantized<Format::kIQ3_S, BlockIQ3_S, 256, 32, 16> {
  static constexpr const char* kName = "IQ3_S";

  static void Unpack(const Block& block, UnpackedBlock& out) {
    for (int i = 0; i < 64; ++i) {
      const int index = block.qs[i] | (block.qh[i / 8] >> (i % 8) & 1) << 8;
      const std::uint32_t signs = block.signs[i / 2] >> (i % 2 * 4);
      SetSigned<4>(kIq3SGrid.values[index], signs, kZero, out.codes + 4 * i);
    }
    for (int j = 0; j < 8; ++j)
      out.scales[j] = HalfToFloat(block.d) * static_cast<float>(1 + 2 * NibbleAt(block.scales, j));
  }
};

struct IQ2_XXS : Quantized<Format::kIQ2_XXS, BlockIQ2_XXS, 256, 32, 64> {
  static constexpr const char* kName = "IQ2_XXS";

  static void Unpack(const Block& block, UnpackedBlock& out) {
    for (int j = 0; j < 8; ++j) {
      const std::uint16_t* of_group = block.qs + 4 * j;
      const SignsAndScale signs_and_scale(of_group + 2);
      for (int i = 0; i < 4; ++i) {
        const int index = of_group[i / 2] >> (i % 2 * 8) & 255;
        SetSigned<8>(kIq2XxsGrid.values[index], signs_and_scale.Signs(i), kZero, out.codes + 32 * j + 8 * i);
      }
      out.scales[j] = HalfToFloat(block.d) * signs_and_scale.Scale() * 0.25f;
    }
  }
};

// The scales of IQ2_XS and IQ2_S.
inline void SetNibbleScales(Half d, const std::uint8_t scales[8], UnpackedBlock& out) {
  for (int j = 0; j < 16; ++j)
    out.scales[j] = HalfToFloat(d) * (0.5f + static_cast<float>(NibbleAt(scales, j))) * 0.25f;
}

// Indices of 9 bits, and above them seven signs.
struct IQ2_XS : Quantized<Format::kIQ2_XS, BlockIQ2_XS, 256, 16, 64> {
  static constexpr const char* kName = "IQ2_XS";

  static void Unpack(const Block& block, UnpackedBlock& out) {
    for (int i = 0; i < 32; ++i) {
      const std::uint32_t signs = SignsAndScale::WithEighth(block.qs[i] >> 9);
      SetSigned<8>(kIq2XsGrid.values[block.qs[i] & 511], signs, kZero, out.codes + 8 * i);
    }
    SetNibbleScales(block.d, block.scales, out);
  }
};

// Bits 2i and 2i + 1 of qh[j] are the top bits of index i of the j-th 32 weights.
struct IQ2_S : Quantized<Format::kIQ2_S, BlockIQ2_S, 256, 16, 64> {
  static constexpr const char* kName = "IQ2_S";

  static void Unpack(const Block& block, UnpackedBlock& out) {
    for (int i = 0; i < 32; ++i) {
      const int index = block.qs[i] | (block.qh[i / 4] >> (i % 4 * 2) & 3) << 8;
      SetSigned<8>(kIq2SGrid.values[index], block.signs[i], kZero, out.codes + 8 * i);
    }
    SetNibbleScales(block.d, block.scales, out);
  }
};

// Eight weights of IQ1_S or IQ1_M in eighths: eight times -1, 0 or 1, plus or minus 1.
inline void SetShifted(int index, bool down, std::uint8_t* codes) {
  const std::uint8_t* entry = kIq1Grid.values[index];
  for (int i = 0; i < 8; ++i) codes[i] = static_cast<std::uint8_t>(down ? entry[i] - 1 : entry[i] + 1);
}

// For each 32 weights qh has the top three bits of four indices, the three bits of a scale and, in the uppermost, which
// way they are shifted.
struct IQ1_S : Quantized<Format::kIQ1_S, BlockIQ1_S, 256, 32, 16> {
  static constexpr const char* kName = "IQ1_S";

  static void Unpack(const Block& block, UnpackedBlock& out) {
    for (int j = 0; j < 8; ++j) {
      const int qh = block.qh[j];
      for (int i = 0; i < 4; ++i) {
        const int index = block.qs[4 * j + i] | (qh >> (3 * i) & 7) << 8;
        SetShifted(index, (qh & 0x8000) != 0, out.codes + 32 * j + 8 * i);
      }
      out.scales[j] = HalfToFloat(block.d) * static_cast<float>(2 * (qh >> 12 & 7) + 1) * 0.125f;
    }
  }
};

// Each nibble of qh has the top three bits of an index and which way its weights are shifted. The block's d is spread
// over the top four bits of `scales`, the lowest part of it in the first.
struct IQ1_M : Quantized<Format::kIQ1_M, BlockIQ1_M, 256, 16, 16> {
  static constexpr const char* kName = "IQ1_M";

  static Half ScaleOf(const Block& block) {
    int d = 0;
    for (int i = 0; i < 4; ++i) d |= block.scales[i] >> 12 << (4 * i);
    return static_cast<Half>(d);
  }

  static bool IsFinite(const Block& block) { return IsFiniteHalf(ScaleOf(block)); }

  static void Unpack(const Block& block, UnpackedBlock& out) {
    for (int i = 0; i < 32; ++i) {
      const int high = NibbleAt(block.qh, i);
      SetShifted(block.qs[i] | (high & 7) << 8, (high & 8) != 0, out.codes + 8 * i);
    }
    const float d = HalfToFloat(ScaleOf(block));
    for (int j = 0; j < 16; ++j) {
      const int scale = block.scales[j / 4] >> (j % 4 * 3) & 7;
      out.scales[j] = d * static_cast<float>(2 * scale + 1) * 0.125f;
    }
  }
};

namespace iq {
using Formats = TypeList<IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S, IQ4_XS>;
}

}  // namespace slm

#endif  // SLM_KERNELS_UNPACK_IQ_H_
