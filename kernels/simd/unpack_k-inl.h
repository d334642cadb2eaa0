// The quantized formats of 256 columns a block whose codes are plain numbers: Q2_K to Q6_K, TQ1_0 and TQ2_0. See
// unpack-inl.h.

#ifndef SLM_KERNELS_SIMD_UNPACK_K_INL_H_
#define SLM_KERNELS_SIMD_UNPACK_K_INL_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "formats.h"
#include "simd/unpack-inl.h"
#include "simd/unroll-inl.h"
#include "unpack_k.h"

namespace slm {
namespace {

// Some bits of each byte, moved to the right by kShift, or to the left if that is negative. kMask: where they are then.
template <class Lanes, int kShift, int kMask>
typename Lanes::Bytes LaneBits(typename Lanes::Bytes a) {
  if constexpr (kShift > 0) a = Lanes::template ShiftRight<kShift>(a);
  if constexpr (kShift < 0) a = Lanes::template ShiftLeft<-kShift>(a);
  return Lanes::And(a, Lanes::Set1(kMask));
}

// The last 16 bytes of the blocks.
template <class Lanes, class Block>
void LoadTail(BlocksOfRows blocks, typename Lanes::Bytes out[4]) {
  Lanes::LoadColumns(blocks.rows, blocks.offset + sizeof(Block) - 16, out);
}

// Each half of 128 columns is four runs of 32: bits 2k and 2k + 1 of 32 bytes are run k. This is run i of a piece of
// two.
template <class Rows, int kPiece, int i>
typename Rows::Bytes TwoBits(BlocksOfRows blocks, std::size_t qs) {
  const auto packed = Rows::Load(blocks.rows, blocks.offset + qs + 32 * (kPiece / 2));
  return Rows::template Bits<4 * (kPiece % 2) + 2 * i, 3>(packed);
}

// The scales are the low nibbles, the minimums the high ones.
template <>
struct SimdRows<Q2_K> : Runs<Q2_K, 2> {
  template <class Rows, int kPiece>
  static void Codes(BlocksOfRows blocks, typename Rows::Bytes out[2]) {
    out[0] = TwoBits<Rows, kPiece, 0>(blocks, offsetof(Block, qs));
    out[1] = TwoBits<Rows, kPiece, 1>(blocks, offsetof(Block, qs));
  }
  template <class Lanes, class Out>
  static void Scales(BlocksOfRows blocks, const Out& out) {
    typename Lanes::Bytes packed[4], tail[4];
    Lanes::LoadColumns(blocks.rows, blocks.offset + offsetof(Block, scales), packed);
    LoadTail<Lanes, Block>(blocks, tail);
    const auto d = Lanes::LowHalves(tail[3]);
    const auto minus_dmin = Lanes::Mul(Lanes::HighHalves(tail[3]), Lanes::SetAll(-1));
    ForEach<16>([&](auto j) {
      const auto scales = LaneBits<Lanes, 0, 15>(packed[j / 4]), minimums = LaneBits<Lanes, 4, 15>(packed[j / 4]);
      Lanes::Store(out(j / 2).scales[j % 2], Lanes::Mul(d, Lanes::UnsignedByte(scales, j % 4)));
      Lanes::Store(out(j / 2).minimums[j % 2], Lanes::Mul(minus_dmin, Lanes::UnsignedByte(minimums, j % 4)));
    });
  }
};

// Bit j of hmask[column] is the third bit in run j. The scales, less 32: the low nibbles of 0..7 and 8..15 are the low
// and high nibbles of bytes 0..7; the top two bits of j are bits 2 * (j / 4) and up of byte 8 + j % 4.
template <>
struct SimdRows<Q3_K> : Runs<Q3_K, 3> {
  template <class Rows, int kPiece>
  static void Codes(BlocksOfRows blocks, typename Rows::Bytes out[2]) {
    const auto low0 = TwoBits<Rows, kPiece, 0>(blocks, offsetof(Block, qs));
    const auto low1 = TwoBits<Rows, kPiece, 1>(blocks, offsetof(Block, qs));
    const auto third = Rows::Load(blocks.rows, blocks.offset + offsetof(Block, hmask));
    out[0] = Rows::Or(low0, Rows::template Bits<2 * kPiece - 2, 4>(third));
    out[1] = Rows::Or(low1, Rows::template Bits<2 * kPiece - 1, 4>(third));
  }
  template <class Lanes, class Out>
  static void Scales(BlocksOfRows blocks, const Out& out) {
    typename Lanes::Bytes tail[4];
    LoadTail<Lanes, Block>(blocks, tail);
    constexpr int kFirst = 2;  // where the scales begin in the tail
    static_assert(offsetof(Block, scales) == sizeof(Block) - 16 + kFirst);
    // With the bits on top of a byte it is four times the scale, signed.
    const auto quarter_d = Lanes::Mul(Lanes::HighHalves(tail[3]), Lanes::SetAll(0.25f));
    ForEach<16>([&](auto j) {
      constexpr int kLow = kFirst + j % 8, kHigh = kFirst + 8 + j % 4;
      static_assert(kLow % 4 == kHigh % 4);
      const auto low = LaneBits<Lanes, j / 8 * 4 - 2, 0x3C>(tail[kLow / 4]);
      const auto high = LaneBits<Lanes, j / 4 * 2 - 6, 0xC0>(tail[kHigh / 4]);
      const auto scales = Lanes::Xor(Lanes::Or(low, high), Lanes::Set1(0x80));
      Lanes::Store(out(j / 2).scales[j % 2], Lanes::Mul(quarter_d, Lanes::SignedByte(scales, kLow % 4)));
    });
  }
};

// d and dmin, then eight 6-bit scales and minimums in 12 bytes: the beginning of Q4_K and Q5_K.
template <class F, int kBits>
struct PackedScaleRuns : Runs<F, kBits> {
  template <class Lanes, class Out>
  static void Scales(BlocksOfRows blocks, const Out& out) {
    typename Lanes::Bytes head[4];
    Lanes::LoadColumns(blocks.rows, blocks.offset, head);
    const auto d = Lanes::LowHalves(head[0]);
    const auto minus_dmin = Lanes::Mul(Lanes::HighHalves(head[0]), Lanes::SetAll(-1));
    const auto low6 = Lanes::Set1(63), low4 = Lanes::Set1(15), bits45 = Lanes::Set1(0x30);
    const auto top = [&](auto packed) { return Lanes::And(Lanes::template ShiftRight<2>(packed), bits45); };
    const typename Lanes::Bytes scales[2] = {Lanes::And(head[1], low6),
                                             Lanes::Or(Lanes::And(head[3], low4), top(head[1]))};
    const typename Lanes::Bytes minimums[2] = {Lanes::And(head[2], low6),
                                               Lanes::Or(Lanes::template ShiftRight<4>(head[3]), top(head[2]))};
    ForEach<8>([&](auto j) {
      Lanes::Store(out(j).scales[0], Lanes::Mul(d, Lanes::UnsignedByte(scales[j / 4], j % 4)));
      Lanes::Store(out(j).minimums[0], Lanes::Mul(minus_dmin, Lanes::UnsignedByte(minimums[j / 4], j % 4)));
    });
  }
};

// 32 bytes hold run 2k in the low and run 2k + 1 in the high nibbles.
template <>
struct SimdRows<Q4_K> : PackedScaleRuns<Q4_K, 4> {
  template <class Rows, int kPiece>
  static void Codes(BlocksOfRows blocks, typename Rows::Bytes out[2]) {
    const auto packed = Rows::Load(blocks.rows, blocks.offset + offsetof(Block, qs) + 32 * kPiece);
    out[0] = Rows::template Bits<0, 15>(packed);
    out[1] = Rows::template Bits<4, 15>(packed);
  }
};

// As Q4_K; bit j of qh[column] is the fifth bit in run j.
template <>
struct SimdRows<Q5_K> : PackedScaleRuns<Q5_K, 5> {
  template <class Rows, int kPiece>
  static void Codes(BlocksOfRows blocks, typename Rows::Bytes out[2]) {
    const auto packed = Rows::Load(blocks.rows, blocks.offset + offsetof(Block, qs) + 32 * kPiece);
    const auto fifth = Rows::Load(blocks.rows, blocks.offset + offsetof(Block, qh));
    out[0] = Rows::Or(Rows::template Bits<0, 15>(packed), Rows::template Bits<2 * kPiece - 4, 16>(fifth));
    out[1] = Rows::Or(Rows::template Bits<4, 15>(packed), Rows::template Bits<2 * kPiece - 3, 16>(fifth));
  }
};

// Each half of 128 columns is four runs. 32 bytes of ql hold run i in the low and run i + 2 in the high nibbles; bits
// 2i and 2i + 1 of qh[column] are on top of run i.
template <>
struct SimdRows<Q6_K> : Runs<Q6_K, 6> {
  static constexpr int RunOf(int piece, int i) { return piece / 2 * 4 + piece % 2 + 2 * i; }
  template <class Rows, int kPiece>
  static void Codes(BlocksOfRows blocks, typename Rows::Bytes out[2]) {
    constexpr int kRun = kPiece % 2;
    const auto low = Rows::Load(blocks.rows, blocks.offset + offsetof(Block, ql) + 32 * kPiece);
    const auto high = Rows::Load(blocks.rows, blocks.offset + offsetof(Block, qh) + 32 * (kPiece / 2));
    out[0] = Rows::Or(Rows::template Bits<0, 15>(low), Rows::template Bits<2 * kRun - 4, 0x30>(high));
    out[1] = Rows::Or(Rows::template Bits<4, 15>(low), Rows::template Bits<2 * kRun, 0x30>(high));
  }
  template <class Lanes, class Out>
  static void Scales(BlocksOfRows blocks, const Out& out) {
    typename Lanes::Bytes scales[4], tail[4];
    Lanes::LoadColumns(blocks.rows, blocks.offset + offsetof(Block, scales), scales);
    LoadTail<Lanes, Block>(blocks, tail);
    const auto d = Lanes::HighHalves(tail[3]);
    ForEach<16>([&](auto j) {
      Lanes::Store(out(j / 2).scales[j % 2], Lanes::Mul(d, Lanes::SignedByte(scales[j / 4], j % 4)));
    });
  }
};

// A half at the end of the block, the scale of all its columns.
template <class F>
struct EndScaleRuns : Runs<F, 2> {
  template <class Lanes, class Out>
  static void Scales(BlocksOfRows blocks, const Out& out) {
    typename Lanes::Bytes tail[4];
    LoadTail<Lanes, typename F::Block>(blocks, tail);
    const auto d = Lanes::HighHalves(tail[3]);
    ForEach<8>([&](auto j) { Lanes::Store(out(j).scales[0], d); });
  }
};

template <>
struct SimdRows<TQ2_0> : EndScaleRuns<TQ2_0> {
  template <class Rows, int kPiece>
  static void Codes(BlocksOfRows blocks, typename Rows::Bytes out[2]) {
    out[0] = TwoBits<Rows, kPiece, 0>(blocks, offsetof(Block, qs));
    out[1] = TwoBits<Rows, kPiece, 1>(blocks, offsetof(Block, qs));
  }
};

// Digits of base 3; a byte is the fraction they make, in 256ths. Digit n is the whole part of it times 3^(n + 1),
// modulo 3. 32 bytes hold digits 0..4 of runs 0..4; 16 bytes digits 0..4 of the next 80 columns, and four bytes digits
// 0..3 of the last 16. As in unpack_iq-inl.h, too much code to repeat it for each row.
template <>
struct SimdRows<TQ1_0> : EndScaleRuns<TQ1_0> {
  template <class Rows, int kPiece>
  [[gnu::noinline]] static void Codes(BlocksOfRows blocks, typename Rows::Bytes out[2]) {
    out[0] = Digits<Rows>(Fractions<Rows, 2 * kPiece>(blocks));
    out[1] = Digits<Rows>(Fractions<Rows, 2 * kPiece + 1>(blocks));
  }

