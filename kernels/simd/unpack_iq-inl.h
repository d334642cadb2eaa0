// The quantized formats of 256 columns a block whose codes are looked up in tables. See unpack-inl.h; what the blocks
// hold is said in unpack_iq.h.
//
// But for IQ4_XS an index stands for four or eight columns. These are fetched one by one, a row at a time; the rest is
// done for whole vectors. That is too much code to repeat it for each row of a panel, hence noinline.

#ifndef SLM_KERNELS_SIMD_UNPACK_IQ_INL_H_
#define SLM_KERNELS_SIMD_UNPACK_IQ_INL_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "formats.h"
#include "iq_grids.h"
#include "simd/unpack-inl.h"
#include "simd/unpack_k-inl.h"
#include "simd/unroll-inl.h"
#include "unpack_iq.h"

namespace slm {
namespace {

// The scales are 6 bits, less 32: for each run a nibble of scales_l and two bits of scales_h.
template <>
struct SimdRows<IQ4_XS> : Runs<IQ4_XS, 8> {
  template <class Rows, int kPiece>
  static void Codes(BlocksOfRows blocks, typename Rows::Bytes out[2]) {
    const std::size_t qs = blocks.offset + offsetof(Block, qs) + 32 * kPiece;
    out[0] = Rows::LookUp(kIq4Codes, Rows::LoadNibbles(blocks.rows, qs));
    out[1] = Rows::LookUp(kIq4Codes, Rows::LoadNibbles(blocks.rows, qs + 16));
  }
  template <class Lanes, class Out>
  static void Scales(BlocksOfRows blocks, const Out& out) {
    typename Lanes::Bytes head[4];
    Lanes::LoadColumns(blocks.rows, blocks.offset, head);
    const auto d = Lanes::LowHalves(head[0]);
    // With the two bits on top of a byte, signed, it is four times what they add.
    const auto quarter_d = Lanes::Mul(d, Lanes::SetAll(0.25f));
    ForEach<8>([&](auto j) {
      const auto low = LaneBits<Lanes, j % 2 * 4, 15>(head[1]);
      const auto high = Lanes::Xor(LaneBits<Lanes, j % 4 * 2 - 6, 0xC0>(head[0]), Lanes::Set1(0x80));
      const auto of_high = Lanes::Mul(quarter_d, Lanes::SignedByte(high, 2 + j / 4));
      Lanes::Store(out(j).scales[0], Lanes::MulAdd(d, Lanes::UnsignedByte(low, j / 2), of_high));
    });
  }
};

// Number `index` of those of 16 bits at `halves`, which like all of a block may be at any address.
inline std::uint32_t HalfAt(const std::uint8_t* halves, int index) {
  std::uint16_t half;
  std::memcpy(&half, halves + 2 * index, sizeof(half));
  return half;
}

// An entry of a table, and two of them side by side.
template <int kEntries>
std::uint64_t EntryOf(const IqGrid<kEntries, 8>& grid, int index) {
  std::uint64_t entry;
  std::memcpy(&entry, grid.values[index], sizeof(entry));
  return entry;
}
template <int kEntries>
std::uint64_t EntriesOf(const IqGrid<kEntries, 4>& grid, int first, int second) {
  std::uint32_t low, high;
  std::memcpy(&low, grid.values[first], sizeof(low));
  std::memcpy(&high, grid.values[second], sizeof(high));
  return low | std::uint64_t{high} << 32;
}

// Magnitudes with signs as codes with kByteZero. `minus` is 255 where it is minus, else 0.
template <class Rows>
typename Rows::Bytes SignedCodes(typename Rows::Bytes magnitudes, typename Rows::Bytes minus) {
  return Rows::Xor(Rows::SubBytes(Rows::Xor(magnitudes, minus), minus), Rows::Set1(kByteZero));
}

// From seven signs in each byte eight, of which an even number is minus.
inline std::uint32_t WithEighthSigns(std::uint32_t sevens) {
  // The parity of bits 0..6 gathers in bit 7: of pairs, of fours, of all. What bits of the next lower byte bring in
  // does not reach it.
  const std::uint32_t pairs = sevens ^ sevens << 1;
  const std::uint32_t fours = pairs ^ pairs << 2;
  const std::uint32_t all = fours ^ fours << 4;
  return sevens | (all & 0x80808080);
}

// The signs in the lower 28 of 32 bits: four times seven.
inline std::uint32_t SignsOf(const std::uint8_t bytes[4]) {
  std::uint32_t bits;
  std::memcpy(&bits, bytes, sizeof(bits));
  return WithEighthSigns((bits & 0x7F) | (bits << 1 & 0x7F00) | (bits << 2 & 0x7F0000) | (bits << 3 & 0x7F000000));
}

// (0.5 + n) * d * factor, where n is the upper four bits of each lane.
template <class Lanes>
typename Lanes::Floats ScaleOnTop(typename Lanes::Bytes lanes, typename Lanes::Floats d, float factor) {
  const auto n = Lanes::UnsignedByte(LaneBits<Lanes, 4, 15>(lanes), 3);
  return Lanes::MulAdd(Lanes::Mul(d, Lanes::SetAll(factor)), n, Lanes::Mul(d, Lanes::SetAll(0.5f * factor)));
}

template <>
struct SimdRows<IQ3_XXS> : Runs<IQ3_XXS, 8> {
  template <class Rows, int kPiece>
  [[gnu::noinline]] static void Codes(BlocksOfRows blocks, typename Rows::Bytes out[2]) {
    ForEach<2>([&](auto i) {
      constexpr int kRun = 2 * kPiece + i;
      const auto magnitudes = Rows::FromWords(blocks.rows, [&](const std::uint8_t* row, int word) {
        const std::uint8_t* index = row + blocks.offset + offsetof(Block, qs) + 8 * kRun + 2 * word;
        return EntriesOf(kIq3XxsGrid, index[0], index[1]);
      });
      const auto signs = [&](const std::uint8_t* row) {
        return SignsOf(row + blocks.offset + offsetof(Block, signs_and_scales) + 4 * kRun);
      };
      out[i] = SignedCodes<Rows>(magnitudes, Rows::FromBits(blocks.rows, signs, 255));
    });
  }
  template <class Lanes, class Out>
  static void Scales(BlocksOfRows blocks, const Out& out) {
    typename Lanes::Bytes head[4];
    Lanes::LoadColumns(blocks.rows, blocks.offset, head);
    const auto d = Lanes::LowHalves(head[0]);
    ForEach<2>([&](auto half) {
      typename Lanes::Bytes packed[4];
      Lanes::LoadColumns(blocks.rows, blocks.offset + offsetof(Block, signs_and_scales) + 16 * half, packed);
      ForEach<4>([&](auto j) { Lanes::Store(out(4 * half + j).scales[0], ScaleOnTop<Lanes>(packed[j], d, 0.5f)); });
    });
  }
};

// Bit i of qh[j] is the ninth bit of index i of run j.
template <>
struct SimdRows<IQ3_S> : Runs<IQ3_S, 5> {
  template <class Rows, int kPiece>
  [[gnu::noinline]] static void Codes(BlocksOfRows blocks, typename Rows::Bytes out[2]) {
    ForEach<2>([&](auto i) {
      constexpr int kRun = 2 * kPiece + i;
      const auto magnitudes = Rows::FromWords(blocks.rows, [&](const std::uint8_t* row, int word) {
        const std::uint8_t* index = row + blocks.offset + offsetof(Block, qs) + 8 * kRun + 2 * word;
        const int ninth = row[blocks.offset + offsetof(Block, qh) + kRun] << 8 >> (2 * word);
        return EntriesOf(kIq3SGrid, index[0] | (ninth & 256), index[1] | (ninth >> 1 & 256));
      });
      // Of an odd number all bits but the lowest change with the sign.
      const auto signs = Rows::LoadBits(blocks.rows, blocks.offset + offsetof(Block, signs) + 4 * kRun, 30);
      out[i] = Rows::Xor(Rows::Xor(magnitudes, signs), Rows::Set1(kZero));
    });
  }
  template <class Lanes, class Out>
  static void Scales(BlocksOfRows blocks, const Out& out) {
    typename Lanes::Bytes head[4], tail[4];
    Lanes::LoadColumns(blocks.rows, blocks.offset, head);
    LoadTail<Lanes, Block>(blocks, tail);
    const auto d = Lanes::LowHalves(head[0]);
    const auto twice_d = Lanes::Mul(d, Lanes::SetAll(2));
    ForEach<8>([&](auto j) {
      const auto scales = LaneBits<Lanes, j % 2 * 4, 15>(tail[3]);
      Lanes::Store(out(j).scales[0], Lanes::MulAdd(twice_d, Lanes::UnsignedByte(scales, j / 2), d));
    });
  }
};

// Of each run four indices, then signs and a scale.
template <>
struct SimdRows<IQ2_XXS> : Runs<IQ2_XXS, 8> {
  template <class Rows, int kPiece>
  [[gnu::noinline]] static void Codes(BlocksOfRows blocks, typename Rows::Bytes out[2]) {
    ForEach<2>([&](auto i) {
      constexpr int kRun = 2 * kPiece + i;
      const auto magnitudes = Rows::FromWords(blocks.rows, [&](const std::uint8_t* row, int word) {
        return EntryOf(kIq2XxsGrid, row[blocks.offset + offsetof(Block, qs) + 8 * kRun + word]);
      });
      const auto signs = [&](const std::uint8_t* row) {
        return SignsOf(row + blocks.offset + offsetof(Block, qs) + 8 * kRun + 4);
      };
      out[i] = SignedCodes<Rows>(magnitudes, Rows::FromBits(blocks.rows, signs, 255));
    });
  }
  template <class Lanes, class Out>
  static void Scales(BlocksOfRows blocks, const Out& out) {
    typename Lanes::Bytes head[4];
    Lanes::LoadColumns(blocks.rows, blocks.offset, head);
    const auto d = Lanes::LowHalves(head[0]);
    ForEach<4>([&](auto pair) {
      typename Lanes::Bytes packed[4];
      Lanes::LoadColumns(blocks.rows, blocks.offset + offsetof(Block, qs) + 16 * pair, packed);
      Lanes::Store(out(2 * pair).scales[0], ScaleOnTop<Lanes>(packed[1], d, 0.25f));
      Lanes::Store(out(2 * pair + 1).scales[0], ScaleOnTop<Lanes>(packed[3], d, 0.25f));
    });
  }
};

// A half at the beginning of the block, and at its end 16 nibbles: the scales of IQ2_XS and IQ2_S.
template <class F>
struct NibbleScaleRuns : Runs<F, 8> {
  template <class Lanes, class Out>
  static void Scales(BlocksOfRows blocks, const Out& out) {
    typename Lanes::Bytes head[4], tail[4];
    Lanes::LoadColumns(blocks.rows, blocks.offset, head);
    LoadTail<Lanes, typename F::Block>(blocks, tail);
    const auto d = Lanes::LowHalves(head[0]);
    const auto factor = Lanes::Mul(d, Lanes::SetAll(0.25f)), half_factor = Lanes::Mul(d, Lanes::SetAll(0.125f));
    ForEach<16>([&](auto j) {
      const auto nibbles = LaneBits<Lanes, j % 2 * 4, 15>(tail[2 + j / 8]);
      Lanes::Store(out(j / 2).scales[j % 2],
                   Lanes::MulAdd(factor, Lanes::UnsignedByte(nibbles, j / 2 % 4), half_factor));
    });
  }
};

// Indices of 9 bits, and above them seven signs.
template <>
struct SimdRows<IQ2_XS> : NibbleScaleRuns<IQ2_XS> {
  template <class Rows, int kPiece>
  [[gnu::noinline]] static void Codes(BlocksOfRows blocks, typename Rows::Bytes out[2]) {
    ForEach<2>([&](auto i) {
      constexpr int kRun = 2 * kPiece + i;
      const auto magnitudes = Rows::FromWords(blocks.rows, [&](const std::uint8_t* row, int word) {
        return EntryOf(kIq2XsGrid, HalfAt(row + blocks.offset + offsetof(Block, qs), 4 * kRun + word) & 511);
      });
      const auto signs = [&](const std::uint8_t* row) {
        const std::uint8_t* qs = row + blocks.offset + offsetof(Block, qs) + 8 * kRun;
        const auto at = [&](int word) { return HalfAt(qs, word) >> 9 << (8 * word); };
        return WithEighthSigns(at(0) | at(1) | at(2) | at(3));
      };
      out[i] = SignedCodes<Rows>(magnitudes, Rows::FromBits(blocks.rows, signs, 255));
    });
  }
};

// Bits 2i and 2i + 1 of qh[j] are the top bits of index i of run j.
template <>
struct SimdRows<IQ2_S> : NibbleScaleRuns<IQ2_S> {
  template <class Rows, int kPiece>
  [[gnu::noinline]] static void Codes(BlocksOfRows blocks, typename Rows::Bytes out[2]) {
    ForEach<2>([&](auto i) {
      constexpr int kRun = 2 * kPiece + i;
      const auto magnitudes = Rows::FromWords(blocks.rows, [&](const std::uint8_t* row, int word) {
        const std::uint8_t* block = row + blocks.offset;
        const int high = block[offsetof(Block, qh) + kRun] >> (2 * word) & 3;
        return EntryOf(kIq2SGrid, block[offsetof(Block, qs) + 4 * kRun + word] | high << 8);
      });
      const auto minus = Rows::LoadBits(blocks.rows, blocks.offset + offsetof(Block, signs) + 4 * kRun, 255);
      out[i] = SignedCodes<Rows>(magnitudes, minus);
    });
  }
};

// Eight columns of IQ1_S or IQ1_M: each byte, none of which is 0 or 255, one up or down.
inline std::uint64_t ShiftedEntry(int index, bool down) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  return EntryOf(kIq1Grid, index) + (down ? -kOnes : kOnes);
}

// For each run qh has the top three bits of four indices, the three bits of a scale and, in the uppermost, which way
// they are shifted.
template <>
struct SimdRows<IQ1_S> : Runs<IQ1_S, 5> {
  template <class Rows, int kPiece>
  [[gnu::noinline]] static void Codes(BlocksOfRows blocks, typename Rows::Bytes out[2]) {
    ForEach<2>([&](auto i) {
      constexpr int kRun = 2 * kPiece + i;
      out[i] = Rows::FromWords(blocks.rows, [&](const std::uint8_t* row, int word) {
        const std::uint8_t* block = row + blocks.offset;
        const auto qh = static_cast<int>(HalfAt(block + offsetof(Block, qh), kRun));
        return ShiftedEntry(block[offsetof(Block, qs) + 4 * kRun + word] | (qh >> (3 * word) & 7) << 8,
                            (qh & 0x8000) != 0);
      });
    });
  }
  template <class Lanes, class Out>
  static void Scales(BlocksOfRows blocks, const Out& out) {
    typename Lanes::Bytes head[4], tail[4];
    Lanes::LoadColumns(blocks.rows, blocks.offset, head);
    LoadTail<Lanes, Block>(blocks, tail);
    const auto d = Lanes::LowHalves(head[0]);
    const auto factor = Lanes::Mul(d, Lanes::SetAll(0.25f)), half_factor = Lanes::Mul(d, Lanes::SetAll(0.125f));
    ForEach<8>([&](auto j) {
      const auto scales = LaneBits<Lanes, 4, 7>(tail[j / 2]);
      Lanes::Store(out(j).scales[0], Lanes::MulAdd(factor, Lanes::UnsignedByte(scales, j % 2 * 2 + 1), half_factor));
    });
  }
};

// Each nibble of qh has the top three bits of an index and which way its columns are shifted. The block's d is spread
// over the top four bits of `scales`, the lowest part of it in the first.
template <>
struct SimdRows<IQ1_M> : Runs<IQ1_M, 5> {
  template <class Rows, int kPiece>
  [[gnu::noinline]] static void Codes(BlocksOfRows blocks, typename Rows::Bytes out[2]) {
    ForEach<2>([&](auto i) {
      constexpr int kFirst = 4 * (2 * kPiece + i);  // of four indices
      out[i] = Rows::FromWords(blocks.rows, [&](const std::uint8_t* row, int word) {
        const std::uint8_t* block = row + blocks.offset;
        const int high = block[offsetof(Block, qh) + (kFirst + word) / 2] >> (word % 2 * 4);
        return ShiftedEntry(block[offsetof(Block, qs) + kFirst + word] | (high & 7) << 8, (high & 8) != 0);
      });
    });
  }
  template <class Lanes, class Out>
  static void Scales(BlocksOfRows blocks, const Out& out) {
    typename Lanes::Bytes tail[4];
    LoadTail<Lanes, Block>(blocks, tail);
    const auto d = ScaleOfBlocks<Lanes>(blocks);
    const auto factor = Lanes::Mul(d, Lanes::SetAll(0.25f)), half_factor = Lanes::Mul(d, Lanes::SetAll(0.125f));
    // scales[k] is in two bytes: of its four numbers the third has two bits in the first and one in the second.
    ForEach<4>([&](auto k) {
      constexpr int kByte = k % 2 * 2;
      const auto packed = tail[2 + k / 2];
      const auto third = Lanes::MulAdd(Lanes::SetAll(4), Lanes::UnsignedByte(LaneBits<Lanes, 0, 1>(packed), kByte + 1),
                                       Lanes::UnsignedByte(LaneBits<Lanes, 6, 3>(packed), kByte));
      const typename Lanes::Floats scales[4] = {Lanes::UnsignedByte(LaneBits<Lanes, 0, 7>(packed), kByte),
                                                Lanes::UnsignedByte(LaneBits<Lanes, 3, 7>(packed), kByte), third,
                                                Lanes::UnsignedByte(LaneBits<Lanes, 1, 7>(packed), kByte + 1)};
      ForEach<4>([&](auto i) {
        Lanes::Store(out(2 * k + i / 2).scales[i % 2], Lanes::MulAdd(factor, scales[i], half_factor));
      });
    });
  }

 private:
  template <class Lanes>
  static typename Lanes::Floats ScaleOfBlocks(BlocksOfRows blocks) {
    alignas(64) std::uint32_t d[Lanes::kRows];
    for (int row = 0; row < Lanes::kRows; ++row) {
      const std::uint8_t* scales = blocks.rows[row] + blocks.offset + offsetof(Block, scales);
      d[row] = 0;
      for (int i = 0; i < 4; ++i) d[row] |= HalfAt(scales, i) >> 12 << (4 * i);
    }
    return Lanes::LowHalves(Lanes::LoadBytes(reinterpret_cast<const std::uint8_t*>(d)));
  }
};

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_UNPACK_IQ_INL_H_
