#include "infer/forward.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "base/format.h"

namespace slm {

namespace {

constexpr std::int64_t kBlock = 32;           // values of an ActivationBlock
constexpr std::int64_t kAttentionParts = 32;  // of a single row's keys, computed before they are merged

// Weight rows are dealt out in multiples of the first, so that kernels see whole panels and activations whole blocks,
// and not more than the second at once, so that workers finish at about the same time.
constexpr std::int64_t kRowGranule = 32;
constexpr std::int64_t kMaxChunkRows = 512;
constexpr std::int64_t kChunksPerThread = 2;        // of a single row: a chunk begins with memory nobody asked for
constexpr std::int64_t kPromptChunksPerThread = 8;  // of many rows: threads finish together

constexpr std::int64_t kActivationRows = 8;  // rows of activations in a chunk of row-wise work

std::int64_t DivideUp(std::int64_t n, std::int64_t by) { return (n + by - 1) / by; }

// A step of row-wise work: f(row) for each of `rows` rows.
template <class F>
void ForEachRow(Worker& worker, std::int64_t rows, const F& f) {
  worker.ForEach(DivideUp(rows, kActivationRows), [&](std::int64_t chunk) {
    const std::int64_t end = std::min(rows, (chunk + 1) * kActivationRows);
    for (std::int64_t row = chunk * kActivationRows; row < end; ++row) f(row);
  });
}

}  // namespace

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
  if (!forward.Allocate()) {
    return Status(StatusCode::kOutOfMemory, Cat("no memory to evaluate ", options.max_rows, " tokens at once"));
  }
  forward.PlanRope();
  return forward;
}

bool Forward::AllocateInput(Input& input, std::int64_t columns) {
  input.stride = columns;
  input.block_stride = columns % kBlock == 0 ? columns / kBlock : 0;
  return input.values.Allocate(static_cast<std::size_t>(max_rows_ * columns)) &&
         input.blocks.Allocate(static_cast<std::size_t>(max_rows_ * input.block_stride));
}

bool Forward::Allocate() {
  for (const LayerConfig& layer : config_->layers) {
    heads_ = std::max(heads_, std::int64_t{layer.heads});
    query_width_ = std::max(query_width_, std::int64_t{layer.heads} * config_->key_length);
    key_width_ = std::max(key_width_, std::int64_t{layer.kv_heads} * config_->key_length);
    value_width_ = std::max(value_width_, std::int64_t{layer.kv_heads} * config_->value_length);
    attention_width_ = std::max(attention_width_, std::int64_t{layer.heads} * config_->value_length);
    ffn_width_ = std::max(ffn_width_, std::int64_t{layer.feed_forward_length});
  }
  const std::int64_t d = config_->embedding_length;
  const std::int64_t widest = std::max({d, attention_width_, ffn_width_});
  scratch_bytes_ =
      std::max(MatMulScratchBytes(widest), AttentionScratchBytes(config_->key_length, config_->value_length));
  scratch_bytes_ = (scratch_bytes_ + 63) / 64 * 64;
  tile_floats_ = static_cast<std::size_t>(std::max(max_rows_ * kRowGranule, kMaxChunkRows));
  const auto rows = [this](std::int64_t width) { return static_cast<std::size_t>(max_rows_ * width); };
  const std::int64_t angles = config_->rope_dimensions / 2;
  return stream_.Allocate(rows(d)) && AllocateInput(normed_, d) && queries_.Allocate(rows(query_width_)) &&
         keys_.Allocate(rows(key_width_)) && values_.Allocate(rows(value_width_)) &&
         AllocateInput(attended_, attention_width_) && AllocateInput(activated_, ffn_width_) &&
         attention_sums_.Allocate(
             static_cast<std::size_t>(kAttentionParts * heads_ * AttentionSumsFloats(config_->value_length))) &&
         product_.Allocate(rows(d)) && AllocateInput(head_input_, d) && rope_global_.cos.Allocate(rows(angles)) &&
         rope_global_.sin.Allocate(rows(angles)) && rope_sliding_.cos.Allocate(rows(angles)) &&
         rope_sliding_.sin.Allocate(rows(angles)) &&
         gate_up_.Allocate(2 * tile_floats_ * static_cast<std::size_t>(team_->threads())) &&
         scratch_.Allocate(scratch_bytes_ * static_cast<std::size_t>(team_->threads()));
}

