#include "infer/forward.h"

#include <algorithm>
#include <chrono>

#include "base/format.h"
#include "infer/rows.h"

namespace slm {

Forward::Forward(const ModelImpl& model, Team& team, const ForwardOptions& options)
    : model_(&model),
      config_(&model.config),
      kernels_(&model.kernels),
      team_(&team),
      governor_(options.threads > 0 ? options.threads : team.threads()),
      prompt_threads_(options.prompt_threads > 0 ? options.prompt_threads : team.threads()),
      running_threads_(prompt_threads_),
      profiler_(options.profiler),
      max_rows_(options.max_rows) {}

Result<Forward> Forward::Create(const ModelImpl& model, Team& team, const ForwardOptions& options) {
  Forward forward(model, team, options);
  forward.FindWidths();
  if (!forward.Allocate()) {
    return Status(StatusCode::kOutOfMemory, Cat("no memory to evaluate ", options.max_rows, " tokens at once"));
  }
  return forward;
}

void Forward::FindWidths() {
  const auto raise = [](std::int64_t& width, std::int64_t to) { width = std::max(width, to); };
  for (std::size_t i = 0; i < config_->layers.size(); ++i) {
    const LayerConfig& layer = config_->layers[i];
    raise(heads_, layer.heads);
    raise(key_length_, layer.key_length);
    raise(value_length_, layer.value_length);
    raise(query_width_, std::int64_t{layer.heads} * layer.key_length);
    raise(key_width_, std::int64_t{layer.kv_heads} * layer.key_length);
    raise(value_width_, std::int64_t{layer.kv_heads} * layer.value_length);
    raise(attention_width_, std::int64_t{layer.heads} * layer.value_length);
    raise(ffn_width_, layer.feed_forward_length);
    raise(laurel_rank_, model_->weights.layers[i].altup.laurel_l.rows);
  }
  layer_inputs_width_ = static_cast<std::int64_t>(config_->layers.size()) * config_->per_layer_width;
}

bool Forward::Allocate() {
  const std::int64_t d = config_->embedding_length;
  const std::int64_t widest = std::max({d, attention_width_, ffn_width_});
  scratch_bytes_ = std::max(MatMulScratchBytes(widest), AttentionScratchBytes(key_length_, value_length_));
  scratch_bytes_ = (scratch_bytes_ + 63) / 64 * 64;
  tile_floats_ = static_cast<std::size_t>(std::max(max_rows_ * kRowGranule, kMaxChunkRows));
  const auto rows = [this](std::int64_t width) { return static_cast<std::size_t>(max_rows_ * width); };
  const auto threads = static_cast<std::size_t>(team_->threads());
  const std::int64_t sums = kAttentionParts * heads_ * AttentionSumsFloats(value_length_);
  return stream_.Allocate(rows(d)) && AllocateInput(normed_, d) && queries_.Allocate(rows(query_width_)) &&
         keys_.Allocate(rows(key_width_)) && values_.Allocate(rows(value_width_)) &&
         AllocateInput(attended_, attention_width_) && AllocateInput(activated_, ffn_width_) &&
         attention_sums_.Allocate(static_cast<std::size_t>(sums)) && product_.Allocate(rows(d)) &&
         AllocateInput(head_input_, d) && PlanRope() && gate_up_.Allocate(2 * tile_floats_ * threads) &&
         scratch_.Allocate(scratch_bytes_ * threads) && AllocateLayerInputs() && AllocateAltUp();
}

std::uint64_t Forward::scratch_bytes() const {
  const auto input = [](const Input& buffers) { return buffers.values.bytes() + buffers.blocks.bytes(); };
  return stream_.bytes() + queries_.bytes() + keys_.bytes() + values_.bytes() + gate_up_.bytes() + product_.bytes() +
         attention_sums_.bytes() + scratch_.bytes() + input(normed_) + input(attended_) + input(activated_) +
         input(head_input_) + rope_global_.bytes() + rope_sliding_.bytes() + layer_inputs_.bytes() +
         layer_gate_.bytes() + input(layer_input_) + streams_.bytes() + predictions_.bytes() + input(laurel_narrow_) +
         laurel_.bytes() + temporary_.bytes();
}

bool Forward::PlanRope() {
  const Weights& weights = model_->weights;
  const bool factors = weights.rope_freqs.empty();
  const RopeDivisors global = {factors ? weights.rope_factors_short : weights.rope_freqs,
                               factors ? weights.rope_factors_long : weights.rope_freqs};
  const Vector none;
  return rope_global_.Plan(config_->rope_global, global, max_rows_) &&
         rope_sliding_.Plan(config_->rope_sliding, {none, none}, max_rows_);
}

void Forward::FindSegments(std::span<const Row> rows) {
  segments_.clear();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!segments_.empty() && segments_.back().cache == rows[i].cache) {
      ++segments_.back().rows;
    } else {
      segments_.push_back({static_cast<std::int64_t>(i), 1, rows[i].position, rows[i].cache});
    }
  }
}

