// The integer vocabulary of the matrix products for NEON: 4 weight rows a vector, 4 columns of each row a 32-bit lane.
// See int8_avx2-inl.h for what each function does.
//
// Int8NeonBase is what the variants share: Int8Neon here multiplies with what every 64-bit ARM processor has, those of
// int8_neon_dotprod-inl.h and int8_neon_i8mm-inl.h with the extensions of that name.

#ifndef SLM_KERNELS_SIMD_INT8_NEON_INL_H_
#define SLM_KERNELS_SIMD_INT8_NEON_INL_H_

#include <arm_neon.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels.h"
#include "simd/rows_neon-inl.h"
#include "simd/unroll-inl.h"

namespace slm {
namespace {

struct Int8NeonBase {
  static constexpr int kRows = 4;
  using Bytes = uint8x16_t;    // [4 rows][4 columns] of codes
  using Ints = int32x4_t;      // [4 rows]
  using Floats = float32x4_t;  // [4 rows]

  using Codes = const std::uint8_t (*)[16];

  // Products here take both operands signed; see SignedCodes.
  static constexpr int kByteZero = 0;

  static Bytes Set1(int byte) { return vdupq_n_u8(static_cast<std::uint8_t>(byte)); }
  static Bytes And(Bytes a, Bytes b) { return vandq_u8(a, b); }
  static Bytes Or(Bytes a, Bytes b) { return vorrq_u8(a, b); }
  static Bytes Xor(Bytes a, Bytes b) { return veorq_u8(a, b); }
  template <int kBits>
  static Bytes ShiftRight(Bytes a) {
    return vshrq_n_u8(a, kBits);
  }
  template <int kBits>
  static Bytes ShiftLeft(Bytes a) {
    return vshlq_n_u8(a, kBits);
  }

  static void LoadColumns(const std::uint8_t* const* rows, std::size_t offset, Bytes out[4]) {
    Transpose(vld1q_u8(rows[0] + offset), vld1q_u8(rows[1] + offset), vld1q_u8(rows[2] + offset),
              vld1q_u8(rows[3] + offset), out);
  }
  template <int kBits>
  static void StoreCodes(const RowsNeonBase::Bytes rows[4], std::uint8_t out[8][16]) {
    Bytes columns[8];
    Transpose(rows[0].low, rows[1].low, rows[2].low, rows[3].low, columns);
    Transpose(rows[0].high, rows[1].high, rows[2].high, rows[3].high, columns + 4);
    for (int i = 0; i < 8; ++i) StoreBytes(out[i], SignedCodes<kBits>(columns[i]));
  }

  static Floats LowHalves(Bytes lanes) { return Widen(vmovn_u32(vreinterpretq_u32_u8(lanes))); }
  static Floats HighHalves(Bytes lanes) { return Widen(vshrn_n_u32(vreinterpretq_u32_u8(lanes), 16)); }
  // A shift to the left by a negative number is one to the right.
  static Floats UnsignedByte(Bytes lanes, int index) {
    const uint32x4_t shifted = vshlq_u32(vreinterpretq_u32_u8(lanes), vdupq_n_s32(-8 * index));
    return vcvtq_f32_u32(vandq_u32(shifted, vdupq_n_u32(0xFF)));
  }
  static Floats SignedByte(Bytes lanes, int index) {
    return vcvtq_f32_s32(vshrq_n_s32(vshlq_s32(vreinterpretq_s32_u8(lanes), vdupq_n_s32(24 - 8 * index)), 24));
  }

  static Floats Zero() { return vdupq_n_f32(0); }
  static Floats Broadcast(const float* value) { return vld1q_dup_f32(value); }
  static Floats SetAll(float value) { return vdupq_n_f32(value); }
  static Floats Mul(Floats a, Floats b) { return vmulq_f32(a, b); }
  static Floats MulAdd(Floats a, Floats b, Floats c) { return vfmaq_f32(c, a, b); }
  static Ints BroadcastInt(const std::int32_t* value) { return vld1q_dup_s32(value); }
  static Ints Sub(Ints a, Ints b) { return vsubq_s32(a, b); }
  template <int kPowerOfTwo>
  static Ints Times(Ints a) {
    return vshlq_n_s32(a, std::countr_zero(static_cast<unsigned>(kPowerOfTwo)));
  }
  static Floats Convert(Ints a) { return vcvtq_f32_s32(a); }
  static Floats Load(const float* from) { return vld1q_f32(from); }
  static Bytes LoadBytes(const std::uint8_t* from) { return vld1q_u8(from); }
  static void Store(float* to, Floats a) { vst1q_f32(to, a); }
  static void StoreUnaligned(float* to, Floats a) { vst1q_f32(to, a); }
  static void StoreBytes(std::uint8_t* to, Bytes a) { vst1q_u8(to, a); }

 protected:
  // 0..255 becomes -128..127; fewer bits are either.
  template <int kBits>
  static Bytes SignedCodes(Bytes codes) {
    return kBits == 8 ? Xor(codes, Set1(128)) : codes;
  }

  static int8x16_t LoadSigned(const std::uint8_t* codes) { return vreinterpretq_s8_u8(vld1q_u8(codes)); }

