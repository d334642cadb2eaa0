// What xsimd has no names for: 16-bit floats and fused multiply-add, for AVX-512.

#ifndef SLM_KERNELS_SIMD_WIDEN_AVX512_INL_H_
#define SLM_KERNELS_SIMD_WIDEN_AVX512_INL_H_

#include <immintrin.h>

#include <xsimd/xsimd.hpp>

#include "formats.h"

namespace slm {
namespace {

struct WidenAvx512 {
  using Arch = xsimd::avx512bw;
  using Batch = xsimd::batch<float, Arch>;

  // a * b + c, rounded once (xsimd 8 has no such instruction for AVX-512).
  static Batch MulAdd(Batch a, Batch b, Batch c) { return _mm512_fmadd_ps(a, b, c); }

  static Batch LoadHalf(const Half* from) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  static Batch LoadBfloat16(const Half* from) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
  static void StoreHalf(Half* to, Batch values) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                        _mm512_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
};

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_WIDEN_AVX512_INL_H_
