// What xsimd has no names for: 16-bit floats and fused multiply-add, for AVX2 with F16C.

#ifndef SLM_KERNELS_SIMD_WIDEN_AVX2_INL_H_
#define SLM_KERNELS_SIMD_WIDEN_AVX2_INL_H_

#include <immintrin.h>

#include <cstdint>
#include <xsimd/xsimd.hpp>

#include "formats.h"

namespace slm {
namespace {

struct WidenAvx2 {
  using Arch = xsimd::fma3<xsimd::avx2>;
  using Batch = xsimd::batch<float, Arch>;

  // The tile of sums (rows times vectors) that products keep in the 16 registers.
  static constexpr int kTileRows = 6;
  static constexpr int kTileVectors = 2;

  // a * b + c, rounded once (xsimd 8 has no such instruction for AVX-512).
  static Batch MulAdd(Batch a, Batch b, Batch c) { return _mm256_fmadd_ps(a, b, c); }

  static Batch LoadHalf(const Half* from) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  static Batch LoadBfloat16(const Half* from) {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  }
  static float ToFloat(Half half) { return _cvtsh_ss(half); }
  // Integers as floats.
  static Batch LoadInt8(const std::int8_t* from) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
  }
  static void StoreHalf(Half* to, Batch values) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                     _mm256_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }

  // The number 2^(k - 127) of each lane whose lowest bits are k.
  static Batch LowBitsAsExponent(Batch values) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(values), 23));
  }

  // rows[i][j] becomes rows[j][i]: first within blocks of 4, then the blocks.
  static void Transpose(Batch (&rows)[8]) {
    __m256 turned[8];
    for (int i = 0; i < 8; i += 4) {
      const __m256 low01 = _mm256_unpacklo_ps(rows[i], rows[i + 1]), high01 = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
      const __m256 low23 = _mm256_unpacklo_ps(rows[i + 2], rows[i + 3]);
      const __m256 high23 = _mm256_unpackhi_ps(rows[i + 2], rows[i + 3]);
      turned[i] = _mm256_shuffle_ps(low01, low23, 0x44);
      turned[i + 1] = _mm256_shuffle_ps(low01, low23, 0xEE);
      turned[i + 2] = _mm256_shuffle_ps(high01, high23, 0x44);
      turned[i + 3] = _mm256_shuffle_ps(high01, high23, 0xEE);
    }
    for (int i = 0; i < 4; ++i) {
      rows[i] = _mm256_permute2f128_ps(turned[i], turned[i + 4], 0x20);
      rows[i + 4] = _mm256_permute2f128_ps(turned[i], turned[i + 4], 0x31);
    }
  }
};

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_WIDEN_AVX2_INL_H_
