#include "forward/layer_inputs.h"

#include <cmath>

namespace slm {

std::int64_t LayerInputs::Width() const {
  return static_cast<std::int64_t>(context_->config.layers.size()) * context_->config.per_layer_width;
}

bool LayerInputs::Allocate(WorkingMemory& memory) {
  const std::int64_t width = context_->config.per_layer_width;
  if (width == 0) return true;
  const auto rows = [this](std::int64_t floats) { return static_cast<std::size_t>(context_->max_rows * floats); };
  return memory.Allocate(inputs_, rows(Width())) && memory.Allocate(gate_, rows(width)) &&
         gated_.Allocate(memory, context_->max_rows, width) &&
         memory.Allocate(embeddings_, static_cast<std::size_t>(context_->max_threads * Width()));
}

void LayerInputs::Project(Worker& worker, const ActivationRows& embeddings) {
  context_->Product(worker, context_->weights.per_layer_model_proj, {}, embeddings, context_->rows,
                    {inputs_.data(), Width()});
}

// inputs = (norm(projection / sqrt(d)) + sqrt(width) * table[token]) / sqrt(2), with a norm for each layer.
void LayerInputs::AddToken(const Worker& worker, Token token, std::int64_t row) {
  const ModelConfig& config = context_->config;
  const Weights& weights = context_->weights;
  const KernelSet& kernels = context_->kernels;
  const std::int64_t width = config.per_layer_width;
  float* inputs = inputs_.data() + row * Width();
  kernels.scale(inputs, 1 / std::sqrt(static_cast<float>(config.embedding_length)), Width());
  for (float* input = inputs; input < inputs + Width(); input += width)
    kernels.rms_norm(input, weights.per_layer_proj_norm.data(), width, config.norm_epsilon, input);
  const Matrix& table = weights.per_layer_token_embd;
  float* embedding = embeddings_.data() + worker.rank() * Width();
  table.format->to_float(table.data + static_cast<std::size_t>(token) * table.row_bytes, Width(), embedding);
  kernels.scale(embedding, std::sqrt(static_cast<float>(width)), Width());
  kernels.add(inputs, embedding, Width());
  kernels.scale(inputs, std::sqrt(0.5f), Width());
}

void LayerInputs::Run(Worker& worker, std::size_t index, const ActivationRows& input, float* out) {
  const LayerWeights& layer = context_->weights.layers[index];
  ProfileScope scope = context_->Measure(worker, Operation::kLayerInput, index);
  for (const Matrix* matrix : {&layer.inp_gate, &layer.proj}) scope.AddCost(CostOf(*matrix, context_->rows));
  const std::int64_t width = context_->config.per_layer_width;
  context_->Product(worker, layer.inp_gate, {}, input, context_->rows, {gate_.data(), width});
  ForEachRow(worker, context_->rows, [&](std::int64_t row) {
    const float* of_layer = inputs_.data() + row * Width() + static_cast<std::int64_t>(index) * width;
    context_->activate(gate_.data() + row * width, of_layer, width, gated_.Row(row));
    gated_.Quantize(context_->kernels, row, width);
  });
  context_->Product(worker, layer.proj, {}, gated_.rows(), context_->rows, {out, context_->config.embedding_length});
}

}  // namespace slm
