#include "slm/session.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/aligned_buffer.h"
#include "base/format.h"
#include "base/status_macros.h"
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
constexpr std::int32_t kMaxThreads = 1024;
constexpr std::int32_t kMaxBatch = 1 << 16;

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

Result<SessionSettings> ToSettings(const Model& model, const SessionOptions& options) {
  const auto check = [](const char* name, std::int32_t value, std::int32_t low, std::int32_t high) {
    if (value >= low && value <= high) return Status();
    return Status(StatusCode::kInvalidArgument,
                  Cat("SessionOptions::", name, " is ", value, ", expected ", low, " to ", high));
  };
  SLM_RETURN_IF_ERROR(check("context_length", options.context_length, 0, std::numeric_limits<std::int32_t>::max()));
  SLM_RETURN_IF_ERROR(check("threads", options.threads, 0, kMaxThreads));
  SLM_RETURN_IF_ERROR(check("prompt_threads", options.prompt_threads, 0, kMaxThreads));
  SLM_RETURN_IF_ERROR(check("batch_size", options.batch_size, 1, kMaxBatch));
  SessionSettings settings;
  settings.context_length =
      options.context_length != 0 ? options.context_length : std::min(kDefaultContext, model.context_length());
  settings.batch_size = std::min(options.batch_size, settings.context_length);
  settings.threads = options.threads != 0 ? options.threads : DefaultThreads();
  settings.prompt_threads = options.prompt_threads != 0 ? options.prompt_threads : settings.threads;
  settings.cache_format = ToCacheFormat(options.kv_type);
  return settings;
}

ForwardOptions ToForwardOptions(const SessionSettings& settings) {
  return {.max_rows = settings.batch_size, .threads = settings.threads, .prompt_threads = settings.prompt_threads};
}

// The threads there are: a system may refuse to make more.
void ReserveThreads(const Model& model, Workers& workers, SessionSettings& settings) {
  const int wanted = std::max(settings.threads, settings.prompt_threads);
  const int threads = Internal::Impl(workers).pool().Reserve(wanted);
  if (threads == wanted) return;
  settings.threads = std::min(settings.threads, threads);
  settings.prompt_threads = std::min(settings.prompt_threads, threads);
  const LogCallback& log = Internal::Impl(model).log;
  if (!log) return;
  log(LogLevel::kWarning, Cat("The system makes no more threads: computing on ", threads, " instead of ", wanted, "."));
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

  BatchCallbacks(bool& in_callback, std::size_t layers, const AppendOptions& options, Counts counts)
      : in_callback_(in_callback), layers_(layers), options_(options), counts_(counts) {}

  bool cancelled() const { return options_.cancel != nullptr && options_.cancel->cancelled(); }
  void Progress(std::size_t done) const {
    if (!options_.progress) return;
    const CallbackScope scope(in_callback_);
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

  bool& in_callback_;
  const std::size_t layers_;
  const AppendOptions& options_;
  const Counts counts_;
  std::exception_ptr failure_;  // of the calling thread
  std::atomic<bool> failed_{false};
};

}  // namespace

Session::Impl::Impl(const Model& session_model, const SessionSettings& settings, Workers workers)
    : model(session_model),
      team(std::max(settings.threads, settings.prompt_threads), std::move(workers)),
      threads(settings.threads),
      prompt_threads(settings.prompt_threads),
      context_length(settings.context_length) {}

Status Session::Impl::Init(const SessionSettings& settings) {
  const ModelImpl& impl = Internal::Impl(model);
  SLM_ASSIGN_OR_RETURN(cache, KvCache::Create(impl.config, context_length, settings.batch_size, settings.cache_format));
  ForwardOptions options = ToForwardOptions(settings);
  options.profiler = profiler ? &*profiler : nullptr;
  SLM_ASSIGN_OR_RETURN(forward, Forward::Create(impl, team, options));
  if (!logits.Allocate(LogitsFloats(settings, impl.config))) {
    return Status(StatusCode::kOutOfMemory, Cat("no memory for the logits of ", impl.config.vocab_size, " tokens"));
  }
  tokens.reserve(static_cast<std::size_t>(context_length));
  rows.reserve(static_cast<std::size_t>(settings.batch_size));
  return {};
}

