#include "forward/feed_forward.h"

#include <algorithm>
#include <cmath>
#include <span>

namespace slm {

GatedFn GatedActivation(const KernelSet& kernels, FfnActivation activation) {
  return activation == FfnActivation::kSilu ? kernels.silu_mul : kernels.gelu_mul;
}

bool FeedForward::Allocate(WorkingMemory& memory) {
  std::int64_t width = 0;
  for (const LayerConfig& layer : context_->config.layers)
    width = std::max(width, std::int64_t{layer.feed_forward_length});
  tile_floats_ = static_cast<std::size_t>(std::max(context_->max_rows * kRowGranule, kMaxChunkRows));
  return activated_.Allocate(memory, context_->max_rows, width) &&
         memory.Allocate(tiles_, 2 * tile_floats_ * static_cast<std::size_t>(context_->max_threads)) &&
         experts_.Allocate(context_->weights.layers, memory);
}

void FeedForward::Run(Worker& worker, std::size_t index, const ActivationRows& input, float* out) {
  const LayerWeights& layer = context_->weights.layers[index];
  const ExpertWeights& experts = layer.ffn_experts;
  const bool dense = layer.ffn_gate.present();
  if (dense) RunDense(worker, index, input, out);
  if (experts.experts.empty()) return;
  const ActivationRows stream = {context_->stream.data(), context_->config.embedding_length};
  experts_.Run(worker, index, experts, dense ? stream : input, context_->rows, context_->threads, out);
}

void FeedForward::RunDense(Worker& worker, std::size_t index, const ActivationRows& input, float* out) {
  const Matrix& down = context_->weights.layers[index].ffn_down;
  if (context_->config.layers[index].gate_sparsity > 0) SparseGate(worker, index, input);
  GateAndUp(worker, index, input);
  ProfileScope scope = context_->Measure(worker, Operation::kDown, index);
  scope.AddCost(CostOf(down, context_->rows));
  context_->Product(worker, down, {}, activated_.rows(), context_->rows, {out, context_->config.embedding_length});
}

// activated = act(Wgate x) * (Wup x). Both products of a few weight rows at a time, so that they are still in the cache
// when they meet.
void FeedForward::GateAndUp(Worker& worker, std::size_t index, const ActivationRows& input) {
  const LayerWeights& layer = context_->weights.layers[index];
  ProfileScope scope = context_->Measure(worker, Operation::kGateUp, index);
  const bool gate_is_there = context_->config.layers[index].gate_sparsity > 0;
  if (!gate_is_there) scope.AddCost(CostOf(layer.ffn_gate, context_->rows));
  scope.AddCost(CostOf(layer.ffn_up, context_->rows));
  const std::int64_t width = layer.ffn_up.rows;
  const GatedFn activate = GatedActivation(context_->kernels, context_->config.architecture->activation);
  float* gate = tiles_.data() + 2 * tile_floats_ * static_cast<std::size_t>(worker.rank());
  float* up = gate + tile_floats_;
  const std::int64_t tile = static_cast<std::int64_t>(tile_floats_) / context_->rows / kRowGranule * kRowGranule;
  worker.ForEach(context_->Chunks(width), [&](std::int64_t chunk) {
    const Range range = context_->ChunkRange(width, chunk);
    for (std::int64_t begin = range.begin; begin < range.end; begin += tile) {
      const Range piece = {begin, std::min(begin + tile, range.end)};
      const std::int64_t count = piece.end - piece.begin;
      if (!gate_is_there) context_->MatMul(worker, layer.ffn_gate, {}, input, piece, context_->rows, {gate, count});
      context_->MatMul(worker, layer.ffn_up, {}, input, piece, context_->rows, {up, count});
      for (std::int64_t row = 0; row < context_->rows; ++row) {
        float* out = activated_.Row(row) + begin;
        activate(gate_is_there ? out : gate + row * count, up + row * count, count, out);
      }
    }
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
