// Products of one token and of many, of any format, made from the format's type.

#ifndef SLM_KERNELS_SCALAR_MATMUL_H_
#define SLM_KERNELS_SCALAR_MATMUL_H_

#include <cstddef>
#include <cstdint>

#include "format_table.h"
#include "kernels.h"

namespace slm::scalar {

// Rows are widened to float once and then meet every token. The products of two floats are exact in double, so that the
// result carries hardly more than its final rounding.
template <class F>
void MatMulFloat(const MatMulTask& task) {
  const auto* activations = static_cast<const float*>(task.activations);
  auto* weights = reinterpret_cast<float*>(task.scratch);
  for (std::int64_t row = task.row_begin; row < task.row_end; ++row) {
    ToFloat<F>(task.weights + static_cast<std::size_t>(row) * task.row_bytes, task.columns, weights);
    for (std::int64_t token = 0; token < task.tokens; ++token) {
      const float* x = activations + token * task.activation_stride;
      double sum = 0;
      for (std::int64_t i = 0; i < task.columns; ++i) sum += static_cast<double>(weights[i]) * x[i];
      task.out[token * task.out_stride + row] = static_cast<float>(sum);
    }
  }
}

// sum + weights * activations over one block, but for the scale of the activations. With a zero point a group
// contributes scale * (codes - zero) . factor q, an integer product that is exact; with minimums scale * codes . factor
// q and minimum * sum(factor q).
template <class F>
float AddBlockProduct(float sum, const UnpackedBlock& weights, const ActivationBlock* activations) {
  constexpr int kGroup = F::kGroup;
  static_assert(kGroup == 16 || kGroup == 32);
  for (int group = 0; group < F::kElements / kGroup; ++group) {
    const ActivationBlock& x = activations[group * kGroup / 32];
    const std::uint8_t* codes = weights.codes + group * kGroup;
    const int first = group * kGroup % 32;
    std::int32_t product = 0;
    for (int i = 0; i < kGroup; ++i) product += (codes[i] - F::kZero) * x.q[first + i] * x.factors[(first + i) / 8][0];

    sum += static_cast<float>(product) * weights.scales[group];
    if constexpr (F::kZero == 0)
      sum += weights.minimums[group] * static_cast<float>(kGroup == 32 ? x.sum : x.half_sum[group % 2]);
  }
  return sum;
}

// Blocks in ascending order, each unpacked once and then met by every token; `out` holds the running sums.
template <class F>
void MatMulInt8(const MatMulTask& task) {
  const auto* activations = static_cast<const ActivationBlock*>(task.activations);
  for (std::int64_t row = task.row_begin; row < task.row_end; ++row) {
    const std::byte* row_bytes = task.weights + static_cast<std::size_t>(row) * task.row_bytes;
    for (std::int64_t token = 0; token < task.tokens; ++token) task.out[token * task.out_stride + row] = 0;
    for (std::int64_t block = 0; block < task.columns / F::kElements; ++block) {
      UnpackedBlock weights;
      F::Unpack(BlockAt<typename F::Block>(row_bytes, block), weights);
      for (std::int64_t token = 0; token < task.tokens; ++token) {
        const ActivationBlock* x = activations + token * task.activation_stride + block * (F::kElements / 32);
        float& sum = task.out[token * task.out_stride + row];
        sum = AddBlockProduct<F>(sum, weights, x);
      }
    }
    for (std::int64_t token = 0; token < task.tokens; ++token)
      task.out[token * task.out_stride + row] *= activations[token * task.activation_stride].scale;
  }
}

template <class F>
void MatMul(const MatMulTask& task) {
  if constexpr (F::kActivation == Activation::kFloat) {
    MatMulFloat<F>(task);
  } else {
    MatMulInt8<F>(task);
  }
}

template <class... F>
constexpr KernelSet::MatMulTable MakeMatMulTable(TypeList<F...>) {
  KernelSet::MatMulTable table{};
  ((table[static_cast<std::size_t>(F::kFormat)] = MatMul<F>), ...);
  return table;
}

}  // namespace slm::scalar

#endif  // SLM_KERNELS_SCALAR_MATMUL_H_