std::uint64_t Forward::scratch_bytes() const {
  const auto input = [](const Input& buffers) { return buffers.values.bytes() + buffers.blocks.bytes(); };
  const auto rope = [](const RopeTable& table) { return table.cos.bytes() + table.sin.bytes(); };
  return stream_.bytes() + queries_.bytes() + keys_.bytes() + values_.bytes() + gate_up_.bytes() + product_.bytes() +
         attention_sums_.bytes() + scratch_.bytes() + input(normed_) + input(attended_) + input(activated_) +
         input(head_input_) + rope(rope_global_) + rope(rope_sliding_);
}

void Forward::PlanRope() {
  const auto plan = [this](const RopeConfig& rope, const Vector& divisors, RopeTable& table) {
    const int dimensions = config_->rope_dimensions;
    for (int i = 0; i < dimensions / 2; ++i) {
      const double divisor = divisors.empty() ? 1.0 : static_cast<double>(divisors[static_cast<std::size_t>(i)]);
      table.frequencies.push_back(std::pow(rope.base, -2.0 * i / dimensions) * rope.position_scale / divisor);
    }
  };
  plan(config_->rope_global, model_->weights.rope_freqs, rope_global_);
  plan(config_->rope_sliding, {}, rope_sliding_);
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
    for (std::size_t i = 0; i < config_->layers.size(); ++i) RunLayer(worker, i);
  });
  if (single) governor_.Took(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  for (const Segment& segment : segments_) segment.cache->Wrote(segment.position + segment.rows);
}

// stream += attention(norm(stream)); stream += ffn(norm(stream)). The first norm is done by whoever wrote the stream
// last.
void Forward::RunLayer(Worker& worker, std::size_t index) {
  const std::vector<LayerWeights>& layers = model_->weights.layers;
  const LayerWeights& layer = layers[index];
  QueriesKeysValues(worker, index);
  StoreKeysAndValues(worker, index);
  Attend(worker, index);
  AttentionOutput(worker, index);
  {
    const ProfileScope scope = Measure(worker, Operation::kAttnAddNorm, index);
    AddToStream(worker, layer.post_attention_norm, &layer.ffn_norm);
  }
  GateAndUp(worker, index);
  Down(worker, index);
  {
    const ProfileScope scope = Measure(worker, Operation::kFfnAddNorm, index);
    AddToStream(worker, layer.post_ffw_norm, index + 1 < layers.size() ? &layers[index + 1].attn_norm : nullptr);
  }
}

ProfileScope Forward::Measure(const Worker& worker, Operation operation, std::size_t layer) const {
  return ProfileScope(worker.rank() == 0 ? profiler_ : nullptr, operation, layer);
}

Cost Forward::CostOf(const Matrix& matrix, std::int64_t tokens) const {
  const auto weights = static_cast<double>(matrix.rows) * static_cast<double>(matrix.columns);
  return {weights * static_cast<double>(tokens),
          static_cast<double>(matrix.rows) * static_cast<double>(matrix.row_bytes)};
}

// Every cell that some row of a segment looks at is counted once in bytes.
Cost Forward::CostOfAttention(std::size_t index) const {
  const LayerConfig& shape = config_->layers[index];
  const std::int64_t window = shape.sliding ? config_->window : std::numeric_limits<std::int64_t>::max();
  const double width = config_->key_length + config_->value_length;
  Cost cost;
  for (const Segment& segment : segments_) {
    for (std::int64_t row = 0; row < segment.rows; ++row) {
      const auto keys = static_cast<double>(std::min(segment.position + row + 1, window));
      cost.multiply_adds += keys * width * shape.heads;
    }
    const auto cells = static_cast<double>(std::min(segment.position, window - 1) + segment.rows);
    const KvCache::Layer& layer = segment.cache->layer(index);
    cost.bytes += cells * static_cast<double>(layer.heads * (layer.key_bytes + layer.value_bytes));
  }
  return cost;
}

