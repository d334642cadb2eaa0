// Attention over blocks of 64 keys with online softmax: no buffer grows with the context.
//
// Blocks begin at multiples of 64 positions, and a query's sums run over a block's keys in ascending order, so that its
// result is the same whichever rows are computed beside it.

#ifndef SLM_KERNELS_SIMD_ATTENTION_INL_H_
#define SLM_KERNELS_SIMD_ATTENTION_INL_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <xsimd/xsimd.hpp>

#include "kernels.h"
#include "simd/sum-inl.h"

namespace slm {
namespace {

template <class Widen>
class AttentionPass {
 public:
  // Most query heads (rows times heads) of one pass.
  static constexpr std::int64_t kMaxQueries = 64;

  // Rows first_row..first_row + rows - 1 and heads first_head.. of the task; rows * heads <= kMaxQueries.
  AttentionPass(const AttentionTask& task, std::int64_t first_row, std::int64_t rows, std::int64_t first_head,
                std::int64_t heads)
      : task_(task),
        first_row_(first_row),
        rows_(rows),
        first_head_(first_head),
        heads_(heads),
        key_width_(RoundUp(task.head_dim)),
        value_width_(RoundUp(task.value_dim)) {
    float* at = reinterpret_cast<float*>(task.scratch);
    const auto take = [&at](std::int64_t n) { return std::exchange(at, at + n); };
    keys_ = take(kKeys * key_width_);
    values_ = take(kKeys * value_width_);
    queries_ = take(kMaxQueries * key_width_);
    sums_ = take(kMaxQueries * value_width_);
    weights_ = take(kMaxQueries * kKeys);
    max_ = take(kMaxQueries);
    total_ = take(kMaxQueries);
  }

  void Run() {
    LoadQueries();
    const std::int64_t last = Position(rows_ - 1);
    for (std::int64_t block = FirstKey(0) / kKeys * kKeys; block <= last; block += kKeys) {
      const std::int64_t begin = std::max(block, FirstKey(0));
      const std::int64_t end = std::min(block + kKeys, last + 1);
      LoadCells(task_.keys, task_.key_stride, task_.head_dim, key_width_, block, begin, end, keys_);
      LoadCells(task_.values, task_.value_stride, task_.value_dim, value_width_, block, begin, end, values_);
      Score(begin - block, end - block);
      for (std::int64_t query = 0; query < Queries(); ++query) UpdateSoftmax(block, query);
      for (std::int64_t query = 0; query < Queries(); query += kTile) AddValues(begin - block, end - block, query);
    }
    StoreOut();
  }

 private:
  using Batch = typename Widen::Batch;
  static constexpr std::int64_t kKeys = 64;
  static constexpr std::int64_t kWidth = static_cast<std::int64_t>(Batch::size);
  static constexpr std::int64_t kTile = 4;  // queries computed beside each other

  static std::int64_t RoundUp(std::int64_t n) { return (n + 2 * kWidth - 1) / (2 * kWidth) * (2 * kWidth); }

  std::int64_t Queries() const { return rows_ * heads_; }
  std::int64_t Position(std::int64_t row) const { return task_.first_position + first_row_ + row; }
  std::int64_t FirstKey(std::int64_t row) const {
    return task_.window > 0 ? std::max<std::int64_t>(0, Position(row) - task_.window + 1) : 0;
  }

  // Query row * heads + head, scaled and padded with zeros; sums start at zero. Rows up to a whole tile are cleared.
  void LoadQueries() {
    const std::int64_t padded = (Queries() + kTile - 1) / kTile * kTile;
    std::fill_n(queries_, padded * key_width_, 0.0f);
    std::fill_n(sums_, padded * value_width_, 0.0f);
    std::fill_n(weights_, padded * kKeys, 0.0f);
    for (std::int64_t query = 0; query < Queries(); ++query) {
      const float* from = task_.queries + (first_row_ + query / heads_) * task_.query_stride +
                          (first_head_ + query % heads_) * task_.head_dim;
      for (std::int64_t i = 0; i < task_.head_dim; ++i) queries_[query * key_width_ + i] = from[i] * task_.scale;
      max_[query] = -std::numeric_limits<float>::infinity();
      total_[query] = 0;
    }
  }

