// The quantized formats taken apart, a short struct each. A new format needs one here and a line in the kernel tables;
// the products follow.
//
// A format is columns in runs of 32, kRuns of them in a block:
//   weight[row][column] = scale[row][group] * (code[row][column] - kZero) + minimum[row][group]
// with unsigned codes of kBits bits and groups of 32 / kGroups columns. A format has a zero point or minimums, not
// both. Codes have up to 6 bits, or 8. Each struct says where these are, with the words of an instruction set: Codes
// with those of a Rows (rows_*-inl.h: a row's columns side by side), Scales with those of a Lanes (int8_*-inl.h: a lane
// for each row).
//
// This file has the formats of 32 columns a block; those of 256 are in unpack_k-inl.h and unpack_iq-inl.h.

#ifndef SLM_KERNELS_SIMD_UNPACK_INL_H_
#define SLM_KERNELS_SIMD_UNPACK_INL_H_

#include <cstddef>
#include <cstdint>

#include "formats.h"
#include "iq_grids.h"

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

// In place of a zero point, which is a power of two: the codes are multiplied as they are, and there are minimums.
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

struct RunsIQ4_NL : QuantFormat<BlockIQ4_NL, 8, kByteZero, 1, 1> {
  template <class Rows, int kPiece>
  static void Codes(BlocksOfRows blocks, typename Rows::Bytes out[1]) {
    out[0] = Rows::LookUp(kIq4Codes, Rows::LoadNibbles(blocks.rows, blocks.offset + offsetof(Block, qs)));
  }
  template <class Lanes, class Out>
  static void Scales(BlocksOfRows blocks, const Out& out) {
    ScaleAtFront<Lanes>(blocks, out);
  }
};

// 2^(e - 128), the smallest of which are subnormal.
struct Mxfp4Scales {
  float values[256];

  constexpr Mxfp4Scales() : values() {
    values[0] = 0x1p-128f;
    for (int e = 1; e < 256; ++e) values[e] = 2 * values[e - 1];
  }
};
inline constexpr Mxfp4Scales kMxfp4Scales;

struct RunsMXFP4 : QuantFormat<BlockMXFP4, 5, 16, 1, 1> {
  template <class Rows, int kPiece>
  static void Codes(BlocksOfRows blocks, typename Rows::Bytes out[1]) {
    out[0] = Rows::LookUp(kMxfp4Codes, Rows::LoadNibbles(blocks.rows, blocks.offset + offsetof(Block, qs)));
  }
  template <class Lanes, class Out>
  static void Scales(BlocksOfRows blocks, const Out& out) {
    for (int row = 0; row < Lanes::kRows; ++row)
      out(0).scales[0][row] = kMxfp4Scales.values[blocks.rows[row][blocks.offset + offsetof(Block, e)]];
  }
};

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_UNPACK_INL_H_
