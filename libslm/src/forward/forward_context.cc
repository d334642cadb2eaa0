#include "forward/forward_context.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace slm {

ForwardContext::ForwardContext(const ModelConfig& model_config, const Weights& model_weights,
                               const KernelSet& kernel_set, int team_threads, std::int64_t most_rows, Profiler* times,
                               ActivationStatistics* activation_statistics)
    : config(model_config),
      weights(model_weights),
      kernels(kernel_set),
      max_rows(most_rows),
      max_threads(team_threads),
      profiler(times),
      statistics(activation_statistics),
      activate(config.architecture->activation == FfnActivation::kSilu ? kernels.silu_mul : kernels.gelu_mul),
      tile_floats_(std::max(max_rows * kRowGranule, kMaxChunkRows)) {}

bool ForwardContext::Allocate(WorkingMemory& memory) {
  const std::int64_t d = config.embedding_length;
  segments.reserve(static_cast<std::size_t>(max_rows));
  scratch_bytes_ = MatMulScratchBytes(weights.most_columns);
  for (const LayerConfig& layer : config.layers)
    scratch_bytes_ = std::max(scratch_bytes_, AttentionScratchBytes(layer.key_length, layer.value_length));
  return memory.Allocate(stream, static_cast<std::size_t>(max_rows * d)) && normed.Allocate(memory, max_rows, d) &&
         memory.Allocate(product, static_cast<std::size_t>(max_rows * d)) &&
         memory.Allocate(scratch_, scratch_bytes_ * static_cast<std::size_t>(max_threads)) &&
         memory.Allocate(tiles_, static_cast<std::size_t>(2 * tile_floats_ * max_threads));
}

void ForwardContext::AdaptEmbedding(Token token, std::int64_t row) {
  if (adapters != nullptr) {
    adapters->AddEmbedding(kernels, token, config.embedding_length, narrow_.data() + row * narrow_width_,
                           StreamRow(row));
  }
}

bool ForwardContext::AllocateNarrow(WorkingMemory& memory, std::int64_t width) {
  AlignedBuffer<float> wider;
  if (!memory.Allocate(wider, static_cast<std::size_t>(max_rows * std::max(1, config.expert_used_count) * width)))
    return false;
  narrow_ = std::move(wider);
  narrow_width_ = width;
  return true;
}

void ForwardContext::NormRow(const float* x, const Vector& weight, Activations& out, std::int64_t row) const {
  const std::int64_t d = config.embedding_length;
  if (weight.empty()) {
    std::copy_n(x, d, out.Row(row));
  } else {
    kernels.rms_norm(x, weight.data(), d, config.norm_epsilon, out.Row(row));
  }
  out.Quantize(kernels, row, d);
}

std::int64_t ForwardContext::Chunks(std::int64_t weight_rows) const {
  return weight_rows == 0 ? 0 : DivideUp(weight_rows, ChunkRows(weight_rows, rows, threads));
}

Range ForwardContext::ChunkRange(std::int64_t weight_rows, std::int64_t chunk) const {
  const std::int64_t size = ChunkRows(weight_rows, rows, threads);
  return {chunk * size, std::min(weight_rows, (chunk + 1) * size)};
}

void ForwardContext::MatMul(const Worker& worker, const Matrix& matrix, const Vector& bias, const ActivationRows& input,
                            Range range, std::int64_t tokens, const ProductOutput& output) {
  // The first rows of a matrix meet each row of activations once.
  if (statistics != nullptr && range.begin == 0) statistics->Add(matrix, input, tokens);
  Multiply(kernels, matrix, input, range, tokens, output, Scratch(worker, MatMulScratchBytes(matrix.columns)));
  if (bias.empty() && input.narrow == nullptr) return;
  const std::int64_t count = range.end - range.begin;
  for (std::int64_t token = 0; token < tokens; ++token) {
    float* const out = output.out + token * output.stride;
    if (!bias.empty()) kernels.add(out, bias.data() + range.begin, count);
    if (input.narrow != nullptr) adapters->Add(kernels, matrix, input.From(token).narrow, range.begin, count, out);
  }
}

void ForwardContext::GatedMatMul(const Worker& worker, const Matrix& gate, const Matrix& up,
                                 const ActivationRows& input, Range range, std::int64_t tokens,
                                 const ProductOutput& output) {
  ForEachPiece(worker, range, tokens, [&](Range piece, float* gates) {
    const std::int64_t count = piece.end - piece.begin;
    float* ups = gates + tile_floats_;
    if (gate.present()) MatMul(worker, gate, {}, input, piece, tokens, {gates, count});
    MatMul(worker, up, {}, input, piece, tokens, {ups, count});
    for (std::int64_t token = 0; token < tokens; ++token) {
      float* out = output.out + token * output.stride + piece.begin - range.begin;
      activate(gate.present() ? gates + token * count : out, ups + token * count, count, out);
    }
  });
}

void ForwardContext::Product(Worker& worker, const Matrix& matrix, const Vector& bias, const ActivationRows& input,
                             std::int64_t tokens, const ProductOutput& output) {
  const ActivationRows adapted = Adapt(worker, input, tokens, {&matrix});
  worker.ForEach(Chunks(matrix.rows), [&](std::int64_t chunk) {
    const Range range = ChunkRange(matrix.rows, chunk);
    MatMul(worker, matrix, bias, adapted, range, tokens, {output.out + range.begin, output.stride});
  });
}

std::byte* ForwardContext::Scratch(const Worker& worker, [[maybe_unused]] std::size_t bytes) {
  assert(bytes <= scratch_bytes_);
  return scratch_.data() + scratch_bytes_ * static_cast<std::size_t>(worker.rank());
}

ProfileScope ForwardContext::Measure(const Worker& worker, Operation operation, std::size_t layer) const {
  return ProfileScope(worker.rank() == 0 ? profiler : nullptr, operation, layer);
}

}  // namespace slm
