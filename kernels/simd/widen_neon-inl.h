// What xsimd has no names for: 16-bit floats and fused multiply-add, for NEON.

#ifndef SLM_KERNELS_SIMD_WIDEN_NEON_INL_H_
#define SLM_KERNELS_SIMD_WIDEN_NEON_INL_H_

#include <arm_neon.h>

#include <cstdint>
#include <cstring>
#include <xsimd/xsimd.hpp>

#include "formats.h"

namespace slm {
namespace {

struct WidenNeon {
  using Arch = xsimd::neon64;
  using Batch = xsimd::batch<float, Arch>;

  // The tile of sums (rows times vectors) that products keep in the 32 registers.
  static constexpr int kTileRows = 6;
  static constexpr int kTileVectors = 4;

  // a * b + c, rounded once.
  static Batch MulAdd(Batch a, Batch b, Batch c) { return vfmaq_f32(c, a, b); }

  static Batch LoadHalf(const Half* from) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from))); }
  static Batch LoadBfloat16(const Half* from) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(from), 16)); }
  static float ToFloat(Half half) { return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(half))), 0); }
  // Integers as floats.
  static Batch LoadInt8(const std::int8_t* from) {
    std::uint32_t bytes;
    std::memcpy(&bytes, from, sizeof(bytes));
    const int16x8_t wide = vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(bytes)));
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide)));
  }
  static void StoreHalf(Half* to, Batch values) { vst1_u16(to, vreinterpret_u16_f16(vcvt_f16_f32(values))); }

  // The number 2^(k - 127) of each lane whose lowest bits are k.
  static Batch LowBitsAsExponent(Batch values) {
    return vreinterpretq_f32_s32(vshlq_n_s32(vreinterpretq_s32_f32(values), 23));
  }

  // rows[i][j] becomes rows[j][i].
  static void Transpose(Batch (&rows)[4]) {
    const float64x2_t even01 = vreinterpretq_f64_f32(vtrn1q_f32(rows[0], rows[1]));
    const float64x2_t odd01 = vreinterpretq_f64_f32(vtrn2q_f32(rows[0], rows[1]));
    const float64x2_t even23 = vreinterpretq_f64_f32(vtrn1q_f32(rows[2], rows[3]));
    const float64x2_t odd23 = vreinterpretq_f64_f32(vtrn2q_f32(rows[2], rows[3]));
    rows[0] = vreinterpretq_f32_f64(vzip1q_f64(even01, even23));
    rows[1] = vreinterpretq_f32_f64(vzip1q_f64(odd01, odd23));
    rows[2] = vreinterpretq_f32_f64(vzip2q_f64(even01, even23));
    rows[3] = vreinterpretq_f32_f64(vzip2q_f64(odd01, odd23));
  }
};

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_WIDEN_NEON_INL_H_
