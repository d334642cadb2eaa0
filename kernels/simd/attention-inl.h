// Attention as two products of small tiles, a part of the keys at a time: queries times keys, and weights times values.
// No buffer grows with the context.
//
// Both are computed by one function, which adds up the terms of each sum in ascending order whatever the tile it is
// in. So a query's result does not depend on the rows that are computed beside it.

#ifndef SLM_KERNELS_SIMD_ATTENTION_INL_H_
#define SLM_KERNELS_SIMD_ATTENTION_INL_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>
#include <xsimd/xsimd.hpp>

#include "kernels.h"
#include "simd/cache_panels-inl.h"
#include "simd/exp-inl.h"
#include "simd/sum-inl.h"

namespace slm {
namespace {

constexpr float kNoScore = -std::numeric_limits<float>::infinity();

// Factors that bring sums under their own maximum to a common one.
struct MergeFactors {
  float old_sums;
  float new_sums;
};

// Adds `max` and `total` of other keys to a head's, and says what the sums of values are to be multiplied with.
inline MergeFactors MergeTotals(AttentionSums& sums, float max, float total) {
  const float common = std::max(sums.max, max);
  const MergeFactors factors = {sums.max == common ? 1 : std::exp(sums.max - common),
                                max == common ? 1 : std::exp(max - common)};
  sums.max = common;
  sums.total = sums.total * factors.old_sums + total * factors.new_sums;
  return factors;
}

template <class Batch>
inline Batch MergeValues(Batch old_sums, Batch new_sums, const MergeFactors& factors) {
  return old_sums * Batch(factors.old_sums) + new_sums * Batch(factors.new_sums);
}

inline void StoreOut(const AttentionSums& sums, std::int64_t value_dim, float* out) {
  const float inverse = 1 / sums.total;
  for (std::int64_t i = 0; i < value_dim; ++i) out[i] = sums.values()[i] * inverse;
}

// Some rows and heads of a task, at most kAttentionQueries together. Query row * heads + head is one of them.
template <class Widen>
class AttentionPass {
 public:
  struct Range {
    std::int64_t begin = 0;
    std::int64_t end = 0;
  };

  AttentionPass(const AttentionTask& task, Range rows, Range heads)
      : task_(task),
        first_row_(rows.begin),
        rows_(rows.end - rows.begin),
        first_head_(heads.begin),
        heads_(heads.end - heads.begin),
        sums_stride_(AttentionSumsFloats(task.value_dim)) {
    float* at = reinterpret_cast<float*>(task.scratch);
    const auto take = [&at](std::int64_t n) { return std::exchange(at, at + n); };
    const std::int64_t key_width = (task.head_dim + 31) / 32 * 32;
    queries_ = take((kAttentionQueries + kTile) * key_width);
    key_panel_ = take(kColumns * key_width);
    value_panel_ = take(kAttentionPart * kColumns);
    weights_ = take((kAttentionQueries + kTile) * kAttentionPart);
    own_sums_ = take(kAttentionQueries * sums_stride_);
    LoadQueries();
  }

  // All parts the rows look at, and what they give.
  void Run() {
    ClearSums(own_sums_);
    const std::int64_t last = Position(rows_ - 1) / kAttentionPart;
    for (std::int64_t part = FirstKey(0) / kAttentionPart; part <= last; ++part) AddPart(part, own_sums_);
    for (std::int64_t query = 0; query < Queries(); ++query) {
      StoreOut(SumsOf(own_sums_, query), task_.value_dim,
               task_.out + (first_row_ + query / heads_) * task_.out_stride +
                   (first_head_ + query % heads_) * task_.value_dim);
    }
  }

  // One part; the sums of query i go to sums + i * AttentionSumsFloats.
  void RunPart(std::int64_t part, float* sums) {
    ClearSums(sums);
    AddPart(part, sums);
  }

 private:
  using Batch = typename Widen::Batch;
  static constexpr std::int64_t kWidth = static_cast<std::int64_t>(Batch::size);
  static constexpr std::int64_t kTile = Widen::kTileRows;
  static constexpr std::int64_t kColumns = Widen::kTileVectors * kWidth;  // of a panel
  static_assert(kAttentionPart % kColumns == 0 && 32 % kColumns == 0);

