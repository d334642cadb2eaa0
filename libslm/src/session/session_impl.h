// What a Session holds.

#ifndef SLM_SESSION_SESSION_IMPL_H_
#define SLM_SESSION_SESSION_IMPL_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/internal.h"
#include "forward/forward.h"
#include "forward/kv_cache.h"
#include "forward/parallel.h"
#include "forward/profiler.h"
#include "session/callback_scope.h"
#include "slm/model.h"
#include "slm/session.h"
#include "slm/status.h"
#include "slm/tokenizer.h"

namespace slm {

// Options with every default filled in.
struct SessionSettings {
  std::int32_t context_length = 0;
  std::int32_t batch_size = 0;
  std::int32_t threads = 0;
  std::int32_t prompt_threads = 0;
  CacheFormat cache_format = CacheFormat::kF16;
};

struct Session::Impl {
  Impl(const Model& session_model, const SessionSettings& settings, Workers workers);
  Status Init(const SessionSettings& settings);

  // Whether `added` may follow the first `held` tokens.
  Status CheckTokens(std::span<const Token> added, std::size_t held) const;
  // Evaluates the tokens batch by batch; after_batch(first row's position, rows) may ask forward for logits.
  template <typename AfterBatch>
  Status Evaluate(std::span<const Token> added, const AppendOptions& options, const AfterBatch& after_batch);
  // Logits after `count` rows of the last batch, checked.
  Status ComputeLogits(std::int64_t first_row, std::int64_t count, std::int32_t position);

  Model model;
  Team team;
  std::int32_t threads;
  std::int32_t prompt_threads;
  std::int32_t context_length;
  std::optional<KvCache> cache;
  std::optional<Profiler> profiler;
  std::optional<Forward> forward;
  AlignedBuffer<float> logits;  // [min(batch_size, Forward::kLogitsRows)][vocab_size]
  std::vector<Token> tokens;    // has room for context_length, and so stays where it is
  std::vector<Row> rows;
  bool in_callback = false;
};

}  // namespace slm

#endif  // SLM_SESSION_SESSION_IMPL_H_
