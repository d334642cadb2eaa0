// Products of quantized weights with a single token, which are bound by memory: rows are read as they lie, a panel of
// Isa::kRows side by side, and what is read is unpacked, multiplied and added up without leaving the registers.

#ifndef SLM_KERNELS_SIMD_MATVEC_INT8_INL_H_
#define SLM_KERNELS_SIMD_MATVEC_INT8_INL_H_

#include <cstddef>
#include <cstdint>

#include "kernels.h"
#include "simd/panel_int8-inl.h"
#include "simd/unroll-inl.h"

namespace slm {
namespace {

// products[run][group][row] = codes . factors q, for the runs of a piece of each row's block. x[run] are the
// activations of the block's runs.
template <class Isa, class Format, int kPiece>
[[gnu::always_inline]] inline void MultiplyPiece(BlocksOfRows blocks, const ActivationBlock* x,
                                                 typename Isa::Ints products[Format::kRuns][Format::kGroups]) {
  using Rows = typename Isa::Rows;
  using Bytes = typename Rows::Bytes;
  constexpr int kRuns = Format::kRunsOfPiece;
  typename Rows::Activations activations[kRuns];
  ForEach<kRuns>([&](auto i) __attribute__((always_inline)) {
    activations[i] = Rows::template LoadActivations<Format::kBits>(x[Format::RunOf(kPiece, i)]);
  });
  typename Rows::Sums quads[kRuns][Rows::kQuads];
  ForEach<Rows::kQuads>([&](auto quad) __attribute__((always_inline)) {
    typename Rows::Sums pairs[2][kRuns];
    ForEach<2>([&](auto pair) __attribute__((always_inline)) {
      Bytes a[kRuns], b[kRuns];
      const int vector = 4 * quad + 2 * pair;
      Format::template Codes<Rows, kPiece>({blocks.rows + Rows::FirstRow(vector), blocks.offset}, a);
      Format::template Codes<Rows, kPiece>({blocks.rows + Rows::FirstRow(vector + 1), blocks.offset}, b);
      ForEach<kRuns>([&](auto i) __attribute__((always_inline)) {
        pairs[pair][i] = Rows::template Multiply<Format::kBits>(a[i], b[i], activations[i]);
      });
    });
    ForEach<kRuns>([&](auto i)
                       __attribute__((always_inline)) { quads[i][quad] = Rows::Add(pairs[0][i], pairs[1][i]); });
  });
  ForEach<kRuns>([&](auto i) __attribute__((always_inline)) {
    Rows::template Finish<Format::kGroups>(quads[i], products[Format::RunOf(kPiece, i)]);
  });
}

template <class Isa, class Format>
void MatVecInt8(const MatMulTask& task) {
  constexpr int kGroups = Format::kGroups, kRuns = Format::kRuns;
  constexpr int kPieces = kRuns / Format::kRunsOfPiece;
  constexpr int kZero = Format::kBits == 8 ? Isa::Rows::kByteZero : Format::kZero;
  constexpr std::size_t kPieceBytes = Isa::kRows * sizeof(typename Format::Block) / kPieces;
  const auto* activations = static_cast<const ActivationBlock*>(task.activations);
  const std::int64_t runs = task.columns / 32;
  for (std::int64_t row = task.row_begin; row < task.row_end; row += Isa::kRows) {
    const PanelRows<Isa> rows(task, row);
    PanelPrefetcher prefetcher(task, rows.at[0], Isa::kRows, task.row_end - row);
    BlocksOfRows blocks = {rows.at, 0};
    typename Isa::Floats sums = Isa::Zero();
    for (std::int64_t run = 0; run < runs; run += kRuns) {
      const ActivationBlock* x = activations + run;
      RunScales<Isa, kGroups> scales[kRuns];
      Format::template Scales<Isa>(
          blocks, [&](int i) -> auto& { return scales[i]; });
      typename Isa::Ints products[kRuns][kGroups];
      ForEach<kPieces>([&](auto piece) __attribute__((always_inline)) {
        prefetcher.Advance<kPieceBytes>();
        MultiplyPiece<Isa, Format, piece>(blocks, x, products);
      });
      ForEach<kRuns * kGroups>([&](auto i) __attribute__((always_inline)) {
        constexpr int kRun = i / kGroups, kGroup = i % kGroups;
        const std::int32_t* sum = kGroups == 1 ? &x[kRun].sum : &x[kRun].half_sum[kGroup];
        sums = AddGroup<Isa, Format, kZero>(products[kRun][kGroup], sum, scales[kRun], kGroup, sums);
      });
      blocks.offset += sizeof(typename Format::Block);
    }
    StoreSums<Isa>(sums, *activations, task.out + row, rows.count);
  }
}

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_MATVEC_INT8_INL_H_
