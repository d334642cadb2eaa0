#include "kernels/unit_blocks.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>

#include "format_table.h"

namespace slm::test {
namespace {

constexpr Half kOne = 0x3C00;
constexpr Half kFour = 0x4400;
constexpr Half kEight = 0x4800;

// Sets all scales and minimums to 1: a d with no scales below it.
template <class Block>
void SetScales(Block& block) {
  block.d = kOne;
  if constexpr (requires { block.m; }) block.m = kOne;
}

void SetScales(BlockMXFP4& block) { block.e = 128; }

void SetScales(BlockQ2_K& block) {
  block.d = block.dmin = kOne;
  std::ranges::fill(block.scales, 0x11);
}

// 33, less 32.
void SetScales(BlockQ3_K& block) {
  block.d = kOne;
  std::fill_n(block.scales, 8, 0x11);
  std::fill_n(block.scales + 8, 4, 0xAA);
}

template <class Block>
void SetSixBitScales(Block& block) {
  block.d = block.dmin = kOne;
  std::fill_n(block.scales, 8, 1);
  std::fill_n(block.scales + 8, 4, 0x11);
}
void SetScales(BlockQ4_K& block) { SetSixBitScales(block); }
void SetScales(BlockQ5_K& block) { SetSixBitScales(block); }

void SetScales(BlockQ6_K& block) {
  block.d = kOne;
  std::ranges::fill(block.scales, 1);
}

// 33, less 32.
void SetScales(BlockIQ4_XS& block) {
  block.d = kOne;
  block.scales_h = 0xAAAA;
  std::ranges::fill(block.scales_l, 0x11);
}

// The scales of 4 bits stand for (0.5 + s) / 2 in IQ3_XXS, 1 + 2 * s in IQ3_S, and (0.5 + s) / 4 in IQ2.
void SetScales(BlockIQ3_XXS& block) {
  block.d = kFour;
  for (std::size_t i = 1; i < std::size(block.signs_and_scales); i += 2) block.signs_and_scales[i] &= 0x0FFF;
}

void SetScales(BlockIQ3_S& block) {
  block.d = kOne;
  std::ranges::fill(block.scales, 0);
}

void SetScales(BlockIQ2_XXS& block) {
  block.d = kEight;
  for (std::size_t i = 3; i < std::size(block.qs); i += 4) block.qs[i] &= 0x0FFF;
}

template <class Block>
void SetNibbleScales(Block& block) {
  block.d = kEight;
  std::ranges::fill(block.scales, 0);
}
void SetScales(BlockIQ2_XS& block) { SetNibbleScales(block); }
void SetScales(BlockIQ2_S& block) { SetNibbleScales(block); }

// The codes of IQ1 are in eighths.
void SetScales(BlockIQ1_S& block) {
  block.d = kEight;
  for (std::uint16_t& qh : block.qh) qh &= 0x8FFF;
}

void SetScales(BlockIQ1_M& block) {
  for (int i = 0; i < 4; ++i) block.scales[i] = static_cast<std::uint16_t>((kEight >> (4 * i) & 15) << 12);
}

template <class Block>
std::vector<std::byte> Repeat(std::size_t n, std::uint8_t even, std::uint8_t odd) {
  std::uint8_t bytes[sizeof(Block)];
  for (std::size_t i = 0; i < sizeof(Block); ++i) bytes[i] = i % 2 == 0 ? even : odd;
  Block block;
  std::memcpy(&block, bytes, sizeof(Block));
  SetScales(block);
  std::vector<std::byte> blocks(n * sizeof(Block));
  for (std::size_t i = 0; i < n; ++i) std::memcpy(blocks.data() + i * sizeof(Block), &block, sizeof(Block));
  return blocks;
}

using RepeatFn = std::vector<std::byte> (*)(std::size_t n, std::uint8_t even, std::uint8_t odd);

struct Entry {
  Format format;
  RepeatFn repeat;
};

template <class F>
constexpr RepeatFn RepeatOf() {
  if constexpr (F::kActivation == Activation::kInt8) return Repeat<typename F::Block>;
  return nullptr;
}

template <class... F>
constexpr auto EntriesOf(TypeList<F...>) {
  return std::array{Entry{F::kFormat, RepeatOf<F>()}...};
}

constexpr auto kEntries = EntriesOf(KnownFormats());

}  // namespace

std::vector<std::byte> UnitBlocks(Format format, std::size_t n, std::uint8_t even, std::uint8_t odd) {
  return std::ranges::find(kEntries, format, &Entry::format)->repeat(n, even, odd);
}

}  // namespace slm::test
