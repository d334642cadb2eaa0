// The integer vocabulary of the matrix products for NEON with products of int8 matrices (FEAT_I8MM).

#ifndef SLM_KERNELS_SIMD_INT8_NEON_I8MM_INL_H_
#define SLM_KERNELS_SIMD_INT8_NEON_I8MM_INL_H_

#include "simd/int8_neon-inl.h"
#include "simd/rows_neon_dotprod-inl.h"

namespace slm {
namespace {

// smmla multiplies 2 rows by 2 tokens over 8 columns, which are just the group that has a factor. So vectors of codes
// are [2 rows][8 columns] here: even ones hold rows 0 and 1, odd ones rows 2 and 3.
struct Int8NeonI8mm : Int8NeonBase {
  using Rows = RowsNeonDotProd;
  static constexpr int kPanels = 4;
  static constexpr int TileTokens(int) { return 2; }

  template <int kBits>
  static void StoreCodes(const RowsNeonBase::Bytes rows[4], std::uint8_t out[8][16]) {
    const auto store = [&](Bytes row0, Bytes row1, Bytes row2, Bytes row3, std::uint8_t(*to)[16]) {
      const uint64x2_t a = vreinterpretq_u64_u8(row0), b = vreinterpretq_u64_u8(row1);
      const uint64x2_t c = vreinterpretq_u64_u8(row2), d = vreinterpretq_u64_u8(row3);
      StoreBytes(to[0], SignedCodes<kBits>(vreinterpretq_u8_u64(vzip1q_u64(a, b))));
      StoreBytes(to[1], SignedCodes<kBits>(vreinterpretq_u8_u64(vzip1q_u64(c, d))));
      StoreBytes(to[2], SignedCodes<kBits>(vreinterpretq_u8_u64(vzip2q_u64(a, b))));
      StoreBytes(to[3], SignedCodes<kBits>(vreinterpretq_u8_u64(vzip2q_u64(c, d))));
    };
    store(rows[0].low, rows[1].low, rows[2].low, rows[3].low, out);
    store(rows[0].high, rows[1].high, rows[2].high, rows[3].high, out + 4);
  }

  // Tokens in pairs; an odd one is paired with itself.
  template <int kBits, int kGroups, int kPanels, int kTokens>
  [[gnu::always_inline]] static inline void Dot(const Codes (&codes)[kPanels], const std::int8_t* q,
                                                const std::int16_t* factors, std::ptrdiff_t stride,
                                                Ints sums[kPanels][kTokens]) {
#pragma GCC unroll 4
    for (int t = 0; t < kTokens; t += 2) {
      const std::ptrdiff_t first = t * stride, second = t + 1 < kTokens ? first + stride : first;
      int8x16_t x[kGroups];       // [2 tokens][8 columns]
      int32x4_t factor[kGroups];  // [twice][2 tokens]
      for (int g = 0; g < kGroups; ++g) x[g] = vcombine_s8(vld1_s8(q + first + 8 * g), vld1_s8(q + second + 8 * g));
      LoadFactorPairs<kGroups>(factors, first, second, factor);
#pragma GCC unroll 4
      for (int p = 0; p < kPanels; ++p) {
        int32x4_t upper = {}, lower = {};  // [2 rows][2 tokens]
#pragma GCC unroll 4
        for (int g = 0; g < kGroups; ++g) {
          upper = vmlaq_s32(upper, vmmlaq_s32(vdupq_n_s32(0), LoadSigned(codes[p][2 * g]), x[g]), factor[g]);
          lower = vmlaq_s32(lower, vmmlaq_s32(vdupq_n_s32(0), LoadSigned(codes[p][2 * g + 1]), x[g]), factor[g]);
        }
        sums[p][t] = vuzp1q_s32(upper, lower);
        if (t + 1 < kTokens) sums[p][t + 1] = vuzp2q_s32(upper, lower);
      }
    }
  }

  // smmla.
  static std::uint64_t Peak(std::uint64_t rounds) {
    int8x16_t codes = vdupq_n_s8(3), q = vdupq_n_s8(5);
    int32x4_t sums[16] = {};
    for (std::uint64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 16
      for (int32x4_t& sum : sums) {
        asm volatile("" : "+w"(codes), "+w"(sum));
        sum = vmmlaq_s32(sum, codes, q);
      }
    }
    return rounds * 16 * 2 * sizeof(int8x16_t);
  }

 private:
  // Of two tokens, in the order of the sums that smmla makes.
  template <int kGroups>
  static void LoadFactorPairs(const std::int16_t* factors, std::ptrdiff_t first, std::ptrdiff_t second,
                              int32x4_t out[kGroups]) {
    const int32x4_t a = LoadFactors<kGroups>(factors, first), b = LoadFactors<kGroups>(factors, second);
    const int64x2_t pairs[2] = {vreinterpretq_s64_s32(vzip1q_s32(a, b)), vreinterpretq_s64_s32(vzip2q_s32(a, b))};
    ForEach<kGroups>([&](auto g) __attribute__((always_inline)) {
      out[g] = vreinterpretq_s32_s64(vdupq_laneq_s64(pairs[g / 2], g % 2));
    });
  }
};

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_INT8_NEON_I8MM_INL_H_
