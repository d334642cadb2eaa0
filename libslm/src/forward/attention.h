// The attention sub-layer.

#ifndef SLM_FORWARD_ATTENTION_H_
#define SLM_FORWARD_ATTENTION_H_

#include <cstddef>
#include <cstdint>

#include "base/aligned_buffer.h"
#include "forward/activations.h"
#include "forward/forward_context.h"
#include "forward/kv_cache.h"
#include "forward/parallel.h"
#include "forward/profiler.h"
#include "forward/rope_table.h"
#include "forward/working_memory.h"

namespace slm {

// Owns its working memory. `context` must outlive it.
class Attention {
 public:
  explicit Attention(ForwardContext& context) : context_(&context) {}

  // False if there is no memory.
  [[nodiscard]] bool Allocate(WorkingMemory& memory);

  // Before the first layer: the angles of a row.
  void Place(std::int64_t row, std::int32_t position, const KvCache& cache);

  // out = Wo attention(Wq x, Wk x, Wv x) of all rows, [rows][embedding_length]; keys and values go into the caches.
  // Several steps.
  void Run(Worker& worker, std::size_t index, const ActivationRows& input, float* out);

  // Moves keys and values in the cells, as KvCache::CheckShift allows, and turns keys to their new positions. First the
  // angles, then a step.
  void PlaceShift(const KvCache& cache, const ContextShift& shift);
  void Shift(Worker& worker, const KvCache& cache, const ContextShift& shift);

 private:
  static constexpr std::int64_t kParts = 32;  // of a single row's keys, computed before they are merged

  bool AllocateRope(WorkingMemory& memory);
  bool LongContext(const KvCache& cache) const;

  // Steps.
  void QueriesKeysValues(Worker& worker, std::size_t index, const ActivationRows& input);
  void StoreKeysAndValues(Worker& worker, std::size_t index);
  void Attend(Worker& worker, std::size_t index);
  void AttendRows(Worker& worker, std::size_t index);
  void AttendRow(Worker& worker, std::size_t index, const Segment& segment);

  // Parts of steps.
  void TurnHead(std::size_t index, std::int64_t row, const Vector& norm, float* head) const;
  void Turn(std::size_t index, std::int64_t row, float* head) const;
  void TurnQueries(std::size_t index, std::int64_t row, std::int64_t position);
  void PrepareValues(std::size_t index, std::int64_t row);
  void StoreRow(std::size_t index, const KvCache& cache, std::int64_t row, std::int64_t position);
  void TurnKeys(const Worker& worker, std::size_t index, const KvCache& cache, std::int64_t head,
                const ContextShift& shift);
  AttentionTask TaskOf(const Worker& worker, std::size_t index, const Segment& segment, Range rows,
                       std::int64_t kv_head);
  Cost CostOfKeys(std::size_t index) const;

  ForwardContext* context_;
  std::int64_t heads_ = 0;  // most of a layer
  RopeTable rope_global_;
  RopeTable rope_sliding_;
  // Rows of a layer are next to each other; room for the widest.
  AlignedBuffer<float> queries_;  // [max_rows][heads * key_length]
  AlignedBuffer<float> keys_;     // [max_rows][kv_heads * key_length]
  AlignedBuffer<float> values_;   // [max_rows][kv_heads * value_length]
  Activations attended_;          // [max_rows][heads * value_length]
  AlignedBuffer<float> sums_;     // [kParts][heads_][AttentionSumsFloats], of a single row
};

}  // namespace slm

#endif  // SLM_FORWARD_ATTENTION_H_