void Forward::Begin(Worker& worker, std::span<const Row> rows) {
  const ProfileScope scope = Measure(worker, Operation::kEmbed, Profiler::kNoLayer);
  ForEachRow(worker, rows_, [&](std::int64_t i) {
    const Row& row = rows[static_cast<std::size_t>(i)];
    Embed(row.token, i);
    FillRope(row.position, i, rope_global_);
    if (config_->window != 0) FillRope(row.position, i, rope_sliding_);
    NormRow(stream_.data() + i * config_->embedding_length, model_->weights.layers.front().attn_norm, normed_, i);
  });
}

void Forward::Embed(Token token, std::int64_t row) {
  const Matrix& embedding = model_->weights.token_embd;
  const std::int64_t d = config_->embedding_length;
  float* x = stream_.data() + row * d;
  embedding.format->to_float(embedding.data + static_cast<std::size_t>(token) * embedding.row_bytes, d, x);
  if (config_->embedding_scale != 1) kernels_->scale(x, config_->embedding_scale, d);
}

void Forward::FillRope(std::int32_t position, std::int64_t row, RopeTable& table) const {
  const auto pairs = static_cast<std::int64_t>(table.frequencies.size());
  for (std::int64_t pair = 0; pair < pairs; ++pair) {
    const double angle = position * table.frequencies[static_cast<std::size_t>(pair)];
    table.cos.data()[row * pairs + pair] = static_cast<float>(std::cos(angle));
    table.sin.data()[row * pairs + pair] = static_cast<float>(std::sin(angle));
  }
}

void Forward::Quantize(Input& input, std::int64_t row, std::int64_t columns) {
  if (input.block_stride == 0 || columns % kBlock != 0) return;
  kernels_->quantize(input.values.data() + row * input.stride, columns, input.blocks.data() + row * input.block_stride);
}

void Forward::NormRow(const float* x, const Vector& weight, Input& input, std::int64_t row) {
  const std::int64_t d = config_->embedding_length;
  kernels_->rms_norm(x, weight.data(), d, config_->norm_epsilon, input.values.data() + row * input.stride);
  Quantize(input, row, d);
}

std::byte* Forward::Scratch(const Worker& worker) {
  return scratch_.data() + scratch_bytes_ * static_cast<std::size_t>(worker.rank());
}

std::int64_t Forward::ChunkRows(std::int64_t rows) const {
  const std::int64_t even = DivideUp(rows, (rows_ == 1 ? kChunksPerThread : kPromptChunksPerThread) * running_threads_);
  return std::min(DivideUp(even, kRowGranule) * kRowGranule, kMaxChunkRows);
}

std::int64_t Forward::Chunks(std::int64_t rows) const { return DivideUp(rows, ChunkRows(rows)); }

Forward::Range Forward::ChunkRange(std::int64_t rows, std::int64_t chunk) const {
  const std::int64_t size = ChunkRows(rows);
  return {chunk * size, std::min(rows, (chunk + 1) * size)};
}

// Weight rows `rows` times the first `tokens` rows of the input.
void Forward::MatMul(const Worker& worker, const Matrix& matrix, const Vector& bias, const Input& input, Range rows,
                     std::int64_t tokens, const Output& output) {
  const bool as_float = matrix.format->activation == Activation::kFloat;
  const std::int64_t count = rows.end - rows.begin;
  const KernelSet::MatMulFn multiply = kernels_->matmul[static_cast<std::size_t>(matrix.format->format)];
  multiply({.weights = matrix.data + static_cast<std::size_t>(rows.begin) * matrix.row_bytes,
            .row_bytes = matrix.row_bytes,
            .columns = matrix.columns,
            .row_end = count,
            .activations = as_float ? static_cast<const void*>(input.values.data())
                                    : static_cast<const void*>(input.blocks.data()),
            .activation_stride = as_float ? input.stride : input.block_stride,
            .tokens = tokens,
            .out = output.out,
            .out_stride = output.stride,
            .scratch = Scratch(worker)});
  if (bias.empty()) return;
  for (std::int64_t row = 0; row < tokens; ++row)
    kernels_->add(output.out + row * output.stride, bias.data() + rows.begin, count);
}

