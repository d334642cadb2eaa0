#include "forward/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "forward/cache_cell.h"

namespace slm {

bool Attention::AllocateRope(WorkingMemory& memory) {
  const ModelConfig& config = context_->config;
  const Weights& weights = context_->weights;
  const bool factors = weights.rope_freqs.empty();
  const RopeDivisors global = {factors ? weights.rope_factors_short : weights.rope_freqs,
                               factors ? weights.rope_factors_long : weights.rope_freqs};
  const Vector none;
  const RopeDivisors sliding = config.architecture->rope_scaling_global_only ? RopeDivisors{none, none} : global;
  return rope_global_.Plan(config.rope_global, global, context_->max_rows, memory) &&
         rope_sliding_.Plan(config.rope_sliding, sliding, context_->max_rows, memory);
}

bool Attention::Allocate(WorkingMemory& memory) {
  std::int64_t queries = 0, keys = 0, values = 0, attended = 0, sums = 0;
  const auto raise = [](std::int64_t& width, std::int64_t to) { width = std::max(width, to); };
  for (const LayerConfig& layer : context_->config.layers) {
    raise(heads_, layer.heads);
    raise(queries, std::int64_t{layer.heads} * layer.key_length);
    raise(keys, std::int64_t{layer.kv_heads} * layer.key_length);
    raise(values, std::int64_t{layer.kv_heads} * layer.value_length);
    raise(attended, std::int64_t{layer.heads} * layer.value_length);
    raise(sums, AttentionSumsFloats(layer.value_length));
  }
  const auto rows = [this](std::int64_t width) { return static_cast<std::size_t>(context_->max_rows * width); };
  return AllocateRope(memory) && memory.Allocate(queries_, rows(queries)) && memory.Allocate(keys_, rows(keys)) &&
         memory.Allocate(values_, rows(values)) && attended_.Allocate(memory, context_->max_rows, attended) &&
         memory.Allocate(sums_, static_cast<std::size_t>(kParts * heads_ * sums));
}

bool Attention::LongContext(const KvCache& cache) const {
  return cache.context_length() > context_->config.original_context_length;
}

void Attention::Place(std::int64_t row, std::int32_t position, const KvCache& cache) {
  const bool long_context = LongContext(cache);
  rope_global_.Fill(row, position, long_context);
  if (context_->config.window != 0) rope_sliding_.Fill(row, position, long_context);
}

void Attention::Run(Worker& worker, std::size_t index, const ActivationRows& input, float* out) {
  const LayerWeights& layer = context_->weights.layers[index];
  QueriesKeysValues(worker, index, input);
  StoreKeysAndValues(worker, index);
  Attend(worker, index);
  ProfileScope scope = context_->Measure(worker, Operation::kAttnOutput, index);
  scope.AddCost(CostOf(layer.attn_output, context_->rows));
  context_->Product(worker, layer.attn_output, layer.attn_output_bias, attended_.rows(), context_->rows,
                    {out, context_->config.embedding_length});
}

void Attention::QueriesKeysValues(Worker& worker, std::size_t index, const ActivationRows& input) {
  const LayerWeights& layer = context_->weights.layers[index];
  ProfileScope scope = context_->Measure(worker, Operation::kQkv, index);
  for (const Matrix* matrix : {&layer.attn_q, &layer.attn_k, &layer.attn_v})
    scope.AddCost(CostOf(*matrix, context_->rows));
  const ActivationRows adapted =
      context_->Adapt(worker, input, context_->rows, {&layer.attn_q, &layer.attn_k, &layer.attn_v});
  const std::int64_t q = context_->Chunks(layer.attn_q.rows), k = context_->Chunks(layer.attn_k.rows),
                     v = context_->Chunks(layer.attn_v.rows);
  worker.ForEach(q + k + v, [&](std::int64_t chunk) {
    const auto part = [&](const Matrix& matrix, const Vector& bias, std::int64_t of_matrix, float* out) {
      const Range range = context_->ChunkRange(matrix.rows, of_matrix);
      context_->MatMul(worker, matrix, bias, adapted, range, context_->rows, {out + range.begin, matrix.rows});
    };
    if (chunk < q) return part(layer.attn_q, layer.attn_q_bias, chunk, queries_.data());
    if (chunk < q + k) return part(layer.attn_k, layer.attn_k_bias, chunk - q, keys_.data());
    return part(layer.attn_v, layer.attn_v_bias, chunk - q - k, values_.data());
  });
}

void Attention::StoreKeysAndValues(Worker& worker, std::size_t index) {
  const ProfileScope scope = context_->Measure(worker, Operation::kRopeStore, index);
  ForEachRow(worker, context_->rows, [&](std::int64_t row) {
    for (const Segment& segment : context_->segments) {
      if (row >= segment.first_row + segment.rows) continue;
      const std::int64_t position = segment.position + row - segment.first_row;
      TurnQueries(index, row, position);
      if (context_->config.owns_kv(index)) StoreRow(index, *segment.cache, row, position);
      return;
    }
  });
}

// A query or key head as it meets the others: normed, turned by its position.
void Attention::TurnHead(std::size_t index, std::int64_t row, const Vector& norm, float* head) const {
  const LayerConfig& shape = context_->config.layers[index];
  if (!norm.empty())
    context_->kernels.rms_norm(head, norm.data(), shape.key_length, context_->config.norm_epsilon, head);
  if (shape.rotates) Turn(index, row, head);
}

void Attention::Turn(std::size_t index, std::int64_t row, float* head) const {
  const RopeTable& rope = context_->config.layers[index].sliding ? rope_sliding_ : rope_global_;
  context_->kernels.rope(head, rope.cos(row), rope.sin(row), rope.dimensions(),
                         context_->config.architecture->rope_pairs);
}

void Attention::TurnQueries(std::size_t index, std::int64_t row, std::int64_t position) {
  const LayerConfig& shape = context_->config.layers[index];
  const std::int64_t width = std::int64_t{shape.heads} * shape.key_length;
  float* queries = queries_.data() + row * width;
  for (std::int64_t head = 0; head < shape.heads; ++head) {
    TurnHead(index, row, context_->weights.layers[index].attn_q_norm, queries + head * shape.key_length);
  }
  if (context_->config.temperature_scale == 0) return;
  const auto lengths = position / context_->config.original_context_length;  // whole ones
  const double temperature = 1 + context_->config.temperature_scale * std::log1p(static_cast<double>(lengths));
  context_->kernels.scale(queries, static_cast<float>(temperature), width);
}

// Values as the cache keeps them. Keys may be values: as they were before their own norm and RoPE.
void Attention::PrepareValues(std::size_t index, std::int64_t row) {
  const LayerConfig& shape = context_->config.layers[index];
  const std::int64_t length = shape.value_length;
  const std::int64_t width = shape.kv_heads * length;
  float* values = values_.data() + row * width;
  if (!context_->weights.layers[index].attn_v.present()) std::copy_n(keys_.data() + row * width, width, values);
  if (!context_->config.architecture->value_norm) return;
  for (std::int64_t head = 0; head < shape.kv_heads; ++head) {
    float* value = values + head * length;
    context_->kernels.rms_norm(value, nullptr, length, context_->config.norm_epsilon, value);
  }
}

void Attention::StoreRow(std::size_t index, const KvCache& cache, std::int64_t row, std::int64_t position) {
  const LayerConfig& shape = context_->config.layers[index];
  const KvCache::Layer& cells = cache.layer(index);
  const std::int64_t cell = position % cells.cells;
  const auto store = [&](const float* from, std::int64_t n, std::byte* to) {
    StoreCell(context_->kernels, cache.format(), from, n, to);
  };
  PrepareValues(index, row);
  float* keys = keys_.data() + row * shape.kv_heads * shape.key_length;
  const float* values = values_.data() + row * shape.kv_heads * shape.value_length;
  for (std::int64_t head = 0; head < shape.kv_heads; ++head) {
    float* key = keys + head * shape.key_length;
    TurnHead(index, row, context_->weights.layers[index].attn_k_norm, key);
    store(key, shape.key_length, cells.Key(head, cell));
    store(values + head * shape.value_length, shape.value_length, cells.Value(head, cell));
  }
}

void Attention::Attend(Worker& worker, std::size_t index) {
  ProfileScope scope = context_->Measure(worker, Operation::kAttention, index);
  if (scope.active()) scope.AddCost(CostOfKeys(index));
  const Segment& first = context_->segments.front();
  if (context_->segments.size() == 1 && first.rows == 1 && first.position >= kAttentionPart) {
    AttendRow(worker, index, first);
  } else {
    AttendRows(worker, index);
  }
  ForEachRow(worker, context_->rows, [&](std::int64_t row) {
    attended_.Quantize(context_->kernels, row, context_->weights.layers[index].attn_output.columns);
  });
}

// Rows of a sequence share what it takes to read keys and values, as many as a task can hold.
void Attention::AttendRows(Worker& worker, std::size_t index) {
  const LayerConfig& shape = context_->config.layers[index];
  const std::int64_t even = DivideUp(context_->rows * shape.kv_heads, context_->threads);
  const std::int64_t most = std::max<std::int64_t>(1, kAttentionQueries / (shape.heads / shape.kv_heads));
  const std::int64_t size = std::min(even, most);
  const auto tasks_of = [&](const Segment& segment) { return shape.kv_heads * DivideUp(segment.rows, size); };
  std::int64_t tasks = 0;
  for (const Segment& segment : context_->segments) tasks += tasks_of(segment);
  worker.ForEach(tasks, [&](std::int64_t task) {
    auto segment = context_->segments.begin();
    for (; task >= tasks_of(*segment); ++segment) task -= tasks_of(*segment);
    // Later rows look at more keys: the long tasks go first.
    const std::int64_t first_row = (DivideUp(segment->rows, size) - 1 - task / shape.kv_heads) * size;
    const Range rows = {first_row, std::min(first_row + size, segment->rows)};
    context_->kernels.attention(TaskOf(worker, index, *segment, rows, task % shape.kv_heads));
  });
}

// A single row has nobody to share with. Where it has keys of several parts, these are spread instead.
void Attention::AttendRow(Worker& worker, std::size_t index, const Segment& segment) {
  const LayerConfig& shape = context_->config.layers[index];
  const std::int64_t sums_of_head = AttentionSumsFloats(shape.value_length);
  const std::int64_t stride = heads_ * sums_of_head;
  const auto sums = [&](std::int64_t slot, std::int64_t kv_head) {
    return sums_.data() + slot * stride + kv_head * (shape.heads / shape.kv_heads) * sums_of_head;
  };
  const auto task = [&](std::int64_t kv_head) { return TaskOf(worker, index, segment, {0, 1}, kv_head); };
  const std::int64_t window = shape.sliding ? context_->config.window : segment.position + 1;
  const std::int64_t first = std::max<std::int64_t>(0, segment.position + 1 - window) / kAttentionPart;
  const std::int64_t end = segment.position / kAttentionPart + 1;
  for (std::int64_t part = first; part < end;) {
    const std::int64_t merged = part > first ? 1 : 0;  // slots taken by the parts before
    const std::int64_t parts = std::min(end - part, kParts - merged);
    worker.ForEach(parts * shape.kv_heads, [&](std::int64_t chunk) {
      const std::int64_t i = chunk / shape.kv_heads, kv_head = chunk % shape.kv_heads;
      context_->kernels.attention_part(task(kv_head), part + i, sums(merged + i, kv_head));
    });
    worker.ForEach(shape.kv_heads, [&](std::int64_t kv_head) {
      context_->kernels.attention_merge(task(kv_head), sums(0, kv_head), stride, merged + parts);
    });
    part += parts;
  }
}

// Rows of a segment with the query heads of one key/value head.
AttentionTask Attention::TaskOf(const Worker& worker, std::size_t index, const Segment& segment, Range rows,
                                std::int64_t kv_head) {
  const LayerConfig& shape = context_->config.layers[index];
  const KvCache::Layer& cells = segment.cache->layer(index);
  const std::int64_t heads = shape.heads / shape.kv_heads;
  const std::int64_t query_width = std::int64_t{shape.heads} * shape.key_length;
  const std::int64_t row = segment.first_row + rows.begin;
  return {.queries = queries_.data() + row * query_width + kv_head * heads * shape.key_length,
          .query_stride = query_width,
          .out = attended_.Row(row) + kv_head * heads * shape.value_length,
          .out_stride = attended_.stride(),
          .rows = rows.end - rows.begin,
          .heads = heads,
          .head_dim = shape.key_length,
          .value_dim = shape.value_length,
          .first_position = segment.position + rows.begin,
          .window = shape.sliding ? context_->config.window : 0,
          .keys = cells.Key(kv_head, 0),
          .values = cells.Value(kv_head, 0),
          .key_stride = cells.key_bytes,
          .value_stride = cells.value_bytes,
          .cells = cells.cells,
          .cache_format = segment.cache->format(),
          .scale = shape.attention_scale,
          .softcap = context_->config.attention_softcap,
          .scratch = context_->Scratch(worker, AttentionScratchBytes(shape.key_length, shape.value_length))};
}

// Every cell that some row of a segment looks at is counted once in bytes.
Cost Attention::CostOfKeys(std::size_t index) const {
  const LayerConfig& shape = context_->config.layers[index];
  const std::int64_t window = shape.sliding ? context_->config.window : std::numeric_limits<std::int64_t>::max();
  const double width = shape.key_length + shape.value_length;
  Cost cost;
  for (const Segment& segment : context_->segments) {
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

}  // namespace slm
