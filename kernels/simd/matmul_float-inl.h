// Products of F32, F16 and BF16 weights with float activations. Each product is one sum over vectors of columns, added
// up across the vector at the end, whatever the tile it is computed in.

#ifndef SLM_KERNELS_SIMD_MATMUL_FLOAT_INL_H_
#define SLM_KERNELS_SIMD_MATMUL_FLOAT_INL_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <xsimd/xsimd.hpp>

#include "kernels.h"
#include "simd/sum-inl.h"
#include "unpack.h"

namespace slm {
namespace {

// A vector of weights of a format.
template <class Widen>
typename Widen::Batch LoadWeights(F32, const std::byte* from) {
  return Widen::Batch::load_unaligned(reinterpret_cast<const float*>(from));
}
template <class Widen>
typename Widen::Batch LoadWeights(F16, const std::byte* from) {
  return Widen::LoadHalf(reinterpret_cast<const Half*>(from));
}
template <class Widen>
typename Widen::Batch LoadWeights(BF16, const std::byte* from) {
  return Widen::LoadBfloat16(reinterpret_cast<const Half*>(from));
}

// One vector of columns of a tile: weight row r at weights + r * row_bytes, token t at x + t * stride.
template <class Widen, class F, int kRows, int kTokens>
inline void AddFloatColumns(const std::byte* weights, std::size_t row_bytes, const float* x, std::int64_t stride,
                            typename Widen::Batch sums[kRows][kTokens]) {
  using Batch = typename Widen::Batch;
  Batch w[kRows];
  for (int r = 0; r < kRows; ++r) w[r] = LoadWeights<Widen>(F(), weights + static_cast<std::size_t>(r) * row_bytes);
  for (int t = 0; t < kTokens; ++t) {
    const Batch a = Batch::load_unaligned(x + t * stride);
    for (int r = 0; r < kRows; ++r) sums[r][t] = Widen::MulAdd(w[r], a, sums[r][t]);
  }
}

// kRows weight rows from `row` on times kTokens tokens from `token` on.
template <class Widen, class F, int kRows, int kTokens>
void MultiplyFloatTile(const MatMulTask& task, std::int64_t row, std::int64_t token) {
  using Batch = typename Widen::Batch;
  constexpr std::int64_t kWidth = static_cast<std::int64_t>(Batch::size);
  const std::byte* weights = task.weights + static_cast<std::size_t>(row) * task.row_bytes;
  const float* x = static_cast<const float*>(task.activations) + token * task.activation_stride;
  Batch sums[kRows][kTokens];
  for (auto& row_sums : sums) {
    for (Batch& sum : row_sums) sum = Batch(0.0f);
  }
  std::int64_t column = 0;
  for (; column + kWidth <= task.columns; column += kWidth) {
    AddFloatColumns<Widen, F, kRows, kTokens>(weights + static_cast<std::size_t>(column) * sizeof(typename F::Block),
                                              task.row_bytes, x + column, task.activation_stride, sums);
  }
  if (const std::int64_t rest = task.columns - column; rest > 0) {
    // The last columns, filled up with zeros.
    alignas(64) std::byte last_weights[kRows][kWidth * 4] = {};
    alignas(64) float last_x[kTokens][kWidth] = {};
    for (int r = 0; r < kRows; ++r) {
      std::memcpy(last_weights[r],
                  weights + static_cast<std::size_t>(r) * task.row_bytes +
                      static_cast<std::size_t>(column) * sizeof(typename F::Block),
                  static_cast<std::size_t>(rest) * sizeof(typename F::Block));
    }
    for (int t = 0; t < kTokens; ++t) std::copy_n(x + t * task.activation_stride + column, rest, last_x[t]);
    AddFloatColumns<Widen, F, kRows, kTokens>(last_weights[0], sizeof(last_weights[0]), last_x[0], kWidth, sums);
  }
  for (int t = 0; t < kTokens; ++t) {
    for (int r = 0; r < kRows; ++r) task.out[(token + t) * task.out_stride + row + r] = Sum(sums[r][t]);
  }
}

template <class Widen, class F, int kRows>
void MultiplyFloatRows(const MatMulTask& task, std::int64_t row) {
  std::int64_t token = 0;
  for (; token + 3 <= task.tokens; token += 3) MultiplyFloatTile<Widen, F, kRows, 3>(task, row, token);
  for (; token < task.tokens; ++token) MultiplyFloatTile<Widen, F, kRows, 1>(task, row, token);
}

template <class Widen, class F>
void MatMulFloat(const MatMulTask& task) {
  std::int64_t row = task.row_begin;
  for (; row + 4 <= task.row_end; row += 4) MultiplyFloatRows<Widen, F, 4>(task, row);
  for (; row < task.row_end; ++row) MultiplyFloatRows<Widen, F, 1>(task, row);
}

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_MATMUL_FLOAT_INL_H_