  // The factors of 2 or 4 groups of 8, a lane each; `offset` counts bytes.
  template <int kGroups>
  static int32x4_t LoadFactors(const std::int16_t* factors, std::ptrdiff_t offset) {
    static_assert(kGroups == 2 || kGroups == 4);
    int32x4_t twice = {};
    std::memcpy(&twice, reinterpret_cast<const std::byte*>(factors) + offset, kGroups * 2 * sizeof(*factors));
    return vshrq_n_s32(twice, 16);
  }

 private:
  static void Transpose(Bytes row0, Bytes row1, Bytes row2, Bytes row3, Bytes out[4]) {
    const uint32x4_t a = vreinterpretq_u32_u8(row0), b = vreinterpretq_u32_u8(row1);
    const uint32x4_t c = vreinterpretq_u32_u8(row2), d = vreinterpretq_u32_u8(row3);
    const uint64x2_t ab_even = vreinterpretq_u64_u32(vtrn1q_u32(a, b)),
                     ab_odd = vreinterpretq_u64_u32(vtrn2q_u32(a, b));
    const uint64x2_t cd_even = vreinterpretq_u64_u32(vtrn1q_u32(c, d)),
                     cd_odd = vreinterpretq_u64_u32(vtrn2q_u32(c, d));
    out[0] = vreinterpretq_u8_u64(vzip1q_u64(ab_even, cd_even));
    out[1] = vreinterpretq_u8_u64(vzip1q_u64(ab_odd, cd_odd));
    out[2] = vreinterpretq_u8_u64(vzip2q_u64(ab_even, cd_even));
    out[3] = vreinterpretq_u8_u64(vzip2q_u64(ab_odd, cd_odd));
  }
  static Floats Widen(uint16x4_t halves) { return vcvt_f32_f16(vreinterpret_f16_u16(halves)); }
};

struct Int8Neon : Int8NeonBase {
  using Rows = RowsNeon;
  static constexpr int kPanels = 2;
  static constexpr int TileTokens(int) { return 3; }

  // Two products of 8 bits (127 * 128 at most) fit into 16 bits; of up to 6 bits, four.
  template <int kBits, int kGroups, int kPanels, int kTokens>
  [[gnu::always_inline]] static inline void Dot(const Codes (&codes)[kPanels], const std::int8_t* q,
                                                const std::int16_t* factors, std::ptrdiff_t stride,
                                                Ints sums[kPanels][kTokens]) {
    int32x4_t halves[kPanels][kTokens][2] = {};  // each row's sum in two neighbouring lanes
    int32x4_t factor[kTokens];
    for (int t = 0; t < kTokens; ++t) factor[t] = LoadFactors<kGroups>(factors, t * stride);
    ForEach<kGroups>([&](auto g) __attribute__((always_inline)) {
      int8x16_t first[kPanels], second[kPanels];
      for (int p = 0; p < kPanels; ++p) {
        first[p] = LoadSigned(codes[p][2 * g]);
        second[p] = LoadSigned(codes[p][2 * g + 1]);
      }
      for (int t = 0; t < kTokens; ++t) {
        const int8x16_t x0 = Word(q + t * stride + 8 * g), x1 = Word(q + t * stride + 8 * g + 4);
        for (int p = 0; p < kPanels; ++p) {
          int32x4_t(&sum)[2] = halves[p][t];
          const int16x8_t low =
              vmlal_s8(vmull_s8(vget_low_s8(first[p]), vget_low_s8(x0)), vget_low_s8(second[p]), vget_low_s8(x1));
          const int16x8_t high = vmlal_high_s8(vmull_high_s8(first[p], x0), second[p], x1);
          if constexpr (kBits == 8) {
            sum[0] = vmlaq_laneq_s32(sum[0], vpaddlq_s16(low), factor[t], g);
            sum[1] = vmlaq_laneq_s32(sum[1], vpaddlq_s16(high), factor[t], g);
          } else {
            static_assert(kBits <= 6);
            const int16x8_t pairs = vpaddq_s16(low, high);
            const int16x8_t factor16 = vreinterpretq_s16_s32(factor[t]);
            sum[0] = vmlal_laneq_s16(sum[0], vget_low_s16(pairs), factor16, 2 * g);
            sum[1] = vmlal_high_laneq_s16(sum[1], pairs, factor16, 2 * g);
          }
        }
      }
    });
    for (int p = 0; p < kPanels; ++p) {
      for (int t = 0; t < kTokens; ++t) sums[p][t] = vpaddq_s32(halves[p][t][0], halves[p][t][1]);
    }
  }

  // smlal of 8 bits.
  static std::uint64_t Peak(std::uint64_t rounds) {
    int8x8_t codes = vdup_n_s8(3), q = vdup_n_s8(5);
    int16x8_t sums[16] = {};
    for (std::uint64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 16
      for (int16x8_t& sum : sums) {
        asm volatile("" : "+w"(codes), "+w"(sum));  // computed each time
        sum = vmlal_s8(sum, codes, q);
      }
    }
    return rounds * 16 * sizeof(int8x8_t);
  }

 private:
  // Four bytes, in every lane.
  static int8x16_t Word(const std::int8_t* from) {
    std::int32_t word;
    std::memcpy(&word, from, sizeof(word));
    return vreinterpretq_s8_s32(vdupq_n_s32(word));
  }
};

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_INT8_NEON_INL_H_
