// Weight rows as they lie in memory, for NEON with dot products of int8.

#ifndef SLM_KERNELS_SIMD_ROWS_NEON_DOTPROD_INL_H_
#define SLM_KERNELS_SIMD_ROWS_NEON_DOTPROD_INL_H_

#include "simd/rows_neon-inl.h"

namespace slm {
namespace {

struct RowsNeonDotProd : RowsNeonBase {
  struct Activations {  // by halves of the columns
    int8x16_t q[2];
    int32x4_t factors[2];  // two of them, for two rows
  };
  template <int kBits>
  static Activations LoadActivations(const ActivationBlock& x) {
    const int32x4_t all = vshrq_n_s32(vreinterpretq_s32_s16(vld1q_s16(x.factors[0])), 16);
    return {{vld1q_s8(x.q), vld1q_s8(x.q + 16)},
            {vcombine_s32(vget_low_s32(all), vget_low_s32(all)), vcombine_s32(vget_high_s32(all), vget_high_s32(all))}};
  }

  template <int kBits>
  static Sums Multiply(Bytes a, Bytes b, const Activations& x) {
    const auto multiply = [](int8x16_t first, int8x16_t second, int8x16_t q, int32x4_t factors) {
      const int32x4_t zero = vdupq_n_s32(0);
      return vmulq_s32(vpaddq_s32(vdotq_s32(zero, first, q), vdotq_s32(zero, second, q)), factors);
    };
    return {multiply(Signed<kBits>(a.low), Signed<kBits>(b.low), x.q[0], x.factors[0]),
            multiply(Signed<kBits>(a.high), Signed<kBits>(b.high), x.q[1], x.factors[1])};
  }
};

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_ROWS_NEON_DOTPROD_INL_H_
