// The integer vocabulary of the matrix products for AVX2: 8 weight rows a vector, 4 columns of each row a 32-bit lane.
//
// One of the few files that use intrinsics; what is built on it (unpack-inl.h, matmul_int8-inl.h) is the same for every
// instruction set.

#ifndef SLM_KERNELS_SIMD_INT8_AVX2_INL_H_
#define SLM_KERNELS_SIMD_INT8_AVX2_INL_H_

#include <immintrin.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels.h"
#include "simd/rows_avx2-inl.h"

namespace slm {
namespace {

// The step that AVX-VNNI has an instruction for: sums + pairs of 16-bit lanes times pairs of factors.
struct Avx2Pairs {
  static __m256i AddProducts(__m256i sums, __m256i lanes, __m256i factors) {
    return _mm256_add_epi32(sums, _mm256_madd_epi16(lanes, factors));
  }
};

template <class Pairs>
struct Int8Ymm {
  static constexpr int kRows = 8;
  using Bytes = __m256i;  // [8 rows][4 columns] of codes
  using Ints = __m256i;   // [8 rows]
  using Floats = __m256;  // [8 rows]

  using Codes = const std::uint8_t (*)[32];  // see PanelRun

  // What is left of the zero point of 8-bit codes in Dot's products.
  static constexpr int kByteZero = 128;

  // With what a single token is multiplied: the rows as they lie, and the lanes of their scales.
  using Rows = RowsAvx2;

  // A tile is kPanels x TileTokens products, which fit into registers beside each other. Both share loads: a panel's
  // codes meet each token, and a token's activations each panel.
  static constexpr int kPanels = 2;
  static constexpr int TileTokens(int bits) { return bits == 8 ? 1 : 3; }

  static Bytes Set1(int byte) { return _mm256_set1_epi8(static_cast<char>(byte)); }
  static Bytes And(Bytes a, Bytes b) { return _mm256_and_si256(a, b); }
  static Bytes Or(Bytes a, Bytes b) { return _mm256_or_si256(a, b); }
  static Bytes Xor(Bytes a, Bytes b) { return _mm256_xor_si256(a, b); }
  // Shifts each byte; what comes in from outside is zero.
  template <int kBits>
  static Bytes ShiftRight(Bytes a) {
    return And(_mm256_srli_epi32(a, kBits), Set1(0xFF >> kBits));
  }
  template <int kBits>
  static Bytes ShiftLeft(Bytes a) {
    return And(_mm256_slli_epi32(a, kBits), Set1(0xFF << kBits & 0xFF));
  }

