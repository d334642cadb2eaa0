// The feed-forward sub-layer.

#include <algorithm>
#include <cmath>
#include <span>

#include "infer/forward.h"
#include "infer/rows.h"

namespace slm {

void Forward::Activate(const float* gate, const float* up, std::int64_t n, float* out) const {
  const bool silu = config_->architecture->activation == FfnActivation::kSilu;
  (silu ? kernels_->silu_mul : kernels_->gelu_mul)(gate, up, n, out);
}

// product_ = Wdown (act(Wgate normed) * (Wup normed))
void Forward::FeedForward(Worker& worker, std::size_t index) {
  if (config_->layers[index].gate_sparsity > 0) SparseGate(worker, index);
  GateAndUp(worker, index);
  Down(worker, index);
}

// activated = act(Wgate x) * (Wup x). Both products of a few weight rows at a time, so that they are still in the cache
// when they meet.
void Forward::GateAndUp(Worker& worker, std::size_t index) {
  const LayerWeights& layer = model_->weights.layers[index];
  ProfileScope scope = Measure(worker, Operation::kGateUp, index);
  const bool gate_is_there = config_->layers[index].gate_sparsity > 0;
  if (!gate_is_there) scope.AddCost(CostOf(layer.ffn_gate, rows_));
  scope.AddCost(CostOf(layer.ffn_up, rows_));
  const std::int64_t width = layer.ffn_up.rows;
  float* gate = gate_up_.data() + 2 * tile_floats_ * static_cast<std::size_t>(worker.rank());
  float* up = gate + tile_floats_;
  const std::int64_t tile = static_cast<std::int64_t>(tile_floats_) / rows_ / kRowGranule * kRowGranule;
  worker.ForEach(Chunks(width), [&](std::int64_t chunk) {
    const Range range = ChunkRange(width, chunk);
    for (std::int64_t begin = range.begin; begin < range.end; begin += tile) {
      const Range piece = {begin, std::min(begin + tile, range.end)};
      const std::int64_t count = piece.end - piece.begin;
      if (!gate_is_there) MatMul(worker, layer.ffn_gate, {}, normed_, piece, rows_, {gate, count});
      MatMul(worker, layer.ffn_up, {}, normed_, piece, rows_, {up, count});
      for (std::int64_t row = 0; row < rows_; ++row) {
        float* out = activated_.values.data() + row * activated_.stride + begin;
        Activate(gate_is_there ? out : gate + row * count, up + row * count, count, out);
      }
    }
  });
  ForEachRow(worker, rows_, [&](std::int64_t row) { Quantize(activated_, row, width); });
}

// activated = relu(g - (mean(g) + sparsity * deviation(g))), g = Wgate x. The cut depends on the whole row.
void Forward::SparseGate(Worker& worker, std::size_t index) {
  const Matrix& matrix = model_->weights.layers[index].ffn_gate;
  ProfileScope scope = Measure(worker, Operation::kSparseGate, index);
  scope.AddCost(CostOf(matrix, rows_));
  Product(worker, matrix, {}, normed_, rows_, {activated_.values.data(), activated_.stride});
  const auto width = static_cast<std::size_t>(matrix.rows);
  ForEachRow(worker, rows_, [&](std::int64_t row) {
    const std::span<float> gate(activated_.values.data() + row * activated_.stride, width);
    double sum = 0;
    for (const float g : gate) sum += static_cast<double>(g);
    const double mean = sum / static_cast<double>(width);
    double squares = 0;
    for (const float g : gate) squares += (static_cast<double>(g) - mean) * (static_cast<double>(g) - mean);
    const double deviation = std::sqrt(squares / static_cast<double>(width));
    const auto cut = static_cast<float>(mean + static_cast<double>(config_->layers[index].gate_sparsity) * deviation);
    for (float& g : gate) {
      const float above = g - cut;
      g = above < 0 ? 0.0f : above;  // NaN stays
    }
  });
}

void Forward::Down(Worker& worker, std::size_t index) {
  const LayerWeights& layer = model_->weights.layers[index];
  ProfileScope scope = Measure(worker, Operation::kDown, index);
  scope.AddCost(CostOf(layer.ffn_down, rows_));
  Product(worker, layer.ffn_down, {}, activated_, rows_, {product_.data(), config_->embedding_length});
}

}  // namespace slm
