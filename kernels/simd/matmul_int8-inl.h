// Products of quantized weights with int8 activations: one loop for every format and instruction set.
//
// Weight rows are taken Isa::kRows at a time and unpacked into a panel (unpack-inl.h). For a few tokens each block of
// the panel is used as it is made; for many the panel of all columns is kept in the scratch memory and meets the tokens
// tile by tile. Both do the same arithmetic for a row and a token: per block, in ascending order,
//   sum += float((codes - zero) . factors q) * scale, and where there are minimums: sum += minimum * float(x.sum)
// with the integer product exact; at the end sum * x.scale.

#ifndef SLM_KERNELS_SIMD_MATMUL_INT8_INL_H_
#define SLM_KERNELS_SIMD_MATMUL_INT8_INL_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernels.h"
#include "simd/unpack-inl.h"

namespace slm {
namespace {

// sums[panel][token] += the product of a block of each panel with a block of each token. Token t's is at x + t *
// stride.
template <class Isa, class PanelFormat, int kPanels, int kTokens>
[[gnu::always_inline]] inline void AddBlock(const typename PanelFormat::Panel* const* panels, const ActivationBlock* x,
                                            std::int64_t stride, typename Isa::Floats sums[kPanels][kTokens]) {
  constexpr int kGroups = PanelFormat::kGroups;
  constexpr int kSteps = 8 / kGroups;
  const std::ptrdiff_t byte_stride = stride * static_cast<std::ptrdiff_t>(sizeof(ActivationBlock));
#pragma GCC unroll 2
  for (int group = 0; group < kGroups; ++group) {
    typename Isa::Codes codes[kPanels];
    for (int p = 0; p < kPanels; ++p) codes[p] = panels[p]->codes + group * kSteps;
    typename Isa::Ints products[kPanels][kTokens];
    Isa::template Dot<PanelFormat::kBits, kSteps / 2, kPanels, kTokens>(
        codes, x->q + group * 4 * kSteps, x->factors + group * kSteps / 2, byte_stride, products);
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) {
      const ActivationBlock& block = x[t * stride];
      [[maybe_unused]] const auto x_sum = Isa::BroadcastInt(kGroups == 1 ? &block.sum : &block.half_sum[group]);
#pragma GCC unroll 4
      for (int p = 0; p < kPanels; ++p) {
        auto product = products[p][t];
        if constexpr (PanelFormat::kZero > 0)
          product = Isa::Sub(product, Isa::template Times<PanelFormat::kZero>(x_sum));
        sums[p][t] = Isa::MulAdd(Isa::Convert(product), Isa::Load(panels[p]->scales[group]), sums[p][t]);
        if constexpr (PanelFormat::kZero == kMinimums)
          sums[p][t] = Isa::MulAdd(Isa::Load(panels[p]->minimums[group]), Isa::Convert(x_sum), sums[p][t]);
      }
    }
  }
}

// Scales a tile of sums and writes it: `rows` of Isa::kRows are wanted. Token t's activations begin at x + t * stride.
template <class Isa, int kTokens>
[[gnu::always_inline]] inline void StoreTile(typename Isa::Floats sums[kTokens], const ActivationBlock* x,
                                             std::int64_t stride, float* out, std::int64_t out_stride,
                                             std::int64_t rows) {
  for (int t = 0; t < kTokens; ++t) {
    sums[t] = Isa::Mul(sums[t], Isa::Broadcast(&x[t * stride].scale));
    if (rows == Isa::kRows) {
      Isa::StoreUnaligned(out + t * out_stride, sums[t]);
    } else {
      alignas(64) float all[Isa::kRows];
      Isa::Store(all, sums[t]);
      std::copy_n(all, rows, out + t * out_stride);
    }
  }
}

// The rows of one panel, the last one repeated where there are fewer than Isa::kRows.
template <class Isa>
struct PanelRows {
  const std::uint8_t* at[Isa::kRows];
  std::int64_t count;

