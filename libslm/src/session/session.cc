#include "slm/session.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/aligned_buffer.h"
#include "base/format.h"
#include "base/status_macros.h"
#include "forward/adapter_set.h"
#include "forward/forward.h"
#include "forward/kv_cache.h"
#include "forward/parallel.h"
#include "forward/profiler.h"
#include "model/model_impl.h"
#include "session/session_file.h"
#include "session/session_impl.h"

namespace slm {

namespace {

constexpr std::int32_t kDefaultContext = 4096;

CacheFormat ToCacheFormat(KvType type) {
  switch (type) {
    case KvType::kF32:
      return CacheFormat::kF32;
    case KvType::kQ8_0:
      return CacheFormat::kQ8_0;
    case KvType::kF16:
      break;
  }
  return CacheFormat::kF16;
}

Result<std::int32_t> ContextLength(const Model& model, const SessionOptions& options) {
  SLM_RETURN_IF_ERROR(CheckRange("SessionOptions::context_length", options.context_length, 0,
                                 std::numeric_limits<std::int32_t>::max()));
  if (options.context_length != 0) return options.context_length;
  return std::min(kDefaultContext, model.context_length());
}

// If there is one.
Status CheckBatch(const Model& model, const Batch* batch) {
  if (batch == nullptr || &Internal::Impl(batch->model()) == &Internal::Impl(model)) return {};
  return {StatusCode::kInvalidArgument, "SessionOptions::batch is of another model"};
}

// Of the batch that a session makes for itself.
Result<BatchSettings> ToOwnBatch(const Model& model, const SessionOptions& options) {
  SLM_ASSIGN_OR_RETURN(BatchSettings settings,
                       ToBatchSettings("SessionOptions", {.threads = options.threads,
                                                          .prompt_threads = options.prompt_threads,
                                                          .batch_size = options.batch_size}));
  SLM_ASSIGN_OR_RETURN(const std::int32_t context, ContextLength(model, options));
  settings.batch_size = std::min(settings.batch_size, context);
  settings.profile = options.profile;
  return settings;
}

Result<SessionSettings> ToSettings(const Model& model, const SessionOptions& options, std::int32_t batch_size) {
  SessionSettings settings;
  SLM_ASSIGN_OR_RETURN(settings.context_length, ContextLength(model, options));
  settings.batch_size = std::min(batch_size, settings.context_length);
  settings.cache_format = ToCacheFormat(options.kv_type);
  return settings;
}

std::size_t LogitsFloats(const SessionSettings& settings, const ModelConfig& config) {
  const std::int64_t rows = std::min<std::int64_t>(settings.batch_size, Forward::kLogitsRows);
  return static_cast<std::size_t>(rows * config.vocab_size);
}

// A file must not make a program take memory that nobody asked for.
Status CheckSavedContext(std::int32_t saved, const Model& model) {
  const std::int32_t trained = std::max(model.context_length(), kDefaultContext);
  if (saved <= trained) return {};
  return {StatusCode::kInvalidArgument,
          Cat("the session file has a context of ", saved, " tokens, more than the model's ", trained,
              "; to take it, ask for a context of so many")};
}

// Without branches or float sums, so that compilers vectorize it.
bool AllFinite(std::span<const float> values) {
  constexpr std::uint32_t kExponent = 0x7F800000;
  bool finite = true;
  for (const float value : values) finite &= (std::bit_cast<std::uint32_t>(value) & kExponent) != kExponent;
  return finite;
}

// What the application is asked and told while a batch of several rows, which may take seconds, is evaluated. An
// exception of a callback ends the batch as cancelling does; it must not leave the threads that compute.
class BatchCallbacks {
 public:
  struct Counts {
    std::size_t done;  // tokens before the batch
    std::size_t batch;
    std::size_t total;
  };

  BatchCallbacks(ImplOf<Session>& session, const AppendOptions& options, Counts counts)
      : session_(session),
        layers_(Internal::Impl(session.model).config.layers.size()),
        options_(options),
        counts_(counts) {}

