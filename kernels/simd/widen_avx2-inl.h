// What xsimd has no names for: 16-bit floats and fused multiply-add, for AVX2 with F16C.

#ifndef SLM_KERNELS_SIMD_WIDEN_AVX2_INL_H_
#define SLM_KERNELS_SIMD_WIDEN_AVX2_INL_H_

#include <immintrin.h>

#include <xsimd/xsimd.hpp>

#include "formats.h"

namespace slm {
namespace {

struct WidenAvx2 {
  using Arch = xsimd::fma3<xsimd::avx2>;
  using Batch = xsimd::batch<float, Arch>;

  // a * b + c, rounded once (xsimd 8 has no such instruction for AVX-512).
  static Batch MulAdd(Batch a, Batch b, Batch c) { return _mm256_fmadd_ps(a, b, c); }

  static Batch LoadHalf(const Half* from) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  static Batch LoadBfloat16(const Half* from) {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  }
  static void StoreHalf(Half* to, Batch values) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                     _mm256_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
};

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_WIDEN_AVX2_INL_H_