void Forward::Product(Worker& worker, const Matrix& matrix, const Vector& bias, Input& input, float* out) {
  worker.ForEach(Chunks(matrix.rows), [&](std::int64_t chunk) {
    const Range range = ChunkRange(matrix.rows, chunk);
    MatMul(worker, matrix, bias, input, range, rows_, {out + range.begin, matrix.rows});
  });
}

void Forward::QueriesKeysValues(Worker& worker, std::size_t index) {
  const LayerWeights& layer = model_->weights.layers[index];
  ProfileScope scope = Measure(worker, Operation::kQkv, index);
  for (const Matrix* matrix : {&layer.attn_q, &layer.attn_k, &layer.attn_v}) scope.AddCost(CostOf(*matrix, rows_));
  const std::int64_t q = Chunks(layer.attn_q.rows), k = Chunks(layer.attn_k.rows), v = Chunks(layer.attn_v.rows);
  worker.ForEach(q + k + v, [&](std::int64_t chunk) {
    const auto part = [&](const Matrix& matrix, const Vector& bias, std::int64_t of_matrix, float* out) {
      const Range range = ChunkRange(matrix.rows, of_matrix);
      MatMul(worker, matrix, bias, normed_, range, rows_, {out + range.begin, matrix.rows});
    };
    if (chunk < q) return part(layer.attn_q, layer.attn_q_bias, chunk, queries_.data());
    if (chunk < q + k) return part(layer.attn_k, layer.attn_k_bias, chunk - q, keys_.data());
    return part(layer.attn_v, layer.attn_v_bias, chunk - q - k, values_.data());
  });
}

void Forward::StoreKeysAndValues(Worker& worker, std::size_t index) {
  const ProfileScope scope = Measure(worker, Operation::kRopeStore, index);
  ForEachRow(worker, rows_, [&](std::int64_t row) {
    for (const Segment& segment : segments_) {
      if (row < segment.first_row + segment.rows) return StoreRow(index, segment, row - segment.first_row);
    }
  });
}

void Forward::StoreRow(std::size_t index, const Segment& segment, std::int64_t row_in_segment) {
  const LayerWeights& layer = model_->weights.layers[index];
  const LayerConfig& shape = config_->layers[index];
  const RopeTable& rope = shape.sliding ? rope_sliding_ : rope_global_;
  const std::int64_t hd = config_->key_length;
  const std::int64_t pairs = config_->rope_dimensions / 2;
  const std::int64_t row = segment.first_row + row_in_segment;

  const auto turn = [&](float* head, const Vector& norm) {
    if (!norm.empty()) kernels_->rms_norm(head, norm.data(), hd, config_->norm_epsilon, head);
    kernels_->rope(head, rope.cos.data() + row * pairs, rope.sin.data() + row * pairs, config_->rope_dimensions,
                   config_->architecture->rope_pairs);
  };
  float* queries = queries_.data() + row * shape.heads * hd;
  float* keys = keys_.data() + row * shape.kv_heads * hd;
  const float* values = values_.data() + row * shape.kv_heads * config_->value_length;
  for (std::int64_t head = 0; head < shape.heads; ++head) turn(queries + head * hd, layer.attn_q_norm);

  const KvCache::Layer& cells = segment.cache->layer(index);
  const std::int64_t cell = (segment.position + row_in_segment) % cells.cells;
  const auto store = [&](const float* from, std::int64_t n, std::byte* to) {
    switch (segment.cache->format()) {
      case CacheFormat::kF32:
        std::copy_n(from, n, reinterpret_cast<float*>(to));
        break;
      case CacheFormat::kF16:
        kernels_->to_half(from, n, reinterpret_cast<Half*>(to));
        break;
      case CacheFormat::kQ8_0:
        kernels_->to_q8_0(from, n, reinterpret_cast<BlockQ8_0*>(to));
        break;
    }
  };
  for (std::int64_t head = 0; head < shape.kv_heads; ++head) {
    turn(keys + head * hd, layer.attn_k_norm);
    store(keys + head * hd, hd, cells.Key(head, cell));
    store(values + head * config_->value_length, config_->value_length, cells.Value(head, cell));
  }
}

