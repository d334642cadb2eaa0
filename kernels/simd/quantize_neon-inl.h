// Activations to int8 for NEON: the steps of the scalar set, bit for bit.

#ifndef SLM_KERNELS_SIMD_QUANTIZE_NEON_INL_H_
#define SLM_KERNELS_SIMD_QUANTIZE_NEON_INL_H_

#include <arm_neon.h>

#include <cstdint>
#include <cstring>

#include "kernels.h"
#include "simd/quantize-inl.h"

namespace slm {
namespace {

// For QuantizeRow.
struct QuantizeNeon {
  // The largest magnitudes among 8 floats, as integers: those order as the floats do, with infinity and NaN above all
  // others.
  static uint32x4_t Magnitudes(const float* x) {
    const auto magnitudes = [](float32x4_t v) { return vbicq_u32(vreinterpretq_u32_f32(v), vdupq_n_u32(1u << 31)); };
    return vmaxq_u32(magnitudes(vld1q_f32(x)), magnitudes(vld1q_f32(x + 4)));
  }

  static float LargestMagnitude(const float* x, std::int64_t n) {
    uint32x4_t largest[4] = {};
    for (std::int64_t i = 0; i < n; i += 32) {
      for (int g = 0; g < 4; ++g) largest[g] = vmaxq_u32(largest[g], Magnitudes(x + i + 8 * g));
    }
    const uint32x4_t all = vmaxq_u32(vmaxq_u32(largest[0], largest[1]), vmaxq_u32(largest[2], largest[3]));
    return vgetq_lane_f32(vreinterpretq_f32_u32(vdupq_n_u32(vmaxvq_u32(all))), 0);
  }

  // Rounded half to even.
  static int16x4_t Codes(const float* x, float inverse) {
    return vmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x), inverse)));
  }
  static int8x8_t GroupCodes(const float* x, float inverse) {
    return vmovn_s16(vcombine_s16(Codes(x, inverse), Codes(x + 4, inverse)));
  }

  static void QuantizeBlock(const float* x, float amax, float inverse, ActivationBlock& out) {
    const uint32x4_t first = vpmaxq_u32(Magnitudes(x), Magnitudes(x + 8));
    const uint32x4_t second = vpmaxq_u32(Magnitudes(x + 16), Magnitudes(x + 24));
    const float32x4_t group_max = vreinterpretq_f32_u32(vpmaxq_u32(first, second));
    const float32x4_t ratio = vdivq_f32(group_max, vdupq_n_f32(amax));
    const float32x4_t factors = vmaxq_f32(vdupq_n_f32(1), vrndpq_f32(vmulq_n_f32(ratio, kQuantizeFactors)));
    const float32x4_t inverses = vdivq_f32(vdupq_n_f32(inverse), factors);
    const int8x16_t low =
        vcombine_s8(GroupCodes(x, vgetq_lane_f32(inverses, 0)), GroupCodes(x + 8, vgetq_lane_f32(inverses, 1)));
    const int8x16_t high =
        vcombine_s8(GroupCodes(x + 16, vgetq_lane_f32(inverses, 2)), GroupCodes(x + 24, vgetq_lane_f32(inverses, 3)));
    vst1q_s8(out.q, low);
    vst1q_s8(out.q + 16, high);

    const int32x4_t int_factors = vcvtq_s32_f32(factors);
    const int32x4_t twice = vsliq_n_s32(int_factors, int_factors, 16);
    std::memcpy(out.factors, &twice, sizeof(twice));
    const int32x4_t code_sums = vpaddlq_s16(vpaddq_s16(vpaddlq_s8(low), vpaddlq_s8(high)));
    const int32x4_t sums = vmulq_s32(code_sums, int_factors);
    const int32x2_t half_sums = vpadd_s32(vget_low_s32(sums), vget_high_s32(sums));
    out.scale = amax / (kQuantizeSteps * kQuantizeFactors);
    vst1_s32(out.half_sum, half_sums);
    out.sum = vaddv_s32(half_sums);
  }
};

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_QUANTIZE_NEON_INL_H_
