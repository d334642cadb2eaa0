#include "forward/worker_pool.h"

#include <omp.h>
#include <unistd.h>

#include <algorithm>
#include <latch>
#include <memory>
#include <new>
#include <system_error>

#if defined(__linux__)
#include <sched.h>
#endif

#include "base/format.h"
#include "base/status_macros.h"
#include "forward/parallel.h"
#include "forward/spin.h"

namespace slm {

namespace {

constexpr std::int32_t kMaxThreads = 1024;
// A helper that has nothing to do is soon needed again while a text is generated: sampling a token takes less than a
// millisecond. After that it sleeps.
constexpr int kIdleSpins = 10000;
// Those that are late for a job have no work left to do.
constexpr int kLeavingSpins = 2000;

// Whether the system lets `count` threads start, and as many again for what others start meanwhile. OpenMP runtimes end
// the process where a thread can't be made.
bool ThreadsCanStart(int count) {
  std::vector<std::thread> threads;
  std::latch end(1);
  const auto finish = [&] {
    end.count_down();
    for (std::thread& thread : threads) thread.join();
  };
  try {
    threads.reserve(2 * static_cast<std::size_t>(count));
    for (int i = 0; i < 2 * count; ++i) threads.emplace_back([&] { end.wait(); });
  } catch (const std::system_error&) {
    finish();
    return false;
  } catch (...) {  // no memory
    finish();
    throw;
  }
  finish();
  return true;
}

#if defined(__linux__)
constexpr bool kCanBind = true;

bool MayRunOn(std::int32_t processor) {
  cpu_set_t set;
  return processor >= 0 && processor < CPU_SETSIZE && sched_getaffinity(0, sizeof(set), &set) == 0 &&
         CPU_ISSET(processor, &set);
}

void BindThisThread(std::int32_t processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  sched_setaffinity(0, sizeof(set), &set);  // if it fails, the thread runs where it can
}
#else
constexpr bool kCanBind = false;
bool MayRunOn(std::int32_t) { return false; }
void BindThisThread(std::int32_t) {}
#endif

Status CheckOptions(const WorkersOptions& options) {
  if (options.threads < 0 || options.threads > kMaxThreads) {
    return {StatusCode::kInvalidArgument,
            Cat("WorkersOptions::threads is ", options.threads, ", expected 0 to ", kMaxThreads)};
  }
  if (!kCanBind && !options.processors.empty()) {
    return {StatusCode::kUnsupported, "WorkersOptions::processors: threads can't be bound on this system"};
  }
  const auto other = std::ranges::find_if_not(options.processors, MayRunOn);
  if (other == options.processors.end()) return {};
  return {StatusCode::kInvalidArgument,
          Cat("WorkersOptions::processors has ", *other, ", which is none that this process may run on")};
}

}  // namespace

WorkerPool::WorkerPool(int limit, const std::vector<std::int32_t>& processors)
    : limit_(limit), processors_(processors), process_(getpid()) {
  jobs_.reserve(kMaxThreads);  // so that Run needs no memory
}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    TellHelpers();
  }
  for (std::thread& host : hosts_) host.join();
}

bool WorkerPool::alive() const { return process_ == getpid(); }

int WorkerPool::Reserve(int threads) {
  const std::lock_guard lock(mutex_);
  AddHelpers(threads - 1 - helpers_);
  return std::min(threads, 1 + helpers_);
}

void WorkerPool::AddHelpers(int count) {
  if (count <= 0) return;
  exhausted_ = true;
  if (!ThreadsCanStart(count)) return;
  try {
    hosts_.emplace_back([this, place = helpers_ + 1, count] { Host(place, count); });
  } catch (const std::system_error&) {
    return;
  }
  helpers_ += count;
  exhausted_ = false;
}

// A region of OpenMP that lasts as long as the pool: the runtime makes the threads, and places them if OMP_PLACES says
// where. One region for every job would be a team for each thread that calls, and there would be no sharing.
void WorkerPool::Host(int first_place, int count) {
#pragma omp parallel num_threads(count)
  Serve(first_place + omp_get_thread_num());
}

void WorkerPool::Serve(int place) {
  if (!processors_.empty()) BindThisThread(processors_[static_cast<std::size_t>(place) % processors_.size()]);
  std::unique_lock lock(mutex_);
  while (!closing_) {
    const std::uint32_t news = news_.load(std::memory_order_relaxed);
    Job* const job = FindJob();
    if (job == nullptr) {
      lock.unlock();
      if (!SpinUntil(kIdleSpins, [&] { return news_.load(std::memory_order_relaxed) != news; })) news_.wait(news);
      lock.lock();
      continue;
    }
    const int rank = job->ranks++;
    ++job->helpers;
    ++computing_;
    lock.unlock();
    job->work(rank);
    lock.lock();
    Close(*job);
    job->helpers.fetch_sub(1, std::memory_order_release);
    leavings_.fetch_add(1, std::memory_order_release);
    leavings_.notify_all();
  }
}

WorkerPool::Job* WorkerPool::FindJob() {
  for (Job* job : jobs_) {
    if (job->ranks < job->threads && computing_ < std::max(limit_, job->threads)) return job;
  }
  return nullptr;
}

void WorkerPool::TellHelpers() {
  news_.fetch_add(1, std::memory_order_relaxed);
  news_.notify_all();
}

// A thread that returns from a job has seen all of it done: there is nothing left to join.
void WorkerPool::Close(const Job& job) {
  std::erase(jobs_, &job);
  --computing_;
  if (FindJob() != nullptr) TellHelpers();
}

void WorkerPool::Run(int threads, const Work& work) {
  Job job{.work = work, .threads = threads};
  {
    const std::lock_guard lock(mutex_);
    try {
      if (!exhausted_) AddHelpers(threads - 1 - helpers_);  // in a child of fork()
    } catch (const std::bad_alloc&) {                       // fewer threads
    }
    jobs_.push_back(&job);
    ++computing_;
    if (FindJob() != nullptr) TellHelpers();
  }
  work(0);
  {
    const std::lock_guard lock(mutex_);
    Close(job);
  }
  while (true) {
    const std::uint32_t leavings = leavings_.load(std::memory_order_acquire);
    const auto left = [&] { return job.helpers.load(std::memory_order_acquire) == 0; };
    if (SpinUntil(kLeavingSpins, left)) return;
    leavings_.wait(leavings);
  }
}

Workers::Impl::~Impl() {
  WorkerPool* const pool = pool_.load();
  if (pool != nullptr && pool->alive()) delete pool;
}

WorkerPool& Workers::Impl::pool() {
  WorkerPool* pool = pool_.load(std::memory_order_acquire);
  if (pool != nullptr && pool->alive()) return *pool;
  // A pool of the parent is left as it is: its threads are not there to be waited for.
  auto made = std::make_unique<WorkerPool>(threads, processors);
  return pool_.compare_exchange_strong(pool, made.get()) ? *made.release() : *pool;
}

Workers::Workers() {
  // Never destroyed: threads may still compute when the program's own objects are.
  static const auto* const kShared =
      new std::shared_ptr<Impl>(std::make_shared<Impl>(DefaultThreads(), std::vector<std::int32_t>()));
  impl_ = *kShared;
}

Result<Workers> Workers::Create(const WorkersOptions& options) try {
  SLM_RETURN_IF_ERROR(CheckOptions(options));
  return Workers(std::make_shared<Impl>(options.threads != 0 ? options.threads : DefaultThreads(), options.processors));
}
SLM_CATCH_OUT_OF_MEMORY

std::int32_t Workers::threads() const { return impl_->threads; }

}  // namespace slm