void Forward::Attend(Worker& worker, std::size_t index) {
  ProfileScope scope = Measure(worker, Operation::kAttention, index);
  if (scope.active()) scope.AddCost(CostOfAttention(index));
  for (const Segment& segment : segments_) {
    if (segment.rows == 1 && segment.position >= kAttentionPart) {
      AttendRow(worker, index, segment);
    } else {
      AttendRows(worker, index, segment);
    }
  }
  ForEachRow(worker, rows_,
             [&](std::int64_t row) { Quantize(attended_, row, model_->weights.layers[index].attn_output.columns); });
}

// Rows share what it takes to read keys and values, as many as a task can hold.
void Forward::AttendRows(Worker& worker, std::size_t index, const Segment& segment) {
  const LayerConfig& shape = config_->layers[index];
  const std::int64_t even = DivideUp(segment.rows * shape.kv_heads, running_threads_);
  const std::int64_t most = std::max<std::int64_t>(1, kAttentionQueries / (shape.heads / shape.kv_heads));
  const std::int64_t size = std::min(even, most);
  const std::int64_t row_tasks = DivideUp(segment.rows, size);
  worker.ForEach(shape.kv_heads * row_tasks, [&](std::int64_t task) {
    // Later rows look at more keys: the long tasks go first.
    const std::int64_t first_row = (row_tasks - 1 - task / shape.kv_heads) * size;
    const Range rows = {first_row, std::min(first_row + size, segment.rows)};
    kernels_->attention(AttentionOf(worker, index, segment, rows, task % shape.kv_heads));
  });
}

// A single row has nobody to share with. Where it has keys of several parts, these are spread instead.
void Forward::AttendRow(Worker& worker, std::size_t index, const Segment& segment) {
  const LayerConfig& shape = config_->layers[index];
  const std::int64_t sums_of_head = AttentionSumsFloats(config_->value_length);
  const std::int64_t stride = heads_ * sums_of_head;
  const auto sums = [&](std::int64_t slot, std::int64_t kv_head) {
    return attention_sums_.data() + slot * stride + kv_head * (shape.heads / shape.kv_heads) * sums_of_head;
  };
  const auto task = [&](std::int64_t kv_head) { return AttentionOf(worker, index, segment, {0, 1}, kv_head); };
  const std::int64_t window = shape.sliding ? config_->window : segment.position + 1;
  const std::int64_t first = std::max<std::int64_t>(0, segment.position + 1 - window) / kAttentionPart;
  const std::int64_t end = segment.position / kAttentionPart + 1;
  for (std::int64_t part = first; part < end;) {
    const std::int64_t merged = part > first ? 1 : 0;  // slots taken by the parts before
    const std::int64_t parts = std::min(end - part, kAttentionParts - merged);
    worker.ForEach(parts * shape.kv_heads, [&](std::int64_t chunk) {
      const std::int64_t i = chunk / shape.kv_heads, kv_head = chunk % shape.kv_heads;
      kernels_->attention_part(task(kv_head), part + i, sums(merged + i, kv_head));
    });
    worker.ForEach(shape.kv_heads, [&](std::int64_t kv_head) {
      kernels_->attention_merge(task(kv_head), sums(0, kv_head), stride, merged + parts);
    });
    part += parts;
  }
}

// Rows of a segment with the query heads of one key/value head.
AttentionTask Forward::AttentionOf(const Worker& worker, std::size_t index, const Segment& segment, Range rows,
                                   std::int64_t kv_head) {
  const LayerConfig& shape = config_->layers[index];
  const KvCache::Layer& cells = segment.cache->layer(index);
  const std::int64_t heads = shape.heads / shape.kv_heads;
  const std::int64_t query_width = std::int64_t{shape.heads} * config_->key_length;
  const std::int64_t row = segment.first_row + rows.begin;
  return {.queries = queries_.data() + row * query_width + kv_head * heads * config_->key_length,
          .query_stride = query_width,
          .out = attended_.values.data() + row * attended_.stride + kv_head * heads * config_->value_length,
          .out_stride = attended_.stride,
          .rows = rows.end - rows.begin,
          .heads = heads,
          .head_dim = config_->key_length,
          .value_dim = config_->value_length,
          .first_position = segment.position + rows.begin,
          .window = shape.sliding ? config_->window : 0,
          .keys = cells.Key(kv_head, 0),
          .values = cells.Value(kv_head, 0),
          .key_stride = cells.key_bytes,
          .value_stride = cells.value_bytes,
          .cells = cells.cells,
          .cache_format = segment.cache->format(),
          .scale = config_->attention_scale,
          .scratch = Scratch(worker)};
}