  PanelRows(const MatMulTask& task, std::int64_t first)
      : count(std::min<std::int64_t>(Isa::kRows, task.row_end - first)) {
    for (std::int64_t i = 0; i < Isa::kRows; ++i) {
      const std::int64_t row = first + std::min(i, count - 1);
      at[i] = reinterpret_cast<const std::uint8_t*>(task.weights) + static_cast<std::size_t>(row) * task.row_bytes;
    }
  }
};

// Asks for memory that will be read one row panel later. Side by side the rows are too many streams for the processor
// to see that together they are one. The number of lines is fixed: a loop over those that the bytes really touch would
// be mispredicted.
template <std::size_t kBytes>
[[gnu::always_inline]] inline void Prefetch(const std::uint8_t* at) {
#pragma GCC unroll 16
  for (std::size_t byte = 0; byte < kBytes; byte += 64) __builtin_prefetch(at + byte);
}

// kTokens tokens at once, blocks unpacked as they come.
template <class Isa, class PanelFormat, int kTokens>
void MultiplyUnpacking(const MatMulTask& task) {
  const auto* activations = static_cast<const ActivationBlock*>(task.activations);
  // What is read for one panel, asked for little by little.
  constexpr std::size_t kPanelBytes = Isa::kRows * sizeof(typename PanelFormat::Block) / PanelFormat::kBlocks;
  const std::size_t ahead = Isa::kRows * task.row_bytes;
  const std::int64_t blocks = task.columns / (32 * PanelFormat::kBlocks);
  for (std::int64_t row = task.row_begin; row < task.row_end; row += Isa::kRows) {
    PanelRows<Isa> rows(task, row);
    const std::uint8_t* next = rows.at[0] + ahead;
    typename Isa::Floats sums[1][kTokens];
    for (auto& sum : sums[0]) sum = Isa::Zero();
    const ActivationBlock* x = activations;
    for (std::int64_t block = 0; block < blocks; ++block) {
      typename PanelFormat::Panel panels[PanelFormat::kBlocks];
      PanelFormat::Unpack({rows.at, static_cast<std::size_t>(block) * sizeof(typename PanelFormat::Block)}, panels);
      for (const auto& panel : panels) {
        Prefetch<kPanelBytes>(next);
        next += kPanelBytes;
        const auto* one = &panel;
        AddBlock<Isa, PanelFormat, 1, kTokens>(&one, x++, task.activation_stride, sums);
      }
    }
    StoreTile<Isa, kTokens>(sums[0], activations, task.activation_stride, task.out + row, task.out_stride, rows.count);
  }
}

// kTokens tokens from `token` on against Isa::kPanels whole panels, which follow each other; `rows` of their rows are
// wanted.
template <class Isa, class PanelFormat, int kTokens>
void MultiplyPanels(const MatMulTask& task, const typename PanelFormat::Panel* first, std::int64_t row,
                    std::int64_t rows, std::int64_t token) {
  constexpr int kPanels = Isa::kPanels;
  const ActivationBlock* x = static_cast<const ActivationBlock*>(task.activations) + token * task.activation_stride;
  const std::int64_t blocks = task.columns / 32;
  const typename PanelFormat::Panel* panels[kPanels];
  for (int p = 0; p < kPanels; ++p) panels[p] = first + p * blocks;
  typename Isa::Floats sums[kPanels][kTokens];
  for (auto& panel : sums) {
    for (auto& sum : panel) sum = Isa::Zero();
  }
  for (std::int64_t block = 0; block < blocks; ++block) {
    AddBlock<Isa, PanelFormat, kPanels, kTokens>(panels, x + block, task.activation_stride, sums);
    for (auto& panel : panels) ++panel;
  }
  for (int p = 0; p < kPanels && rows > p * Isa::kRows; ++p) {
    StoreTile<Isa, kTokens>(sums[p], x, task.activation_stride,
                            task.out + token * task.out_stride + row + p * Isa::kRows, task.out_stride,
                            std::min<std::int64_t>(Isa::kRows, rows - p * Isa::kRows));
  }
}

// All columns of the panel whose first row is `row`.
template <class Isa, class PanelFormat>
void UnpackPanel(const MatMulTask& task, std::int64_t row, typename PanelFormat::Panel* panel) {
  PanelRows<Isa> rows(task, row);
  std::size_t offset = 0;
  for (std::int64_t block = 0; block < task.columns / 32; block += PanelFormat::kBlocks) {
    PanelFormat::Unpack({rows.at, offset}, panel + block);
    offset += sizeof(typename PanelFormat::Block);
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

// PanelOf<Isa> is one of the formats of unpack-inl.h. A few tokens are computed with the vocabulary Isa::Few.
template <class Isa, template <class> class PanelOf>
void MatMulInt8(const MatMulTask& task) {
  using PanelFormat = PanelOf<Isa>;
  using Few = typename Isa::template Few<PanelFormat::kBlocks>;
  constexpr int kFewTokens = Few::FewTokens(PanelFormat::kBits);
  if (task.tokens <= kFewTokens) {
    if (task.tokens > 0)
      WithCount<kFewTokens>(task.tokens, [&](auto tokens) { MultiplyUnpacking<Few, PanelOf<Few>, tokens>(task); });
    return;
  }
  constexpr int kTile = Isa::TileTokens(PanelFormat::kBits);
  auto* panels = reinterpret_cast<typename PanelFormat::Panel*>(task.scratch);
  const std::int64_t blocks = task.columns / 32;
  for (std::int64_t row = task.row_begin; row < task.row_end; row += Isa::kPanels * Isa::kRows) {
    const std::int64_t count = std::min<std::int64_t>(Isa::kPanels * Isa::kRows, task.row_end - row);
    for (int p = 0; p < Isa::kPanels && count > p * Isa::kRows; ++p)
      UnpackPanel<Isa, PanelFormat>(task, row + p * Isa::kRows, panels + p * blocks);
    std::int64_t token = 0;
    for (; token + kTile <= task.tokens; token += kTile)
      MultiplyPanels<Isa, PanelFormat, kTile>(task, panels, row, count, token);
    if (token < task.tokens) {
      WithCount<kTile>(task.tokens - token,
                       [&](auto tokens) { MultiplyPanels<Isa, PanelFormat, tokens>(task, panels, row, count, token); });
    }
  }
}

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_MATMUL_INT8_INL_H_
