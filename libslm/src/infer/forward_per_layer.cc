// Inputs that each layer gets of each token, beside the stream: from an embedding table of their own and from the
// token's embedding.

#include <algorithm>
#include <cmath>

#include "infer/forward.h"
#include "infer/rows.h"

namespace slm {

bool Forward::AllocateLayerInputs() {
  const std::int64_t width = config_->per_layer_width;
  if (width == 0) return true;
  temporary_floats_ = static_cast<std::size_t>(std::max<std::int64_t>(layer_inputs_width_, config_->embedding_length));
  return layer_inputs_.Allocate(static_cast<std::size_t>(max_rows_ * layer_inputs_width_)) &&
         layer_gate_.Allocate(static_cast<std::size_t>(max_rows_ * width)) && AllocateInput(layer_input_, width) &&
         temporary_.Allocate(temporary_floats_ * static_cast<std::size_t>(team_->threads()));
}

// normed_ holds the embeddings, and then the first layer's input.
void Forward::ReadLayerInputs(Worker& worker, std::span<const Row> rows) {
  const Weights& weights = model_->weights;
  Product(worker, weights.per_layer_model_proj, {}, normed_, rows_, {layer_inputs_.data(), layer_inputs_width_});
  ForEachRow(worker, rows_, [&](std::int64_t row) {
    JoinLayerInputs(worker, rows[static_cast<std::size_t>(row)].token, row);
    if (config_->architecture->wiring == ResidualWiring::kAltUp) return;  // makes more of the embedding
    NormRow(stream_.data() + row * config_->embedding_length, weights.layers.front().attn_norm, normed_, row);
  });
}

// inputs = (norm(projection / sqrt(d)) + sqrt(width) * table[token]) / sqrt(2), a norm for each layer
void Forward::JoinLayerInputs(Worker& worker, Token token, std::int64_t row) {
  const Weights& weights = model_->weights;
  const std::int64_t width = config_->per_layer_width;
  float* inputs = LayerInputs(row);
  kernels_->scale(inputs, 1 / std::sqrt(static_cast<float>(config_->embedding_length)), layer_inputs_width_);
  for (float* input = inputs; input < inputs + layer_inputs_width_; input += width) {
    kernels_->rms_norm(input, weights.per_layer_proj_norm.data(), width, config_->norm_epsilon, input);
  }
  const Matrix& table = weights.per_layer_token_embd;
  float* embedding = Temporary(worker);
  table.format->to_float(table.data + static_cast<std::size_t>(token) * table.row_bytes, layer_inputs_width_,
                         embedding);
  kernels_->scale(embedding, std::sqrt(static_cast<float>(width)), layer_inputs_width_);
  kernels_->add(inputs, embedding, layer_inputs_width_);
  kernels_->scale(inputs, std::sqrt(0.5f), layer_inputs_width_);
}

// product_ = proj (act(inp_gate normed) * input)
void Forward::LayerInput(Worker& worker, std::size_t index) {
  const LayerWeights& layer = model_->weights.layers[index];
  ProfileScope scope = Measure(worker, Operation::kLayerInput, index);
  for (const Matrix* matrix : {&layer.inp_gate, &layer.proj}) scope.AddCost(CostOf(*matrix, rows_));
  const std::int64_t width = config_->per_layer_width;
  Product(worker, layer.inp_gate, {}, normed_, rows_, {layer_gate_.data(), width});
  ForEachRow(worker, rows_, [&](std::int64_t row) {
    const float* input = LayerInputs(row) + static_cast<std::int64_t>(index) * width;
    Activate(layer_gate_.data() + row * width, input, width, layer_input_.values.data() + row * layer_input_.stride);
    Quantize(layer_input_, row, width);
  });
  Product(worker, layer.proj, {}, layer_input_, rows_, {product_.data(), config_->embedding_length});
}

}  // namespace slm
