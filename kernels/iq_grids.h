// The codebooks of the IQ formats and of MXFP4: what an index in a block stands for.

#ifndef SLM_KERNELS_IQ_GRIDS_H_
#define SLM_KERNELS_IQ_GRIDS_H_

#include <cstdint>

namespace slm {

// An entry is 4 or 8 bytes, one for each weight, and may be read as one integer.
template <int kEntries, int kValues>
struct alignas(64) IqGrid {
  std::uint8_t values[kEntries][kValues];
};

// Magnitudes, the signs of which are stored apart: 8, 25 or 43.
extern const IqGrid<256, 8> kIq2XxsGrid;
extern const IqGrid<512, 8> kIq2XsGrid;
extern const IqGrid<1024, 8> kIq2SGrid;
// 4, 12, 20, 28, 36, 44, 52 or 62; odd numbers up to 15.
extern const IqGrid<256, 4> kIq3XxsGrid;
extern const IqGrid<512, 4> kIq3SGrid;
// The eightfold of -1, 0 or 1, plus 16.
extern const IqGrid<2048, 8> kIq1Grid;

// What the nibbles of IQ4_NL and IQ4_XS stand for, plus 128.
inline constexpr std::uint8_t kIq4Codes[16] = {1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};
// Twice the numbers of 4 bits (a sign, two of exponent, one of mantissa) that MXFP4 has, plus 16.
inline constexpr std::uint8_t kMxfp4Codes[16] = {16, 17, 18, 19, 20, 22, 24, 28, 16, 15, 14, 13, 12, 10, 8, 4};

}  // namespace slm

#endif  // SLM_KERNELS_IQ_GRIDS_H_