  bool cancelled() const { return options_.cancel != nullptr && options_.cancel->cancelled(); }
  void Progress(std::size_t done) const {
    if (!options_.progress) return;
    const CallbackScope scope(session_);
    options_.progress(static_cast<std::int64_t>(done), static_cast<std::int64_t>(counts_.total));
  }

  LayerHooks Hooks() {
    LayerHooks hooks;
    if (counts_.batch == 1) return hooks;
    if (options_.cancel != nullptr || options_.progress) {
      hooks.cancelled = [this] { return cancelled() || failed_.load(std::memory_order_relaxed); };
    }
    if (options_.progress) hooks.progress = [this](std::size_t layers) { AfterLayer(layers); };
    return hooks;
  }

  void Rethrow() const {
    if (failure_ != nullptr) std::rethrow_exception(failure_);
  }

 private:
  // The end of the batch is told when its logits are known to be good.
  void AfterLayer(std::size_t layers) {
    if (layers == layers_ || failure_ != nullptr) return;
    try {
      Progress(counts_.done + counts_.batch * layers / layers_);
    } catch (...) {
      failure_ = std::current_exception();
      failed_.store(true, std::memory_order_relaxed);
    }
  }

  ImplOf<Session>& session_;
  const std::size_t layers_;
  const AppendOptions& options_;
  const Counts counts_;
  std::exception_ptr failure_;  // of the calling thread
  std::atomic<bool> failed_{false};
};

}  // namespace

Status Session::Impl::SetAdapters(std::span<const WeightedAdapter> wanted) {
  for (const WeightedAdapter& weighted : wanted) {
    if (!std::isfinite(weighted.weight))
      return {StatusCode::kInvalidArgument, Cat("the weight of adapter ", weighted.adapter.name(), " is not finite")};
    if (&Internal::Impl(Internal::Impl(weighted.adapter).model) != &Internal::Impl(model)) {
      return {StatusCode::kInvalidArgument,
              Cat("adapter ", weighted.adapter.name(), " was opened for another model than the session's")};
    }
  }
  auto set = std::make_unique<const AdapterSet>(wanted, Internal::Impl(model).weights);
  if (adapters != nullptr && *set == *adapters) return {};
  SLM_RETURN_IF_ERROR(engine().Reserve(*set));
  if (cache) cache->Clear();
  tokens.clear();
  adapters = std::move(set);
  return {};
}

Status Session::Impl::Init(std::span<const WeightedAdapter> wanted) {
  const ModelConfig& config = Internal::Impl(model).config;
  SLM_RETURN_IF_ERROR(SetAdapters(wanted));
  SLM_ASSIGN_OR_RETURN(cache,
                       KvCache::Create(config, settings.context_length, settings.batch_size, settings.cache_format));
  if (!logits.Allocate(LogitsFloats(settings, config))) {
    return Status(StatusCode::kOutOfMemory, Cat("no memory for the logits of ", config.vocab_size, " tokens"));
  }
  tokens.reserve(static_cast<std::size_t>(settings.context_length));
  return {};
}

PresenceScope::PresenceScope(Session& session) : PresenceScope(Internal::Impl(session)) {}
PresenceScope::PresenceScope(ImplOf<Session>& session) : session_(session), was_present_(session.present) {
  if (!was_present_) session_.engine().ChangePresent(1);
  session_.present = true;
}
PresenceScope::~PresenceScope() {
  session_.present = was_present_;
  if (!was_present_) session_.engine().ChangePresent(-1);
}

AwayScope::AwayScope(ImplOf<Session>& session) : batch_(session.present ? &session.engine() : nullptr) {
  if (batch_ != nullptr) batch_->ChangeAway(1);
}
AwayScope::~AwayScope() {
  if (batch_ != nullptr) batch_->ChangeAway(-1);
}

CallbackScope::CallbackScope(Session& session) : CallbackScope(Internal::Impl(session)) {}
CallbackScope::CallbackScope(ImplOf<Session>& session) : session_(session), away_(session) {
  session_.in_callback = true;
}
CallbackScope::~CallbackScope() { session_.in_callback = false; }

Status CheckIdle(const Session& session) {
  const ImplOf<Session>& impl = Internal::Impl(session);
  if (!impl.in_callback) return Internal::Impl(impl.batch).CheckThread();
  return {StatusCode::kInvalidArgument, "the session is in use: it was called by one of its own callbacks"};
}

Status Session::Impl::CheckTokens(std::span<const Token> added, std::size_t held) const {
  if (added.empty()) return Status(StatusCode::kInvalidArgument, "there are no tokens to read");
  const std::int32_t vocab = model.vocab_size();
  for (std::size_t i = 0; i < added.size(); ++i) {
    if (added[i] < 0 || added[i] >= vocab) {
      return Status(StatusCode::kInvalidArgument,
                    Cat("token ", added[i], " at index ", i, " is outside the vocabulary of ", vocab, " tokens"));
    }
  }
  const std::int32_t context_length = settings.context_length;
  const std::size_t free = static_cast<std::size_t>(context_length) - held;
  if (added.size() > free) {
    const std::string after = held == 0 ? "" : Cat(" after the ", held, " it holds");
    return Status(StatusCode::kContextFull, Cat("the text has ", added.size(), " tokens, but the context of ",
                                                context_length, " tokens has room for ", free, after));
  }
  return {};
}

Status Session::Impl::Evaluate(std::span<const Token> added, const AppendOptions& options, std::int64_t logits_rows) {
  SLM_RETURN_IF_ERROR(CheckTokens(added, tokens.size()));
  const PresenceScope presence(*this);
  for (std::size_t done = 0; done < added.size();) {
    const std::span<const Token> left = added.subspan(done);
    const bool last = std::cmp_less_equal(left.size(), settings.batch_size);
    BatchRequest request = {.cache = &*cache,
                            .adapters = adapters.get(),
                            .tokens = last ? left : left.first(static_cast<std::size_t>(settings.batch_size)),
                            .position = static_cast<std::int32_t>(tokens.size()),
                            .logits_rows = last ? logits_rows : 0,
                            .logits = logits.data()};
    BatchCallbacks callbacks(*this, options, {.done = done, .batch = request.tokens.size(), .total = added.size()});
    request.hooks = callbacks.Hooks();
    if (!callbacks.cancelled()) engine().Evaluate(request);
    if (request.evaluated == 0) {
      callbacks.Rethrow();
      return Status(StatusCode::kCancelled, Cat("cancelled after ", done, " of ", added.size(), " tokens"));
    }
    const auto evaluated = static_cast<std::size_t>(request.evaluated);
    tokens.insert(tokens.end(), left.begin(), left.begin() + request.evaluated);
    done += evaluated;
    if (done == added.size() && logits_rows > 0)
      SLM_RETURN_IF_ERROR(CheckLogits(0, 1, static_cast<std::int32_t>(std::ssize(tokens) - logits_rows)));
    callbacks.Rethrow();
    callbacks.Progress(done);
  }
  return {};
}

Status Session::Impl::CheckLogits(std::int64_t first, std::int64_t count, std::int32_t position) const {
  for (std::int64_t i = 0; i < count; ++i) {
    if (AllFinite(LogitsOf(first + i))) continue;
    return Status(StatusCode::kInvalidNumber, Cat("the model computed NaN or infinity after the token at position ",
                                                  position + i, "; `slm-inspect check` finds damaged weights"));
  }
  return {};
}

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

Result<Session> Session::Create(const Model& model, const SessionOptions& options) try {
  SLM_RETURN_IF_ERROR(CheckBatch(model, options.batch));
  std::optional<Batch> batch;
  if (options.batch != nullptr) {
    batch = *options.batch;
  } else {
    SLM_ASSIGN_OR_RETURN(const BatchSettings settings, ToOwnBatch(model, options));
    SLM_ASSIGN_OR_RETURN(
        batch, ImplOf<Batch>::Create(model, settings, options.workers != nullptr ? *options.workers : Workers()));
  }
  SLM_ASSIGN_OR_RETURN(const SessionSettings settings,
                       ToSettings(model, options, Internal::Impl(*batch).settings.batch_size));
  auto impl = std::make_unique<Impl>(*batch, options.batch == nullptr, settings);
  SLM_RETURN_IF_ERROR(impl->Init(options.adapters));
  return Session(std::move(impl));
}
SLM_CATCH_OUT_OF_MEMORY

Result<Session> Session::Fork() const try {
  SLM_RETURN_IF_ERROR(CheckIdle(*this));
  auto impl = std::make_unique<Impl>(impl_->batch, false, impl_->settings);
  SLM_RETURN_IF_ERROR(impl->Init(impl_->adapters->adapters()));
  impl->cache->CopyCells(*impl_->cache, position());
  impl->tokens.assign(impl_->tokens.begin(), impl_->tokens.end());
  return Session(std::move(impl));
}
SLM_CATCH_OUT_OF_MEMORY

Result<MemoryEstimate> EstimateMemory(const Model& model, const SessionOptions& options) try {
  SLM_RETURN_IF_ERROR(CheckBatch(model, options.batch));
  BatchSettings batch;
  if (options.batch != nullptr) {
    batch = Internal::Impl(*options.batch).settings;
  } else {
    SLM_ASSIGN_OR_RETURN(batch, ToOwnBatch(model, options));
  }
  SLM_ASSIGN_OR_RETURN(const SessionSettings settings, ToSettings(model, options, batch.batch_size));
  const ModelImpl& impl = Internal::Impl(model);
  MemoryEstimate estimate;
  estimate.context_length = settings.context_length;
  estimate.weight_bytes = model.file().size();
  SLM_ASSIGN_OR_RETURN(estimate.kv_bytes, KvCache::BytesNeeded(impl.config, settings.context_length,
                                                               settings.batch_size, settings.cache_format));
  estimate.scratch_bytes = LogitsFloats(settings, impl.config) * sizeof(float);
  if (options.batch != nullptr) return estimate;
  Team team(std::max(batch.threads, batch.prompt_threads));
  ForwardOptions forward = ToForwardOptions(batch);
  forward.narrow_width = AdapterSet(options.adapters, impl.weights).narrow_width();
  estimate.scratch_bytes += Forward::ScratchBytesNeeded(impl, team, forward);
  return estimate;
}
SLM_CATCH_OUT_OF_MEMORY

Result<std::span<const float>> Session::Append(std::span<const Token> tokens, const AppendOptions& options) try {
  SLM_RETURN_IF_ERROR(CheckIdle(*this));
  SLM_RETURN_IF_ERROR(impl_->Evaluate(tokens, options, 1));
  return impl_->LogitsOf(0);
}
SLM_CATCH_OUT_OF_MEMORY

// Of the last step, whose `rows` rows are the last tokens of the session.
static Status VisitLogits(ImplOf<Session>& session, Forward& forward, std::int64_t rows,
                          const Session::LogitsVisitor& visit) {
  const std::int64_t chunk = std::min<std::int64_t>(session.settings.batch_size, Forward::kLogitsRows);
  for (std::int64_t first = 0; first < rows; first += chunk) {
    const std::int64_t count = std::min(chunk, rows - first);
    const auto position = static_cast<std::int32_t>(std::ssize(session.tokens) - rows + first);
    forward.Logits(first, count, session.logits.data());
    SLM_RETURN_IF_ERROR(session.CheckLogits(0, count, position));
    for (std::int64_t i = 0; visit && i < count; ++i) {
      const CallbackScope scope(session);
      visit(position + static_cast<std::int32_t>(i), session.LogitsOf(i));
    }
  }
  return {};
}

// On a turn for each batch, since there are more logits than the session has room for.
Status Session::AppendVisiting(std::span<const Token> tokens, const LogitsVisitor& visit,
                               const AppendOptions& options) try {
  SLM_RETURN_IF_ERROR(CheckIdle(*this));
  SLM_RETURN_IF_ERROR(impl_->CheckTokens(tokens, impl_->tokens.size()));
  std::vector<Row> rows;
  for (std::size_t done = 0; done < tokens.size();) {
    ImplOf<Batch>::Turn turn(impl_->engine());
    const std::size_t count = std::min(tokens.size() - done, static_cast<std::size_t>(impl_->settings.batch_size));
    const std::int32_t first = position();
    rows.clear();
    for (std::size_t i = 0; i < count; ++i)
      rows.push_back({tokens[done + i], first + static_cast<std::int32_t>(i), &*impl_->cache});
    BatchCallbacks callbacks(*impl_, options, {.done = done, .batch = count, .total = tokens.size()});
    if (callbacks.cancelled() || !turn.forward().Run(rows, impl_->adapters.get(), callbacks.Hooks())) {
      callbacks.Rethrow();
      return Status(StatusCode::kCancelled, Cat("cancelled after ", done, " of ", tokens.size(), " tokens"));
    }
    for (const Row& row : rows) impl_->tokens.push_back(row.token);
    done += count;
    SLM_RETURN_IF_ERROR(VisitLogits(*impl_, turn.forward(), static_cast<std::int64_t>(count), visit));
    callbacks.Rethrow();
    callbacks.Progress(done);
  }
  return {};
}
SLM_CATCH_OUT_OF_MEMORY

Result<std::span<const float>> Session::Follow(std::span<const Token> tokens, const AppendOptions& options,
                                               Reuse* reuse) try {
  SLM_RETURN_IF_ERROR(CheckIdle(*this));
  SLM_RETURN_IF_ERROR(impl_->CheckTokens(tokens, 0));
  const std::vector<Token> text(tokens.begin(), tokens.end());  // `tokens` may be a view of the session's own
  const auto differ = std::mismatch(text.begin(), text.end() - 1, impl_->tokens.begin(), impl_->tokens.end());
  const auto shared = static_cast<std::int32_t>(differ.first - text.begin());
  if (!Rewind(shared).ok()) SLM_RETURN_IF_ERROR(Rewind(0));
  if (reuse != nullptr) *reuse = {.cached_tokens = position(), .reread_tokens = shared - position()};
  return Append(std::span(text).subspan(impl_->tokens.size()), options);
}
SLM_CATCH_OUT_OF_MEMORY

Status Session::SetAdapters(std::span<const WeightedAdapter> adapters) try {
  SLM_RETURN_IF_ERROR(CheckIdle(*this));
  return impl_->SetAdapters(adapters);
}
SLM_CATCH_OUT_OF_MEMORY

std::span<const WeightedAdapter> Session::adapters() const { return impl_->adapters->adapters(); }

Status Session::Rewind(std::int32_t position) try {
  SLM_RETURN_IF_ERROR(CheckIdle(*this));
  const std::int32_t end = this->position();
  if (position < 0 || position > end) {
    return Status(StatusCode::kInvalidArgument,
                  Cat("cannot rewind to position ", position, ": the session holds ", end, " tokens"));
  }
  const std::int64_t first = impl_->cache->FirstRewindPosition();
  if (position == 0) {
    impl_->cache->Clear();
  } else if (position < std::min<std::int64_t>(first, end)) {
    return Status(StatusCode::kInvalidArgument,
                  Cat("cannot rewind to position ", position,
                      ": sliding-window layers have dropped what came before; the first position possible is ", first,
                      " (or 0)"));
  }
  impl_->tokens.resize(static_cast<std::size_t>(position));
  return {};
}
SLM_CATCH_OUT_OF_MEMORY

Status Session::Shift(std::int32_t keep, std::int32_t discard) try {
  SLM_RETURN_IF_ERROR(CheckIdle(*this));
  const std::int32_t end = position();
  if (keep < 0 || discard < 0 || keep > end || discard > end - keep) {
    return Status(StatusCode::kInvalidArgument, Cat("cannot forget ", discard, " tokens from position ", keep,
                                                    ": the session holds ", end, " tokens"));
  }
  if (discard == end - keep) return Rewind(keep);
  if (discard == 0) return {};
  const ContextShift shift = {.keep = keep, .discard = discard, .end = end};
  SLM_RETURN_IF_ERROR(impl_->cache->CheckShift(shift));
  ImplOf<Batch>::Turn(impl_->engine()).forward().Shift(*impl_->cache, shift);
  const auto first = impl_->tokens.begin() + keep;
  impl_->tokens.erase(first, first + discard);
  return {};
}
SLM_CATCH_OUT_OF_MEMORY

Status Session::Save(const std::filesystem::path& path, std::string_view note) const try {
  SLM_RETURN_IF_ERROR(CheckIdle(*this));
  return WriteSessionFile(path, Internal::Impl(impl_->model), impl_->adapters->Fingerprint(), *impl_->cache,
                          impl_->tokens, note);
}
SLM_CATCH_OUT_OF_MEMORY

Result<RestoredSession> Session::Restore(const Model& model, const std::filesystem::path& path,
                                         const SessionOptions& options) try {
  SLM_ASSIGN_OR_RETURN(const SessionFile file, SessionFile::Open(path, Internal::Impl(model)));
  SessionOptions saved = options;
  if (options.context_length == 0) {
    SLM_RETURN_IF_ERROR(CheckSavedContext(file.context_length(), model));
    saved.context_length = file.context_length();
  }
  const AdapterSet adapters(options.adapters, Internal::Impl(model).weights);
  SLM_RETURN_IF_ERROR(file.CheckSession(saved.context_length, ToCacheFormat(options.kv_type), adapters.Fingerprint()));
  SLM_ASSIGN_OR_RETURN(Session session, Create(model, saved));
  SLM_RETURN_IF_ERROR(file.ReadCells(Internal::Impl(model).config, *session.impl_->cache));
  session.impl_->tokens.assign(file.tokens().begin(), file.tokens().end());
  return RestoredSession{.session = std::move(session), .note = std::string(file.note())};
}
SLM_CATCH_OUT_OF_MEMORY

std::span<const Token> Session::tokens() const { return impl_->tokens; }
std::int32_t Session::position() const { return static_cast<std::int32_t>(impl_->tokens.size()); }
std::int32_t Session::context_length() const { return impl_->settings.context_length; }
std::int32_t Session::threads() const { return impl_->batch.threads(); }
std::int32_t Session::prompt_threads() const { return impl_->batch.prompt_threads(); }
std::uint64_t Session::kv_bytes() const { return impl_->cache->bytes(); }
std::uint64_t Session::scratch_bytes() const {
  return impl_->logits.bytes() + (impl_->owns_batch ? impl_->batch.scratch_bytes() : 0);
}
const Model& Session::model() const { return impl_->model; }

// Calls use(profiler) if there is one. Forks may be computing, and are waited for, unless a callback of theirs asks.
template <class F>
static void UseProfiler(ImplOf<Batch>& batch, const F& use) {
  if (!batch.profiler) return;
  std::optional<ImplOf<Batch>::Turn> turn;
  if (batch.CheckThread().ok()) turn.emplace(batch);
  use(*batch.profiler);
}

std::vector<ProfileEntry> Session::Profile() const {
  std::vector<ProfileEntry> entries;
  UseProfiler(impl_->engine(), [&](const Profiler& profiler) { entries = profiler.Entries(); });
  return entries;
}
void Session::ClearProfile() {
  UseProfiler(impl_->engine(), [](Profiler& profiler) { profiler.Clear(); });
}

}  // namespace slm
