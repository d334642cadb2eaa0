// The forward pass: rows of tokens in, hidden states and logits out.

#ifndef SLM_FORWARD_FORWARD_H_
#define SLM_FORWARD_FORWARD_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "forward/activations.h"
#include "forward/adapter_set.h"
#include "forward/forward_context.h"
#include "forward/forward_gemma3n.h"
#include "forward/kv_cache.h"
#include "forward/parallel.h"
#include "forward/profiler.h"
#include "forward/thread_governor.h"
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

// What may be done between the layers while several rows are evaluated. Must not throw.
struct LayerHooks {
  // Asked before each layer, by one of the threads; true ends the run.
  std::function<bool()> cancelled = {};
  // Told after each layer, on the calling thread, how many are done.
  std::function<void(std::size_t layers)> progress = {};
};

struct ForwardOptions {
  std::int64_t max_rows = 1;
  // Of the team's, to evaluate up to kFewTokens rows and to evaluate more. 0: all.
  int threads = 0;
  int prompt_threads = 0;
  Profiler* profiler = nullptr;                // where times are added up; must outlive the Forward
  ActivationStatistics* statistics = nullptr;  // likewise what products read
  std::int64_t narrow_width = 0;               // AdapterSet::narrow_width of what is reserved from the beginning
};

// Owns the working memory for up to `max_rows` rows. The result for a row depends, bit for bit, only on the tokens of
// its own sequence up to its position: not on other rows, on how they are split over calls, or on the number of
// threads. Not thread-safe; `model` and `team` must outlive it.
class Forward {
 public:
  static Result<Forward> Create(const ModelImpl& model, Team& team, const ForwardOptions& options);

  // Evaluates rows (1..max_rows), adding their keys and values to the caches. False if that was cancelled: the rows may
  // then be evaluated again, and have no logits. Takes no memory, but that `adapters`, with which the rows and their
  // logits are computed, must have been reserved.
  bool Run(std::span<const Row> rows, const AdapterSet* adapters = nullptr, const LayerHooks& hooks = {});
  // Fails with kOutOfMemory.
  Status Reserve(const AdapterSet& adapters);

  // Logits after some rows of the last Run, at most kLogitsRows at once.
  static constexpr std::int64_t kLogitsRows = 16;
  void Logits(std::span<const LogitsRow> rows);
  // Those of rows first..first + count - 1, out is [count][vocab_size].
  void Logits(std::int64_t first, std::int64_t count, float* out);

  // Moves what a cache holds to where it belongs after a shift that KvCache::CheckShift allows.
  void Shift(KvCache& cache, const ContextShift& shift);

  std::int64_t max_rows() const { return context_->max_rows; }
  std::uint64_t scratch_bytes() const { return scratch_bytes_; }
  // What scratch_bytes() of such a Forward would be, without allocating it.
  static std::uint64_t ScratchBytesNeeded(const ModelImpl& model, Team& team, const ForwardOptions& options);

 private:
  // How a sub-layer's output joins the stream, and what the next sub-layer reads of it.
  struct Join {
    const Vector& post_norm;  // of the output; empty: none
    const Vector* next_norm;  // of the stream; empty: none; nullptr: nothing is to be read
    float stream_scale = 1;
  };

  Forward(const ModelImpl& model, Team& team, const ForwardOptions& options);
  bool Allocate(WorkingMemory& memory, std::int64_t narrow_width);
  void FindSegments(std::span<const Row> rows);

  // Steps of the team's work.
  void Begin(Worker& worker, std::span<const Row> rows);
  void RunLayers(Worker& worker, const LayerHooks& hooks);
  void RunLayer(Worker& worker, std::size_t index);
  void AddToStream(Worker& worker, Operation operation, std::size_t index, const Join& join);

  void Embed(Token token, std::int64_t row);
  bool Cancelled(Worker& worker, std::size_t layer, const LayerHooks& hooks);
  bool altup() const { return context_->config.architecture->wiring == ResidualWiring::kAltUp; }

  Team* team_;
  std::vector<ThreadGovernor> governors_;  // of 1, 2, 3 to 4, 5 to 8, 9 to 16 rows
  int prompt_threads_;
  std::unique_ptr<ForwardContext> context_;  // stays where it is when a Forward moves
  SubLayers parts_;
  AltUpLayers altup_layers_;
  Activations head_input_;  // [kLogitsRows][embedding_length]
  std::uint64_t scratch_bytes_ = 0;
};

}  // namespace slm

#endif  // SLM_FORWARD_FORWARD_H_
