#include <algorithm>
#include <cmath>
#include <limits>

#include "scalar/scalar.h"

namespace slm::scalar {
namespace {

// `n` elements at the beginning of a cell, as floats: in place, or widened into `buffer`.
const float* LoadCell(const std::byte* cell, CacheFormat format, std::int64_t n, float* buffer) {
  if (format == CacheFormat::kF32) return reinterpret_cast<const float*>(cell);
  const Format stored = format == CacheFormat::kF16 ? Format::kF16 : Format::kQ8_0;
  FindFormat(static_cast<std::uint32_t>(stored))->to_float(cell, n, buffer);
  return buffer;
}

// One query head at one position.
struct Query {
  const AttentionTask& task;
  std::int64_t position;
  const float* values;  // of the query

  float Score(std::int64_t key_position) const {
    const std::byte* cell = task.keys + key_position % task.cells * task.key_stride;
    const float* key = LoadCell(cell, task.cache_format, task.head_dim, reinterpret_cast<float*>(task.scratch));
    float dot = 0;
    for (std::int64_t i = 0; i < task.head_dim; ++i) dot += values[i] * key[i];
    const float score = task.scale * dot;
    return task.softcap > 0 ? task.softcap * std::tanh(score / task.softcap) : score;
  }

  // The first position it sees.
  std::int64_t First() const { return task.window > 0 ? std::max<std::int64_t>(0, position - task.window + 1) : 0; }

  // What it sees of a part.
  void SumPart(std::int64_t part, AttentionSums& sums) const {
    const std::int64_t begin = std::max(First(), part * kAttentionPart);
    const std::int64_t end = std::min(position + 1, (part + 1) * kAttentionPart);
    float scores[kAttentionPart];
    sums.max = -std::numeric_limits<float>::infinity();
    for (std::int64_t p = begin; p < end; ++p) sums.max = std::max(sums.max, scores[p - begin] = Score(p));
    sums.total = 0;
    std::fill_n(sums.values(), task.value_dim, 0.0f);
    for (std::int64_t p = begin; p < end; ++p) {
      const float weight = std::exp(scores[p - begin] - sums.max);
      const std::byte* cell = task.values + p % task.cells * task.value_stride;
      const float* value = LoadCell(cell, task.cache_format, task.value_dim, reinterpret_cast<float*>(task.scratch));
      sums.total += weight;
      for (std::int64_t i = 0; i < task.value_dim; ++i) sums.values()[i] += weight * value[i];
    }
  }
};

// Brings both under the larger maximum and adds them up.
void Merge(AttentionSums& sums, const AttentionSums& other, std::int64_t value_dim) {
  const float max = std::max(sums.max, other.max);
  const float factor = std::exp(sums.max - max);
  const float other_factor = std::exp(other.max - max);
  sums.max = max;
  sums.total = sums.total * factor + other.total * other_factor;
  for (std::int64_t i = 0; i < value_dim; ++i)
    sums.values()[i] = sums.values()[i] * factor + other.values()[i] * other_factor;
}

AttentionSums& SumsAt(float* sums) { return *reinterpret_cast<AttentionSums*>(sums); }

}  // namespace

void AttentionPart(const AttentionTask& task, std::int64_t part, float* sums) {
  for (std::int64_t head = 0; head < task.heads; ++head) {
    const Query query = {task, task.first_position, task.queries + head * task.head_dim};
    query.SumPart(part, SumsAt(sums + head * AttentionSumsFloats(task.value_dim)));
  }
}

void AttentionMerge(const AttentionTask& task, float* sums, std::int64_t stride, std::int64_t parts) {
  for (std::int64_t head = 0; head < task.heads; ++head) {
    float* of_head = sums + head * AttentionSumsFloats(task.value_dim);
    AttentionSums& merged = SumsAt(of_head);
    for (std::int64_t part = 1; part < parts; ++part) Merge(merged, SumsAt(of_head + part * stride), task.value_dim);
    float* out = task.out + head * task.value_dim;
    for (std::int64_t i = 0; i < task.value_dim; ++i) out[i] = merged.values()[i] / merged.total;
  }
}

// Each row and head as a task of its own, part by part.
void Attention(const AttentionTask& task) {
  const std::int64_t stride = AttentionSumsFloats(task.value_dim);
  float* sums = reinterpret_cast<float*>(task.scratch) + (std::max(task.head_dim, task.value_dim) + 15) / 16 * 16;
  for (std::int64_t row = 0; row < task.rows; ++row) {
    for (std::int64_t head = 0; head < task.heads; ++head) {
      AttentionTask one = task;
      one.queries = task.queries + row * task.query_stride + head * task.head_dim;
      one.out = task.out + row * task.out_stride + head * task.value_dim;
      one.first_position = task.first_position + row;
      one.rows = one.heads = 1;
      const std::int64_t first = Query{one, one.first_position, one.queries}.First() / kAttentionPart;
      AttentionPart(one, first, sums);
      AttentionMerge(one, sums, stride, 1);
      for (std::int64_t part = first + 1; part <= one.first_position / kAttentionPart; ++part) {
        AttentionPart(one, part, sums + stride);
        AttentionMerge(one, sums, stride, 2);
      }
    }
  }
}

}  // namespace slm::scalar
