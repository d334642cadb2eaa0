// The quantized formats as panels: one short routine each. A new format needs its routine here and a line in the kernel
// tables; the products follow.
//
// Isa is one of the int8_*-inl.h vocabularies.

#ifndef SLM_KERNELS_SIMD_UNPACK_INL_H_
#define SLM_KERNELS_SIMD_UNPACK_INL_H_

#include <cstddef>
#include <cstdint>

#include "formats.h"

namespace slm {
namespace {

// 32 columns of Isa::kRows weight rows, ready to be multiplied:
//   weight[row][column] = scales[group][row] * (code - kZero) + minimums[group][row]
// with groups of 32 / kGroups columns. A format has a zero point or minimums, not both.
template <class Isa, int kGroups>
struct alignas(64) PanelBlock {
  std::uint8_t codes[8][4 * Isa::kRows];  // two vectors for each 8 columns, in the order of Isa::LoadCodes
  float scales[kGroups][Isa::kRows];
  float minimums[kGroups][Isa::kRows];  // left alone where there is a zero point
};

// In place of a zero point: the codes are multiplied as they are, and there are minimums.
inline constexpr int kMinimums = -1;

// What the formats below share: kBits of a code, its zero point or kMinimums, kGroups with an own scale in 32 columns,
// and PanelBlocks in a block.
template <class Isa, int kBitsOfCode, int kZeroPoint, int kGroupsOfBlock, int kBlocksOfFormat>
struct PanelFormat {
  static constexpr int kBits = kBitsOfCode;
  static constexpr int kZero = kZeroPoint;
  static constexpr int kGroups = kGroupsOfBlock;
  static constexpr int kBlocks = kBlocksOfFormat;
  using Panel = PanelBlock<Isa, kGroups>;
  using Bytes = typename Isa::Bytes;
  using Floats = typename Isa::Floats;
  // A block of each of kRows rows, `offset` bytes from where the rows begin.
  struct Rows {
    const std::uint8_t* const* begin;
    std::size_t offset;
  };

  // 16 bytes of each row's block.
  static void LoadColumns(Rows rows, std::size_t offset, Bytes out[4]) {
    Isa::LoadColumns(rows.begin, rows.offset + offset, out);
  }
  static void LoadCodes(Rows rows, std::size_t offset, Bytes out[4]) {
    Isa::LoadCodes(rows.begin, rows.offset + offset, out);
  }

  static void SetScaleAndMinimum(Panel& panel, Floats scale, Floats minimum) {
    Isa::Store(panel.scales[0], scale);
    Isa::Store(panel.minimums[0], minimum);
  }

  // 16 bytes a row with columns 0..15 in the low and 16..31 in the high nibbles.
  static void SetNibbles(Panel& panel, Rows rows, std::size_t offset) {
    Bytes packed[4];
    LoadCodes(rows, offset, packed);
    for (int i = 0; i < 4; ++i) {
      Isa::StoreBytes(panel.codes[i], Isa::And(packed[i], Isa::Set1(15)));
      Isa::StoreBytes(panel.codes[i + 4], Isa::template ShiftRight<4>(packed[i]));
    }
  }

  // As above, with the fifth bits in 32 bits of their own.
  static void SetNibblesAndFifthBits(Panel& panel, Rows rows, std::size_t offset, Bytes fifth) {
    Bytes packed[4];
    LoadCodes(rows, offset, packed);
    for (int i = 0; i < 4; ++i) {
      Isa::StoreBytes(panel.codes[i], Isa::Or(Isa::And(packed[i], Isa::Set1(15)), Isa::SpreadBits(fifth, i, 16)));
      Isa::StoreBytes(panel.codes[i + 4],
                      Isa::Or(Isa::template ShiftRight<4>(packed[i]), Isa::SpreadBits(fifth, i + 4, 16)));
    }
  }