  // Bytes offset..offset + 15 of each row, as four vectors of four columns.
  static void LoadColumns(const std::uint8_t* const* rows, std::size_t offset, Bytes out[4]) {
    const auto pair = [&](int row) {
      const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[row] + offset));
      const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[row + 4] + offset));
      return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
    };
    const __m256i pairs[4] = {pair(0), pair(1), pair(2), pair(3)};
    Transpose(pairs, out);
  }

  // Turns [8 rows][32 columns] of codes into 8 vectors of four columns of all rows, two for each step of Dot.
  template <int kBits>
  static void StoreCodes(const Bytes rows[8], std::uint8_t out[8][32]) {
    // [low, high half of the columns][4 rows]: four columns each.
    __m256i halves[2][4];
    Transpose(rows, halves[0]);
    Transpose(rows + 4, halves[1]);
    for (int i = 0; i < 4; ++i) {
      StoreBytes(out[i], _mm256_permute2x128_si256(halves[0][i], halves[1][i], 0x20));
      StoreBytes(out[i + 4], _mm256_permute2x128_si256(halves[0][i], halves[1][i], 0x31));
    }
  }

  // The low, or high, half of each 32-bit lane as a number.
  static Floats LowHalves(Bytes lanes) {
    const __m256i lows = _mm256_and_si256(lanes, _mm256_set1_epi32(0xFFFF));
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(lows, lows), 0x08);
    return _mm256_cvtph_ps(_mm256_castsi256_si128(packed));
  }
  static Floats HighHalves(Bytes lanes) { return LowHalves(_mm256_srli_epi32(lanes, 16)); }

  // Byte `index` of each 32-bit lane as a number.
  static Floats UnsignedByte(Bytes lanes, int index) {
    return _mm256_cvtepi32_ps(_mm256_and_si256(_mm256_srli_epi32(lanes, 8 * index), _mm256_set1_epi32(0xFF)));
  }
  static Floats SignedByte(Bytes lanes, int index) {
    return _mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_slli_epi32(lanes, 24 - 8 * index), 24));
  }

  static Floats Zero() { return _mm256_setzero_ps(); }
  static Floats Broadcast(const float* value) { return _mm256_broadcast_ss(value); }
  static Floats SetAll(float value) { return _mm256_set1_ps(value); }
  static Floats Mul(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
  static Floats MulAdd(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
  static Ints BroadcastInt(const std::int32_t* value) { return _mm256_set1_epi32(*value); }
  static Ints Sub(Ints a, Ints b) { return _mm256_sub_epi32(a, b); }
  template <int kPowerOfTwo>
  static Ints Times(Ints a) {
    return _mm256_slli_epi32(a, std::countr_zero(static_cast<unsigned>(kPowerOfTwo)));
  }
  static Floats Convert(Ints a) { return _mm256_cvtepi32_ps(a); }
  static Floats Load(const float* from) { return _mm256_load_ps(from); }
  static Bytes LoadBytes(const std::uint8_t* from) { return _mm256_load_si256(reinterpret_cast<const __m256i*>(from)); }
  static void Store(float* to, Floats a) { _mm256_store_ps(to, a); }
  static void StoreUnaligned(float* to, Floats a) { _mm256_storeu_ps(to, a); }
  static void StoreBytes(std::uint8_t* to, Bytes a) { _mm256_store_si256(reinterpret_cast<__m256i*>(to), a); }

  // sums[p][t][row] = sum over groups g of 8 columns of factor g * (codes[p][row] . q) of token t: exact. Group g is
  // the steps 2g and 2g + 1 of codes; token t's blocks are t * stride bytes from q and factors. Codes have kBits bits:
  // up to 6, the products of a group (4 * 127 * 63 at most a lane) fit into 16 bits.
  template <int kBits, int kGroups, int kPanels, int kTokens>
  [[gnu::always_inline]] static inline void Dot(const Codes (&codes)[kPanels], const std::int8_t* q,
                                                const std::int16_t* factors, std::ptrdiff_t stride,
                                                Ints sums[kPanels][kTokens]) {
    if constexpr (kBits == 8) {
      for (int p = 0; p < kPanels; ++p) Dot8<kGroups, kTokens>(codes[p], q, factors, stride, sums[p]);
    } else {
      static_assert(kBits <= 6);
#pragma GCC unroll 4
      for (int g = 0; g < kGroups; ++g) {
        __m256i first[kPanels], second[kPanels];
        for (int p = 0; p < kPanels; ++p) {
          first[p] = LoadBytes(codes[p][2 * g]);
          second[p] = LoadBytes(codes[p][2 * g + 1]);
        }
#pragma GCC unroll 8
        for (int t = 0; t < kTokens; ++t) {
          const __m256i x0 = Word(q + t * stride + 8 * g), x1 = Word(q + t * stride + 8 * g + 4);
          const __m256i factor = Word(factors + 2 * g + t * stride / 2);
#pragma GCC unroll 4
          for (int p = 0; p < kPanels; ++p) {
            const __m256i lanes =
                _mm256_add_epi16(_mm256_maddubs_epi16(first[p], x0), _mm256_maddubs_epi16(second[p], x1));
            sums[p][t] = Pairs::AddProducts(g == 0 ? _mm256_setzero_si256() : sums[p][t], lanes, factor);
          }
        }
      }
    }
  }

  // vpmaddubsw and an addition of 16 bits, as in Dot; see KernelSet::int8_peak.
  static std::uint64_t Peak(std::uint64_t rounds) {
    __m256i codes = Set1(3), q = Set1(5), sums[8];
#pragma GCC unroll 8
    for (__m256i& sum : sums) sum = _mm256_setzero_si256();
    for (std::uint64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 8
      for (__m256i& sum : sums) {
        asm volatile("" : "+x"(codes), "+x"(sum));  // computed each time
        sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(codes, q));
      }
    }
    return rounds * 8 * sizeof(__m256i);
  }

 protected:
  // The 4 x 4 lanes of each 128-bit half.
  static void Transpose(const __m256i rows[4], __m256i out[4]) {
    const __m256i ab_low = _mm256_unpacklo_epi32(rows[0], rows[1]), ab_high = _mm256_unpackhi_epi32(rows[0], rows[1]);
    const __m256i cd_low = _mm256_unpacklo_epi32(rows[2], rows[3]), cd_high = _mm256_unpackhi_epi32(rows[2], rows[3]);
    out[0] = _mm256_unpacklo_epi64(ab_low, cd_low);
    out[1] = _mm256_unpackhi_epi64(ab_low, cd_low);
    out[2] = _mm256_unpacklo_epi64(ab_high, cd_high);
    out[3] = _mm256_unpackhi_epi64(ab_high, cd_high);
  }

  // Four bytes, in every lane.
  template <class T>
  static __m256i Word(const T* from) {
    int value;
    std::memcpy(&value, from, sizeof(value));
    return _mm256_set1_epi32(value);
  }

 private:
  // For 8-bit codes, as 16 * high nibble + low nibble.
  template <int kGroups, int kTokens>
  [[gnu::always_inline]] static inline void Dot8(Codes codes, const std::int8_t* q, const std::int16_t* factors,
                                                 std::ptrdiff_t stride, Ints sums[kTokens]) {
    __m256i high_sums[kTokens];
#pragma GCC unroll 4
    for (int g = 0; g < kGroups; ++g) {
      const __m256i first = LoadBytes(codes[2 * g]), second = LoadBytes(codes[2 * g + 1]);
      const __m256i first_low = And(first, Set1(15)), second_low = And(second, Set1(15));
      const __m256i first_high = ShiftRight<4>(first), second_high = ShiftRight<4>(second);
#pragma GCC unroll 8
      for (int t = 0; t < kTokens; ++t) {
        const __m256i x0 = Word(q + t * stride + 8 * g), x1 = Word(q + t * stride + 8 * g + 4);
        const __m256i factor = Word(factors + 2 * g + t * stride / 2);
        const __m256i low = _mm256_madd_epi16(
            _mm256_add_epi16(_mm256_maddubs_epi16(first_low, x0), _mm256_maddubs_epi16(second_low, x1)), factor);
        const __m256i high = _mm256_madd_epi16(
            _mm256_add_epi16(_mm256_maddubs_epi16(first_high, x0), _mm256_maddubs_epi16(second_high, x1)), factor);
        sums[t] = g == 0 ? low : _mm256_add_epi32(sums[t], low);
        high_sums[t] = g == 0 ? high : _mm256_add_epi32(high_sums[t], high);
      }
    }
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) sums[t] = _mm256_add_epi32(sums[t], _mm256_slli_epi32(high_sums[t], 4));
  }
};

using Int8Avx2 = Int8Ymm<Avx2Pairs>;

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_INT8_AVX2_INL_H_
