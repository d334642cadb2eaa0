#include "forward/forward.h"

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstdint>
#include <iterator>

#include "base/format.h"
#include "forward/product.h"

namespace slm {

Forward::Forward(const ModelImpl& model, Team& team, const ForwardOptions& options)
    : team_(&team),
      governors_(std::bit_width(std::uint64_t{kFewTokens} - 1) + 1,
                 ThreadGovernor(options.threads > 0 ? options.threads : team.threads())),
      prompt_threads_(options.prompt_threads > 0 ? options.prompt_threads : team.threads()),
      context_(std::make_unique<ForwardContext>(model.config, model.weights, model.kernels, team.threads(),
                                                options.max_rows, options.profiler, options.statistics)),
      parts_{Attention(*context_), FeedForward(*context_), LayerInputs(*context_)},
      altup_layers_(*context_) {}

Result<Forward> Forward::Create(const ModelImpl& model, Team& team, const ForwardOptions& options) {
  Forward forward(model, team, options);
  WorkingMemory memory(WorkingMemory::Purpose::kAllocate);
  if (!forward.Allocate(memory, options.narrow_width)) {
    return Status(StatusCode::kOutOfMemory, Cat("no memory to evaluate ", options.max_rows, " tokens at once"));
  }
  forward.scratch_bytes_ = memory.bytes();
  return forward;
}

std::uint64_t Forward::ScratchBytesNeeded(const ModelImpl& model, Team& team, const ForwardOptions& options) {
  Forward forward(model, team, options);
  WorkingMemory memory(WorkingMemory::Purpose::kCount);
  return forward.Allocate(memory, options.narrow_width) ? memory.bytes() : 0;
}

bool Forward::Allocate(WorkingMemory& memory, std::int64_t narrow_width) {
  const std::int64_t logits_rows = std::min(context_->max_rows, kLogitsRows);
  return context_->Allocate(memory) && context_->AllocateNarrow(memory, narrow_width) &&
         parts_.attention.Allocate(memory) && parts_.feed_forward.Allocate(memory) &&
         parts_.layer_inputs.Allocate(memory) && altup_layers_.Allocate(memory) &&
         head_input_.Allocate(memory, logits_rows, context_->config.embedding_length);
}

void Forward::FindSegments(std::span<const Row> rows) {
  context_->segments.clear();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!context_->segments.empty() && context_->segments.back().cache == rows[i].cache) {
      ++context_->segments.back().rows;
    } else {
      context_->segments.push_back({static_cast<std::int64_t>(i), 1, rows[i].position, rows[i].cache});
    }
  }
}

Status Forward::Reserve(const AdapterSet& adapters) {
  const std::int64_t width = adapters.narrow_width();
  if (width <= context_->narrow_width()) return {};
  const std::uint64_t before = context_->narrow_bytes();
  WorkingMemory memory(WorkingMemory::Purpose::kAllocate);
  if (!context_->AllocateNarrow(memory, width)) {
    return Status(StatusCode::kOutOfMemory, Cat("no memory for adapters of a rank of together ", width));
  }
  scratch_bytes_ += memory.bytes() - before;
  return {};
}

