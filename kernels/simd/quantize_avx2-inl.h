// Activations to int8 for AVX2: the steps of the scalar set, bit for bit.

#ifndef SLM_KERNELS_SIMD_QUANTIZE_AVX2_INL_H_
#define SLM_KERNELS_SIMD_QUANTIZE_AVX2_INL_H_

#include <immintrin.h>

#include <cstdint>

#include "kernels.h"
#include "simd/quantize-inl.h"

namespace slm {
namespace {

// For QuantizeRow.
struct QuantizeAvx2 {
  // As integers, which order as the floats do, with infinity and NaN above all others.
  static __m256i Magnitudes(const float* x) {
    return _mm256_and_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x)), _mm256_set1_epi32(0x7FFFFFFF));
  }

  static float LargestMagnitude(const float* x, std::int64_t n) {
    __m256i largest[4] = {};
    for (std::int64_t i = 0; i < n; i += 32) {
      for (int g = 0; g < 4; ++g) largest[g] = _mm256_max_epi32(largest[g], Magnitudes(x + i + 8 * g));
    }
    __m128i all = Across(largest, Max);
    all = _mm_max_epi32(all, _mm_shuffle_epi32(all, 0x4E));
    all = _mm_max_epi32(all, _mm_shuffle_epi32(all, 0xB1));
    return _mm_cvtss_f32(_mm_castsi128_ps(all));
  }

  static __m256i Max(__m256i a, __m256i b) { return _mm256_max_epi32(a, b); }
  static __m256i Add(__m256i a, __m256i b) { return _mm256_add_epi32(a, b); }

  // Reduces each of four vectors across its lanes: [a, b, c, d].
  template <class Reduce>
  static __m128i Across(const __m256i v[4], const Reduce& reduce) {
    const __m256i ab = reduce(_mm256_unpacklo_epi32(v[0], v[1]), _mm256_unpackhi_epi32(v[0], v[1]));
    const __m256i cd = reduce(_mm256_unpacklo_epi32(v[2], v[3]), _mm256_unpackhi_epi32(v[2], v[3]));
    const __m256i abcd = reduce(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
    return _mm256_castsi256_si128(reduce(abcd, _mm256_permute2x128_si256(abcd, abcd, 1)));
  }

  static void QuantizeBlock(const float* x, float amax, float inverse, ActivationBlock& out) {
    __m256i magnitudes[4];
    for (int g = 0; g < 4; ++g) magnitudes[g] = Magnitudes(x + 8 * g);
    const __m128 ratio = _mm_div_ps(_mm_castsi128_ps(Across(magnitudes, Max)), _mm_set1_ps(amax));
    const __m128 factors = _mm_max_ps(_mm_set1_ps(1), _mm_ceil_ps(_mm_mul_ps(ratio, _mm_set1_ps(kQuantizeFactors))));
    alignas(16) float inverses[4];
    _mm_store_ps(inverses, _mm_div_ps(_mm_set1_ps(inverse), factors));
    __m256i codes[4];
    for (int g = 0; g < 4; ++g)
      codes[g] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * g), _mm256_set1_ps(inverses[g])));
    const __m256i packed =
        _mm256_packs_epi16(_mm256_packs_epi32(codes[0], codes[1]), _mm256_packs_epi32(codes[2], codes[3]));
    const __m256i ordered = _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out.q), ordered);

    const __m128i int_factors = _mm_cvtps_epi32(factors);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out.factors),
                     _mm_or_si128(int_factors, _mm_slli_epi32(int_factors, 16)));
    const __m128i sums = _mm_mullo_epi32(int_factors, Across(codes, Add));
    out.scale = amax / (kQuantizeSteps * kQuantizeFactors);
    out.half_sum[0] = _mm_extract_epi32(sums, 0) + _mm_extract_epi32(sums, 1);
    out.half_sum[1] = _mm_extract_epi32(sums, 2) + _mm_extract_epi32(sums, 3);
    out.sum = out.half_sum[0] + out.half_sum[1];
  }
};

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_QUANTIZE_AVX2_INL_H_