 private:
  static constexpr std::uint64_t kPowers[5] = {1, 3, 9, 27, 81};

  // Three times a fraction is at least 256, or 512.
  template <class Rows>
  static typename Rows::Bytes Digits(typename Rows::Bytes fractions) {
    return Rows::AddBytes(Rows::AtLeast(fractions, 86), Rows::AtLeast(fractions, 171));
  }

  // What is left of the fractions of a run when the digits before its own are taken off.
  template <class Rows, int kRun>
  static typename Rows::Bytes Fractions(BlocksOfRows blocks) {
    if constexpr (kRun < 5) {
      auto fractions = Rows::Load(blocks.rows, blocks.offset + offsetof(Block, qs));
      ForEach<kRun>([&](auto) { fractions = Rows::AddBytes(Rows::AddBytes(fractions, fractions), fractions); });
      return fractions;
    } else {
      return Rows::FromWords(blocks.rows, [&](const std::uint8_t* row, int word) {
        const int part = 2 * (kRun - 5) + word / 2;  // of 16 columns
        if (part < 5) {
          std::uint64_t bytes;
          std::memcpy(&bytes, row + blocks.offset + offsetof(Block, qs) + 32 + word % 2 * 8, sizeof(bytes));
          return TimesEach(bytes, kPowers[part]);
        }
        std::uint32_t bytes;
        std::memcpy(&bytes, row + blocks.offset + offsetof(Block, qh), sizeof(bytes));
        const int digit = word % 2 * 2;
        return TimesEach(bytes, kPowers[digit]) | TimesEach(bytes, kPowers[digit + 1]) << 32;
      });
    }
  }

  // Each byte times `factor`, modulo 256.
  static std::uint64_t TimesEach(std::uint64_t bytes, std::uint64_t factor) {
    constexpr std::uint64_t kEven = 0x00FF00FF00FF00FF;
    return ((bytes & kEven) * factor & kEven) | ((bytes >> 8 & kEven) * factor & kEven) << 8;
  }
};

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_UNPACK_K_INL_H_
