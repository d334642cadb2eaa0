// The forward pass: rows of tokens in, hidden states and logits out.

#ifndef SLM_INFER_FORWARD_H_
#define SLM_INFER_FORWARD_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "infer/kv_cache.h"
#include "infer/parallel.h"
#include "infer/profiler.h"
#include "infer/thread_governor.h"
#include "kernels.h"
#include "model/model_impl.h"
#include "slm/status.h"
#include "slm/tokenizer.h"

namespace slm {

// One token to evaluate. A prompt is many rows of one cache, a step of generation one row, a batch of sequences rows of
// several caches. Positions within a cache must be consecutive and follow what it holds.
struct Row {
  Token token = 0;
  std::int32_t position = 0;
  KvCache* cache = nullptr;
};

struct ForwardOptions {
  std::int64_t max_rows = 1;
  // Of the team's, to evaluate one row and to evaluate more. 0: all.
  int threads = 0;
  int prompt_threads = 0;
  Profiler* profiler = nullptr;  // where times are added up; must outlive the Forward
};

// Owns the working memory for up to `max_rows` rows. The result for a row depends, bit for bit, only on the tokens of
// its own sequence up to its position: not on other rows, on how they are split over calls, or on the number of
// threads. Not thread-safe; `model` and `team` must outlive it.
class Forward {
 public:
  static Result<Forward> Create(const ModelImpl& model, Team& team, const ForwardOptions& options);

  // Evaluates rows (1..max_rows), adding their keys and values to the caches.
  void Run(std::span<const Row> rows);

  // Logits after rows first..first + count - 1 of the last Run: out is [count][vocab_size]. At most kLogitsRows at
  // once.
  static constexpr std::int64_t kLogitsRows = 16;
  void Logits(std::int64_t first, std::int64_t count, float* out);

  std::int64_t max_rows() const { return max_rows_; }
  std::uint64_t scratch_bytes() const { return allocated_bytes_; }
  // What scratch_bytes() of such a Forward would be, without allocating it.
  static std::uint64_t ScratchBytesNeeded(const ModelImpl& model, Team& team, const ForwardOptions& options);

 private:
  static constexpr std::int64_t kBlock = 32;           // values of an ActivationBlock
  static constexpr std::int64_t kAttentionParts = 32;  // of a single row's keys, computed before they are merged
  // Weight rows are dealt out in multiples of the first, so that kernels see whole panels and activations whole blocks,
  // and not more than the second at once, so that workers finish at about the same time.
  static constexpr std::int64_t kRowGranule = 32;
  static constexpr std::int64_t kMaxChunkRows = 512;

  // The operand of a product: rows as floats and, where their length allows, as int8 blocks.
  struct Input {
    AlignedBuffer<float> values;
    AlignedBuffer<ActivationBlock> blocks;
    std::int64_t stride = 0;        // floats from row to row
    std::int64_t block_stride = 0;  // blocks from row to row
  };
  // Cosines and sines of one kind of layer: [max_rows][rope_dimensions / 2].
  struct RopeTable {
    std::vector<double> frequencies;  // [rope_dimensions / 2] radians per position
    AlignedBuffer<float> cos;
    AlignedBuffer<float> sin;
  };
  struct Range {
    std::int64_t begin = 0;
    std::int64_t end = 0;
  };
  // Consecutive rows of one cache.
  struct Segment {
    std::int64_t first_row = 0;
    std::int64_t rows = 0;
    std::int64_t position = 0;
    KvCache* cache = nullptr;
  };

  Forward(const ModelImpl& model, Team& team, const ForwardOptions& options);
  // In forward_memory.cc: the sizes of the working memory, then the memory itself.
  void PlanMemory();
  // Calls f(buffer, elements) for all the working memory there is, until it returns false.
  template <class F>
  bool ForEachBuffer(const F& f);
  bool Allocate();
  void PlanRope();
  void FindSegments(std::span<const Row> rows);