void Forward::AttentionOutput(Worker& worker, std::size_t index) {
  const LayerWeights& layer = model_->weights.layers[index];
  ProfileScope scope = Measure(worker, Operation::kAttnOutput, index);
  scope.AddCost(CostOf(layer.attn_output, rows_));
  Product(worker, layer.attn_output, layer.attn_output_bias, attended_, product_.data());
}

void Forward::Down(Worker& worker, std::size_t index) {
  const LayerWeights& layer = model_->weights.layers[index];
  ProfileScope scope = Measure(worker, Operation::kDown, index);
  scope.AddCost(CostOf(layer.ffn_down, rows_));
  Product(worker, layer.ffn_down, {}, activated_, product_.data());
}

// activated = act(Wgate x) * (Wup x). Both products of a few weight rows at a time, so that they are still in the cache
// when they meet.
void Forward::GateAndUp(Worker& worker, std::size_t index) {
  const LayerWeights& layer = model_->weights.layers[index];
  ProfileScope scope = Measure(worker, Operation::kGateUp, index);
  for (const Matrix* matrix : {&layer.ffn_gate, &layer.ffn_up}) scope.AddCost(CostOf(*matrix, rows_));
  const std::int64_t width = layer.ffn_gate.rows;
  const auto activate =
      config_->architecture->activation == FfnActivation::kSilu ? kernels_->silu_mul : kernels_->gelu_mul;
  float* gate = gate_up_.data() + 2 * tile_floats_ * static_cast<std::size_t>(worker.rank());
  float* up = gate + tile_floats_;
  const std::int64_t tile = static_cast<std::int64_t>(tile_floats_) / rows_ / kRowGranule * kRowGranule;
  worker.ForEach(Chunks(width), [&](std::int64_t chunk) {
    const Range range = ChunkRange(width, chunk);
    for (std::int64_t begin = range.begin; begin < range.end; begin += tile) {
      const Range piece = {begin, std::min(begin + tile, range.end)};
      const std::int64_t count = piece.end - piece.begin;
      MatMul(worker, layer.ffn_gate, {}, normed_, piece, rows_, {gate, count});
      MatMul(worker, layer.ffn_up, {}, normed_, piece, rows_, {up, count});
      for (std::int64_t row = 0; row < rows_; ++row)
        activate(gate + row * count, up + row * count, count,
                 activated_.values.data() + row * activated_.stride + begin);
    }
  });
  ForEachRow(worker, rows_, [&](std::int64_t row) { Quantize(activated_, row, width); });
}

// Adds a sub-layer's output to the stream and prepares what the next sub-layer reads.
void Forward::AddToStream(Worker& worker, const Vector& post_norm, const Vector* next_norm) {
  const std::int64_t d = config_->embedding_length;
  ForEachRow(worker, rows_, [&](std::int64_t row) {
    float* y = product_.data() + row * d;
    float* x = stream_.data() + row * d;
    if (!post_norm.empty()) kernels_->rms_norm(y, post_norm.data(), d, config_->norm_epsilon, y);
    kernels_->add(x, y, d);
    if (next_norm != nullptr) NormRow(x, *next_norm, normed_, row);
  });
}

void Forward::Logits(std::int64_t first, std::int64_t count, float* out) {
  const std::int64_t d = config_->embedding_length;
  const Matrix& head = model_->weights.output;
  team_->Run(running_threads_, [&](Worker& worker) {
    ProfileScope scope = Measure(worker, Operation::kOutputHead, Profiler::kNoLayer);
    scope.AddCost(CostOf(head, count));
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
