// Products of quantized weights with int8 activations: one loop for every format and instruction set.
//
// Weight rows are taken Isa::kRows at a time and unpacked into a panel (unpack-inl.h). For a few tokens each block of
// the panel is used as it is made; for many the panel of all columns is kept in the scratch memory and meets the tokens
// tile by tile. Both do the same arithmetic for a row and a token: per block, in ascending order,
//   sum += float(codes . factors q) * scale * x.scale;  sum += offset * x.sum
// with the integer product exact.

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

// Adds the product of kBlocks consecutive blocks to sums[token]. Token t's blocks begin at x + t * stride.
template <class Isa, class PanelFormat, int kTokens>
[[gnu::always_inline]] inline void AddBlock(const typename PanelFormat::Panel& panel, const ActivationBlock* x,
                                            std::int64_t stride, typename Isa::Floats sums[kTokens]) {
  constexpr int kGroups = PanelFormat::kGroups;
  constexpr int kSteps = 8 / kGroups;
  const std::ptrdiff_t byte_stride = stride * static_cast<std::ptrdiff_t>(sizeof(ActivationBlock));
#pragma GCC unroll 2
  for (int group = 0; group < kGroups; ++group) {
    typename Isa::Ints products[kTokens];
    Isa::template Dot<PanelFormat::kBits, kSteps / 2, kTokens>(panel.codes + group * kSteps, x->q + group * 4 * kSteps,
                                                               x->factors + group * kSteps / 2, byte_stride, products);
    const auto scale = Isa::Load(panel.scales[group]);
    const auto offset = Isa::Load(panel.offsets[group]);
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) {
      const ActivationBlock& block = x[t * stride];
      sums[t] = Isa::MulAdd(Isa::Mul(Isa::Convert(products[t]), scale), Isa::Broadcast(&block.scale), sums[t]);
      sums[t] = Isa::MulAdd(offset, Isa::Broadcast(kGroups == 1 ? &block.sum : &block.half_sum[group]), sums[t]);
    }
  }
}

// Where a tile of sums goes: `rows` of Isa::kRows are wanted.
template <class Isa, int kTokens>
inline void StoreTile(const typename Isa::Floats sums[kTokens], float* out, std::int64_t out_stride,
                      std::int64_t rows) {
  for (int t = 0; t < kTokens; ++t) {
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
  void Advance(std::size_t bytes) {
    for (const std::uint8_t*& row : at) row += bytes;
  }
};

// Asks for the memory that many rows from here, which one row panel later will be read. Side by side the rows are too
// many streams for the processor to see that together they are one.
inline void PrefetchAhead(const std::uint8_t* at, std::size_t ahead, std::size_t bytes) {
  const auto begin = reinterpret_cast<std::uintptr_t>(at) + ahead;
  for (std::uintptr_t line = begin; line < begin + bytes; line += 64)
    __builtin_prefetch(reinterpret_cast<const void*>(line));
}

// kTokens tokens at once, blocks unpacked as they come.
template <class Isa, class PanelFormat, int kTokens>
void MultiplyUnpacking(const MatMulTask& task) {
  const auto* activations = static_cast<const ActivationBlock*>(task.activations);
  constexpr std::size_t kPanelBytes = Isa::kRows * sizeof(typename PanelFormat::Block);
  const std::int64_t blocks = task.columns / (32 * PanelFormat::kBlocks);
  for (std::int64_t row = task.row_begin; row < task.row_end; row += Isa::kRows) {
    PanelRows<Isa> rows(task, row);
    const std::uint8_t* panel_rows = rows.at[0];
    typename Isa::Floats sums[kTokens];
    for (auto& sum : sums) sum = Isa::Zero();
    const ActivationBlock* x = activations;
    for (std::int64_t block = 0; block < blocks; ++block) {
      PrefetchAhead(panel_rows, Isa::kRows * task.row_bytes + static_cast<std::size_t>(block) * kPanelBytes,
                    kPanelBytes);
      typename PanelFormat::Panel panels[PanelFormat::kBlocks];
      PanelFormat::Unpack(rows.at, panels);
      rows.Advance(sizeof(typename PanelFormat::Block));
      for (const auto& panel : panels) AddBlock<Isa, PanelFormat, kTokens>(panel, x++, task.activation_stride, sums);
    }
    StoreTile<Isa, kTokens>(sums, task.out + row, task.out_stride, rows.count);
  }
}

// kTokens tokens from `token` on against a whole panel.
template <class Isa, class PanelFormat, int kTokens>
void MultiplyPanel(const MatMulTask& task, const typename PanelFormat::Panel* panels, std::int64_t row,
                   std::int64_t rows, std::int64_t token) {
  const ActivationBlock* x = static_cast<const ActivationBlock*>(task.activations) + token * task.activation_stride;
  typename Isa::Floats sums[kTokens];
  for (auto& sum : sums) sum = Isa::Zero();
  for (std::int64_t block = 0; block < task.columns / 32; ++block) {
    AddBlock<Isa, PanelFormat, kTokens>(panels[block], x + block, task.activation_stride, sums);
  }
  StoreTile<Isa, kTokens>(sums, task.out + token * task.out_stride + row, task.out_stride, rows);
}

// Calls f with std::integral_constant<int, n> for 1 <= n <= kMax.
template <int kMax, class F>
inline void WithCount(std::int64_t n, const F& f) {
  if constexpr (kMax > 1) {
    if (n < kMax) return WithCount<kMax - 1>(n, f);
  }
  f(std::integral_constant<int, kMax>());
}

template <class Isa, class PanelFormat>
void MatMulInt8(const MatMulTask& task) {
  constexpr int kTile = Isa::MaxTokens(PanelFormat::kBits);
  if (task.tokens <= kTile) {
    if (task.tokens > 0)
      WithCount<kTile>(task.tokens, [&](auto tokens) { MultiplyUnpacking<Isa, PanelFormat, tokens>(task); });
    return;
  }
  auto* panels = reinterpret_cast<typename PanelFormat::Panel*>(task.scratch);
  for (std::int64_t row = task.row_begin; row < task.row_end; row += Isa::kRows) {
    PanelRows<Isa> rows(task, row);
    for (std::int64_t block = 0; block < task.columns / 32; block += PanelFormat::kBlocks) {
      PanelFormat::Unpack(rows.at, panels + block);
      rows.Advance(sizeof(typename PanelFormat::Block));
    }
    std::int64_t token = 0;
    for (; token + kTile <= task.tokens; token += kTile)
      MultiplyPanel<Isa, PanelFormat, kTile>(task, panels, row, rows.count, token);
    if (token < task.tokens) {
      WithCount<kTile>(task.tokens - token, [&](auto tokens) {
        MultiplyPanel<Isa, PanelFormat, tokens>(task, panels, row, rows.count, token);
      });
    }
  }
}

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_MATMUL_INT8_INL_H_
