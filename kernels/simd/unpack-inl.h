// The quantized formats taken apart, a specialization of SimdRows each. The products follow; a format without one is
// multiplied by the scalar set's.
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
#include "unpack.h"

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

// For format F; empty where there is no SIMD code.
template <class F>
struct SimdRows {};

// What follows from the format's type. Codes gives kRunsOfPiece runs at a time, kRuns / kRunsOfPiece times: out[i] is
// run RunOf(piece, i) of the block.
template <class F, int kBitsOfCode>
struct Runs {
  using Block = typename F::Block;
  static constexpr int kBits = kBitsOfCode;
  static constexpr int kZero = kBits == 8 ? kByteZero : F::kZero == 0 ? kMinimums : F::kZero;
  static constexpr int kGroups = 32 / F::kGroup;
  static constexpr int kRuns = F::kElements / 32;
  static constexpr int kRunsOfPiece = kRuns > 1 ? 2 : 1;
  static constexpr int RunOf(int piece, int i) { return piece * kRunsOfPiece + i; }
};

// Nibbles, and perhaps fifth bits; a half at the beginning of the block, the scale, and perhaps one after it, the
// minimum.
template <class F, int kBits>
struct FrontScaleRuns : Runs<F, kBits> {
  using Block = typename F::Block;

  template <class Rows, int kPiece>
  static void Codes(BlocksOfRows blocks, typename Rows::Bytes out[1]) {
    out[0] = Rows::LoadNibbles(blocks.rows, blocks.offset + offsetof(Block, qs));
    if constexpr (kBits == 5)
      out[0] = Rows::Or(out[0], Rows::LoadBits(blocks.rows, blocks.offset + offsetof(Block, qh), 16));
  }
  template <class Lanes, class Out>
  static void Scales(BlocksOfRows blocks, const Out& out) {
    typename Lanes::Bytes head[4];
    Lanes::LoadColumns(blocks.rows, blocks.offset, head);
    Lanes::Store(out(0).scales[0], Lanes::LowHalves(head[0]));
    if constexpr (F::kZero == 0) Lanes::Store(out(0).minimums[0], Lanes::HighHalves(head[0]));
  }
};

template <>
struct SimdRows<Q4_0> : FrontScaleRuns<Q4_0, 4> {};
template <>
struct SimdRows<Q4_1> : FrontScaleRuns<Q4_1, 4> {};
template <>
struct SimdRows<Q5_0> : FrontScaleRuns<Q5_0, 5> {};
template <>
struct SimdRows<Q5_1> : FrontScaleRuns<Q5_1, 5> {};

template <>
struct SimdRows<Q8_0> : FrontScaleRuns<Q8_0, 8> {
  template <class Rows, int kPiece>
  static void Codes(BlocksOfRows blocks, typename Rows::Bytes out[1]) {
    // -128..127 becomes 0..255.
    out[0] = Rows::Xor(Rows::Load(blocks.rows, blocks.offset + offsetof(Block, qs)), Rows::Set1(kByteZero));
  }
};

template <>
struct SimdRows<IQ4_NL> : FrontScaleRuns<IQ4_NL, 8> {
  template <class Rows, int kPiece>
  static void Codes(BlocksOfRows blocks, typename Rows::Bytes out[1]) {
    out[0] = Rows::LookUp(kIq4Codes, Rows::LoadNibbles(blocks.rows, blocks.offset + offsetof(Block, qs)));
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

template <>
struct SimdRows<MXFP4> : Runs<MXFP4, 5> {
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
