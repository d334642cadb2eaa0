#include "iq_grids.h"

#include <cstddef>

namespace slm {
namespace {

#include "iq_grids.inc"

// Packed entries as bytes: each 16 / kValues bits are an index of `meanings`.
template <int kValues, std::size_t kMeanings, std::size_t kEntries>
constexpr IqGrid<static_cast<int>(kEntries), kValues> Expand(const std::uint16_t (&packed)[kEntries],
                                                             const std::uint8_t (&meanings)[kMeanings]) {
  constexpr int kBits = 16 / kValues;
  IqGrid<static_cast<int>(kEntries), kValues> grid = {};
  for (std::size_t entry = 0; entry < kEntries; ++entry) {
    for (int i = 0; i < kValues; ++i)
      grid.values[entry][i] = meanings[packed[entry] >> (kBits * i) & ((1 << kBits) - 1)];
  }
  return grid;
}

constexpr std::uint8_t kIq2Magnitudes[] = {8, 25, 43};
constexpr std::uint8_t kIq3XxsMagnitudes[] = {4, 12, 20, 28, 36, 44, 52, 62};
constexpr std::uint8_t kIq3SMagnitudes[] = {1, 3, 5, 7, 9, 11, 13, 15};
constexpr std::uint8_t kIq1Codes[] = {8, 16, 24};

}  // namespace

constinit const IqGrid<256, 8> kIq2XxsGrid = Expand<8>(kPackedIq2Xxs, kIq2Magnitudes);
constinit const IqGrid<512, 8> kIq2XsGrid = Expand<8>(kPackedIq2Xs, kIq2Magnitudes);
constinit const IqGrid<1024, 8> kIq2SGrid = Expand<8>(kPackedIq2S, kIq2Magnitudes);
constinit const IqGrid<256, 4> kIq3XxsGrid = Expand<4>(kPackedIq3Xxs, kIq3XxsMagnitudes);
constinit const IqGrid<512, 4> kIq3SGrid = Expand<4>(kPackedIq3S, kIq3SMagnitudes);
constinit const IqGrid<2048, 8> kIq1Grid = Expand<8>(kPackedIq1, kIq1Codes);

}  // namespace slm
