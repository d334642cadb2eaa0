#include "forward/feed_forward.h"

#include <algorithm>
#include <cmath>
#include <span>

namespace slm {

bool FeedForward::Allocate(WorkingMemory& memory) {
  std::int64_t width = 0;
  for (const LayerConfig& layer : context_->config.layers)
    width = std::max(width, std::int64_t{layer.feed_forward_length});
  return activated_.Allocate(memory, context_->max_rows, width) && experts_.Allocate(memory);
}

void FeedForward::Run(Worker& worker, std::size_t index, const ActivationRows& input, float* out) {
  const LayerWeights& layer = context_->weights.layers[index];
  if (layer.ffn_gate.present()) RunDense(worker, index, input, out);
  if (!layer.ffn_experts.experts.empty()) experts_.Run(worker, index, input, out);
}

void FeedForward::RunDense(Worker& worker, std::size_t index, const ActivationRows& input, float* out) {
  const Matrix& down = context_->weights.layers[index].ffn_down;
  if (context_->config.layers[index].gate_sparsity > 0) SparseGate(worker, index, input);
  GateAndUp(worker, index, input);
  ProfileScope scope = context_->Measure(worker, Operation::kDown, index);
  scope.AddCost(CostOf(down, context_->rows));
  context_->Product(worker, down, {}, activated_.rows(), context_->rows, {out, context_->config.embedding_length});
}

// activated = act(Wgate x) * (Wup x)
void FeedForward::GateAndUp(Worker& worker, std::size_t index, const ActivationRows& input) {
  const LayerWeights& layer = context_->weights.layers[index];
  ProfileScope scope = context_->Measure(worker, Operation::kGateUp, index);
  const bool gate_is_there = context_->config.layers[index].gate_sparsity > 0;
  const Matrix gate = gate_is_there ? Matrix() : layer.ffn_gate;
  scope.AddCost(CostOf(gate, context_->rows));
  scope.AddCost(CostOf(layer.ffn_up, context_->rows));
  const std::int64_t width = layer.ffn_up.rows;
  const ActivationRows adapted = context_->Adapt(worker, input, context_->rows, {&gate, &layer.ffn_up});
  worker.ForEach(context_->Chunks(width), [&](std::int64_t chunk) {
    const Range range = context_->ChunkRange(width, chunk);
    context_->GatedMatMul(worker, gate, layer.ffn_up, adapted, range, context_->rows,
                          {activated_.Row(0) + range.begin, activated_.stride()});
  });
  ForEachRow(worker, context_->rows, [&](std::int64_t row) { activated_.Quantize(context_->kernels, row, width); });
}

// activated = relu(g - (mean(g) + sparsity * deviation(g))), g = Wgate x. The cut depends on the whole row.
void FeedForward::SparseGate(Worker& worker, std::size_t index, const ActivationRows& input) {
  const Matrix& matrix = context_->weights.layers[index].ffn_gate;
  ProfileScope scope = context_->Measure(worker, Operation::kSparseGate, index);
  scope.AddCost(CostOf(matrix, context_->rows));
  context_->Product(worker, matrix, {}, input, context_->rows, {activated_.Row(0), activated_.stride()});
  const auto width = static_cast<std::size_t>(matrix.rows);
  ForEachRow(worker, context_->rows, [&](std::int64_t row) {
    const std::span<float> gate(activated_.Row(row), width);
    double sum = 0;
    for (const float g : gate) sum += static_cast<double>(g);
    const double mean = sum / static_cast<double>(width);
    double squares = 0;
    for (const float g : gate) squares += (static_cast<double>(g) - mean) * (static_cast<double>(g) - mean);
    const double deviation = std::sqrt(squares / static_cast<double>(width));
    const auto cut =
        static_cast<float>(mean + static_cast<double>(context_->config.layers[index].gate_sparsity) * deviation);
    for (float& g : gate) {
      const float above = g - cut;
      g = above < 0 ? 0.0f : above;  // NaN stays
    }
  });
}

}  // namespace slm
