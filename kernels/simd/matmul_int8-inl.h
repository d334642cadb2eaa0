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

// `runs` runs of kTokens tokens, the first at x, against Isa::kPanels panels, which lie `panel_runs` apart, are added
// to sums[panel][token]. after_each() follows each run.
template <class Isa, class Format, int kTokens, class F>
[[gnu::always_inline]] inline void AddRuns(const PanelRun<Isa, Format::kGroups>* first, std::int64_t panel_runs,
                                           const ActivationBlock* x, std::int64_t stride, std::int64_t runs,
                                           typename Isa::Floats sums[Isa::kPanels][kTokens], const F& after_each) {
  const PanelRun<Isa, Format::kGroups>* panels[Isa::kPanels];
  for (int p = 0; p < Isa::kPanels; ++p) panels[p] = first + p * panel_runs;
  for (std::int64_t run = 0; run < runs; ++run) {
    AddRun<Isa, Format, Isa::kPanels, kTokens>(panels, x + run, stride, sums);
    for (auto& panel : panels) ++panel;
    after_each();
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
  typename Isa::Floats sums[kPanels][kTokens];
  for (auto& panel : sums) {
    for (auto& sum : panel) sum = Isa::Zero();
  }
  AddRuns<Isa, Format, kTokens>(first, runs, x, task.activation_stride, runs, sums, [] {});
  float* out = task.out + token * task.out_stride + row;
  for (int p = 0; p < kPanels && rows > p * Isa::kRows; ++p) {
    for (int t = 0; t < kTokens; ++t) {
      StoreSums<Isa>(sums[p][t], x[t * task.activation_stride], out + t * task.out_stride + p * Isa::kRows,
                     std::min<std::int64_t>(Isa::kRows, rows - p * Isa::kRows));
    }
  }
}

// The blocks of a panel's rows.
template <class Isa, class Format>
[[gnu::always_inline]] inline void UnpackBlocks(BlocksOfRows blocks, PanelRun<Isa, Format::kGroups>* panel) {
  using Rows = typename Isa::Rows;
  constexpr int kVectors = Isa::kRows / Rows::kRowsOfVector;
  Format::template Scales<Isa>(
      blocks, [&](int i) -> auto& { return panel[i].scales; });
  ForEach<Format::kRuns / Format::kRunsOfPiece>([&](auto piece) {
    typename Rows::Bytes codes[Format::kRunsOfPiece][kVectors];
    for (int v = 0; v < kVectors; ++v) {
      typename Rows::Bytes of_rows[Format::kRunsOfPiece];
      Format::template Codes<Rows, piece>({blocks.rows + Rows::FirstRow(v), blocks.offset}, of_rows);
      for (int i = 0; i < Format::kRunsOfPiece; ++i) codes[i][v] = of_rows[i];
    }
    for (int i = 0; i < Format::kRunsOfPiece; ++i)
      Isa::template StoreCodes<Format::kBits>(codes[i], panel[Format::RunOf(piece, i)].codes);
  });
}

// All columns of the panel whose first row is `row`.
template <class Isa, class Format>
void UnpackPanel(const MatMulTask& task, std::int64_t row, PanelRun<Isa, Format::kGroups>* panel) {
  constexpr std::size_t kBlockBytes = Isa::kRows * sizeof(typename Format::Block);
  const PanelRows<Isa> rows(task, row);
  PanelPrefetcher prefetcher(task, rows.at[0], Isa::kRows, task.row_end - row);
  BlocksOfRows blocks = {rows.at, 0};
  for (std::int64_t run = 0; run < task.columns / 32; run += Format::kRuns) {
    prefetcher.Advance<kBlockBytes>();
    UnpackBlocks<Isa, Format>(blocks, panel + run);
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

// Calls f(std::integral_constant<int, n>, first) for tiles of kTile tokens, and for what is left.
template <int kTile, class F>
[[gnu::always_inline]] inline void ForEachTile(std::int64_t tokens, const F& f) {
  std::int64_t token = 0;
  for (; token + kTile <= tokens; token += kTile) f(std::integral_constant<int, kTile>(), token);
  if (token < tokens) WithCount<kTile>(tokens - token, [&](auto count) { f(count, token); });
}

// The same for up to kFewTokens and rows that are not short, for which memory is what takes time: some columns are
// unpacked and meet all tokens before the next ones, and what comes next is asked for in equal parts all the while. A
// burst of requests would wait for memory first and leave it idle after that.
template <class Isa, class Format>
void MatMulInt8OfFew(const MatMulTask& task) {
  using Floats = typename Isa::Floats;
  constexpr int kPanels = Isa::kPanels, kTile = Isa::TileTokens(Format::kBits);
  constexpr std::int64_t kRowsAtOnce = kPanels * Isa::kRows;
  constexpr std::int64_t kRuns = std::max(Format::kRuns, 4);  // whole blocks
  constexpr std::size_t kLines = kRowsAtOnce * sizeof(typename Format::Block) * (kRuns / Format::kRuns) / 64;
  const auto* activations = static_cast<const ActivationBlock*>(task.activations);
  const std::int64_t stride = task.activation_stride, runs = task.columns / 32;
  // Unpacking some runs counts as two tiles of tokens that meet them.
  const std::int64_t tiles = (task.tokens + kTile - 1) / kTile;
  const std::size_t lines = kLines / static_cast<std::size_t>((2 + tiles) * kRuns) + 1;
  PanelRun<Isa, Format::kGroups> panels[kPanels * kRuns];
  for (std::int64_t row = task.row_begin; row < task.row_end; row += kRowsAtOnce) {
    const std::int64_t left = task.row_end - row;
    PanelRows<Isa> rows[kPanels];  // of a panel that isn't there, the last row
    for (int p = 0; p < kPanels; ++p) rows[p] = {task, std::min(row + p * Isa::kRows, task.row_end - 1)};
    PanelPrefetcher prefetcher(task, rows[0].at[0], kRowsAtOnce, left);
    Floats sums[kFewTokens][kPanels];
    for (std::int64_t t = 0; t < task.tokens; ++t) {
      for (Floats& sum : sums[t]) sum = Isa::Zero();
    }
    for (std::int64_t run = 0; run < runs; run += kRuns) {
      const std::int64_t count = std::min(kRuns, runs - run);
      for (std::int64_t i = 0; i < count; i += Format::kRuns) {
        const auto offset = static_cast<std::size_t>((run + i) / Format::kRuns) * sizeof(typename Format::Block);
        for (int p = 0; p < kPanels; ++p) {
          prefetcher.AdvanceLines(lines * Format::kRuns);
          UnpackBlocks<Isa, Format>({rows[p].at, offset}, panels + p * kRuns + i);
        }
      }
      const auto add = [&](auto tokens, std::int64_t token) __attribute__((always_inline)) {
        Floats tile[kPanels][tokens];
        for (int t = 0; t < tokens; ++t) {
          for (int p = 0; p < kPanels; ++p) tile[p][t] = sums[token + t][p];
        }
        AddRuns<Isa, Format, tokens>(panels, kRuns, activations + token * stride + run, stride, count, tile,
                                     [&] { prefetcher.AdvanceLines(lines); });
        for (int t = 0; t < tokens; ++t) {
          for (int p = 0; p < kPanels; ++p) sums[token + t][p] = tile[p][t];
        }
      };
      ForEachTile<kTile>(task.tokens, add);
    }
    for (std::int64_t t = 0; t < task.tokens; ++t) {
      for (int p = 0; p < kPanels && left > p * Isa::kRows; ++p) {
        StoreSums<Isa>(sums[t][p], activations[t * stride], task.out + t * task.out_stride + row + p * Isa::kRows,
                       rows[p].count);
      }
    }
  }
}

// Format is one of unpack-inl.h, unpack_k-inl.h or unpack_iq-inl.h.
template <class Isa, class Format>
void MatMulInt8(const MatMulTask& task) {
  if (task.tokens == 1) return MatVecInt8<Isa, Format, 1>(task);
  if (task.tokens == 2) return MatVecInt8<Isa, Format, 2>(task);
  if (task.tokens <= kFewTokens && Isa::kPanels * Isa::kRows * task.row_bytes > L1DataBytes() / 2)
    return MatMulInt8OfFew<Isa, Format>(task);
  constexpr int kTile = Isa::TileTokens(Format::kBits);
  auto* panels = reinterpret_cast<PanelRun<Isa, Format::kGroups>*>(task.scratch);
  const std::int64_t runs = task.columns / 32;
  for (std::int64_t row = task.row_begin; row < task.row_end; row += Isa::kPanels * Isa::kRows) {
    const std::int64_t count = std::min<std::int64_t>(Isa::kPanels * Isa::kRows, task.row_end - row);
    for (int p = 0; p < Isa::kPanels && count > p * Isa::kRows; ++p)
      UnpackPanel<Isa, Format>(task, row + p * Isa::kRows, panels + p * runs);
    ForEachTile<kTile>(task.tokens, [&](auto tokens, std::int64_t token) {
      MultiplyPanels<Isa, Format, tokens>(task, panels, row, count, token);
    });
  }
}

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_MATMUL_INT8_INL_H_