  // Each of these is one step of the team's work, but for the last group, which is part of one.
  void Begin(Worker& worker, std::span<const Row> rows);
  void RunLayer(Worker& worker, std::size_t index);
  void QueriesKeysValues(Worker& worker, std::size_t index);
  void StoreKeysAndValues(Worker& worker, std::size_t index);
  void Attend(Worker& worker, std::size_t index);
  void AttentionOutput(Worker& worker, std::size_t index);
  void GateAndUp(Worker& worker, std::size_t index);
  void Down(Worker& worker, std::size_t index);
  void AddToStream(Worker& worker, const Vector& post_norm, const Vector* next_norm);

  ProfileScope Measure(const Worker& worker, Operation operation, std::size_t layer) const;
  Cost CostOf(const Matrix& matrix, std::int64_t tokens) const;
  Cost CostOfAttention(std::size_t index) const;
  void Product(Worker& worker, const Matrix& matrix, const Vector& bias, Input& input, float* out);

  void Embed(Token token, std::int64_t row);
  void FillRope(std::int32_t position, std::int64_t row, RopeTable& table) const;
  void NormRow(const float* x, const Vector& weight, Input& input, std::int64_t row);
  void Quantize(Input& input, std::int64_t row, std::int64_t columns);
  void StoreRow(std::size_t index, const Segment& segment, std::int64_t row_in_segment);
  void AttendRows(Worker& worker, std::size_t index, const Segment& segment);
  void AttendRow(Worker& worker, std::size_t index, const Segment& segment);
  AttentionTask AttentionOf(const Worker& worker, std::size_t index, const Segment& segment, Range rows,
                            std::int64_t kv_head);
  // Where a product goes: weight row `rows.begin` of token t to out[t * stride].
  struct Output {
    float* out = nullptr;
    std::int64_t stride = 0;
  };
  void MatMul(const Worker& worker, const Matrix& matrix, const Vector& bias, const Input& input, Range rows,
              std::int64_t tokens, const Output& output);
  std::byte* Scratch(const Worker& worker);
  // How a matrix's rows are dealt out.
  std::int64_t ChunkRows(std::int64_t rows) const;
  std::int64_t Chunks(std::int64_t rows) const;
  Range ChunkRange(std::int64_t rows, std::int64_t chunk) const;

  const ModelImpl* model_;
  const ModelConfig* config_;
  const KernelSet* kernels_;
  Team* team_;
  ThreadGovernor governor_;  // of single rows
  int prompt_threads_;
  int running_threads_;  // of the last Run
  Profiler* profiler_;
  std::int64_t max_rows_;
  std::int64_t rows_ = 0;  // of the last Run
  std::vector<Segment> segments_;

  // Largest widths over the layers.
  std::int64_t heads_ = 0;
  std::int64_t query_width_ = 0;
  std::int64_t key_width_ = 0;
  std::int64_t value_width_ = 0;
  std::int64_t attention_width_ = 0;
  std::int64_t ffn_width_ = 0;

  AlignedBuffer<float> stream_;          // [max_rows][embedding_length], the residual stream
  Input normed_;                         // [max_rows][embedding_length]
  AlignedBuffer<float> queries_;         // [max_rows][query_width_]
  AlignedBuffer<float> keys_;            // [max_rows][key_width_]
  AlignedBuffer<float> values_;          // [max_rows][value_width_]
  Input attended_;                       // [max_rows][attention_width_]
  Input activated_;                      // [max_rows][ffn_width_]
  AlignedBuffer<float> attention_sums_;  // [kAttentionParts][heads_][AttentionSumsFloats], of a single row
  AlignedBuffer<float> product_;         // [max_rows][embedding_length], a sub-layer's output
  Input head_input_;                     // [kLogitsRows][embedding_length]
  RopeTable rope_global_;
  RopeTable rope_sliding_;
  AlignedBuffer<std::byte> scratch_;  // [threads][scratch_bytes_]
  std::size_t scratch_bytes_ = 0;
  AlignedBuffer<float> gate_up_;  // [threads][2][tile_floats_], a tile of gate and of up each
  std::size_t tile_floats_ = 0;
  std::uint64_t allocated_bytes_ = 0;  // of all buffers
};

}  // namespace slm

#endif  // SLM_INFER_FORWARD_H_
