// The quantized formats taken apart, a short struct each. A new format needs one here and a line in the kernel tables;
// the products follow.
//
// A format is columns in runs of 32, kRuns of them in a block:
//   weight[row][column] = scale[row][group] * (code[row][column] - kZero) + minimum[row][group]
// with unsigned codes of kBits bits and groups of 32 / kGroups columns. A format has a zero point or minimums, not
// both. Each struct says where these are, with the words of an instruction set: Codes with those of a Rows
// (rows_*-inl.h: a row's columns side by side), Scales with those of a Lanes (int8_*-inl.h: a lane for each row).

#ifndef SLM_KERNELS_SIMD_UNPACK_INL_H_
#define SLM_KERNELS_SIMD_UNPACK_INL_H_

#include <cstddef>
#include <cstdint>

#include "formats.h"
#include "simd/unroll-inl.h"

namespace slm {
namespace {

// Of Lanes::kRows rows, and 32 columns.
template <class Lanes, int kGroups>
struct alignas(64) RunScales {
  float scales[kGroups][Lanes::kRows];
  float minimums[kGroups][Lanes::kRows];  // left alone where there is a zero point
};

// The blocks of some rows that are `offset` bytes from where the rows begin.
struct BlocksOfRows {
  const std::uint8_t* const* rows;
  std::size_t offset;
};

// In place of a zero point: the codes are multiplied as they are, and there are minimums.
inline constexpr int kMinimums = -1;
// That of formats of signed bytes, where an instruction set wants codes unsigned and where it wants them signed.
inline constexpr int kByteZero = 128;

// What the formats below share. Codes gives kRunsOfPiece runs at a time, kRuns / kRunsOfPiece times: out[i] is run
// RunOf(piece, i) of the block.
template <class BlockOfFormat, int kBitsOfCode, int kZeroPoint, int kGroupsOfRun, int kRunsOfBlock,
          int kRunsAtOnce = (kRunsOfBlock > 1 ? 2 : 1)>
struct QuantFormat {
  using Block = BlockOfFormat;
  static constexpr int kBits = kBitsOfCode;
  static constexpr int kZero = kZeroPoint;
  static constexpr int kGroups = kGroupsOfRun;
  static constexpr int kRuns = kRunsOfBlock;
  static constexpr int kRunsOfPiece = kRunsAtOnce;
  static constexpr int RunOf(int piece, int i) { return piece * kRunsOfPiece + i; }
};

// A half at the beginning of the block, the scale; and another after it, the minimum.
template <class Lanes, class Out>
void ScaleAtFront(BlocksOfRows blocks, const Out& out) {
  typename Lanes::Bytes head[4];
  Lanes::LoadColumns(blocks.rows, blocks.offset, head);
  Lanes::Store(out(0).scales[0], Lanes::LowHalves(head[0]));
}
template <class Lanes, class Out>
void ScaleAndMinimumAtFront(BlocksOfRows blocks, const Out& out) {
  typename Lanes::Bytes head[4];
  Lanes::LoadColumns(blocks.rows, blocks.offset, head);
  Lanes::Store(out(0).scales[0], Lanes::LowHalves(head[0]));
  Lanes::Store(out(0).minimums[0], Lanes::HighHalves(head[0]));
}

struct RunsQ4_0 : QuantFormat<BlockQ4_0, 4, 8, 1, 1> {
  template <class Rows, int kPiece>
  static void Codes(BlocksOfRows blocks, typename Rows::Bytes out[1]) {
    out[0] = Rows::LoadNibbles(blocks.rows, blocks.offset + offsetof(Block, qs));
  }
  template <class Lanes, class Out>
  static void Scales(BlocksOfRows blocks, const Out& out) {
    ScaleAtFront<Lanes>(blocks, out);
  }
};

struct RunsQ4_1 : QuantFormat<BlockQ4_1, 4, kMinimums, 1, 1> {
  template <class Rows, int kPiece>
  static void Codes(BlocksOfRows blocks, typename Rows::Bytes out[1]) {
    out[0] = Rows::LoadNibbles(blocks.rows, blocks.offset + offsetof(Block, qs));
  }
  template <class Lanes, class Out>
  static void Scales(BlocksOfRows blocks, const Out& out) {
    ScaleAndMinimumAtFront<Lanes>(blocks, out);
  }
};

struct RunsQ5_0 : QuantFormat<BlockQ5_0, 5, 16, 1, 1> {
  template <class Rows, int kPiece>
  static void Codes(BlocksOfRows blocks, typename Rows::Bytes out[1]) {
    out[0] = Rows::Or(Rows::LoadNibbles(blocks.rows, blocks.offset + offsetof(Block, qs)),
                      Rows::LoadBits(blocks.rows, blocks.offset + offsetof(Block, qh), 16));
  }
  template <class Lanes, class Out>
  static void Scales(BlocksOfRows blocks, const Out& out) {
    ScaleAtFront<Lanes>(blocks, out);
  }
};

struct RunsQ5_1 : QuantFormat<BlockQ5_1, 5, kMinimums, 1, 1> {
  template <class Rows, int kPiece>
  static void Codes(BlocksOfRows blocks, typename Rows::Bytes out[1]) {
    out[0] = Rows::Or(Rows::LoadNibbles(blocks.rows, blocks.offset + offsetof(Block, qs)),
                      Rows::LoadBits(blocks.rows, blocks.offset + offsetof(Block, qh), 16));
  }
  template <class Lanes, class Out>
  static void Scales(BlocksOfRows blocks, const Out& out) {
    ScaleAndMinimumAtFront<Lanes>(blocks, out);
  }
};

struct RunsQ8_0 : QuantFormat<BlockQ8_0, 8, kByteZero, 1, 1> {
  template <class Rows, int kPiece>
  static void Codes(BlocksOfRows blocks, typename Rows::Bytes out[1]) {
    // -128..127 becomes 0..255.
    out[0] = Rows::Xor(Rows::Load(blocks.rows, blocks.offset + offsetof(Block, qs)), Rows::Set1(kByteZero));
  }
  template <class Lanes, class Out>
  static void Scales(BlocksOfRows blocks, const Out& out) {
    ScaleAtFront<Lanes>(blocks, out);
  }
};

// d and dmin, then eight 6-bit scales and minimums in 12 bytes: the beginning of Q4_K and Q5_K.
template <class Lanes, class Out>
void PackedScales(BlocksOfRows blocks, const Out& out) {
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

// 32 bytes hold run 2k in the low and run 2k + 1 in the high nibbles.
struct RunsQ4_K : QuantFormat<BlockQ4_K, 4, kMinimums, 1, 8> {
  template <class Rows, int kPiece>
  static void Codes(BlocksOfRows blocks, typename Rows::Bytes out[2]) {
    const auto packed = Rows::Load(blocks.rows, blocks.offset + offsetof(Block, qs) + 32 * kPiece);
    out[0] = Rows::template Bits<0, 15>(packed);
    out[1] = Rows::template Bits<4, 15>(packed);
  }
  template <class Lanes, class Out>
  static void Scales(BlocksOfRows blocks, const Out& out) {
    PackedScales<Lanes>(blocks, out);
  }
};

// As Q4_K; bit j of qh[column] is the fifth bit in run j.
struct RunsQ5_K : QuantFormat<BlockQ5_K, 5, kMinimums, 1, 8> {
  template <class Rows, int kPiece>
  static void Codes(BlocksOfRows blocks, typename Rows::Bytes out[2]) {
    const auto packed = Rows::Load(blocks.rows, blocks.offset + offsetof(Block, qs) + 32 * kPiece);
    const auto fifth = Rows::Load(blocks.rows, blocks.offset + offsetof(Block, qh));
    out[0] = Rows::Or(Rows::template Bits<0, 15>(packed), Rows::template Bits<2 * kPiece - 4, 16>(fifth));
    out[1] = Rows::Or(Rows::template Bits<4, 15>(packed), Rows::template Bits<2 * kPiece - 3, 16>(fifth));
  }
  template <class Lanes, class Out>
  static void Scales(BlocksOfRows blocks, const Out& out) {
    PackedScales<Lanes>(blocks, out);
  }
};

// Each half of 128 columns is four runs. 32 bytes of ql hold run i in the low and run i + 2 in the high nibbles; bits
// 2i and 2i + 1 of qh[column] are on top of run i.
struct RunsQ6_K : QuantFormat<BlockQ6_K, 6, 32, 2, 8> {
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
    typename Lanes::Bytes scales[4];
    Lanes::LoadColumns(blocks.rows, blocks.offset + offsetof(Block, scales), scales);
    typename Lanes::Bytes tail[4];  // the last 16 bytes, of which d is the end
    Lanes::LoadColumns(blocks.rows, blocks.offset + sizeof(Block) - 16, tail);
    const auto d = Lanes::HighHalves(tail[3]);
    ForEach<16>([&](auto j) {
      Lanes::Store(out(j / 2).scales[j % 2], Lanes::Mul(d, Lanes::SignedByte(scales[j / 4], j % 4)));
    });
  }
};

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_UNPACK_INL_H_