  std::int64_t Queries() const { return rows_ * heads_; }
  std::int64_t Position(std::int64_t row) const { return task_.first_position + first_row_ + row; }
  std::int64_t FirstKey(std::int64_t row) const {
    return task_.window > 0 ? std::max<std::int64_t>(0, Position(row) - task_.window + 1) : 0;
  }
  AttentionSums& SumsOf(float* sums, std::int64_t query) const {
    return *reinterpret_cast<AttentionSums*>(sums + query * sums_stride_);
  }

  // Scaled, and a tile's interleaved: queries_[tile][element][query of the tile].
  void LoadQueries() {
    for (std::int64_t query = 0; query < Queries(); ++query) {
      const float* from = task_.queries + (first_row_ + query / heads_) * task_.query_stride +
                          (first_head_ + query % heads_) * task_.head_dim;
      float* to = queries_ + query / kTile * kTile * task_.head_dim + query % kTile;
      for (std::int64_t i = 0; i < task_.head_dim; ++i) to[i * kTile] = from[i] * task_.scale;
    }
  }

  void ClearSums(float* sums) const {
    std::fill_n(sums, Queries() * sums_stride_, 0.0f);
    for (std::int64_t query = 0; query < Queries(); ++query) SumsOf(sums, query).max = kNoScore;
  }

  void AddPart(std::int64_t part, float* sums) {
    part_ = part * kAttentionPart;
    seen_ = SeenKeys(0, rows_ - 1);
    for (std::int64_t query = 0; query < Queries(); query += kTile)
      tile_keys_[query / kTile] = SeenKeys(query / heads_, (std::min(query + kTile, Queries()) - 1) / heads_);
    FindCells();
    for (std::int64_t first = seen_.begin / kColumns * kColumns; first < seen_.end; first += kColumns) Score(first);
    for (std::int64_t query = 0; query < Queries(); ++query) Softmax(query, SumsOf(sums, query));
    for (std::int64_t first = 0; first < task_.value_dim; first += kColumns) AddValues(first, sums);
  }

  // Keys of the part that some of these rows see, relative to its first.
  Range SeenKeys(std::int64_t first_row, std::int64_t last_row) const {
    return {std::clamp<std::int64_t>(FirstKey(first_row) - part_, 0, kAttentionPart),
            std::clamp<std::int64_t>(Position(last_row) + 1 - part_, 0, kAttentionPart)};
  }

  // Where the part's keys and values are. What fills up the first and last panel of keys is the nearest key seen.
  void FindCells() {
    std::int64_t cell = (part_ + seen_.begin) % task_.cells;
    for (std::int64_t key = seen_.begin; key < seen_.end; ++key) {
      keys_[key] = task_.keys + cell * task_.key_stride;
      values_[key] = task_.values + cell * task_.value_stride;
      if (++cell == task_.cells) cell = 0;
    }
    const std::int64_t panels_begin = seen_.begin / kColumns * kColumns;
    const std::int64_t panels_end = (seen_.end + kColumns - 1) / kColumns * kColumns;
    std::fill(keys_ + panels_begin, keys_ + seen_.begin, keys_[seen_.begin]);
    std::fill(keys_ + seen_.end, keys_ + panels_end, keys_[seen_.end - 1]);
  }

  // Calls f(panels) with the reader of the cache's format.
  template <class F>
  void WithPanels(const F& f) const {
    switch (task_.cache_format) {
      case CacheFormat::kF32:
        return f(CachePanels<Widen, F32Cells>());
      case CacheFormat::kF16:
        return f(CachePanels<Widen, F16Cells>());
      case CacheFormat::kQ8_0:
        return f(CachePanels<Widen, Q8Cells>());
    }
  }

  // Calls f(count, query, keys) for each tile of queries: its size as a constant, its first query and the keys of the
  // part that some of them see.
  template <class F>
  void ForEachTile(const F& f) const {
    std::int64_t query = 0;
    for (; query + kTile <= Queries(); query += kTile) VisitTile<kTile>(query, f);
    VisitLastTile<kTile - 1>(query, f);
  }
  template <std::int64_t kCount, class F>
  void VisitLastTile(std::int64_t query, const F& f) const {
    if constexpr (kCount > 0) {
      if (Queries() - query == kCount) {
        VisitTile<kCount>(query, f);
      } else {
        VisitLastTile<kCount - 1>(query, f);
      }
    }
  }
  template <std::int64_t kCount, class F>
  void VisitTile(std::int64_t query, const F& f) const {
    const Range& keys = tile_keys_[query / kTile];
    if (keys.begin < keys.end) f(std::integral_constant<std::int64_t, kCount>(), query, keys);
  }

