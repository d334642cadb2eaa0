// Products of quantized weights with int8 activations: one loop for every format and instruction set.
//
// Weight rows are taken Isa::kPanels panels of Isa::kRows rows at a time. They are unpacked once, into the scratch
// memory, and meet the tokens tile by tile.

#ifndef SLM_KERNELS_SIMD_MATMUL_INT8_INL_H_
#define SLM_KERNELS_SIMD_MATMUL_INT8_INL_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernels.h"
#include "simd/matvec_int8-inl.h"
#include "simd/panel_int8-inl.h"

namespace slm {
namespace {

// 32 columns of Isa::kRows weight rows, ready to be multiplied.
template <class Isa, int kGroups>
struct alignas(64) PanelRun {
  std::uint8_t codes[8][4 * Isa::kRows];  // two vectors for each 8 columns, in the order in which Isa::Dot takes them
  RunScales<Isa, kGroups> scales;
};

// sums[panel][token] += the product of a run of each panel with a run of each token. Token t's is at x + t * stride.
template <class Isa, class Format, int kPanels, int kTokens>
[[gnu::always_inline]] inline void AddRun(const PanelRun<Isa, Format::kGroups>* const* panels, const ActivationBlock* x,
                                          std::int64_t stride, typename Isa::Floats sums[kPanels][kTokens]) {
  constexpr int kGroups = Format::kGroups;
  constexpr int kSteps = 8 / kGroups;
  constexpr int kZero = Format::kBits == 8 ? Isa::kByteZero : Format::kZero;
  const std::ptrdiff_t byte_stride = stride * static_cast<std::ptrdiff_t>(sizeof(ActivationBlock));
#pragma GCC unroll 2
  for (int group = 0; group < kGroups; ++group) {
    typename Isa::Codes codes[kPanels];
    for (int p = 0; p < kPanels; ++p) codes[p] = panels[p]->codes + group * kSteps;
    typename Isa::Ints products[kPanels][kTokens];
    Isa::template Dot<Format::kBits, kSteps / 2, kPanels, kTokens>(
        codes, x->q + group * 4 * kSteps, x->factors[group * kSteps / 2], byte_stride, products);
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) {
      const ActivationBlock& run = x[t * stride];
      const std::int32_t* sum = kGroups == 1 ? &run.sum : &run.half_sum[group];
#pragma GCC unroll 4
      for (int p = 0; p < kPanels; ++p)
        sums[p][t] = AddGroup<Isa, Format, kZero>(products[p][t], sum, panels[p]->scales, group, sums[p][t]);
    }
  }
}

// kTokens tokens from `token` on against Isa::kPanels whole panels, which follow each other; `rows` of their rows are
// wanted.
template <class Isa, class Format, int kTokens>
void MultiplyPanels(const MatMulTask& task, const PanelRun<Isa, Format::kGroups>* first, std::int64_t row,
                    std::int64_t rows, std::int64_t token) {
  constexpr int kPanels = Isa::kPanels;
  const ActivationBlock* x = static_cast<const ActivationBlock*>(task.activations) + token * task.activation_stride;
  const std::int64_t runs = task.columns / 32;
  const PanelRun<Isa, Format::kGroups>* panels[kPanels];
  for (int p = 0; p < kPanels; ++p) panels[p] = first + p * runs;
  typename Isa::Floats sums[kPanels][kTokens];
  for (auto& panel : sums) {
    for (auto& sum : panel) sum = Isa::Zero();
  }
  for (std::int64_t run = 0; run < runs; ++run) {
    AddRun<Isa, Format, kPanels, kTokens>(panels, x + run, task.activation_stride, sums);
    for (auto& panel : panels) ++panel;
  }
  float* out = task.out + token * task.out_stride + row;
  for (int p = 0; p < kPanels && rows > p * Isa::kRows; ++p) {
    for (int t = 0; t < kTokens; ++t) {
      StoreSums<Isa>(sums[p][t], x[t * task.activation_stride], out + t * task.out_stride + p * Isa::kRows,
                     std::min<std::int64_t>(Isa::kRows, rows - p * Isa::kRows));
    }
  }
}

// All columns of the panel whose first row is `row`.
template <class Isa, class Format>
void UnpackPanel(const MatMulTask& task, std::int64_t row, PanelRun<Isa, Format::kGroups>* panel) {
  using Rows = typename Isa::Rows;
  constexpr int kVectors = Isa::kRows / Rows::kRowsOfVector;
  constexpr std::size_t kBlockBytes = Isa::kRows * sizeof(typename Format::Block);
  const PanelRows<Isa> rows(task, row);
  PanelPrefetcher prefetcher(rows.at[0], Isa::kRows * task.row_bytes, Isa::kRows, task.row_end - row);
  BlocksOfRows blocks = {rows.at, 0};
  for (std::int64_t run = 0; run < task.columns / 32; run += Format::kRuns) {
    prefetcher.Advance<kBlockBytes>();
    Format::template Scales<Isa>(
        blocks, [&](int i) -> auto& { return panel[run + i].scales; });
    ForEach<Format::kRuns / Format::kRunsOfPiece>([&](auto piece) {
      typename Rows::Bytes codes[Format::kRunsOfPiece][kVectors];
      for (int v = 0; v < kVectors; ++v) {
        typename Rows::Bytes of_rows[Format::kRunsOfPiece];
        Format::template Codes<Rows, piece>({rows.at + Rows::FirstRow(v), blocks.offset}, of_rows);
        for (int i = 0; i < Format::kRunsOfPiece; ++i) codes[i][v] = of_rows[i];
      }
      for (int i = 0; i < Format::kRunsOfPiece; ++i)
        Isa::template StoreCodes<Format::kBits>(codes[i], panel[run + Format::RunOf(piece, i)].codes);
    });
    blocks.offset += sizeof(typename Format::Block);
  }
}

// Calls f with std::integral_constant<int, n> for 1 <= n <= kMax.
template <int kMax, class F>
inline void WithCount(std::int64_t n, const F& f) {
  if constexpr (kMax > 1) {
    if (n < kMax) return WithCount<kMax - 1>(n, f);
  }
  f(std::integral_constant<int, kMax>());
}

// Format is one of unpack-inl.h, unpack_k-inl.h or unpack_iq-inl.h.
template <class Isa, class Format>
void MatMulInt8(const MatMulTask& task) {
  if (task.tokens == 1) return MatVecInt8<Isa, Format>(task);
  constexpr int kTile = Isa::TileTokens(Format::kBits);
  auto* panels = reinterpret_cast<PanelRun<Isa, Format::kGroups>*>(task.scratch);
  const std::int64_t runs = task.columns / 32;
  for (std::int64_t row = task.row_begin; row < task.row_end; row += Isa::kPanels * Isa::kRows) {
    const std::int64_t count = std::min<std::int64_t>(Isa::kPanels * Isa::kRows, task.row_end - row);
    for (int p = 0; p < Isa::kPanels && count > p * Isa::kRows; ++p)
      UnpackPanel<Isa, Format>(task, row + p * Isa::kRows, panels + p * runs);
    std::int64_t token = 0;
    for (; token + kTile <= task.tokens; token += kTile)
      MultiplyPanels<Isa, Format, kTile>(task, panels, row, count, token);
    if (token < task.tokens) {
      WithCount<kTile>(task.tokens - token,
                       [&](auto tokens) { MultiplyPanels<Isa, Format, tokens>(task, panels, row, count, token); });
    }
  }
}

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_MATMUL_INT8_INL_H_
