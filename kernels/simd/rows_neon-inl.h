// Weight rows as they lie in memory, for NEON: 32 columns of a row in two vectors. See rows_avx2-inl.h for what each
// function does.

#ifndef SLM_KERNELS_SIMD_ROWS_NEON_INL_H_
#define SLM_KERNELS_SIMD_ROWS_NEON_INL_H_

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "kernels.h"

namespace slm {
namespace {

struct RowsNeonBase {
  struct Bytes {  // [16 columns] each
    uint8x16_t low;
    uint8x16_t high;
  };

  static constexpr int kRowsOfVector = 1;
  static constexpr int FirstRow(int v) { return v; }

  static Bytes Set1(int byte) {
    const uint8x16_t all = vdupq_n_u8(static_cast<std::uint8_t>(byte));
    return {all, all};
  }
  static Bytes Or(Bytes a, Bytes b) { return {vorrq_u8(a.low, b.low), vorrq_u8(a.high, b.high)}; }
  static Bytes Xor(Bytes a, Bytes b) { return {veorq_u8(a.low, b.low), veorq_u8(a.high, b.high)}; }
  static Bytes AddBytes(Bytes a, Bytes b) { return {vaddq_u8(a.low, b.low), vaddq_u8(a.high, b.high)}; }
  static Bytes SubBytes(Bytes a, Bytes b) { return {vsubq_u8(a.low, b.low), vsubq_u8(a.high, b.high)}; }
  static Bytes AtLeast(Bytes a, int byte) {
    const uint8x16_t bound = vdupq_n_u8(static_cast<std::uint8_t>(byte)), one = vdupq_n_u8(1);
    return {vandq_u8(vcgeq_u8(a.low, bound), one), vandq_u8(vcgeq_u8(a.high, bound), one)};
  }
  static Bytes LookUp(const std::uint8_t table[16], Bytes nibbles) {
    const uint8x16_t entries = vld1q_u8(table);
    return {vqtbl1q_u8(entries, nibbles.low), vqtbl1q_u8(entries, nibbles.high)};
  }
  template <int kShift, int kMask>
  static Bytes Bits(Bytes a) {
    return {BitsOf<kShift, kMask>(a.low), BitsOf<kShift, kMask>(a.high)};
  }

  static Bytes Load(const std::uint8_t* const* rows, std::size_t offset) {
    return {vld1q_u8(rows[0] + offset), vld1q_u8(rows[0] + offset + 16)};
  }
  static Bytes LoadNibbles(const std::uint8_t* const* rows, std::size_t offset) {
    const uint8x16_t packed = vld1q_u8(rows[0] + offset);
    return {BitsOf<0, 15>(packed), BitsOf<4, 15>(packed)};
  }
  static Bytes LoadBits(const std::uint8_t* const* rows, std::size_t offset, int value) {
    const uint8x16_t bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201u));
    const uint8x16_t values = vdupq_n_u8(static_cast<std::uint8_t>(value));
    const auto spread = [&](std::size_t byte) {
      const uint8x16_t copies =
          vcombine_u8(vld1_dup_u8(rows[0] + offset + byte), vld1_dup_u8(rows[0] + offset + byte + 1));
      return vandq_u8(vtstq_u8(copies, bit), values);
    };
    return {spread(0), spread(2)};
  }