bool Forward::Run(std::span<const Row> rows, const AdapterSet* adapters, const LayerHooks& hooks) {
  context_->rows = static_cast<std::int64_t>(rows.size());
  context_->adapters = adapters != nullptr && !adapters->adapters().empty() ? adapters : nullptr;
  ThreadGovernor* const governor =
      context_->rows <= kFewTokens ? &governors_[static_cast<std::size_t>(std::bit_width(rows.size() - 1))] : nullptr;
  context_->threads = governor != nullptr ? governor->threads() : prompt_threads_;
  FindSegments(rows);
  const std::size_t layers = context_->config.layers.size();
  context_->cancelled_at.store(layers, std::memory_order_relaxed);
  const auto start = std::chrono::steady_clock::now();
  team_->Run(context_->threads, [&](Worker& worker) {
    Begin(worker, rows);
    RunLayers(worker, hooks);
  });
  if (governor != nullptr)
    governor->Took(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  for (const Segment& segment : context_->segments) segment.cache->Wrote(segment.position + segment.rows);
  return context_->cancelled_at.load(std::memory_order_relaxed) == layers;
}

// A step of its own, so that all workers come to the same answer: also those that are late, when the others have come
// to another one before a later layer.
bool Forward::Cancelled(Worker& worker, std::size_t layer, const LayerHooks& hooks) {
  if (!hooks.cancelled) return false;
  worker.ForEach(1, [&](std::int64_t) {
    if (hooks.cancelled()) context_->cancelled_at.store(layer, std::memory_order_relaxed);
  });
  return context_->cancelled_at.load(std::memory_order_relaxed) <= layer;
}

void Forward::RunLayers(Worker& worker, const LayerHooks& hooks) {
  constexpr int kCaller = 0;
  for (std::size_t i = 0; i < context_->config.layers.size() && !Cancelled(worker, i, hooks); ++i) {
    altup() ? altup_layers_.RunLayer(worker, i, parts_) : RunLayer(worker, i);
    if (hooks.progress && worker.rank() == kCaller) hooks.progress(i + 1);
  }
}

void Forward::Shift(KvCache& cache, const ContextShift& shift) {
  parts_.attention.PlaceShift(cache, shift);
  team_->Run(prompt_threads_, [&](Worker& worker) { parts_.attention.Shift(worker, cache, shift); });
  cache.Shifted(shift);
}

void Forward::Begin(Worker& worker, std::span<const Row> rows) {
  ProfileScope scope = context_->Measure(worker, Operation::kEmbed, Profiler::kNoLayer);
  const Vector& first_norm = context_->weights.layers.front().attn_norm;
  const Vector none;
  const bool layer_inputs = context_->config.per_layer_width != 0;
  ForEachRow(worker, context_->rows, [&](std::int64_t i) {
    const Row& row = rows[static_cast<std::size_t>(i)];
    Embed(row.token, i);
    parts_.attention.Place(i, row.position, *row.cache);
    context_->SetInput(context_->StreamRow(i), layer_inputs ? none : first_norm, i);
  });
  if (!layer_inputs) return;
  // These, and further streams, are made of the embeddings as they are.
  scope.AddCost(CostOf(context_->weights.per_layer_model_proj, context_->rows));
  for (const Matrix& matrix : context_->weights.altup_proj) scope.AddCost(CostOf(matrix, context_->rows));
  parts_.layer_inputs.Project(worker, context_->normed.rows());
  if (altup()) altup_layers_.Begin(worker);
  ForEachRow(worker, context_->rows, [&](std::int64_t i) {
    parts_.layer_inputs.AddToken(worker, rows[static_cast<std::size_t>(i)].token, i);
    if (!altup()) context_->SetInput(context_->StreamRow(i), first_norm, i);
  });
}

void Forward::Embed(Token token, std::int64_t row) {
  const Matrix& embedding = context_->weights.token_embd;
  const std::int64_t d = context_->config.embedding_length;
  float* x = context_->StreamRow(row);
  embedding.format->to_float(embedding.data + static_cast<std::size_t>(token) * embedding.row_bytes, d, x);
  context_->AdaptEmbedding(token, row);
  if (context_->config.embedding_scale != 1) context_->kernels.scale(x, context_->config.embedding_scale, d);
}

// stream += attention(norm(stream)); stream += ffn(norm(stream)). The first norm is done by whoever wrote the stream
// last.
void Forward::RunLayer(Worker& worker, std::size_t index) {
  const std::vector<LayerWeights>& layers = context_->weights.layers;
  const LayerWeights& layer = layers[index];
  const Vector* next_norm = index + 1 < layers.size() ? &layers[index + 1].attn_norm : nullptr;
  const float scale = layer.output_scale.empty() ? 1 : layer.output_scale.front();
  const ActivationRows input = context_->normed.rows();
  float* out = context_->product.data();

  parts_.attention.Run(worker, index, input, out);
  AddToStream(worker, Operation::kAttnAddNorm, index, {layer.post_attention_norm, &layer.ffn_norm});
  parts_.feed_forward.Run(worker, index, input, out);
  if (context_->config.per_layer_width == 0) {
    AddToStream(worker, Operation::kFfnAddNorm, index, {layer.post_ffw_norm, next_norm, scale});
    return;
  }
  const Vector none;
  AddToStream(worker, Operation::kFfnAddNorm, index, {layer.post_ffw_norm, &none});
  parts_.layer_inputs.Run(worker, index, input, out);
  AddToStream(worker, Operation::kLayerInput, index, {layer.post_norm, next_norm, scale});
}

// Adds a sub-layer's output to the stream and prepares what the next sub-layer reads.
void Forward::AddToStream(Worker& worker, Operation operation, std::size_t index, const Join& join) {
  const ProfileScope scope = context_->Measure(worker, operation, index);
  const KernelSet& kernels = context_->kernels;
  const std::int64_t d = context_->config.embedding_length;
  ForEachRow(worker, context_->rows, [&](std::int64_t row) {
    float* y = context_->ProductRow(row);
    float* x = context_->StreamRow(row);
    if (!join.post_norm.empty()) kernels.rms_norm(y, join.post_norm.data(), d, context_->config.norm_epsilon, y);
    if (context_->config.residual_scale != 1) kernels.scale(y, context_->config.residual_scale, d);
    kernels.add(x, y, d);
    if (join.stream_scale != 1) kernels.scale(x, join.stream_scale, d);
    if (join.next_norm != nullptr) context_->SetInput(x, *join.next_norm, row);
  });
}

void Forward::Logits(std::int64_t first, std::int64_t count, float* out) {
  std::array<LogitsRow, kLogitsRows> rows;
  for (std::int64_t i = 0; i < count; ++i)
    rows[static_cast<std::size_t>(i)] = {first + i, out + i * context_->weights.output.rows};
  Logits(std::span(rows).first(static_cast<std::size_t>(count)));
}

void Forward::Logits(std::span<const LogitsRow> rows) {
  const Matrix& head = context_->weights.output;
  const auto count = std::ssize(rows);
  const float scale = context_->config.logit_scale;
  const float softcap = context_->config.final_softcap;
  team_->Run(context_->threads, [&](Worker& worker) {
    ProfileScope scope = context_->Measure(worker, Operation::kOutputHead, Profiler::kNoLayer);
    scope.AddCost(CostOf(head, count));
    for (const Matrix& matrix : context_->weights.altup_unembd_proj) scope.AddCost(CostOf(matrix, count));
    if (altup()) altup_layers_.Merge(worker, rows, head_input_);
    ForEachRow(worker, count, [&](std::int64_t i) {
      const std::int64_t row = rows[static_cast<std::size_t>(i)].row;
      context_->NormRow(context_->StreamRow(row), context_->weights.output_norm, head_input_, i);
    });
    const ActivationRows input = context_->Adapt(worker, head_input_.rows(), count, {&head});
    worker.ForEach(context_->Chunks(head.rows), [&](std::int64_t chunk) {
      context_->ForEachPiece(worker, context_->ChunkRange(head.rows, chunk), count, [&](Range piece, float* tile) {
        const std::int64_t length = piece.end - piece.begin;
        context_->MatMul(worker, head, {}, input, piece, count, {tile, length});
        for (std::int64_t i = 0; i < count; ++i) {
          float* const logits = tile + i * length;
          if (scale != 1) context_->kernels.scale(logits, scale, length);
          if (softcap != 0) context_->kernels.softcap(logits, softcap, length);
          std::copy_n(logits, length, rows[static_cast<std::size_t>(i)].out + piece.begin);
        }
      });
    });
  });
}

}  // namespace slm