  // Positions begin..end - 1 as floats into rows (position - block) of `out`.
  void LoadCells(const void* cells, std::int64_t stride, std::int64_t dim, std::int64_t width, std::int64_t block,
                 std::int64_t begin, std::int64_t end, float* out) const {
    std::int64_t cell = begin % task_.cells;
    for (std::int64_t position = begin; position < end; ++position) {
      float* to = out + (position - block) * width;
      if (task_.cache_format == CacheFormat::kF16) {
        WidenRow(static_cast<const Half*>(cells) + cell * stride, dim, to);
      } else {
        std::copy_n(static_cast<const float*>(cells) + cell * stride, dim, to);
      }
      std::fill_n(to + dim, width - dim, 0.0f);
      if (++cell == task_.cells) cell = 0;
    }
  }

  static void WidenRow(const Half* from, std::int64_t n, float* to) {
    std::int64_t i = 0;
    for (; i + kWidth <= n; i += kWidth) Widen::LoadHalf(from + i).store_unaligned(to + i);
    if (i == n) return;
    Half padded[kWidth] = {};
    std::copy_n(from + i, n - i, padded);
    Widen::LoadHalf(padded).store_unaligned(to + i);  // `to` is padded to whole vectors
  }

  // weights[query][key] = query . key for keys begin..end - 1 of the block.
  void Score(std::int64_t begin, std::int64_t end) {
    for (std::int64_t query = 0; query < Queries(); query += 2) {
      std::int64_t key = begin;
      for (; key + 4 <= end; key += 4) ScoreTile<4>(query, key);
      for (; key < end; ++key) ScoreTile<1>(query, key);
    }
  }

  template <int kTileKeys>
  void ScoreTile(std::int64_t query, std::int64_t key) {
    Batch dots[2][kTileKeys];
    for (auto& row : dots) {
      for (Batch& dot : row) dot = Batch(0.0f);
    }
    const float* q = queries_ + query * key_width_;
    const float* k = keys_ + key * key_width_;
    for (std::int64_t i = 0; i < key_width_; i += kWidth) {
      const Batch q0 = Batch::load_aligned(q + i), q1 = Batch::load_aligned(q + key_width_ + i);
      for (int j = 0; j < kTileKeys; ++j) {
        const Batch values = Batch::load_aligned(k + j * key_width_ + i);
        dots[0][j] = Widen::MulAdd(q0, values, dots[0][j]);
        dots[1][j] = Widen::MulAdd(q1, values, dots[1][j]);
      }
    }
    for (int row = 0; row < 2; ++row) {
      for (int j = 0; j < kTileKeys; ++j) weights_[(query + row) * kKeys + key + j] = Sum(dots[row][j]);
    }
  }

  // Turns the scores of one query in a block into weights exp(score - max), 0 for keys it does not see, and rescales
  // what was summed under an older maximum.
  void UpdateSoftmax(std::int64_t block, std::int64_t query) {
    const std::int64_t row = query / heads_;
    float* weights = weights_ + query * kKeys;
    const std::int64_t begin = std::clamp<std::int64_t>(FirstKey(row) - block, 0, kKeys);
    const std::int64_t end = std::clamp<std::int64_t>(Position(row) + 1 - block, 0, kKeys);
    if (begin >= end) {
      std::fill_n(weights, kKeys, 0.0f);
      return;
    }
    const float unseen = -std::numeric_limits<float>::infinity();
    std::fill_n(weights, begin, unseen);
    std::fill_n(weights + end, kKeys - end, unseen);
    Batch scores[kKeys / kWidth];
    Batch largest(max_[query]);
    for (std::int64_t i = 0; i < kKeys / kWidth; ++i) {
      scores[i] = Batch::load_aligned(weights + i * kWidth);
      if (task_.softcap > 0) {
        // The cap would make -infinity finite, so keys out of sight are masked after it.
        const Batch capped = Batch(task_.softcap) * xsimd::tanh(scores[i] / Batch(task_.softcap));
        scores[i] = xsimd::select(scores[i] == Batch(unseen), scores[i], capped);
      }
      largest = xsimd::max(largest, scores[i]);
    }
    float lanes[kWidth];
    largest.store_unaligned(lanes);
    const float new_max = *std::max_element(lanes, lanes + kWidth);
    Batch total(0.0f);
    for (std::int64_t i = 0; i < kKeys / kWidth; ++i) {
      // exp is not asked about -infinity: its vector form need not be exact there.
      const Batch weight =
          xsimd::select(scores[i] == Batch(unseen), Batch(0.0f), xsimd::exp(scores[i] - Batch(new_max)));
      weight.store_aligned(weights + i * kWidth);
      total = total + weight;
    }
    if (new_max != max_[query]) {
      Rescale(query, total_[query] == 0 ? 0 : std::exp(max_[query] - new_max));
      max_[query] = new_max;
    }
    total_[query] += Sum(total);
  }

