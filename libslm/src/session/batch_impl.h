// Where sessions meet to be evaluated. A session that was given no batch has one of its own.

#ifndef SLM_SESSION_BATCH_IMPL_H_
#define SLM_SESSION_BATCH_IMPL_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "base/internal.h"
#include "forward/forward.h"
#include "forward/kv_cache.h"
#include "forward/parallel.h"
#include "forward/profiler.h"
#include "slm/batch.h"
#include "slm/model.h"
#include "slm/status.h"
#include "slm/tokenizer.h"

namespace slm {

// Options with every default filled in.
struct BatchSettings {
  std::int32_t batch_size = 0;
  std::int32_t threads = 0;
  std::int32_t prompt_threads = 0;
  bool profile = false;
};

// kInvalidArgument if `value` is not from low to high: says which field it is of.
Status CheckRange(const char* field, std::int32_t value, std::int32_t low, std::int32_t high);
// `fields`: the struct that has these options.
Result<BatchSettings> ToBatchSettings(const char* fields, const BatchOptions& options);
ForwardOptions ToForwardOptions(const BatchSettings& settings);

// Tokens to evaluate, and what came of it.
struct BatchRequest {
  KvCache* cache = nullptr;
  const AdapterSet* adapters = nullptr;  // nullptr: none
  std::span<const Token> tokens;
  std::int32_t position = 0;     // of the first
  std::int64_t logits_rows = 0;  // the last tokens whose logits are wanted, at most Forward::kLogitsRows
  float* logits = nullptr;       // [logits_rows][vocab_size]
  LayerHooks hooks = {};         // progress is told as long as the request is evaluated alone

  std::int64_t evaluated = 0;  // tokens: all of them, or as many as a step had room for; 0: cancelled
  bool done = false;
};

struct Batch::Impl {
  using Clock = std::chrono::steady_clock;

  static Result<Batch> Create(const Model& model, const BatchSettings& settings, Workers workers);
  Impl(const Model& batch_model, const BatchSettings& batch_settings, Workers workers);

  // Returns when a step has taken the request. Logits are there if it evaluated all tokens.
  void Evaluate(BatchRequest& request);

  // Fails on a thread that is computing already, and would wait for itself.
  Status CheckThread() const;

  // Counts the sessions whose next request a step waits for, and those of them that are away for a moment, for which it
  // does not wait long.
  void ChangePresent(int by);
  void ChangeAway(int by);

  // Makes room for requests with these adapters.
  Status Reserve(const AdapterSet& adapters);

  // While one session has the forward pass for itself. Turns and steps alternate where both are wanted.
  class Turn {
   public:
    explicit Turn(Impl& batch);
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    Forward& forward() { return *batch_.forward_; }

   private:
    Impl& batch_;
  };

  const Model model;
  const BatchSettings settings;
  std::optional<Profiler> profiler;
  std::uint64_t scratch_bytes() const { return forward_->scratch_bytes(); }
  int present() const {
    const std::scoped_lock lock(mutex_);
    return present_;
  }
  std::size_t waiting() const {
    const std::scoped_lock lock(mutex_);
    return waiting_.size();
  }
  std::int64_t steps() const { return steps_.load(std::memory_order_relaxed); }

 private:
  // Whoever finds that all have come computes the step for them. The mutex is held before and after.
  void Step(std::unique_lock<std::mutex>& lock, const BatchRequest& own);
  void ChooseRequests();
  // All for whom a step waits; not those that are away, for whom it may wait for a moment.
  bool HaveCome() const { return std::ssize(waiting_) >= present_ - away_; }
  void Take(BatchRequest& request, std::int64_t room);
  bool RunStep(const BatchRequest& own);
  void ComputeLogits();

  Team team_;
  std::optional<Forward> forward_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::thread::id computing_;  // no thread: nobody
  int present_ = 0;
  int away_ = 0;
  int turns_wanted_ = 0;
  bool turn_was_last_ = false;          // not a step
  Clock::time_point patience_;          // until when those that are away are waited for
  std::vector<BatchRequest*> waiting_;  // in the order in which they came
  std::size_t left_out_ = 0;            // the first so many of them, for which the last step had no room
  // Of the step that is computed.
  std::vector<BatchRequest*> taken_;
  std::vector<Row> rows_;

  std::atomic<std::int64_t> steps_{0};
};

}  // namespace slm

#endif  // SLM_SESSION_BATCH_IMPL_H_
