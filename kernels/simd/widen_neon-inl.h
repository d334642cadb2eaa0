// What xsimd has no names for: 16-bit floats and fused multiply-add, for NEON.

#ifndef SLM_KERNELS_SIMD_WIDEN_NEON_INL_H_
#define SLM_KERNELS_SIMD_WIDEN_NEON_INL_H_

#include <arm_neon.h>

#include <xsimd/xsimd.hpp>

#include "formats.h"

namespace slm {
namespace {

struct WidenNeon {
  using Arch = xsimd::neon64;
  using Batch = xsimd::batch<float, Arch>;

  // a * b + c, rounded once.
  static Batch MulAdd(Batch a, Batch b, Batch c) { return vfmaq_f32(c, a, b); }

  static Batch LoadHalf(const Half* from) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from))); }
  static Batch LoadBfloat16(const Half* from) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(from), 16)); }
  static void StoreHalf(Half* to, Batch values) { vst1_u16(to, vreinterpret_u16_f16(vcvt_f16_f32(values))); }
};

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_WIDEN_NEON_INL_H_