  // store(row, vector, sum) of sum = sum over i < n of rows[row * kRowStride + i * kStep] * panel[i][column], terms in
  // ascending order.
  template <std::int64_t kRows, std::int64_t kRowStride, std::int64_t kStep, class Store>
  static void Multiply(const float* rows, const float* panel, std::int64_t n, const Store& store) {
    Batch sums[kRows][Widen::kTileVectors];
    for (auto& row : sums) {
      for (Batch& sum : row) sum = Batch(0.0f);
    }
    for (std::int64_t i = 0; i < n; ++i) {
      Batch columns[Widen::kTileVectors];
      for (int v = 0; v < Widen::kTileVectors; ++v) columns[v] = Batch::load_aligned(panel + i * kColumns + v * kWidth);
      for (std::int64_t row = 0; row < kRows; ++row) {
        const Batch x(rows[row * kRowStride + i * kStep]);
        for (int v = 0; v < Widen::kTileVectors; ++v) sums[row][v] = Widen::MulAdd(x, columns[v], sums[row][v]);
      }
    }
    for (std::int64_t row = 0; row < kRows; ++row) {
      for (int v = 0; v < Widen::kTileVectors; ++v) store(row, v, sums[row][v]);
    }
  }

  // weights[query][key] = query . key for a panel of keys.
  void Score(std::int64_t first) {
    // What is read next: the keys of the next panel, and in the end the values. Rows of a panel are read side by side,
    // which is more than processors guess themselves. That cells follow each other is likely, and no more is needed.
    const std::int64_t next = std::min(first + kColumns, seen_.end - 1);
    const std::int64_t steps = task_.head_dim / kWidth;
    Prefetcher prefetch[2] = {{keys_[next], kColumns * task_.key_stride, steps},
                              {values_[std::max(first, seen_.begin)], kColumns * task_.value_stride, steps}};
    WithPanels([&](auto panels) { panels.LoadKeys(keys_ + first, task_.head_dim, key_panel_, prefetch); });
    ForEachTile([&](auto count, std::int64_t query, const Range& keys) {
      if (first >= keys.end || first + kColumns <= keys.begin) return;
      float* scores = weights_ + query * kAttentionPart + first;
      Multiply<count, 1, kTile>(queries_ + query * task_.head_dim, key_panel_, task_.head_dim,
                                [&](std::int64_t row, std::int64_t v, Batch sum) {
                                  sum.store_aligned(scores + row * kAttentionPart + v * kWidth);
                                });
    });
  }

  // Turns the scores of one query into weights exp(score - max), 0 for keys it does not see.
  void Softmax(std::int64_t query, AttentionSums& sums) {
    const Range keys = SeenKeys(query / heads_, query / heads_);
    const Range vectors = {seen_.begin / kWidth, (seen_.end + kWidth - 1) / kWidth};
    float* weights = weights_ + query * kAttentionPart;
    if (keys.begin >= keys.end) {
      std::fill(weights + vectors.begin * kWidth, weights + vectors.end * kWidth, 0.0f);
      factors_[query] = {1, 0};
      return;
    }
    if (task_.softcap > 0) {
      for (std::int64_t i = vectors.begin; i < vectors.end; ++i) {
        const Batch scores = Batch::load_aligned(weights + i * kWidth);
        (Batch(task_.softcap) * xsimd::tanh(scores / Batch(task_.softcap))).store_aligned(weights + i * kWidth);
      }
    }
    std::fill(weights + vectors.begin * kWidth, weights + keys.begin, kNoScore);
    std::fill(weights + keys.end, weights + vectors.end * kWidth, kNoScore);
    Batch largest(kNoScore);
    for (std::int64_t i = vectors.begin; i < vectors.end; ++i)
      largest = xsimd::max(largest, Batch::load_aligned(weights + i * kWidth));
    float lanes[kWidth];
    largest.store_unaligned(lanes);
    const float max = *std::max_element(lanes, lanes + kWidth);
    Batch total(0.0f);
    for (std::int64_t i = vectors.begin; i < vectors.end; ++i) {
      const Batch weight = ExpNotPositive<Widen>(Batch::load_aligned(weights + i * kWidth) - Batch(max));
      weight.store_aligned(weights + i * kWidth);
      total = total + weight;
    }
    factors_[query] = MergeTotals(sums, max, Sum(total));
  }

