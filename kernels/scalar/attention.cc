#include <algorithm>
#include <cmath>
#include <limits>

#include "scalar/scalar.h"

namespace slm::scalar {
namespace {

// `n` elements at `offset` in a cache, as floats: in place, or widened into `buffer`.
const float* LoadCacheRow(const void* cache, CacheFormat format, std::int64_t offset, std::int64_t n, float* buffer) {
  if (format == CacheFormat::kF32) return static_cast<const float*>(cache) + offset;
  std::transform(static_cast<const Half*>(cache) + offset, static_cast<const Half*>(cache) + offset + n, buffer,
                 HalfToFloat);
  return buffer;
}

float Score(const AttentionTask& task, const float* query, std::int64_t position) {
  const std::int64_t cell = position % task.cells;
  const float* key = LoadCacheRow(task.keys, task.cache_format, cell * task.key_stride, task.head_dim,
                                  reinterpret_cast<float*>(task.scratch));
  float dot = 0;
  for (std::int64_t i = 0; i < task.head_dim; ++i) dot += query[i] * key[i];
  const float score = task.scale * dot;
  return task.softcap > 0 ? task.softcap * std::tanh(score / task.softcap) : score;
}

// One query head at one position, in two passes over the keys. Scores are computed in both: the scratch has no room for
// a context's worth of them.
void AttendOne(const AttentionTask& task, const float* query, std::int64_t position, float* out) {
  const std::int64_t first = task.window > 0 ? std::max<std::int64_t>(0, position - task.window + 1) : 0;
  float max = -std::numeric_limits<float>::infinity();
  for (std::int64_t p = first; p <= position; ++p) max = std::max(max, Score(task, query, p));

  float total = 0;
  std::fill_n(out, task.value_dim, 0.0f);
  for (std::int64_t p = first; p <= position; ++p) {
    const float weight = std::exp(Score(task, query, p) - max);
    const float* value = LoadCacheRow(task.values, task.cache_format, p % task.cells * task.value_stride,
                                      task.value_dim, reinterpret_cast<float*>(task.scratch));
    total += weight;
    for (std::int64_t i = 0; i < task.value_dim; ++i) out[i] += weight * value[i];
  }
  for (std::int64_t i = 0; i < task.value_dim; ++i) out[i] /= total;
}

}  // namespace

void Attention(const AttentionTask& task) {
  for (std::int64_t row = 0; row < task.rows; ++row) {
    for (std::int64_t head = 0; head < task.heads; ++head) {
      const float* query = task.queries + row * task.query_stride + head * task.head_dim;
      float* out = task.out + row * task.out_stride + head * task.value_dim;
      AttendOne(task, query, task.first_position + row, out);
    }
  }
}

}  // namespace slm::scalar
