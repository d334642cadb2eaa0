// The integer vocabulary for AVX2 with AVX-VNNI (Alder Lake, Zen 5 and later): that of AVX2, with sums of products in
// one instruction.

#ifndef SLM_KERNELS_SIMD_INT8_AVXVNNI_INL_H_
#define SLM_KERNELS_SIMD_INT8_AVXVNNI_INL_H_

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "simd/int8_avx2-inl.h"

namespace slm {
namespace {

struct AvxVnniPairs {
  static __m256i AddProducts(__m256i sums, __m256i lanes, __m256i factors) {
    return _mm256_dpwssd_avx_epi32(sums, lanes, factors);
  }
};

struct Int8AvxVnni : Int8Ymm<AvxVnniPairs> {
  using Base = Int8Ymm<AvxVnniPairs>;
  static constexpr int TileTokens(int bits) { return bits == 8 ? 2 : 3; }

  // 8-bit codes don't fit 16-bit sums: vpdpbusd adds four products in 32 bits, and a 32-bit product applies the factor.
  template <int kBits, int kGroups, int kPanels, int kTokens>
  [[gnu::always_inline]] static inline void Dot(const Codes (&codes)[kPanels], const std::int8_t* q,
                                                const std::int16_t* factors, std::ptrdiff_t stride,
                                                Ints sums[kPanels][kTokens]) {
    if constexpr (kBits != 8) {
      Base::template Dot<kBits, kGroups, kPanels, kTokens>(codes, q, factors, stride, sums);
    } else {
#pragma GCC unroll 4
      for (int g = 0; g < kGroups; ++g) {
#pragma GCC unroll 8
        for (int t = 0; t < kTokens; ++t) {
          const __m256i x0 = Word(q + t * stride + 8 * g), x1 = Word(q + t * stride + 8 * g + 4);
          const __m256i factor = _mm256_srli_epi32(Word(factors + 2 * g + t * stride / 2), 16);
#pragma GCC unroll 4
          for (int p = 0; p < kPanels; ++p) {
            const __m256i first = _mm256_dpbusd_avx_epi32(_mm256_setzero_si256(), LoadBytes(codes[p][2 * g]), x0);
            const __m256i product = _mm256_dpbusd_avx_epi32(first, LoadBytes(codes[p][2 * g + 1]), x1);
            const __m256i before = g == 0 ? _mm256_setzero_si256() : sums[p][t];
            sums[p][t] = _mm256_add_epi32(before, _mm256_mullo_epi32(product, factor));
          }
        }
      }
    }
  }

  // vpdpbusd; see KernelSet::int8_peak.
  static std::uint64_t Peak(std::uint64_t rounds) {
    __m256i codes = Set1(3), q = Set1(5), sums[8];
#pragma GCC unroll 8
    for (__m256i& sum : sums) sum = _mm256_setzero_si256();
    for (std::uint64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 8
      for (__m256i& sum : sums) {
        asm volatile("" : "+x"(codes), "+x"(sum));
        sum = _mm256_dpbusd_avx_epi32(sum, codes, q);
      }
    }
    return rounds * 8 * sizeof(__m256i);
  }
};

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_INT8_AVXVNNI_INL_H_
