// Faults to inject, each for as long as an object lives.

#ifndef SLM_TESTS_SOAK_FAULTS_H_
#define SLM_TESTS_SOAK_FAULTS_H_

#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

#include "slm/session.h"

namespace slm::test {

// One of the process's limits lowered.
class Limit {
 public:
  Limit(int resource, rlim_t value) : resource_(resource) {
    getrlimit(static_cast<__rlimit_resource_t>(resource_), &before_);
    const rlimit lowered = {value, before_.rlim_max};
    setrlimit(static_cast<__rlimit_resource_t>(resource_), &lowered);
  }
  Limit(const Limit&) = delete;
  Limit& operator=(const Limit&) = delete;
  ~Limit() { setrlimit(static_cast<__rlimit_resource_t>(resource_), &before_); }

 private:
  int resource_;
  rlimit before_{};
};

// No file can grow beyond so many bytes, as on a disk that is full by then. (SIGXFSZ must be ignored.)
inline Limit FullDisk(rlim_t bytes) { return {RLIMIT_FSIZE, bytes}; }
// No file can be opened.
inline Limit NoDescriptors() { return {RLIMIT_NOFILE, 0}; }

// Cancels from another thread after a while.
class CancelLater {
 public:
  CancelLater(CancelToken& token, std::chrono::microseconds after)
      : thread_([this, &token, after] {
          const auto end = std::chrono::steady_clock::now() + after;
          while (!over_ && std::chrono::steady_clock::now() < end) std::this_thread::yield();
          token.Cancel();
        }) {}
  ~CancelLater() {
    over_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> over_{false};
  std::thread thread_;
};

}  // namespace slm::test

#endif  // SLM_TESTS_SOAK_FAULTS_H_