CallbackScope::CallbackScope(Session& session) : CallbackScope(Internal::Impl(session).in_callback) {}

Status CheckIdle(const Session& session) {
  if (!Internal::Impl(session).in_callback) return {};
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
  const std::size_t free = static_cast<std::size_t>(context_length) - held;
  if (added.size() > free) {
    const std::string after = held == 0 ? "" : Cat(" after the ", held, " it holds");
    return Status(StatusCode::kContextFull, Cat("the text has ", added.size(), " tokens, but the context of ",
                                                context_length, " tokens has room for ", free, after));
  }
  return {};
}

template <typename AfterBatch>
Status Session::Impl::Evaluate(std::span<const Token> added, const AppendOptions& options,
                               const AfterBatch& after_batch) {
  SLM_RETURN_IF_ERROR(CheckTokens(added, tokens.size()));
  const auto batch_size = static_cast<std::size_t>(forward->max_rows());
  const std::size_t layers = Internal::Impl(model).config.layers.size();
  for (std::size_t done = 0; done < added.size();) {
    const std::span<const Token> batch = added.subspan(done, std::min(batch_size, added.size() - done));
    const auto position = static_cast<std::int32_t>(tokens.size());
    rows.clear();
    for (std::size_t i = 0; i < batch.size(); ++i)
      rows.push_back({batch[i], position + static_cast<std::int32_t>(i), &*cache});
    BatchCallbacks callbacks(in_callback, layers, options,
                             {.done = done, .batch = batch.size(), .total = added.size()});
    if (callbacks.cancelled() || !forward->Run(rows, callbacks.Hooks())) {
      callbacks.Rethrow();
      return Status(StatusCode::kCancelled, Cat("cancelled after ", done, " of ", added.size(), " tokens"));
    }
    for (const Row& row : rows) tokens.push_back(row.token);
    done += batch.size();
    SLM_RETURN_IF_ERROR(after_batch(position, static_cast<std::int64_t>(batch.size())));
    callbacks.Rethrow();
    callbacks.Progress(done);
  }
  return {};
}

