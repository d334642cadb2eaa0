// Activations to int8 for AVX2: the steps of the scalar set, bit for bit.

#ifndef SLM_KERNELS_SIMD_QUANTIZE_AVX2_INL_H_
#define SLM_KERNELS_SIMD_QUANTIZE_AVX2_INL_H_

#include <immintrin.h>

#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels.h"

namespace slm {
namespace {

struct QuantizeAvx2 {
  static void Quantize(const float* x, std::int64_t n, ActivationBlock* out) {
    for (std::int64_t i = 0; i < n; i += 32) QuantizeBlock(x + i, *out++);
  }

 private:
  static float LargestMagnitude(const __m256 values[4]) {
    // Magnitudes are compared as integers, where NaN and infinity are above every number.
    const __m256i magnitude_bits = _mm256_set1_epi32(0x7FFFFFFF);
    const auto magnitude = [&](int i) { return _mm256_and_si256(_mm256_castps_si256(values[i]), magnitude_bits); };
    const __m256i all = _mm256_max_epi32(_mm256_max_epi32(magnitude(0), magnitude(1)), _mm256_max_epi32(magnitude(2), magnitude(3)));
    __m128i half = _mm_max_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
    half = _mm_max_epi32(half, _mm_shuffle_epi32(half, 0x4E));
    half = _mm_max_epi32(half, _mm_shuffle_epi32(half, 0xB1));
    return _mm_cvtss_f32(_mm_castsi128_ps(half));
  }

  // The sum of the eight 32-bit lanes.
  static int Sum(__m256i lanes) {
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4E));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xB1));
    return _mm_cvtsi128_si32(half);
  }

  static void QuantizeBlock(const float* x, ActivationBlock& out) {
    __m256 values[4];
    for (int i = 0; i < 4; ++i) values[i] = _mm256_loadu_ps(x + 8 * i);
    const float amax = LargestMagnitude(values);
    const float inverse = 127 / amax;
    if (!(amax <= std::numeric_limits<float>::max()) || !(inverse <= std::numeric_limits<float>::max())) {
      out = {};
      if (!(amax <= std::numeric_limits<float>::max())) {
        out.scale = out.sum = out.half_sum[0] = out.half_sum[1] = std::numeric_limits<float>::quiet_NaN();
      }
      return;
    }
    __m256i codes[4];
    for (int i = 0; i < 4; ++i) codes[i] = _mm256_cvtps_epi32(_mm256_mul_ps(values[i], _mm256_set1_ps(inverse)));
    const int low = Sum(_mm256_add_epi32(codes[0], codes[1]));
    const int high = Sum(_mm256_add_epi32(codes[2], codes[3]));
    const __m256i packed = _mm256_packs_epi16(_mm256_packs_epi32(codes[0], codes[1]), _mm256_packs_epi32(codes[2], codes[3]));
    const __m256i ordered = _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out.q), ordered);
    out.scale = amax / 127;
    out.sum = out.scale * static_cast<float>(low + high);
    out.half_sum[0] = out.scale * static_cast<float>(low);
    out.half_sum[1] = out.scale * static_cast<float>(high);
  }
};

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_QUANTIZE_AVX2_INL_H_
