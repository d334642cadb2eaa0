#include "model/placed_matrix.h"

#include <cstddef>
#include <iterator>
#include <map>

namespace slm {

std::vector<PlacedMatrix> PlaceMatrices(const GgufFile& file, const Weights& weights) {
  std::vector<const Matrix*> matrices = {&weights.output, &weights.per_layer_model_proj};
  for (const auto* stack : {&weights.altup_proj, &weights.altup_unembd_proj})
    for (const Matrix& matrix : *stack) matrices.push_back(&matrix);
  for (const LayerWeights& layer : weights.layers) {
    matrices.insert(matrices.end(), {&layer.attn_q, &layer.attn_k, &layer.attn_v, &layer.attn_output, &layer.ffn_gate,
                                     &layer.ffn_up, &layer.ffn_down, &layer.ffn_experts.router, &layer.inp_gate,
                                     &layer.proj, &layer.altup.laurel_l, &layer.altup.laurel_r});
    for (const Expert& expert : layer.ffn_experts.experts)
      matrices.insert(matrices.end(), {&expert.gate, &expert.up, &expert.down});
  }
  std::map<const std::byte*, const GgufTensor*> tensors;  // by where they begin
  for (const GgufTensor& tensor : file.tensors()) tensors.emplace(tensor.data.data(), &tensor);
  std::vector<PlacedMatrix> placed;
  for (const Matrix* const matrix : matrices) {
    if (!matrix->present()) continue;
    const GgufTensor* const tensor = std::prev(tensors.upper_bound(matrix->data))->second;
    const auto offset = static_cast<std::size_t>(matrix->data - tensor->data.data());
    placed.push_back({matrix, tensor, static_cast<std::int64_t>(offset / matrix->row_bytes)});
  }
  return placed;
}

}  // namespace slm
