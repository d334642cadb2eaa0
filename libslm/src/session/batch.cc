#include "slm/batch.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/status_macros.h"
#include "model/model_impl.h"
#include "session/batch_impl.h"

namespace slm {

namespace {

constexpr std::int32_t kMaxThreads = 1024;
constexpr std::int32_t kMaxBatch = 1 << 16;

// Callbacks mostly take microseconds: the next step waits for one for this part of the last step's time, and no longer
// than that.
constexpr int kPatience = 8;
constexpr std::chrono::milliseconds kMostPatience{10};

// Tokens of prompts that are read in a step of those that generate: what they wait for.
constexpr std::int64_t kPromptShare = 64;

// The threads there are: a system may refuse to make more.
void ReserveThreads(const Model& model, Workers& workers, BatchSettings& settings) {
  const int wanted = std::max(settings.threads, settings.prompt_threads);
  const int threads = Internal::Impl(workers).pool().Reserve(wanted);
  if (threads == wanted) return;
  settings.threads = std::min(settings.threads, threads);
  settings.prompt_threads = std::min(settings.prompt_threads, threads);
  const LogCallback& log = Internal::Impl(model).log;
  if (!log) return;
  log(LogLevel::kWarning, Cat("The system makes no more threads: computing on ", threads, " instead of ", wanted, "."));
}

// A step of generation: evaluated whole, or in a later step.
bool IsFew(const BatchRequest& request) { return std::ssize(request.tokens) <= kFewTokens; }

bool SameAdapters(const BatchRequest& a, const BatchRequest& b) {
  return a.adapters == b.adapters || (a.adapters != nullptr && b.adapters != nullptr && *a.adapters == *b.adapters);
}

bool IsCancelled(const BatchRequest& request) { return request.hooks.cancelled && request.hooks.cancelled(); }

}  // namespace

Status CheckRange(const char* field, std::int32_t value, std::int32_t low, std::int32_t high) {
  if (value >= low && value <= high) return {};
  return {StatusCode::kInvalidArgument, Cat(field, " is ", value, ", expected ", low, " to ", high)};
}

Result<BatchSettings> ToBatchSettings(const char* fields, const BatchOptions& options) {
  const auto check = [&](const char* field, std::int32_t value, std::int32_t low, std::int32_t high) {
    return CheckRange(Cat(fields, "::", field).c_str(), value, low, high);
  };
  SLM_RETURN_IF_ERROR(check("threads", options.threads, 0, kMaxThreads));
  SLM_RETURN_IF_ERROR(check("prompt_threads", options.prompt_threads, 0, kMaxThreads));
  SLM_RETURN_IF_ERROR(check("batch_size", options.batch_size, 1, kMaxBatch));
  BatchSettings settings;
  settings.batch_size = options.batch_size;
  settings.threads = options.threads != 0 ? options.threads : DefaultThreads();
  settings.prompt_threads = options.prompt_threads != 0 ? options.prompt_threads : settings.threads;
  return settings;
}

ForwardOptions ToForwardOptions(const BatchSettings& settings) {
  return {.max_rows = settings.batch_size, .threads = settings.threads, .prompt_threads = settings.prompt_threads};
}

Batch::Impl::Impl(const Model& batch_model, const BatchSettings& batch_settings, Workers workers)
    : model(batch_model),
      settings(batch_settings),
      team_(std::max(settings.threads, settings.prompt_threads), std::move(workers)) {}

Result<Batch> Batch::Impl::Create(const Model& model, const BatchSettings& settings, Workers workers) {
  BatchSettings possible = settings;
  ReserveThreads(model, workers, possible);
  auto impl = std::make_shared<Impl>(model, possible, std::move(workers));
  if (settings.profile) impl->profiler.emplace(Internal::Impl(model).config.layers.size());
  ForwardOptions options = ToForwardOptions(possible);
  options.profiler = impl->profiler ? &*impl->profiler : nullptr;
  SLM_ASSIGN_OR_RETURN(impl->forward_, Forward::Create(Internal::Impl(model), impl->team_, options));
  const auto rows = static_cast<std::size_t>(possible.batch_size);
  impl->rows_.reserve(rows);
  impl->taken_.reserve(rows);
  impl->waiting_.reserve(1);  // so that a session alone needs no memory later
  return Batch(std::move(impl));
}

Status Batch::Impl::Reserve(const AdapterSet& adapters) {
  if (adapters.narrow_width() == 0) return {};
  SLM_RETURN_IF_ERROR(CheckThread());
  return Turn(*this).forward().Reserve(adapters);
}

Status Batch::Impl::CheckThread() const {
  const std::scoped_lock lock(mutex_);
  if (computing_ != std::this_thread::get_id()) return {};
  return {StatusCode::kInvalidArgument,
          "the batch is in use: a session was called by a callback of another one of its batch that is computing"};
}

void Batch::Impl::ChangePresent(int by) {
  const std::scoped_lock lock(mutex_);
  if (by > 0) waiting_.reserve(static_cast<std::size_t>(present_ + by));
  present_ += by;
  if (by < 0 && !waiting_.empty()) changed_.notify_all();
}

void Batch::Impl::ChangeAway(int by) {
  const std::scoped_lock lock(mutex_);
  away_ += by;
  if (by > 0 && !waiting_.empty()) changed_.notify_all();
}

void Batch::Impl::Evaluate(BatchRequest& request) {
  std::unique_lock lock(mutex_);
  waiting_.push_back(&request);
  while (!request.done) {
    if (computing_ != std::thread::id() || !HaveCome() || (turns_wanted_ > 0 && !turn_was_last_)) {
      changed_.wait(lock);
    } else if (std::ssize(waiting_) >= present_ || Clock::now() >= patience_) {
      Step(lock, request);
    } else {
      changed_.wait_until(lock, patience_);
    }
  }
}

void Batch::Impl::Step(std::unique_lock<std::mutex>& lock, const BatchRequest& own) {
  ChooseRequests();
  computing_ = std::this_thread::get_id();
  lock.unlock();
  const Clock::time_point start = Clock::now();
  const bool evaluated = RunStep(own);
  const Clock::time_point end = Clock::now();
  lock.lock();
  computing_ = {};
  turn_was_last_ = false;
  patience_ = end + std::min<Clock::duration>((end - start) / kPatience, kMostPatience);
  for (BatchRequest* const request : taken_) {
    if (!evaluated) request->evaluated = 0;
    request->done = true;
  }
  std::erase_if(waiting_, [](const BatchRequest* request) { return request->done; });
  left_out_ = waiting_.size();
  changed_.notify_all();
}

// Prompts get the room that those that generate leave; but whoever found none in the last step comes first.
void Batch::Impl::ChooseRequests() {
  rows_.clear();
  taken_.clear();
  const bool generates = std::ranges::any_of(waiting_, [](const BatchRequest* request) { return IsFew(*request); });
  std::int64_t prompt_room = generates ? kPromptShare : settings.batch_size;
  const auto take = [&](BatchRequest& request) {
    const auto before = std::ssize(rows_);
    Take(request, IsFew(request) ? std::ssize(request.tokens) : prompt_room);
    if (!IsFew(request)) prompt_room -= std::ssize(rows_) - before;
  };
  const std::span<BatchRequest* const> waiting = waiting_;
  for (BatchRequest* const request : waiting.first(left_out_)) take(*request);
  for (const bool few : {true, false}) {
    for (BatchRequest* const request : waiting.subspan(left_out_)) {
      if (IsFew(*request) == few) take(*request);
    }
  }
}

// A step has one set of adapters. A cancelled request is taken without being evaluated.
void Batch::Impl::Take(BatchRequest& request, std::int64_t room) {
  room = std::min({room, settings.batch_size - std::ssize(rows_), std::ssize(request.tokens)});
  if (taken_.size() == taken_.capacity()) return;  // cancelled ones, too, are no reason to take memory
  if (!taken_.empty() && !SameAdapters(request, *taken_.front())) return;
  if (IsFew(request) && room < std::ssize(request.tokens)) return;
  const bool cancelled = IsCancelled(request);
  if (cancelled) room = 0;
  if (room <= 0 && !cancelled) return;
  taken_.push_back(&request);
  for (std::int64_t i = 0; i < room; ++i) {
    rows_.push_back(
        {request.tokens[static_cast<std::size_t>(i)], request.position + static_cast<std::int32_t>(i), request.cache});
  }
  request.evaluated = room;
}

bool Batch::Impl::RunStep(const BatchRequest& own) {
  if (rows_.empty()) return true;
  LayerHooks hooks;
  if (taken_.size() == 1) {
    hooks = taken_.front()->hooks;
    if (taken_.front() != &own) hooks.progress = nullptr;
  } else if (std::ranges::all_of(taken_,
                                 [](const BatchRequest* request) { return request->hooks.cancelled != nullptr; })) {
    hooks.cancelled = [this] {
      return std::ranges::all_of(taken_, [](const BatchRequest* r) { return IsCancelled(*r); });
    };
  }
  steps_.fetch_add(1, std::memory_order_relaxed);
  if (!forward_->Run(rows_, taken_.front()->adapters, hooks)) return false;
  ComputeLogits();
  return true;
}

void Batch::Impl::ComputeLogits() {
  const std::int64_t vocab = model.vocab_size();
  std::array<LogitsRow, Forward::kLogitsRows> rows;
  std::size_t count = 0;
  const auto compute = [&] {
    if (count > 0) forward_->Logits(std::span(rows).first(std::exchange(count, 0)));
  };
  std::int64_t end = 0;
  for (const BatchRequest* const request : taken_) {
    end += request->evaluated;
    if (request->evaluated < std::ssize(request->tokens)) continue;
    for (std::int64_t i = 0; i < request->logits_rows; ++i) {
      if (count == rows.size()) compute();
      rows[count++] = {end - request->logits_rows + i, request->logits + i * vocab};
    }
  }
  compute();
}

Batch::Impl::Turn::Turn(Impl& batch) : batch_(batch) {
  std::unique_lock lock(batch_.mutex_);
  ++batch_.turns_wanted_;
  batch_.changed_.wait(lock, [&] {
    return batch_.computing_ == std::thread::id() &&
           !(batch_.turn_was_last_ && !batch_.waiting_.empty() && batch_.HaveCome());
  });
  --batch_.turns_wanted_;
  batch_.computing_ = std::this_thread::get_id();
}

Batch::Impl::Turn::~Turn() {
  const std::scoped_lock lock(batch_.mutex_);
  batch_.computing_ = {};
  batch_.turn_was_last_ = true;
  batch_.changed_.notify_all();
}

Result<Batch> Batch::Create(const Model& model, const BatchOptions& options) try {
  SLM_ASSIGN_OR_RETURN(const BatchSettings settings, ToBatchSettings("BatchOptions", options));
  Workers workers = options.workers != nullptr ? *options.workers : Workers();
  return Impl::Create(model, settings, std::move(workers));
}
SLM_CATCH_OUT_OF_MEMORY

const Model& Batch::model() const { return impl_->model; }
std::int32_t Batch::threads() const { return impl_->settings.threads; }
std::int32_t Batch::prompt_threads() const { return impl_->settings.prompt_threads; }
std::uint64_t Batch::scratch_bytes() const { return impl_->scratch_bytes(); }
std::int64_t Batch::steps() const { return impl_->steps(); }

}  // namespace slm