  // Merges sum over keys of weights[query][key] * value[key] for a panel of elements.
  void AddValues(std::int64_t first, float* sums) {
    WithPanels([&](auto panels) {
      panels.LoadValues(values_ + seen_.begin, seen_.end - seen_.begin, first, task_.value_dim, value_panel_);
    });
    ForEachTile([&](auto count, std::int64_t query, const Range& keys) {
      Multiply<count, kAttentionPart, 1>(
          weights_ + query * kAttentionPart + keys.begin, value_panel_ + (keys.begin - seen_.begin) * kColumns,
          keys.end - keys.begin, [&](std::int64_t row, std::int64_t v, Batch sum) {
            float* at = SumsOf(sums, query + row).values() + first + v * kWidth;
            MergeValues(Batch::load_aligned(at), sum, factors_[query + row]).store_aligned(at);
          });
    });
  }

  const AttentionTask& task_;
  const std::int64_t first_row_, rows_, first_head_, heads_;
  const std::int64_t sums_stride_;
  float* queries_;
  float* key_panel_;    // [head_dim][kColumns]
  float* value_panel_;  // [kAttentionPart][kColumns]
  float* weights_;      // [queries][kAttentionPart], scores, then weights
  float* own_sums_;     // [queries][sums_stride_]
  // Of the current part.
  std::int64_t part_ = 0;  // its first position
  Range seen_;             // keys that some query sees
  Range tile_keys_[kAttentionQueries / kTile + 1];
  const std::byte* keys_[kAttentionPart];
  const std::byte* values_[kAttentionPart];
  MergeFactors factors_[kAttentionQueries];
};

// Calls f(pass, first head) for each group of heads of some rows.
template <class Widen, class F>
void ForEachHeadGroup(const AttentionTask& task, typename AttentionPass<Widen>::Range rows, const F& f) {
  for (std::int64_t head = 0; head < task.heads; head += kAttentionQueries) {
    AttentionPass<Widen> pass(task, rows, {head, std::min(head + kAttentionQueries, task.heads)});
    f(pass, head);
  }
}

template <class Widen>
void Attention(const AttentionTask& task) {
  const std::int64_t rows_at_once = std::max<std::int64_t>(1, kAttentionQueries / task.heads);
  for (std::int64_t row = 0; row < task.rows; row += rows_at_once) {
    ForEachHeadGroup<Widen>(task, {row, std::min(row + rows_at_once, task.rows)},
                            [](AttentionPass<Widen>& pass, std::int64_t) { pass.Run(); });
  }
}

template <class Widen>
void AttentionPart(const AttentionTask& task, std::int64_t part, float* sums) {
  ForEachHeadGroup<Widen>(task, {0, 1}, [&](AttentionPass<Widen>& pass, std::int64_t head) {
    pass.RunPart(part, sums + head * AttentionSumsFloats(task.value_dim));
  });
}

template <class Widen>
void AttentionMerge(const AttentionTask& task, float* sums, std::int64_t stride, std::int64_t parts) {
  using Batch = typename Widen::Batch;
  for (std::int64_t head = 0; head < task.heads; ++head) {
    float* at = sums + head * AttentionSumsFloats(task.value_dim);
    AttentionSums& merged = *reinterpret_cast<AttentionSums*>(at);
    for (std::int64_t part = 1; part < parts; ++part) {
      const AttentionSums& other = *reinterpret_cast<const AttentionSums*>(at + part * stride);
      const MergeFactors factors = MergeTotals(merged, other.max, other.total);
      for (std::int64_t i = 0; i < task.value_dim; i += static_cast<std::int64_t>(Batch::size)) {
        MergeValues(Batch::load_aligned(merged.values() + i), Batch::load_aligned(other.values() + i), factors)
            .store_aligned(merged.values() + i);
      }
    }
    StoreOut(merged, task.value_dim, task.out + head * task.value_dim);
  }
}

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_ATTENTION_INL_H_
