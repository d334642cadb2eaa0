// What the products of many tokens (matmul_int8-inl.h) and of one (matvec_int8-inl.h) have in common: panels of weight
// rows, and the arithmetic of a run of 32 columns. For a row and a token it is, run by run in ascending order,
//   sum += float((codes - zero) . factors q) * scale, and where there are minimums: sum += minimum * float(x.sum)
// with the integer product exact; at the end sum * x.scale. So both ways give the same bits.

#ifndef SLM_KERNELS_SIMD_PANEL_INT8_INL_H_
#define SLM_KERNELS_SIMD_PANEL_INT8_INL_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels.h"
#include "simd/unpack-inl.h"

namespace slm {
namespace {

// The rows of a panel, the last one repeated where there are fewer than Lanes::kRows.
template <class Lanes>
struct PanelRows {
  const std::uint8_t* at[Lanes::kRows] = {};
  std::int64_t count = 0;

  PanelRows() = default;
  PanelRows(const MatMulTask& task, std::int64_t first)
      : count(std::min<std::int64_t>(Lanes::kRows, task.row_end - first)) {
    for (std::int64_t i = 0; i < Lanes::kRows; ++i) {
      const std::int64_t row = first + std::min(i, count - 1);
      at[i] = reinterpret_cast<const std::uint8_t*>(task.weights) + static_cast<std::size_t>(row) * task.row_bytes;
    }
  }
};

// Asks for the memory of the next panel. Side by side the rows are too many streams for the processor to see that
// together they are one. A panel goes to the L1 cache if that holds it beside the current one and the activations, and
// then the one after it to L2, so that more is on its way; otherwise to L2 (with 32 KB of L1, 4,096 columns of Q4_K are
// a fifth slower if they are asked for into it).
class PanelPrefetcher {
 public:
  // Before a panel that begins at `panel`; `rows_left` are its own and those that follow.
  PanelPrefetcher(const MatMulTask& task, const std::uint8_t* panel, std::int64_t panel_rows, std::int64_t rows_left)
      : next_(panel) {
    const std::size_t panel_bytes = static_cast<std::size_t>(panel_rows) * task.row_bytes;
    const std::size_t activation_bytes = static_cast<std::size_t>(task.columns / 32) * sizeof(ActivationBlock);
    if (rows_left > panel_rows) next_ += panel_bytes;
    if (rows_left > 2 * panel_rows && 2 * panel_bytes + activation_bytes <= L1DataBytes()) to_after_next_ = panel_bytes;
  }

  // The next kBytes of each. The number of lines is fixed: a loop over those that the bytes really touch would be
  // mispredicted.
  template <std::size_t kBytes>
  [[gnu::always_inline]] void Advance() {
    if (to_after_next_ != 0) {
#pragma GCC unroll 16
      for (std::size_t byte = 0; byte < kBytes; byte += 64) {
        __builtin_prefetch(next_ + byte, 0, 3);
        __builtin_prefetch(next_ + to_after_next_ + byte, 0, 2);
      }
    } else {
#pragma GCC unroll 16
      for (std::size_t byte = 0; byte < kBytes; byte += 64) __builtin_prefetch(next_ + byte, 0, 2);
    }
    next_ += kBytes;
  }
  // The next lines, into L2.
  [[gnu::always_inline]] void AdvanceLines(std::size_t lines) {
#pragma GCC unroll 8
    for (std::size_t line = 0; line < lines; ++line, next_ += 64) __builtin_prefetch(next_, 0, 2);
  }

 private:
  const std::uint8_t* next_;
  std::size_t to_after_next_ = 0;
};

// Adds a group's product with a token to the sums. kZero is taken off the codes; `sum` is x.sum or x.half_sum.
template <class Lanes, class Format, int kZero>
[[gnu::always_inline]] inline typename Lanes::Floats AddGroup(typename Lanes::Ints product, const std::int32_t* sum,
                                                              const RunScales<Lanes, Format::kGroups>& scales,
                                                              int group, typename Lanes::Floats sums) {
  [[maybe_unused]] const auto x_sum = Lanes::BroadcastInt(sum);
  if constexpr (kZero > 0) product = Lanes::Sub(product, Lanes::template Times<kZero>(x_sum));
  sums = Lanes::MulAdd(Lanes::Convert(product), Lanes::Load(scales.scales[group]), sums);
  if constexpr (Format::kZero == kMinimums)
    sums = Lanes::MulAdd(Lanes::Load(scales.minimums[group]), Lanes::Convert(x_sum), sums);
  return sums;
}

// Scales sums[row] of a token with x.scale and writes `rows` of them, of Lanes::kRows.
template <class Lanes>
[[gnu::always_inline]] inline void StoreSums(typename Lanes::Floats sums, const ActivationBlock& x, float* out,
                                             std::int64_t rows) {
  sums = Lanes::Mul(sums, Lanes::Broadcast(&x.scale));
  if (rows == Lanes::kRows) return Lanes::StoreUnaligned(out, sums);
  alignas(64) float all[Lanes::kRows];
  Lanes::Store(all, sums);
  std::copy_n(all, rows, out);
}

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_PANEL_INT8_INL_H_