  template <class F>
  [[gnu::always_inline]] static Bytes FromBits(const std::uint8_t* const* rows, const F& f, int value) {
    const uint8x16_t bits = vreinterpretq_u8_u32(vdupq_n_u32(f(rows[0])));
    const uint8x16_t bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201u));
    const uint8x16_t values = vdupq_n_u8(static_cast<std::uint8_t>(value));
    const auto spread = [&](std::uint8_t byte) {
      const uint8x16_t copies =
          vqtbl1q_u8(bits, vcombine_u8(vdup_n_u8(byte), vdup_n_u8(static_cast<std::uint8_t>(byte + 1))));
      return vandq_u8(vtstq_u8(copies, bit), values);
    };
    return {spread(0), spread(2)};
  }
  template <class F>
  [[gnu::always_inline]] static Bytes FromWords(const std::uint8_t* const* rows, const F& f) {
    const auto word = [&](int i) { return vcreate_u8(f(rows[0], i)); };
    return {vcombine_u8(word(0), word(1)), vcombine_u8(word(2), word(3))};
  }

  using Sums = int32x4x2_t;  // low and high half of the columns: [2 rows][2 groups of 8], or [4 rows]

  static constexpr int kByteZero = 0;

  static Sums Add(Sums a, Sums b) { return {vpaddq_s32(a.val[0], b.val[0]), vpaddq_s32(a.val[1], b.val[1])}; }

  static constexpr int kQuads = 1;
  template <int kGroups>
  static void Finish(const Sums quads[kQuads], int32x4_t out[kGroups]) {
    if constexpr (kGroups == 1) {
      out[0] = vaddq_s32(quads[0].val[0], quads[0].val[1]);
    } else {
      out[0] = quads[0].val[0];
      out[1] = quads[0].val[1];
    }
  }

 protected:
  // 0..255 becomes -128..127; fewer bits are either.
  template <int kBits>
  static int8x16_t Signed(uint8x16_t codes) {
    return vreinterpretq_s8_u8(kBits == 8 ? veorq_u8(codes, vdupq_n_u8(128)) : codes);
  }

 private:
  template <int kShift, int kMask>
  static uint8x16_t BitsOf(uint8x16_t a) {
    if constexpr (kShift > 0) a = vshrq_n_u8(a, kShift);
    if constexpr (kShift < 0) a = vshlq_n_u8(a, -kShift);
    return vandq_u8(a, vdupq_n_u8(kMask));
  }
};

// With what every 64-bit ARM processor has.
struct RowsNeon : RowsNeonBase {
  struct Activations {  // by halves of the columns
    int8x16_t q[2];
    int16x8_t factors[2];
  };
  template <int kBits>
  static Activations LoadActivations(const ActivationBlock& x) {
    const int16x8_t twice = vld1q_s16(x.factors[0]);
    const int32x4_t pairs = vreinterpretq_s32_s16(twice);
    Activations out = {{vld1q_s8(x.q), vld1q_s8(x.q + 16)}, {}};
    if constexpr (kBits == 8) {  // each four times
      out.factors[0] = vreinterpretq_s16_s32(vzip1q_s32(pairs, pairs));
      out.factors[1] = vreinterpretq_s16_s32(vzip2q_s32(pairs, pairs));
    } else {  // two of them, each twice, for two rows
      out.factors[0] = vcombine_s16(vget_low_s16(twice), vget_low_s16(twice));
      out.factors[1] = vcombine_s16(vget_high_s16(twice), vget_high_s16(twice));
    }
    return out;
  }

  template <int kBits>
  static Sums Multiply(Bytes a, Bytes b, const Activations& x) {
    return {MultiplyHalf<kBits>(Signed<kBits>(a.low), Signed<kBits>(b.low), x.q[0], x.factors[0]),
            MultiplyHalf<kBits>(Signed<kBits>(a.high), Signed<kBits>(b.high), x.q[1], x.factors[1])};
  }

 private:
  // Sums of two neighbouring products of 8 bits fit into 16 bits, of up to 6 bits those of four.
  template <int kBits>
  static int32x4_t MultiplyHalf(int8x16_t a, int8x16_t b, int8x16_t q, int16x8_t factors) {
    const auto pairs = [&](int8x16_t codes) {
      return vpaddq_s16(vmull_s8(vget_low_s8(codes), vget_low_s8(q)), vmull_high_s8(codes, q));
    };
    const auto scale = [&](int16x8_t sums) {
      return vpaddq_s32(vmull_s16(vget_low_s16(sums), vget_low_s16(factors)), vmull_high_s16(sums, factors));
    };
    if constexpr (kBits == 8) return vpaddq_s32(scale(pairs(a)), scale(pairs(b)));
    return scale(vpaddq_s16(pairs(a), pairs(b)));
  }
};

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_ROWS_NEON_INL_H_
