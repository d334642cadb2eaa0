// The integer vocabulary of the matrix products for AVX-512 with VNNI: 16 weight rows a vector, 4 columns of each row a
// 32-bit lane. See int8_avx2-inl.h for what each function does.

#ifndef SLM_KERNELS_SIMD_INT8_AVX512_INL_H_
#define SLM_KERNELS_SIMD_INT8_AVX512_INL_H_

#include <immintrin.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "simd/rows_avx512-inl.h"

namespace slm {
namespace {

struct Int8Avx512 {
  static constexpr int kRows = 16;
  using Bytes = __m512i;  // [16 rows][4 columns] of codes
  using Ints = __m512i;   // [16 rows]
  using Floats = __m512;  // [16 rows]

  using Codes = const std::uint8_t (*)[64];

  static constexpr int kByteZero = 128;

  using Rows = RowsAvx512;

  static constexpr int kPanels = 2;
  static constexpr int TileTokens(int) { return 4; }

  static Bytes Set1(int byte) { return _mm512_set1_epi8(static_cast<char>(byte)); }
  static Bytes And(Bytes a, Bytes b) { return _mm512_and_si512(a, b); }
  static Bytes Or(Bytes a, Bytes b) { return _mm512_or_si512(a, b); }
  static Bytes Xor(Bytes a, Bytes b) { return _mm512_xor_si512(a, b); }
  template <int kBits>
  static Bytes ShiftRight(Bytes a) {
    return And(_mm512_srli_epi32(a, kBits), Set1(0xFF >> kBits));
  }
  template <int kBits>
  static Bytes ShiftLeft(Bytes a) {
    return And(_mm512_slli_epi32(a, kBits), Set1(0xFF << kBits & 0xFF));
  }

