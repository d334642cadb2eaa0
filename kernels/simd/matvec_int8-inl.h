// Products of quantized weights with one token or two, which are bound by memory: rows are read as they lie, a panel of
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

// products[token][run][group][row] = codes . factors q, for the runs of a piece of each row's block. x[token] are the
// activations of the block's runs.
template <class Isa, class Format, int kPiece, int kTokens>
[[gnu::always_inline]] inline void MultiplyPiece(BlocksOfRows blocks, const ActivationBlock* const* x,
                                                 typename Isa::Ints products[kTokens][Format::kRuns][Format::kGroups]) {
  using Rows = typename Isa::Rows;
  using Bytes = typename Rows::Bytes;
  constexpr int kRuns = Format::kRunsOfPiece;
  typename Rows::Activations activations[kTokens][kRuns];
  ForEach<kTokens * kRuns>([&](auto i) __attribute__((always_inline)) {
    activations[i / kRuns][i % kRuns] =
        Rows::template LoadActivations<Format::kBits>(x[i / kRuns][Format::RunOf(kPiece, i % kRuns)]);
  });
  typename Rows::Sums quads[kTokens][kRuns][Rows::kQuads];
  ForEach<Rows::kQuads>([&](auto quad) __attribute__((always_inline)) {
    typename Rows::Sums pairs[2][kTokens][kRuns];
    ForEach<2>([&](auto pair) __attribute__((always_inline)) {
      Bytes a[kRuns], b[kRuns];
      const int vector = 4 * quad + 2 * pair;
      Format::template Codes<Rows, kPiece>({blocks.rows + Rows::FirstRow(vector), blocks.offset}, a);
      Format::template Codes<Rows, kPiece>({blocks.rows + Rows::FirstRow(vector + 1), blocks.offset}, b);
      ForEach<kTokens * kRuns>([&](auto i) __attribute__((always_inline)) {
        constexpr int kToken = i / kRuns, kRun = i % kRuns;
        pairs[pair][kToken][kRun] = Rows::template Multiply<Format::kBits>(a[kRun], b[kRun], activations[kToken][kRun]);
      });
    });
    ForEach<kTokens * kRuns>([&](auto i) __attribute__((always_inline)) {
      constexpr int kToken = i / kRuns, kRun = i % kRuns;
      quads[kToken][kRun][quad] = Rows::Add(pairs[0][kToken][kRun], pairs[1][kToken][kRun]);
    });
  });
  ForEach<kTokens * kRuns>([&](auto i) __attribute__((always_inline)) {
    constexpr int kToken = i / kRuns, kRun = i % kRuns;
    Rows::template Finish<Format::kGroups>(quads[kToken][kRun], products[kToken][Format::RunOf(kPiece, kRun)]);
  });
}

template <class Isa, class Format, int kTokens>
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
    typename Isa::Floats sums[kTokens];
    for (auto& sum : sums) sum = Isa::Zero();
    for (std::int64_t run = 0; run < runs; run += kRuns) {
      const ActivationBlock* x[kTokens];
      for (int t = 0; t < kTokens; ++t) x[t] = activations + t * task.activation_stride + run;
      RunScales<Isa, kGroups> scales[kRuns];
      Format::template Scales<Isa>(
          blocks, [&](int i) -> auto& { return scales[i]; });
      typename Isa::Ints products[kTokens][kRuns][kGroups];
      ForEach<kPieces>([&](auto piece) __attribute__((always_inline)) {
        prefetcher.Advance<kPieceBytes>();
        MultiplyPiece<Isa, Format, piece, kTokens>(blocks, x, products);
      });
      ForEach<kRuns * kGroups>([&](auto i) __attribute__((always_inline)) {
        constexpr int kRun = i / kGroups, kGroup = i % kGroups;
        ForEach<kTokens>([&](auto t) __attribute__((always_inline)) {
          const std::int32_t* sum = kGroups == 1 ? &x[t][kRun].sum : &x[t][kRun].half_sum[kGroup];
          sums[t] = AddGroup<Isa, Format, kZero>(products[t][kRun][kGroup], sum, scales[kRun], kGroup, sums[t]);
        });
      });
      blocks.offset += sizeof(typename Format::Block);
    }
    for (int t = 0; t < kTokens; ++t)
      StoreSums<Isa>(sums[t], activations[t * task.activation_stride], task.out + t * task.out_stride + row,
                     rows.count);
  }
}

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_MATVEC_INT8_INL_H_
