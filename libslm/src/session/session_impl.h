// What a Session holds.

#ifndef SLM_SESSION_SESSION_IMPL_H_
#define SLM_SESSION_SESSION_IMPL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/internal.h"
#include "forward/adapter_set.h"
#include "forward/kv_cache.h"
#include "session/batch_impl.h"
#include "session/callback_scope.h"
#include "session/guess_policy.h"
#include "slm/model.h"
#include "slm/session.h"
#include "slm/status.h"
#include "slm/tokenizer.h"

namespace slm {

// Options with every default filled in.
struct SessionSettings {
  std::int32_t context_length = 0;
  std::int32_t batch_size = 0;  // the session's most rows in a step
  CacheFormat cache_format = CacheFormat::kF16;
};

struct Session::Impl {
  Impl(const Batch& session_batch, bool owns, const SessionSettings& session_settings)
      : model(session_batch.model()), batch(session_batch), owns_batch(owns), settings(session_settings) {}
  Status Init(std::span<const WeightedAdapter> wanted);
  // What it computes with from now on. What was read with others must be forgotten.
  Status SetAdapters(std::span<const WeightedAdapter> adapters);

  ImplOf<Batch>& engine() { return Internal::Impl(batch); }
  // Whether `added` may follow the first `held` tokens.
  Status CheckTokens(std::span<const Token> added, std::size_t held) const;
  // Evaluates tokens in as many steps as it takes, and the logits after the last `logits_rows`, at most `batch_size`;
  // the first of these are checked.
  Status Evaluate(std::span<const Token> added, const AppendOptions& options, std::int64_t logits_rows);
  // Checks rows first..first + count - 1 of the logits; the first is that of the token at `position`.
  Status CheckLogits(std::int64_t first, std::int64_t count, std::int32_t position) const;
  std::span<const float> LogitsOf(std::int64_t row) const {
    const auto vocab = static_cast<std::size_t>(model.vocab_size());
    return {logits.data() + static_cast<std::size_t>(row) * vocab, vocab};
  }

  const Model model;
  Batch batch;
  const bool owns_batch;  // was made for it
  const SessionSettings settings;
  std::optional<KvCache> cache;
  std::unique_ptr<const AdapterSet> adapters;  // never nullptr after SetAdapters
  AlignedBuffer<float> logits;                 // [min(batch_size, Forward::kLogitsRows)][vocab_size]
  std::vector<Token> tokens;                   // has room for context_length, and so stays where it is
  GuessPolicy guess_policy;
  bool in_callback = false;
  bool present = false;  // steps of the batch wait for it
};

}  // namespace slm

#endif  // SLM_SESSION_SESSION_IMPL_H_
