// Weight rows as they lie in memory, for AVX-512: a vector holds 32 columns of a row, and of the row four further on.
// See rows_avx2-inl.h for what each function does.

#ifndef SLM_KERNELS_SIMD_ROWS_AVX512_INL_H_
#define SLM_KERNELS_SIMD_ROWS_AVX512_INL_H_

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels.h"

namespace slm {
namespace {

struct RowsAvx512 {
  using Bytes = __m512i;  // [rows r, r + 4][32 columns]

  static constexpr int kRowsOfVector = 2;
  static constexpr int FirstRow(int v) { return v / 4 * 8 + v % 4; }

  static Bytes Set1(int byte) { return _mm512_set1_epi8(static_cast<char>(byte)); }
  static Bytes Or(Bytes a, Bytes b) { return _mm512_or_si512(a, b); }
  static Bytes Xor(Bytes a, Bytes b) { return _mm512_xor_si512(a, b); }
  static Bytes AddBytes(Bytes a, Bytes b) { return _mm512_add_epi8(a, b); }
  static Bytes SubBytes(Bytes a, Bytes b) { return _mm512_sub_epi8(a, b); }
  static Bytes AtLeast(Bytes a, int byte) {
    return _mm512_maskz_mov_epi8(_mm512_cmpge_epu8_mask(a, Set1(byte)), Set1(1));
  }
  static Bytes LookUp(const std::uint8_t table[16], Bytes nibbles) {
    const __m128i entries = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(entries), nibbles);
  }
  template <int kShift, int kMask>
  static Bytes Bits(Bytes a) {
    const Bytes moved = kShift < 0 ? _mm512_slli_epi32(a, static_cast<unsigned>(-kShift))
                                   : _mm512_srli_epi32(a, static_cast<unsigned>(kShift));
    return _mm512_and_si512(moved, Set1(kMask));
  }

  static Bytes Load(const std::uint8_t* const* rows, std::size_t offset) {
    return Join(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(rows[0] + offset)),
                _mm256_loadu_si256(reinterpret_cast<const __m256i*>(rows[4] + offset)));
  }
  static Bytes LoadNibbles(const std::uint8_t* const* rows, std::size_t offset) {
    const auto twice = [&](int row) {
      return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[row] + offset)));
    };
    const __m512i shifts = _mm512_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4, 0, 0, 0, 0, 4, 4, 4, 4);
    return _mm512_and_si512(_mm512_srlv_epi32(Join(twice(0), twice(4)), shifts), Set1(15));
  }
  static Bytes LoadBits(const std::uint8_t* const* rows, std::size_t offset, int value) {
    const auto load = [&](const std::uint8_t* row) {
      std::uint32_t bits;
      std::memcpy(&bits, row + offset, sizeof(bits));
      return bits;
    };
    return FromBits(rows, load, value);
  }
  template <class F>
  [[gnu::always_inline]] static Bytes FromBits(const std::uint8_t* const* rows, const F& f, int value) {
    return _mm512_maskz_mov_epi8(f(rows[0]) | std::uint64_t{f(rows[4])} << 32, Set1(value));
  }
  template <class F>
  [[gnu::always_inline]] static Bytes FromWords(const std::uint8_t* const* rows, const F& f) {
    const auto words = [&](const std::uint8_t* row) {
      const auto word = [&](int i) { return static_cast<long long>(f(row, i)); };
      return _mm256_setr_epi64x(word(0), word(1), word(2), word(3));
    };
    return Join(words(rows[0]), words(rows[4]));
  }

  struct Activations {  // twice, for two rows
    __m512i q;
    __m512i factors;
  };
  template <int kBits>
  static Activations LoadActivations(const ActivationBlock& x) {
    const __m256i twice = _mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x.factors)));
    __m512i factors = _mm512_broadcast_i64x4(_mm256_permute4x64_epi64(twice, 0x50));
    if constexpr (kBits == 8) factors = _mm512_srli_epi32(factors, 16);  // 32 bits wide
    return {_mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x.q))), factors};
  }

  using Sums = __m512i;  // [rows of the lower, of the upper half][low, high half of the columns][rows][groups]

  static constexpr int kByteZero = 128;

  template <int kBits>
  static Sums Multiply(Bytes a, Bytes b, const Activations& x) {
    if constexpr (kBits == 8) {
      const auto products = [&](Bytes codes) { return _mm512_dpbusd_epi32(_mm512_setzero_si512(), codes, x.q); };
      return _mm512_mullo_epi32(Add(products(a), products(b)), x.factors);
    } else {
      const __m512i quads = AddPairs16(_mm512_maddubs_epi16(a, x.q), _mm512_maddubs_epi16(b, x.q));
      return _mm512_madd_epi16(quads, x.factors);
    }
  }

  static Sums Add(Sums a, Sums b) {
    const __m512 x = _mm512_castsi512_ps(a), y = _mm512_castsi512_ps(b);
    return _mm512_add_epi32(_mm512_castps_si512(_mm512_shuffle_ps(x, y, 0x88)),
                            _mm512_castps_si512(_mm512_shuffle_ps(x, y, 0xDD)));
  }

  static constexpr int kQuads = 2;
  template <int kGroups>
  static void Finish(const Sums quads[kQuads], __m512i out[kGroups]) {
    const __m512i low = _mm512_shuffle_i64x2(quads[0], quads[1], 0x88);
    const __m512i high = _mm512_shuffle_i64x2(quads[0], quads[1], 0xDD);
    if constexpr (kGroups == 1) {
      out[0] = _mm512_add_epi32(low, high);
    } else {
      out[0] = low;
      out[1] = high;
    }
  }

 private:
  static __m512i Join(__m256i low, __m256i high) { return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1); }
  static __m512i AddPairs16(__m512i a, __m512i b) {
    const __m512 x = _mm512_castsi512_ps(a), y = _mm512_castsi512_ps(b);
    return _mm512_add_epi16(_mm512_castps_si512(_mm512_shuffle_ps(x, y, 0x88)),
                            _mm512_castps_si512(_mm512_shuffle_ps(x, y, 0xDD)));
  }
};

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_ROWS_AVX512_INL_H_