  // d and dmin, then eight 6-bit scales and minimums in 12 bytes: the beginning of Q4_K and Q5_K.
  static void SetSubScales(Panel* panels, Rows rows) {
    Bytes head[4];
    LoadColumns(rows, 0, head);
    const Floats d = Isa::LowHalves(head[0]);
    const Floats minus_dmin = Isa::Mul(Isa::HighHalves(head[0]), Isa::SetAll(-1));
    const Bytes low6 = Isa::Set1(63), low4 = Isa::Set1(15), bits45 = Isa::Set1(0x30);
    const auto top = [&](Bytes packed) { return Isa::And(Isa::template ShiftRight<2>(packed), bits45); };
    const Bytes scales[2] = {Isa::And(head[1], low6), Isa::Or(Isa::And(head[3], low4), top(head[1]))};
    const Bytes minimums[2] = {Isa::And(head[2], low6), Isa::Or(Isa::template ShiftRight<4>(head[3]), top(head[2]))};
    for (int j = 0; j < 8; ++j) {
      SetScaleAndMinimum(panels[j], Isa::Mul(d, Isa::UnsignedByte(scales[j / 4], j % 4)),
                         Isa::Mul(minus_dmin, Isa::UnsignedByte(minimums[j / 4], j % 4)));
    }
  }
};

template <class Isa>
struct PanelQ4_0 : PanelFormat<Isa, 4, 8, 1, 1> {
  using Base = PanelFormat<Isa, 4, 8, 1, 1>;
  using Block = BlockQ4_0;
  static void Unpack(typename Base::Rows rows, typename Base::Panel* panel) {
    Base::SetNibbles(*panel, rows, offsetof(Block, qs));
    typename Base::Bytes head[4];
    Base::LoadColumns(rows, offsetof(Block, d), head);
    Isa::Store(panel->scales[0], Isa::LowHalves(head[0]));
  }
};

template <class Isa>
struct PanelQ4_1 : PanelFormat<Isa, 4, kMinimums, 1, 1> {
  using Base = PanelFormat<Isa, 4, kMinimums, 1, 1>;
  using Block = BlockQ4_1;
  static void Unpack(typename Base::Rows rows, typename Base::Panel* panel) {
    Base::SetNibbles(*panel, rows, offsetof(Block, qs));
    typename Base::Bytes head[4];
    Base::LoadColumns(rows, offsetof(Block, d), head);
    Base::SetScaleAndMinimum(*panel, Isa::LowHalves(head[0]), Isa::HighHalves(head[0]));
  }
};

template <class Isa>
struct PanelQ5_0 : PanelFormat<Isa, 5, 16, 1, 1> {
  using Base = PanelFormat<Isa, 5, 16, 1, 1>;
  using Block = BlockQ5_0;
  static void Unpack(typename Base::Rows rows, typename Base::Panel* panel) {
    typename Base::Bytes head[4];  // d, qh and what follows
    Base::LoadColumns(rows, offsetof(Block, d), head);
    Base::SetNibblesAndFifthBits(*panel, rows, offsetof(Block, qs), Isa::JoinHalves(head[0], head[1]));
    Isa::Store(panel->scales[0], Isa::LowHalves(head[0]));
  }
};

template <class Isa>
struct PanelQ5_1 : PanelFormat<Isa, 5, kMinimums, 1, 1> {
  using Base = PanelFormat<Isa, 5, kMinimums, 1, 1>;
  using Block = BlockQ5_1;
  static void Unpack(typename Base::Rows rows, typename Base::Panel* panel) {
    typename Base::Bytes head[4];  // d and m, qh and what follows
    Base::LoadColumns(rows, offsetof(Block, d), head);
    Base::SetNibblesAndFifthBits(*panel, rows, offsetof(Block, qs), head[1]);
    Base::SetScaleAndMinimum(*panel, Isa::LowHalves(head[0]), Isa::HighHalves(head[0]));
  }
};

template <class Isa>
struct PanelQ8_0 : PanelFormat<Isa, 8, Isa::kByteZero, 1, 1> {
  using Base = PanelFormat<Isa, 8, Isa::kByteZero, 1, 1>;
  using Block = BlockQ8_0;
  static void Unpack(typename Base::Rows rows, typename Base::Panel* panel) {
    for (int half = 0; half < 2; ++half) {
      typename Base::Bytes columns[4];
      Base::LoadCodes(rows, offsetof(Block, qs) + 16 * static_cast<std::size_t>(half), columns);
      // -128..127 becomes 0..255 where codes are unsigned.
      for (int i = 0; i < 4; ++i)
        Isa::StoreBytes(panel->codes[4 * half + i], Isa::Xor(columns[i], Isa::Set1(Isa::kByteZero)));
    }
    typename Base::Bytes head[4];
    Base::LoadColumns(rows, offsetof(Block, d), head);
    Isa::Store(panel->scales[0], Isa::LowHalves(head[0]));
  }
};

template <class Isa>
struct PanelQ4_K : PanelFormat<Isa, 4, kMinimums, 1, 8> {
  using Base = PanelFormat<Isa, 4, kMinimums, 1, 8>;
  using Block = BlockQ4_K;
  static void Unpack(typename Base::Rows rows, typename Base::Panel* panels) {
    Base::SetSubScales(panels, rows);
    // 32 bytes hold sub-block 2k in the low and 2k + 1 in the high nibbles.
    for (int piece = 0; piece < 8; ++piece) {
      typename Base::Bytes packed[4];
      Base::LoadCodes(rows, offsetof(Block, qs) + 16 * static_cast<std::size_t>(piece), packed);
      for (int i = 0; i < 4; ++i) {
        const int step = 4 * (piece % 2) + i;
        Isa::StoreBytes(panels[piece / 2 * 2].codes[step], Isa::And(packed[i], Isa::Set1(15)));
        Isa::StoreBytes(panels[piece / 2 * 2 + 1].codes[step], Isa::template ShiftRight<4>(packed[i]));
      }
    }
  }
};

template <class Isa>
struct PanelQ5_K : PanelFormat<Isa, 5, kMinimums, 1, 8> {
  using Base = PanelFormat<Isa, 5, kMinimums, 1, 8>;
  using Block = BlockQ5_K;
  static void Unpack(typename Base::Rows rows, typename Base::Panel* panels) {
    Base::SetSubScales(panels, rows);
    // As Q4_K; bit j of qh[column] is the fifth bit in sub-block j.
    typename Base::Bytes fifth[8];
    Base::LoadCodes(rows, offsetof(Block, qh), fifth);
    Base::LoadCodes(rows, offsetof(Block, qh) + 16, fifth + 4);
    for (int piece = 0; piece < 8; ++piece) {
      typename Base::Bytes packed[4];
      Base::LoadCodes(rows, offsetof(Block, qs) + 16 * static_cast<std::size_t>(piece), packed);
      for (int i = 0; i < 4; ++i) {
        const int step = 4 * (piece % 2) + i;
        const int pair = piece / 2 * 2;
        const auto bit = [&](int j) { return Isa::And(Isa::HasBit(fifth[step], j), Isa::Set1(16)); };
        Isa::StoreBytes(panels[pair].codes[step], Isa::Or(Isa::And(packed[i], Isa::Set1(15)), bit(pair)));
        Isa::StoreBytes(panels[pair + 1].codes[step], Isa::Or(Isa::template ShiftRight<4>(packed[i]), bit(pair + 1)));
      }
    }
  }
};

template <class Isa>
struct PanelQ6_K : PanelFormat<Isa, 6, 32, 2, 8> {
  using Base = PanelFormat<Isa, 6, 32, 2, 8>;
  using Block = BlockQ6_K;
  static void Unpack(typename Base::Rows rows, typename Base::Panel* panels) {
    typename Base::Bytes scales[4];
    Base::LoadColumns(rows, offsetof(Block, scales), scales);
    typename Base::Bytes tail[4];  // the last 16 bytes, of which d is the end
    Base::LoadColumns(rows, sizeof(Block) - 16, tail);
    const auto d = Isa::HighHalves(tail[3]);
    for (int j = 0; j < 16; ++j) {
      Isa::Store(panels[j / 2].scales[j % 2], Isa::Mul(d, Isa::SignedByte(scales[j / 4], j % 4)));
    }
    // Each half of 128 columns is four runs of 32: low nibbles of 64 bytes of ql, then the high ones; two bits each of
    // qh.
    for (int piece = 0; piece < 4; ++piece) {
      const int half = piece / 2;
      const std::size_t column = 16 * static_cast<std::size_t>(piece % 2);
      typename Base::Bytes first[4], second[4], high[4];
      Base::LoadCodes(rows, offsetof(Block, ql) + 64 * static_cast<std::size_t>(half) + column, first);
      Base::LoadCodes(rows, offsetof(Block, ql) + 64 * static_cast<std::size_t>(half) + 32 + column, second);
      Base::LoadCodes(rows, offsetof(Block, qh) + 32 * static_cast<std::size_t>(half) + column, high);
      const auto bits45 = Isa::Set1(0x30);
      for (int i = 0; i < 4; ++i) {
        const int step = 4 * (piece % 2) + i;
        const auto store = [&](int run, typename Base::Bytes low, typename Base::Bytes top) {
          Isa::StoreBytes(panels[4 * half + run].codes[step], Isa::Or(low, Isa::And(top, bits45)));
        };
        store(0, Isa::And(first[i], Isa::Set1(15)), Isa::template ShiftLeft<4>(high[i]));
        store(1, Isa::And(second[i], Isa::Set1(15)), Isa::template ShiftLeft<2>(high[i]));
        store(2, Isa::template ShiftRight<4>(first[i]), high[i]);
        store(3, Isa::template ShiftRight<4>(second[i]), Isa::template ShiftRight<2>(high[i]));
      }
    }
  }
};

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_UNPACK_INL_H_