void Forward::Run(std::span<const Row> rows) {
  rows_ = static_cast<std::int64_t>(rows.size());
  FindSegments(rows);
  const bool single = rows.size() == 1;
  running_threads_ = single ? governor_.threads() : prompt_threads_;
  const auto start = std::chrono::steady_clock::now();
  team_->Run(running_threads_, [&](Worker& worker) {
    Begin(worker, rows);
    const bool altup = config_->architecture->wiring == ResidualWiring::kAltUp;
    for (std::size_t i = 0; i < config_->layers.size(); ++i) altup ? RunAltUpLayer(worker, i) : RunLayer(worker, i);
  });
  if (single) governor_.Took(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  for (const Segment& segment : segments_) segment.cache->Wrote(segment.position + segment.rows);
}

void Forward::Begin(Worker& worker, std::span<const Row> rows) {
  const ProfileScope scope = Measure(worker, Operation::kEmbed, Profiler::kNoLayer);
  // A model with inputs of its layers' own makes them from the embedding itself.
  const Vector none;
  const bool layer_inputs = config_->per_layer_width != 0;
  const Vector& norm = layer_inputs ? none : model_->weights.layers.front().attn_norm;
  ForEachRow(worker, rows_, [&](std::int64_t i) {
    const Row& row = rows[static_cast<std::size_t>(i)];
    const bool long_context = row.cache->context_length() > config_->original_context_length;
    Embed(row.token, i);
    rope_global_.Fill(i, row.position, long_context);
    if (config_->window != 0) rope_sliding_.Fill(i, row.position, long_context);
    NormRow(stream_.data() + i * config_->embedding_length, norm, normed_, i);
  });
  if (layer_inputs) ReadLayerInputs(worker, rows);
  if (config_->architecture->wiring == ResidualWiring::kAltUp) BeginStreams(worker);
}

void Forward::Embed(Token token, std::int64_t row) {
  const Matrix& embedding = model_->weights.token_embd;
  const std::int64_t d = config_->embedding_length;
  float* x = stream_.data() + row * d;
  embedding.format->to_float(embedding.data + static_cast<std::size_t>(token) * embedding.row_bytes, d, x);
  if (config_->embedding_scale != 1) kernels_->scale(x, config_->embedding_scale, d);
}

// stream += attention(norm(stream)); stream += ffn(norm(stream)). The first norm is done by whoever wrote the stream
// last.
void Forward::RunLayer(Worker& worker, std::size_t index) {
  const std::vector<LayerWeights>& layers = model_->weights.layers;
  const LayerWeights& layer = layers[index];
  const Vector* next_norm = index + 1 < layers.size() ? &layers[index + 1].attn_norm : nullptr;
  const float scale = layer.output_scale.empty() ? 1 : layer.output_scale.front();

  Attention(worker, index);
  AddToStream(worker, Operation::kAttnAddNorm, index, {layer.post_attention_norm, &layer.ffn_norm});
  FeedForward(worker, index);
  if (config_->per_layer_width == 0) {
    AddToStream(worker, Operation::kFfnAddNorm, index, {layer.post_ffw_norm, next_norm, scale});
    return;
  }
  const Vector none;
  AddToStream(worker, Operation::kFfnAddNorm, index, {layer.post_ffw_norm, &none});
  LayerInput(worker, index);
  AddToStream(worker, Operation::kLayerInput, index, {layer.post_norm, next_norm, scale});
}

// Adds a sub-layer's output to the stream and prepares what the next sub-layer reads.
void Forward::AddToStream(Worker& worker, Operation operation, std::size_t index, const Join& join) {
  const ProfileScope scope = Measure(worker, operation, index);
  const std::int64_t d = config_->embedding_length;
  ForEachRow(worker, rows_, [&](std::int64_t row) {
    float* y = product_.data() + row * d;
    float* x = stream_.data() + row * d;
    if (!join.post_norm.empty()) kernels_->rms_norm(y, join.post_norm.data(), d, config_->norm_epsilon, y);
    kernels_->add(x, y, d);
    if (join.stream_scale != 1) kernels_->scale(x, join.stream_scale, d);
    if (join.next_norm != nullptr) NormRow(x, *join.next_norm, normed_, row);
  });
}

void Forward::Logits(std::int64_t first, std::int64_t count, float* out) {
  const std::int64_t d = config_->embedding_length;
  const Matrix& head = model_->weights.output;
  team_->Run(running_threads_, [&](Worker& worker) {
    ProfileScope scope = Measure(worker, Operation::kOutputHead, Profiler::kNoLayer);
    scope.AddCost(CostOf(head, count));
    if (config_->architecture->wiring == ResidualWiring::kAltUp) MergeStreams(worker, first, count);
    ForEachRow(worker, count, [&](std::int64_t i) {
      NormRow(stream_.data() + (first + i) * d, model_->weights.output_norm, head_input_, i);
    });
    worker.ForEach(Chunks(head.rows), [&](std::int64_t chunk) {
      const Range rows = ChunkRange(head.rows, chunk);
      MatMul(worker, head, {}, head_input_, rows, count, {out + rows.begin, head.rows});
      if (config_->final_softcap == 0) return;
      for (std::int64_t i = 0; i < count; ++i)
        kernels_->softcap(out + i * head.rows + rows.begin, config_->final_softcap, rows.end - rows.begin);
    });
  });
}

}  // namespace slm
