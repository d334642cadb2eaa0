// What xsimd has no names for: 16-bit floats and fused multiply-add, for AVX-512.

#ifndef SLM_KERNELS_SIMD_WIDEN_AVX512_INL_H_
#define SLM_KERNELS_SIMD_WIDEN_AVX512_INL_H_

#include <immintrin.h>

#include <cstdint>
#include <xsimd/xsimd.hpp>

#include "formats.h"

namespace slm {
namespace {

struct WidenAvx512 {
  using Arch = xsimd::avx512bw;
  using Batch = xsimd::batch<float, Arch>;

  // The tile of sums (rows times vectors) that products keep in the 32 registers.
  static constexpr int kTileRows = 12;
  static constexpr int kTileVectors = 2;

  // a * b + c, rounded once (xsimd 8 has no such instruction for AVX-512).
  static Batch MulAdd(Batch a, Batch b, Batch c) { return _mm512_fmadd_ps(a, b, c); }

  static Batch LoadHalf(const Half* from) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  static Batch LoadBfloat16(const Half* from) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
  static float ToFloat(Half half) { return _cvtsh_ss(half); }
  // Integers as floats.
  static Batch LoadInt8(const std::int8_t* from) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
  }
  static void StoreHalf(Half* to, Batch values) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                        _mm512_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }

  // The number 2^(k - 127) of each lane whose lowest bits are k.
  static Batch LowBitsAsExponent(Batch values) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(values), 23));
  }

  // rows[i][j] becomes rows[j][i]: first within blocks of 4, then the blocks.
  static void Transpose(Batch (&rows)[16]) {
    __m512 turned[16];
    for (int i = 0; i < 16; i += 4) {
      const __m512 low01 = _mm512_unpacklo_ps(rows[i], rows[i + 1]), high01 = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
      const __m512 low23 = _mm512_unpacklo_ps(rows[i + 2], rows[i + 3]);
      const __m512 high23 = _mm512_unpackhi_ps(rows[i + 2], rows[i + 3]);
      turned[i] = _mm512_shuffle_ps(low01, low23, 0x44);
      turned[i + 1] = _mm512_shuffle_ps(low01, low23, 0xEE);
      turned[i + 2] = _mm512_shuffle_ps(high01, high23, 0x44);
      turned[i + 3] = _mm512_shuffle_ps(high01, high23, 0xEE);
    }
    for (int i = 0; i < 4; ++i) {
      const __m512 even01 = _mm512_shuffle_f32x4(turned[i], turned[i + 4], 0x88);
      const __m512 odd01 = _mm512_shuffle_f32x4(turned[i], turned[i + 4], 0xDD);
      const __m512 even23 = _mm512_shuffle_f32x4(turned[i + 8], turned[i + 12], 0x88);
      const __m512 odd23 = _mm512_shuffle_f32x4(turned[i + 8], turned[i + 12], 0xDD);
      rows[i] = _mm512_shuffle_f32x4(even01, even23, 0x88);
      rows[i + 4] = _mm512_shuffle_f32x4(odd01, odd23, 0x88);
      rows[i + 8] = _mm512_shuffle_f32x4(even01, even23, 0xDD);
      rows[i + 12] = _mm512_shuffle_f32x4(odd01, odd23, 0xDD);
    }
  }
};

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_WIDEN_AVX512_INL_H_
