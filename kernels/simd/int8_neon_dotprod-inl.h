// The integer vocabulary of the matrix products for NEON with dot products (FEAT_DotProd).

#ifndef SLM_KERNELS_SIMD_INT8_NEON_DOTPROD_INL_H_
#define SLM_KERNELS_SIMD_INT8_NEON_DOTPROD_INL_H_

#include "simd/int8_neon-inl.h"
#include "simd/rows_neon_dotprod-inl.h"

namespace slm {
namespace {

struct Int8NeonDotProd : Int8NeonBase {
  using Rows = RowsNeonDotProd;
  static constexpr int kPanels = 4;
  static constexpr int TileTokens(int) { return 2; }

  // sdot multiplies 4 columns of 4 rows by any 4 bytes of a vector of activations.
  template <int kBits, int kGroups, int kPanels, int kTokens>
  [[gnu::always_inline]] static inline void Dot(const Codes (&codes)[kPanels], const std::int8_t* q,
                                                const std::int16_t* factors, std::ptrdiff_t stride,
                                                Ints sums[kPanels][kTokens]) {
    int8x16_t x[kTokens][kGroups / 2];
    int32x4_t factor[kTokens];
    for (int t = 0; t < kTokens; ++t) {
      for (int i = 0; i < kGroups / 2; ++i) x[t][i] = vld1q_s8(q + t * stride + 16 * i);
      factor[t] = LoadFactors<kGroups>(factors, t * stride);
    }
    for (int p = 0; p < kPanels; ++p) {
      ForEach<kGroups>([&](auto g) __attribute__((always_inline)) {
        const int8x16_t first = LoadSigned(codes[p][2 * g]), second = LoadSigned(codes[p][2 * g + 1]);
        for (int t = 0; t < kTokens; ++t) {
          int32x4_t product = vdotq_laneq_s32(vdupq_n_s32(0), first, x[t][g / 2], g % 2 * 2);
          product = vdotq_laneq_s32(product, second, x[t][g / 2], g % 2 * 2 + 1);
          sums[p][t] =
              g == 0 ? vmulq_laneq_s32(product, factor[t], g) : vmlaq_laneq_s32(sums[p][t], product, factor[t], g);
        }
      });
    }
  }

  // sdot.
  static std::uint64_t Peak(std::uint64_t rounds) {
    int8x16_t codes = vdupq_n_s8(3), q = vdupq_n_s8(5);
    int32x4_t sums[16] = {};
    for (std::uint64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 16
      for (int32x4_t& sum : sums) {
        asm volatile("" : "+w"(codes), "+w"(sum));
        sum = vdotq_s32(sum, codes, q);
      }
    }
    return rounds * 16 * sizeof(int8x16_t);
  }
};

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_INT8_NEON_DOTPROD_INL_H_
