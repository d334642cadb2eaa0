#include <cstddef>
#include <cstdint>

#include "scalar/scalar.h"
#include "unpack.h"
#include "unpack_iq.h"
#include "unpack_k.h"

namespace slm::scalar {
namespace {

// Rows are widened to float once and then meet every token. The products of two floats are exact in double, so that the
// result carries hardly more than its final rounding.
template <Format kFormat>
void MatMulFloat(const MatMulTask& task) {
  const auto to_float = FindFormat(static_cast<std::uint32_t>(kFormat))->to_float;
  const auto* activations = static_cast<const float*>(task.activations);
  auto* weights = reinterpret_cast<float*>(task.scratch);
  for (std::int64_t row = task.row_begin; row < task.row_end; ++row) {
    to_float(task.weights + static_cast<std::size_t>(row) * task.row_bytes, task.columns, weights);
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
template <class Unpacker>
float AddBlockProduct(float sum, const UnpackedBlock& weights, const ActivationBlock* activations) {
  constexpr int kGroup = Unpacker::kGroup;
  static_assert(kGroup == 16 || kGroup == 32);
  for (int group = 0; group < Unpacker::kElements / kGroup; ++group) {
    const ActivationBlock& x = activations[group * kGroup / 32];
    const std::uint8_t* codes = weights.codes + group * kGroup;
    const int first = group * kGroup % 32;
    std::int32_t product = 0;
    for (int i = 0; i < kGroup; ++i)
      product += (codes[i] - Unpacker::kZero) * x.q[first + i] * x.factors[(first + i) / 8][0];

    sum += static_cast<float>(product) * weights.scales[group];
    if constexpr (Unpacker::kZero == 0)
      sum += weights.minimums[group] * static_cast<float>(kGroup == 32 ? x.sum : x.half_sum[group % 2]);
  }
  return sum;
}

// Blocks in ascending order, each unpacked once and then met by every token; `out` holds the running sums.
template <class Unpacker>
void MatMulInt8(const MatMulTask& task) {
  const auto* activations = static_cast<const ActivationBlock*>(task.activations);
  for (std::int64_t row = task.row_begin; row < task.row_end; ++row) {
    const std::byte* row_bytes = task.weights + static_cast<std::size_t>(row) * task.row_bytes;
    const auto* blocks = reinterpret_cast<const typename Unpacker::Block*>(row_bytes);
    for (std::int64_t token = 0; token < task.tokens; ++token) task.out[token * task.out_stride + row] = 0;
    for (std::int64_t block = 0; block < task.columns / Unpacker::kElements; ++block) {
      UnpackedBlock weights;
      Unpacker::Unpack(blocks[block], weights);
      for (std::int64_t token = 0; token < task.tokens; ++token) {
        const ActivationBlock* x = activations + token * task.activation_stride + block * (Unpacker::kElements / 32);
        float& sum = task.out[token * task.out_stride + row];
        sum = AddBlockProduct<Unpacker>(sum, weights, x);
      }
    }
    for (std::int64_t token = 0; token < task.tokens; ++token)
      task.out[token * task.out_stride + row] *= activations[token * task.activation_stride].scale;
  }
}

}  // namespace

void MatMulF32(const MatMulTask& task) { MatMulFloat<Format::kF32>(task); }
void MatMulF16(const MatMulTask& task) { MatMulFloat<Format::kF16>(task); }
void MatMulBF16(const MatMulTask& task) { MatMulFloat<Format::kBF16>(task); }
void MatMulQ4_0(const MatMulTask& task) { MatMulInt8<UnpackQ4_0>(task); }
void MatMulQ4_1(const MatMulTask& task) { MatMulInt8<UnpackQ4_1>(task); }
void MatMulQ5_0(const MatMulTask& task) { MatMulInt8<UnpackQ5_0>(task); }
void MatMulQ5_1(const MatMulTask& task) { MatMulInt8<UnpackQ5_1>(task); }
void MatMulQ8_0(const MatMulTask& task) { MatMulInt8<UnpackQ8_0>(task); }
void MatMulQ4_K(const MatMulTask& task) { MatMulInt8<UnpackQ4_K>(task); }
void MatMulQ5_K(const MatMulTask& task) { MatMulInt8<UnpackQ5_K>(task); }
void MatMulQ6_K(const MatMulTask& task) { MatMulInt8<UnpackQ6_K>(task); }
void MatMulQ2_K(const MatMulTask& task) { MatMulInt8<UnpackQ2_K>(task); }
void MatMulQ3_K(const MatMulTask& task) { MatMulInt8<UnpackQ3_K>(task); }
void MatMulIQ2_XXS(const MatMulTask& task) { MatMulInt8<UnpackIQ2_XXS>(task); }
void MatMulIQ2_XS(const MatMulTask& task) { MatMulInt8<UnpackIQ2_XS>(task); }
void MatMulIQ3_XXS(const MatMulTask& task) { MatMulInt8<UnpackIQ3_XXS>(task); }
void MatMulIQ1_S(const MatMulTask& task) { MatMulInt8<UnpackIQ1_S>(task); }
void MatMulIQ4_NL(const MatMulTask& task) { MatMulInt8<UnpackIQ4_NL>(task); }
void MatMulIQ3_S(const MatMulTask& task) { MatMulInt8<UnpackIQ3_S>(task); }
void MatMulIQ2_S(const MatMulTask& task) { MatMulInt8<UnpackIQ2_S>(task); }
void MatMulIQ4_XS(const MatMulTask& task) { MatMulInt8<UnpackIQ4_XS>(task); }
void MatMulIQ1_M(const MatMulTask& task) { MatMulInt8<UnpackIQ1_M>(task); }
void MatMulTQ1_0(const MatMulTask& task) { MatMulInt8<UnpackTQ1_0>(task); }
void MatMulTQ2_0(const MatMulTask& task) { MatMulInt8<UnpackTQ2_0>(task); }
void MatMulMXFP4(const MatMulTask& task) { MatMulInt8<UnpackMXFP4>(task); }

}  // namespace slm::scalar
