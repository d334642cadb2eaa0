// Weight rows as they lie in memory, for AVX2: a vector holds 32 columns of a row.
//
// With these words unpack-inl.h takes the formats apart, once for every instruction set, and matvec_int8-inl.h
// multiplies what comes out with a single token.

#ifndef SLM_KERNELS_SIMD_ROWS_AVX2_INL_H_
#define SLM_KERNELS_SIMD_ROWS_AVX2_INL_H_

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels.h"

namespace slm {
namespace {

struct RowsAvx2 {
  using Bytes = __m256i;  // [32 columns]

  // How the rows of a panel share vectors, and the first of vector v's.
  static constexpr int kRowsOfVector = 1;
  static constexpr int FirstRow(int v) { return v; }

  static Bytes Set1(int byte) { return _mm256_set1_epi8(static_cast<char>(byte)); }
  static Bytes Or(Bytes a, Bytes b) { return _mm256_or_si256(a, b); }
  static Bytes Xor(Bytes a, Bytes b) { return _mm256_xor_si256(a, b); }
  static Bytes AddBytes(Bytes a, Bytes b) { return _mm256_add_epi8(a, b); }
  static Bytes SubBytes(Bytes a, Bytes b) { return _mm256_sub_epi8(a, b); }
  // 1 where a >= byte, else 0.
  static Bytes AtLeast(Bytes a, int byte) {
    return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_max_epu8(a, Set1(byte)), a), Set1(1));
  }
  // Entries of a table.
  static Bytes LookUp(const std::uint8_t table[16], Bytes nibbles) {
    const __m128i entries = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(entries), nibbles);
  }
  // Some bits of each byte, moved to the right by kShift, or to the left if that is negative. kMask: where they are
  // then.
  template <int kShift, int kMask>
  static Bytes Bits(Bytes a) {
    const Bytes moved = kShift < 0 ? _mm256_slli_epi32(a, -kShift) : _mm256_srli_epi32(a, kShift);
    return _mm256_and_si256(moved, Set1(kMask));
  }

  // Bytes offset..offset + 31 of a row.
  static Bytes Load(const std::uint8_t* const* rows, std::size_t offset) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(rows[0] + offset));
  }
  // The low nibbles of 16 bytes, then their high nibbles.
  static Bytes LoadNibbles(const std::uint8_t* const* rows, std::size_t offset) {
    const __m128i packed = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[0] + offset));
    const __m256i shifts = _mm256_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4);
    return _mm256_and_si256(_mm256_srlv_epi32(_mm256_broadcastsi128_si256(packed), shifts), Set1(15));
  }
  // `value` where one of 32 bits is set, else 0.
  static Bytes LoadBits(const std::uint8_t* const* rows, std::size_t offset, int value) {
    const auto load = [&](const std::uint8_t* row) {
      std::uint32_t bits;
      std::memcpy(&bits, row + offset, sizeof(bits));
      return bits;
    };
    return FromBits(rows, load, value);
  }
  // The same, of the bits that f(row) gives.
  template <class F>
  [[gnu::always_inline]] static Bytes FromBits(const std::uint8_t* const* rows, const F& f, int value) {
    const __m256i byte = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201));
    const __m256i copies = _mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int>(f(rows[0]))), byte);
    return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(copies, bit), bit), Set1(value));
  }
  // Columns 8i..8i + 7 are the bytes of f(row, i).
  template <class F>
  [[gnu::always_inline]] static Bytes FromWords(const std::uint8_t* const* rows, const F& f) {
    const auto word = [&](int i) { return static_cast<long long>(f(rows[0], i)); };
    return _mm256_setr_epi64x(word(0), word(1), word(2), word(3));
  }

  // 32 activations, and the factors of each 8, in the order in which they are multiplied.
  struct Activations {
    __m256i q;
    __m256i factors;
  };
  template <int kBits>
  static Activations LoadActivations(const ActivationBlock& x) {
    const __m128i twice = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x.factors));
    __m256i factors;
    if constexpr (kBits == 8) {  // each four times
      factors = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(twice),
                                    _mm256_setr_epi32(0x01000100, 0x01000100, 0x05040504, 0x05040504, 0x09080908,
                                                      0x09080908, 0x0D0C0D0C, 0x0D0C0D0C));
    } else {  // two of them, each twice, for two rows
      factors = _mm256_permute4x64_epi64(_mm256_castsi128_si256(twice), 0x50);
    }
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x.q)), factors};
  }

  // Sums over groups of columns: [low, high half of the columns][rows][groups].
  using Sums = __m256i;

  // What is left of the zero point of 8-bit codes in the products below.
  static constexpr int kByteZero = 0;

  // The products of two vectors of codes with the activations: [2 halves][2 rows][2 groups of 8].
  template <int kBits>
  static Sums Multiply(Bytes a, Bytes b, const Activations& x) {
    if constexpr (kBits == 8) {
      const auto multiply = [&](Bytes codes) {
        // The instruction wants one operand unsigned: the code's sign goes to the activation.
        const __m256i weights = Xor(codes, Set1(128));
        const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(x.q, weights));
        return _mm256_madd_epi16(pairs, x.factors);
      };
      return Add(multiply(a), multiply(b));
    } else {
      const __m256i quads = AddPairs16(_mm256_maddubs_epi16(a, x.q), _mm256_maddubs_epi16(b, x.q));
      return _mm256_madd_epi16(quads, x.factors);
    }
  }

  // Neighbours added up: [2 halves][2 rows][2 sums] and the next two rows' become [2 halves][4 rows].
  static Sums Add(Sums a, Sums b) {
    const __m256 x = _mm256_castsi256_ps(a), y = _mm256_castsi256_ps(b);
    return _mm256_add_epi32(_mm256_castps_si256(_mm256_shuffle_ps(x, y, 0x88)),
                            _mm256_castps_si256(_mm256_shuffle_ps(x, y, 0xDD)));
  }

  // [8 rows] of all columns, or of either half, from the sums of four vectors each.
  static constexpr int kQuads = 2;
  template <int kGroups>
  static void Finish(const Sums quads[kQuads], __m256i out[kGroups]) {
    const __m256i low = _mm256_permute2x128_si256(quads[0], quads[1], 0x20);
    const __m256i high = _mm256_permute2x128_si256(quads[0], quads[1], 0x31);
    if constexpr (kGroups == 1) {
      out[0] = _mm256_add_epi32(low, high);
    } else {
      out[0] = low;
      out[1] = high;
    }
  }

 private:
  // As Add, of pairs of 16-bit sums.
  static __m256i AddPairs16(__m256i a, __m256i b) {
    const __m256 x = _mm256_castsi256_ps(a), y = _mm256_castsi256_ps(b);
    return _mm256_add_epi16(_mm256_castps_si256(_mm256_shuffle_ps(x, y, 0x88)),
                            _mm256_castps_si256(_mm256_shuffle_ps(x, y, 0xDD)));
  }
};

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_ROWS_AVX2_INL_H_
