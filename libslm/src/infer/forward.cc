#include "infer/forward.h"

#include <algorithm>
#include <cmath>

#include "base/format.h"

namespace slm {

namespace {

constexpr std::int64_t kBlock = 32;      // values of an ActivationBlock
constexpr std::int64_t kRowGranule = 32;  // weight rows are dealt to workers in multiples of this
constexpr std::int64_t kAttentionRows = 16;  // rows of one attention task while a prompt is read

}  // namespace

Forward::Forward(const ModelImpl& model, Team& team, std::int64_t max_rows)
    : model_(&model),
      config_(&model.config),
      kernels_(&model.kernels),
      team_(&team),
      max_rows_(max_rows),
      next_task_(model.config.layers.size()) {}

Result<Forward> Forward::Create(const ModelImpl& model, Team& team, std::int64_t max_rows) {
  Forward forward(model, team, max_rows);
  if (!forward.Allocate()) {
    return Status(StatusCode::kOutOfMemory, Cat("no memory to evaluate ", max_rows, " tokens at once"));
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
    query_width_ = std::max(query_width_, std::int64_t{layer.heads} * config_->key_length);
    key_width_ = std::max(key_width_, std::int64_t{layer.kv_heads} * config_->key_length);
    value_width_ = std::max(value_width_, std::int64_t{layer.kv_heads} * config_->value_length);
    attention_width_ = std::max(attention_width_, std::int64_t{layer.heads} * config_->value_length);
    ffn_width_ = std::max(ffn_width_, std::int64_t{layer.feed_forward_length});
  }
  const std::int64_t d = config_->embedding_length;
  const std::int64_t widest = std::max({d, attention_width_, ffn_width_});
  scratch_bytes_ = std::max(MatMulScratchBytes(widest), AttentionScratchBytes(config_->key_length, config_->value_length));
  scratch_bytes_ = (scratch_bytes_ + 63) / 64 * 64;
  const auto rows = [this](std::int64_t width) { return static_cast<std::size_t>(max_rows_ * width); };
  const std::int64_t angles = config_->rope_dimensions / 2;
  return stream_.Allocate(rows(d)) && AllocateInput(normed_, d) && queries_.Allocate(rows(query_width_)) &&
         keys_.Allocate(rows(key_width_)) && values_.Allocate(rows(value_width_)) &&
         AllocateInput(attended_, attention_width_) && gate_.Allocate(rows(ffn_width_)) && up_.Allocate(rows(ffn_width_)) &&
         AllocateInput(activated_, ffn_width_) && product_.Allocate(rows(d)) && AllocateInput(head_input_, d) &&
         rope_global_.cos.Allocate(rows(angles)) && rope_global_.sin.Allocate(rows(angles)) &&
         rope_sliding_.cos.Allocate(rows(angles)) && rope_sliding_.sin.Allocate(rows(angles)) &&
         scratch_.Allocate(scratch_bytes_ * static_cast<std::size_t>(team_->threads()));
}

std::uint64_t Forward::scratch_bytes() const {
  const auto input = [](const Input& buffers) { return buffers.values.bytes() + buffers.blocks.bytes(); };
  const auto rope = [](const RopeTable& table) { return table.cos.bytes() + table.sin.bytes(); };
  return stream_.bytes() + queries_.bytes() + keys_.bytes() + values_.bytes() + gate_.bytes() + up_.bytes() +
         product_.bytes() + scratch_.bytes() + input(normed_) + input(attended_) + input(activated_) + input(head_input_) +
         rope(rope_global_) + rope(rope_sliding_);
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
  for (std::atomic<std::int64_t>& next : next_task_) next.store(0, std::memory_order_relaxed);
  team_->Run([&](const Worker& worker) {
    Embed(worker, rows);
    FillRope(worker, rows, rope_global_);
    FillRope(worker, rows, rope_sliding_);
    for (std::size_t i = 0; i < config_->layers.size(); ++i) RunLayer(worker, i);
  });
  for (const Segment& segment : segments_) segment.cache->Wrote(segment.position + segment.rows);
}

// stream += attention(norm(stream)); stream += ffn(norm(stream)). Steps between two barriers touch only what the same worker
// made, or what was made before the last barrier. Row-wise steps deal the same rows to the same workers, so that they need
// none between them.
void Forward::RunLayer(const Worker& worker, std::size_t index) {
  const LayerWeights& layer = model_->weights.layers[index];

  NormInto(worker, layer.attn_norm, normed_);
  worker.Barrier();
  Product(worker, layer.attn_q, layer.attn_q_bias, normed_, queries_.data());
  Product(worker, layer.attn_k, layer.attn_k_bias, normed_, keys_.data());
  Product(worker, layer.attn_v, layer.attn_v_bias, normed_, values_.data());
  worker.Barrier();
  StoreKeysAndValues(worker, index);
  worker.Barrier();
  Attend(worker, index);
  worker.Barrier();
  const Range share = worker.Share(rows_);
  for (std::int64_t row = share.begin; row < share.end; ++row) Quantize(attended_, row, 0, layer.attn_output.columns);
  worker.Barrier();
  Product(worker, layer.attn_output, layer.attn_output_bias, attended_, product_.data());
  worker.Barrier();
  AddToStream(worker, layer.post_attention_norm);

  NormInto(worker, layer.ffn_norm, normed_);
  worker.Barrier();
  GateAndUp(worker, layer);
  worker.Barrier();
  Product(worker, layer.ffn_down, {}, activated_, product_.data());
  worker.Barrier();
  AddToStream(worker, layer.post_ffw_norm);
}

void Forward::Embed(const Worker& worker, std::span<const Row> rows) {
  const Matrix& embedding = model_->weights.token_embd;
  const std::int64_t d = config_->embedding_length;
  const Range share = worker.Share(rows_);
  for (std::int64_t i = share.begin; i < share.end; ++i) {
    float* x = stream_.data() + i * d;
    const auto token = static_cast<std::size_t>(rows[static_cast<std::size_t>(i)].token);
    embedding.format->to_float(embedding.data + token * embedding.row_bytes, d, x);
    if (config_->embedding_scale != 1) kernels_->scale(x, config_->embedding_scale, d);
  }
}

void Forward::FillRope(const Worker& worker, std::span<const Row> rows, RopeTable& table) {
  const auto pairs = static_cast<std::int64_t>(table.frequencies.size());
  const Range share = worker.Share(rows_);
  for (std::int64_t i = share.begin; i < share.end; ++i) {
    const double position = rows[static_cast<std::size_t>(i)].position;
    for (std::int64_t pair = 0; pair < pairs; ++pair) {
      const double angle = position * table.frequencies[static_cast<std::size_t>(pair)];
      table.cos.data()[i * pairs + pair] = static_cast<float>(std::cos(angle));
      table.sin.data()[i * pairs + pair] = static_cast<float>(std::sin(angle));
    }
  }
}

void Forward::Quantize(Input& input, std::int64_t row, std::int64_t begin, std::int64_t end) {
  if (input.block_stride == 0 || begin % kBlock != 0 || end % kBlock != 0) return;
  kernels_->quantize(input.values.data() + row * input.stride + begin, end - begin,
                     input.blocks.data() + row * input.block_stride + begin / kBlock);
}

void Forward::NormInto(const Worker& worker, const Vector& weight, Input& input) {
  const std::int64_t d = config_->embedding_length;
  const Range share = worker.Share(rows_);
  for (std::int64_t row = share.begin; row < share.end; ++row) {
    kernels_->rms_norm(stream_.data() + row * d, weight.data(), d, config_->norm_epsilon, input.values.data() + row * input.stride);
    Quantize(input, row, 0, d);
  }
}

std::byte* Forward::Scratch(const Worker& worker) { return scratch_.data() + scratch_bytes_ * static_cast<std::size_t>(worker.rank()); }

// The product with weight rows `rows`, for `tokens` rows of the input from first_token on; out is [tokens][matrix.rows].
void Forward::MatMul(const Worker& worker, const Matrix& matrix, const Input& input, Range rows, std::int64_t first_token, std::int64_t tokens, float* out) {
  const bool as_float = matrix.format->activation == Activation::kFloat;
  const std::int64_t stride = as_float ? input.stride : input.block_stride;
  const void* activations = as_float ? static_cast<const void*>(input.values.data() + first_token * stride)
                                     : static_cast<const void*>(input.blocks.data() + first_token * stride);
  kernels_->matmul[static_cast<std::size_t>(matrix.format->format)]({.weights = matrix.data,
                                                                     .row_bytes = matrix.row_bytes,
                                                                     .columns = matrix.columns,
                                                                     .row_begin = rows.begin,
                                                                     .row_end = rows.end,
                                                                     .activations = activations,
                                                                     .activation_stride = stride,
                                                                     .tokens = tokens,
                                                                     .out = out,
                                                                     .out_stride = matrix.rows,
                                                                     .scratch = Scratch(worker)});
}

void Forward::Product(const Worker& worker, const Matrix& matrix, const Vector& bias, const Input& input, float* out) {
  const Range share = worker.Share(matrix.rows, kRowGranule);
  if (share.begin == share.end) return;
  MatMul(worker, matrix, input, share, 0, rows_, out);
  if (bias.empty()) return;
  for (std::int64_t row = 0; row < rows_; ++row) {
    kernels_->add(out + row * matrix.rows + share.begin, bias.data() + share.begin, share.end - share.begin);
  }
}

void Forward::StoreKeysAndValues(const Worker& worker, std::size_t index) {
  const LayerWeights& layer = model_->weights.layers[index];
  const LayerConfig& shape = config_->layers[index];
  const Architecture& architecture = *config_->architecture;
  const RopeTable& rope = shape.sliding ? rope_sliding_ : rope_global_;
  const std::int64_t hd = config_->key_length;
  const std::int64_t pairs = config_->rope_dimensions / 2;
  const std::int64_t query_width = shape.heads * hd;
  const std::int64_t key_width = shape.kv_heads * hd;
  const std::int64_t value_width = std::int64_t{shape.kv_heads} * config_->value_length;

  const auto turn = [&](float* head, const Vector& norm, std::int64_t row) {
    if (!norm.empty()) kernels_->rms_norm(head, norm.data(), hd, config_->norm_epsilon, head);
    kernels_->rope(head, rope.cos.data() + row * pairs, rope.sin.data() + row * pairs, config_->rope_dimensions, architecture.rope_pairs);
  };
  const auto store = [&](const KvCache& cache, const float* from, std::int64_t n, std::byte* to) {
    if (cache.format() == CacheFormat::kF16) {
      kernels_->to_half(from, n, reinterpret_cast<Half*>(to));
    } else {
      std::copy_n(from, n, reinterpret_cast<float*>(to));
    }
  };
  for (const Segment& segment : segments_) {
    const KvCache::Layer& cells = segment.cache->layer(index);
    const auto element = static_cast<std::int64_t>(segment.cache->element_bytes());
    const Range share = worker.Share(segment.rows);
    for (std::int64_t i = share.begin; i < share.end; ++i) {
      const std::int64_t row = segment.first_row + i;
      float* queries = queries_.data() + row * query_width;
      float* keys = keys_.data() + row * key_width;
      for (std::int64_t head = 0; head < shape.heads; ++head) turn(queries + head * hd, layer.attn_q_norm, row);
      for (std::int64_t head = 0; head < shape.kv_heads; ++head) turn(keys + head * hd, layer.attn_k_norm, row);
      const std::int64_t cell = (segment.position + i) % cells.cells;
      store(*segment.cache, keys, key_width, cells.keys + cell * cells.key_stride * element);
      store(*segment.cache, values_.data() + row * value_width, value_width, cells.values + cell * cells.value_stride * element);
    }
  }
}

// Tasks are handed out as workers become free: later rows look at more keys than earlier ones.
void Forward::Attend(const Worker& worker, std::size_t index) {
  const LayerConfig& shape = config_->layers[index];
  const std::int64_t group = shape.heads / shape.kv_heads;
  std::int64_t first_task = 0;
  std::int64_t task = next_task_[index].fetch_add(1, std::memory_order_relaxed);
  for (const Segment& segment : segments_) {
    // A single row shares no keys with neighbours, so its heads are spread instead.
    const std::int64_t heads = segment.rows == 1 ? 1 : group;
    const std::int64_t head_tasks = shape.heads / heads;
    const std::int64_t row_tasks = (segment.rows + kAttentionRows - 1) / kAttentionRows;
    for (; task < first_task + head_tasks * row_tasks; task = next_task_[index].fetch_add(1, std::memory_order_relaxed)) {
      const std::int64_t first_head = (task - first_task) % head_tasks * heads;
      const std::int64_t first_row = (task - first_task) / head_tasks * kAttentionRows;
      AttendHeads(worker, index, segment, {first_row, std::min(first_row + kAttentionRows, segment.rows)}, first_head, heads);
    }
    first_task += head_tasks * row_tasks;
  }
}

void Forward::AttendHeads(const Worker& worker, std::size_t index, const Segment& segment, Range rows, std::int64_t first_head, std::int64_t heads) {
  const LayerConfig& shape = config_->layers[index];
  const KvCache::Layer& cells = segment.cache->layer(index);
  const auto element = static_cast<std::int64_t>(segment.cache->element_bytes());
  const std::int64_t kv_head = first_head / (shape.heads / shape.kv_heads);
  const std::int64_t query_width = std::int64_t{shape.heads} * config_->key_length;
  const std::int64_t row = segment.first_row + rows.begin;
  kernels_->attention({.queries = queries_.data() + row * query_width + first_head * config_->key_length,
                       .query_stride = query_width,
                       .out = attended_.values.data() + row * attended_.stride + first_head * config_->value_length,
                       .out_stride = attended_.stride,
                       .rows = rows.end - rows.begin,
                       .heads = heads,
                       .head_dim = config_->key_length,
                       .value_dim = config_->value_length,
                       .first_position = segment.position + rows.begin,
                       .window = shape.sliding ? config_->window : 0,
                       .keys = cells.keys + kv_head * config_->key_length * element,
                       .values = cells.values + kv_head * config_->value_length * element,
                       .key_stride = cells.key_stride,
                       .value_stride = cells.value_stride,
                       .cells = cells.cells,
                       .cache_format = segment.cache->format(),
                       .scale = config_->attention_scale,
                       .scratch = Scratch(worker)});
}

// activated = act(Wgate x) * (Wup x). A worker's rows of both products are the same, so it goes on to the activation alone.
void Forward::GateAndUp(const Worker& worker, const LayerWeights& layer) {
  const std::int64_t width = layer.ffn_gate.rows;
  Product(worker, layer.ffn_gate, {}, normed_, gate_.data());
  Product(worker, layer.ffn_up, {}, normed_, up_.data());
  const Range share = worker.Share(width, kRowGranule);
  const auto activate = config_->architecture->activation == FfnActivation::kSilu ? kernels_->silu_mul : kernels_->gelu_mul;
  for (std::int64_t row = 0; row < rows_; ++row) {
    const std::int64_t at = row * width + share.begin;
    activate(gate_.data() + at, up_.data() + at, share.end - share.begin, activated_.values.data() + row * activated_.stride + share.begin);
    Quantize(activated_, row, share.begin, share.end);
  }
}

void Forward::AddToStream(const Worker& worker, const Vector& post_norm) {
  const std::int64_t d = config_->embedding_length;
  const Range share = worker.Share(rows_);
  for (std::int64_t row = share.begin; row < share.end; ++row) {
    float* y = product_.data() + row * d;
    if (!post_norm.empty()) kernels_->rms_norm(y, post_norm.data(), d, config_->norm_epsilon, y);
    kernels_->add(stream_.data() + row * d, y, d);
  }
}

void Forward::Logits(std::int64_t first, std::int64_t count, float* out) {
  const std::int64_t d = config_->embedding_length;
  const Matrix& head = model_->weights.output;
  team_->Run([&](const Worker& worker) {
    const Range rows = worker.Share(count);
    for (std::int64_t i = rows.begin; i < rows.end; ++i) {
      kernels_->rms_norm(stream_.data() + (first + i) * d, model_->weights.output_norm.data(), d, config_->norm_epsilon,
                         head_input_.values.data() + i * head_input_.stride);
      Quantize(head_input_, i, 0, d);
    }
    worker.Barrier();
    const Range share = worker.Share(head.rows, kRowGranule);
    if (share.begin == share.end) return;
    MatMul(worker, head, head_input_, share, 0, count, out);
    if (config_->final_softcap == 0) return;
    for (std::int64_t i = 0; i < count; ++i) kernels_->softcap(out + i * head.rows + share.begin, config_->final_softcap, share.end - share.begin);
  });
}

}  // namespace slm