  void Rescale(std::int64_t query, float factor) {
    total_[query] *= factor;
    float* sums = sums_ + query * value_width_;
    for (std::int64_t i = 0; i < value_width_; i += kWidth)
      (Batch::load_aligned(sums + i) * Batch(factor)).store_aligned(sums + i);
  }

  // sums[query] += weights[query][key] * value[key] for a tile of queries.
  void AddValues(std::int64_t begin, std::int64_t end, std::int64_t query) {
    for (std::int64_t i = 0; i < value_width_; i += 2 * kWidth) {
      Batch sums[kTile][2];
      for (std::int64_t q = 0; q < kTile; ++q) {
        for (std::int64_t part = 0; part < 2; ++part)
          sums[q][part] = Batch::load_aligned(sums_ + (query + q) * value_width_ + i + part * kWidth);
      }
      for (std::int64_t key = begin; key < end; ++key) {
        const float* value = values_ + key * value_width_ + i;
        const Batch v0 = Batch::load_aligned(value), v1 = Batch::load_aligned(value + kWidth);
        for (std::int64_t q = 0; q < kTile; ++q) {
          const Batch weight(weights_[(query + q) * kKeys + key]);
          sums[q][0] = Widen::MulAdd(weight, v0, sums[q][0]);
          sums[q][1] = Widen::MulAdd(weight, v1, sums[q][1]);
        }
      }
      for (std::int64_t q = 0; q < kTile; ++q) {
        for (std::int64_t part = 0; part < 2; ++part)
          sums[q][part].store_aligned(sums_ + (query + q) * value_width_ + i + part * kWidth);
      }
    }
  }

  void StoreOut() const {
    for (std::int64_t query = 0; query < Queries(); ++query) {
      float* out = task_.out + (first_row_ + query / heads_) * task_.out_stride +
                   (first_head_ + query % heads_) * task_.value_dim;
      const float inverse = 1 / total_[query];
      for (std::int64_t i = 0; i < task_.value_dim; ++i) out[i] = sums_[query * value_width_ + i] * inverse;
    }
  }

  const AttentionTask& task_;
  const std::int64_t first_row_, rows_, first_head_, heads_;
  const std::int64_t key_width_, value_width_;  // dimensions padded to whole vectors
  float* keys_;                                 // [kKeys][key_width_]
  float* values_;                               // [kKeys][value_width_]
  float* queries_;                              // [kMaxQueries][key_width_]
  float* sums_;                                 // [kMaxQueries][value_width_]
  float* weights_;                              // [kMaxQueries][kKeys], scores, then weights
  float* max_;                                  // [kMaxQueries]
  float* total_;                                // [kMaxQueries]
};

template <class Widen>
void Attention(const AttentionTask& task) {
  using Pass = AttentionPass<Widen>;
  const std::int64_t heads_at_once = std::min(task.heads, Pass::kMaxQueries);
  const std::int64_t rows_at_once = std::max<std::int64_t>(1, Pass::kMaxQueries / heads_at_once);
  for (std::int64_t head = 0; head < task.heads; head += heads_at_once) {
    for (std::int64_t row = 0; row < task.rows; row += rows_at_once) {
      Pass(task, row, std::min(rows_at_once, task.rows - row), head, std::min(heads_at_once, task.heads - head)).Run();
    }
  }
}

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_ATTENTION_INL_H_