Status Session::Impl::ComputeLogits(std::int64_t first_row, std::int64_t count, std::int32_t position) {
  forward->Logits(first_row, count, logits.data());
  const std::int64_t vocab = model.vocab_size();
  for (std::int64_t i = 0; i < count; ++i) {
    if (AllFinite({logits.data() + i * vocab, static_cast<std::size_t>(vocab)})) continue;
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
  SLM_ASSIGN_OR_RETURN(SessionSettings settings, ToSettings(model, options));
  Workers workers = options.workers != nullptr ? *options.workers : Workers();
  ReserveThreads(model, workers, settings);
  auto impl = std::make_unique<Impl>(model, settings, std::move(workers));
  if (options.profile) impl->profiler.emplace(Internal::Impl(model).config.layers.size());
  SLM_RETURN_IF_ERROR(impl->Init(settings));
  return Session(std::move(impl));
}
SLM_CATCH_OUT_OF_MEMORY

Result<MemoryEstimate> EstimateMemory(const Model& model, const SessionOptions& options) try {
  SLM_ASSIGN_OR_RETURN(const SessionSettings settings, ToSettings(model, options));
  const ModelImpl& impl = Internal::Impl(model);
  MemoryEstimate estimate;
  estimate.context_length = settings.context_length;
  estimate.weight_bytes = model.file().size();
  SLM_ASSIGN_OR_RETURN(estimate.kv_bytes, KvCache::BytesNeeded(impl.config, settings.context_length,
                                                               settings.batch_size, settings.cache_format));
  Team team(std::max(settings.threads, settings.prompt_threads));
  estimate.scratch_bytes = Forward::ScratchBytesNeeded(impl, team, ToForwardOptions(settings)) +
                           LogitsFloats(settings, impl.config) * sizeof(float);
  return estimate;
}
SLM_CATCH_OUT_OF_MEMORY

Result<std::span<const float>> Session::Append(std::span<const Token> tokens, const AppendOptions& options) try {
  SLM_RETURN_IF_ERROR(CheckIdle(*this));
  const std::size_t end = impl_->tokens.size() + tokens.size();
  SLM_RETURN_IF_ERROR(impl_->Evaluate(tokens, options, [&](std::int32_t, std::int64_t rows) {
    if (impl_->tokens.size() < end) return Status();
    return impl_->ComputeLogits(rows - 1, 1, static_cast<std::int32_t>(end) - 1);
  }));
  return std::span<const float>(impl_->logits.data(), static_cast<std::size_t>(impl_->model.vocab_size()));
}
SLM_CATCH_OUT_OF_MEMORY

Status Session::AppendVisiting(std::span<const Token> tokens, const LogitsVisitor& visit,
                               const AppendOptions& options) try {
  SLM_RETURN_IF_ERROR(CheckIdle(*this));
  const std::int64_t vocab = impl_->model.vocab_size();
  return impl_->Evaluate(tokens, options, [&](std::int32_t position, std::int64_t rows) -> Status {
    const std::int64_t chunk = std::min(impl_->forward->max_rows(), Forward::kLogitsRows);
    for (std::int64_t first = 0; first < rows; first += chunk) {
      const std::int64_t count = std::min(chunk, rows - first);
      const auto first_position = static_cast<std::int32_t>(position + first);
      SLM_RETURN_IF_ERROR(impl_->ComputeLogits(first, count, first_position));
      for (std::int64_t i = 0; visit && i < count; ++i) {
        const CallbackScope scope(impl_->in_callback);
        visit(first_position + static_cast<std::int32_t>(i),
              {impl_->logits.data() + i * vocab, static_cast<std::size_t>(vocab)});
      }
    }
    return {};
  });
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
  impl_->forward->Shift(*impl_->cache, shift);
  const auto first = impl_->tokens.begin() + keep;
  impl_->tokens.erase(first, first + discard);
  return {};
}
SLM_CATCH_OUT_OF_MEMORY

Status Session::Save(const std::filesystem::path& path, std::string_view note) const try {
  SLM_RETURN_IF_ERROR(CheckIdle(*this));
  return WriteSessionFile(path, Internal::Impl(impl_->model), *impl_->cache, impl_->tokens, note);
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
  SLM_RETURN_IF_ERROR(file.CheckSession(saved.context_length, ToCacheFormat(options.kv_type)));
  SLM_ASSIGN_OR_RETURN(Session session, Create(model, saved));
  SLM_RETURN_IF_ERROR(file.ReadCells(Internal::Impl(model).config, *session.impl_->cache));
  session.impl_->tokens.assign(file.tokens().begin(), file.tokens().end());
  return RestoredSession{.session = std::move(session), .note = std::string(file.note())};
}
SLM_CATCH_OUT_OF_MEMORY

std::span<const Token> Session::tokens() const { return impl_->tokens; }
std::int32_t Session::position() const { return static_cast<std::int32_t>(impl_->tokens.size()); }
std::int32_t Session::context_length() const { return impl_->context_length; }
std::int32_t Session::threads() const { return impl_->threads; }
std::int32_t Session::prompt_threads() const { return impl_->prompt_threads; }
std::uint64_t Session::kv_bytes() const { return impl_->cache->bytes(); }
std::uint64_t Session::scratch_bytes() const { return impl_->forward->scratch_bytes() + impl_->logits.bytes(); }
const Model& Session::model() const { return impl_->model; }

std::vector<ProfileEntry> Session::Profile() const {
  return impl_->profiler ? impl_->profiler->Entries() : std::vector<ProfileEntry>();
}
void Session::ClearProfile() {
  if (impl_->profiler) impl_->profiler->Clear();
}

}  // namespace slm