  static void LoadColumns(const std::uint8_t* const* rows, std::size_t offset, Bytes out[4]) {
    const auto load = [&](int row) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[row] + offset)); };
    // Rows r, r + 4, r + 8, r + 12 in the four 128-bit parts.
    const auto quad = [&](int row) {
      __m512i all = _mm512_castsi128_si512(load(row));
      all = _mm512_inserti32x4(all, load(row + 4), 1);
      all = _mm512_inserti32x4(all, load(row + 8), 2);
      return _mm512_inserti32x4(all, load(row + 12), 3);
    };
    const __m512i quads[4] = {quad(0), quad(1), quad(2), quad(3)};
    Transpose(quads, out);
  }

  template <int kBits>
  static void StoreCodes(const Bytes rows[8], std::uint8_t out[8][64]) {
    // rows[i] is [rows r, r + 4][32 columns] of r = i, or i + 4 in the second half.
    __m512i halves[2][4];  // [4 rows of the first][low, high half of the columns][the 4 rows after them][halves]
    Transpose(rows, halves[0]);
    Transpose(rows + 4, halves[1]);
    for (int i = 0; i < 4; ++i) {
      StoreBytes(out[i], _mm512_shuffle_i64x2(halves[0][i], halves[1][i], 0x88));
      StoreBytes(out[i + 4], _mm512_shuffle_i64x2(halves[0][i], halves[1][i], 0xDD));
    }
  }

  static Floats LowHalves(Bytes lanes) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(lanes)); }
  static Floats HighHalves(Bytes lanes) { return LowHalves(_mm512_srli_epi32(lanes, 16)); }
  static Floats UnsignedByte(Bytes lanes, int index) {
    return _mm512_cvtepi32_ps(
        _mm512_and_si512(_mm512_srli_epi32(lanes, static_cast<unsigned>(8 * index)), _mm512_set1_epi32(0xFF)));
  }
  static Floats SignedByte(Bytes lanes, int index) {
    return _mm512_cvtepi32_ps(_mm512_srai_epi32(_mm512_slli_epi32(lanes, static_cast<unsigned>(24 - 8 * index)), 24));
  }

  static Floats Zero() { return _mm512_setzero_ps(); }
  static Floats Broadcast(const float* value) { return _mm512_set1_ps(*value); }
  static Floats SetAll(float value) { return _mm512_set1_ps(value); }
  static Floats Mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats MulAdd(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  static Ints BroadcastInt(const std::int32_t* value) { return _mm512_set1_epi32(*value); }
  static Ints Sub(Ints a, Ints b) { return _mm512_sub_epi32(a, b); }
  template <int kPowerOfTwo>
  static Ints Times(Ints a) {
    return _mm512_slli_epi32(a, std::countr_zero(static_cast<unsigned>(kPowerOfTwo)));
  }
  static Floats Convert(Ints a) { return _mm512_cvtepi32_ps(a); }
  static Floats Load(const float* from) { return _mm512_load_ps(from); }
  static Bytes LoadBytes(const std::uint8_t* from) { return _mm512_load_si512(from); }
  static void Store(float* to, Floats a) { _mm512_store_ps(to, a); }
  static void StoreUnaligned(float* to, Floats a) { _mm512_storeu_ps(to, a); }
  static void StoreBytes(std::uint8_t* to, Bytes a) { _mm512_store_si512(to, a); }

  // vpdpwssd multiplies a group's 16-bit sums by its factor and adds them up in one instruction; 8-bit codes don't fit
  // 16-bit sums and take vpdpbusd with a 32-bit product instead.
  template <int kBits, int kGroups, int kPanels, int kTokens>
  [[gnu::always_inline]] static inline void Dot(const Codes (&codes)[kPanels], const std::int8_t* q,
                                                const std::int16_t* factors, std::ptrdiff_t stride,
                                                Ints sums[kPanels][kTokens]) {
#pragma GCC unroll 4
    for (int g = 0; g < kGroups; ++g) {
      __m512i first[kPanels], second[kPanels];
      for (int p = 0; p < kPanels; ++p) {
        first[p] = LoadBytes(codes[p][2 * g]);
        second[p] = LoadBytes(codes[p][2 * g + 1]);
      }
#pragma GCC unroll 8
      for (int t = 0; t < kTokens; ++t) {
        const __m512i x0 = Word(q + t * stride + 8 * g), x1 = Word(q + t * stride + 8 * g + 4);
        const __m512i factor = Word(factors + 2 * g + t * stride / 2);
#pragma GCC unroll 4
        for (int p = 0; p < kPanels; ++p) {
          const __m512i before = g == 0 ? _mm512_setzero_si512() : sums[p][t];
          if constexpr (kBits == 8) {
            const __m512i product =
                _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(_mm512_setzero_si512(), first[p], x0), second[p], x1);
            sums[p][t] = _mm512_add_epi32(before, _mm512_mullo_epi32(product, _mm512_srli_epi32(factor, 16)));
          } else {
            static_assert(kBits <= 6);
            const __m512i lanes =
                _mm512_add_epi16(_mm512_maddubs_epi16(first[p], x0), _mm512_maddubs_epi16(second[p], x1));
            sums[p][t] = _mm512_dpwssd_epi32(before, lanes, factor);
          }
        }
      }
    }
  }

  // vpdpbusd.
  static std::uint64_t Peak(std::uint64_t rounds) {
    __m512i codes = Set1(3), q = Set1(5), sums[16];
#pragma GCC unroll 16
    for (__m512i& sum : sums) sum = _mm512_setzero_si512();
    for (std::uint64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 16
      for (__m512i& sum : sums) {
        asm volatile("" : "+v"(codes), "+v"(sum));
        sum = _mm512_dpbusd_epi32(sum, codes, q);
      }
    }
    return rounds * 16 * sizeof(__m512i);
  }

 private:
  static void Transpose(const __m512i rows[4], __m512i out[4]) {
    const __m512i ab_low = _mm512_unpacklo_epi32(rows[0], rows[1]), ab_high = _mm512_unpackhi_epi32(rows[0], rows[1]);
    const __m512i cd_low = _mm512_unpacklo_epi32(rows[2], rows[3]), cd_high = _mm512_unpackhi_epi32(rows[2], rows[3]);
    out[0] = _mm512_unpacklo_epi64(ab_low, cd_low);
    out[1] = _mm512_unpackhi_epi64(ab_low, cd_low);
    out[2] = _mm512_unpacklo_epi64(ab_high, cd_high);
    out[3] = _mm512_unpackhi_epi64(ab_high, cd_high);
  }

  template <class T>
  static __m512i Word(const T* from) {
    int value;
    std::memcpy(&value, from, sizeof(value));
    return _mm512_set1_epi32(value);
  }
};

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_INT8_AVX512_INL_H_
