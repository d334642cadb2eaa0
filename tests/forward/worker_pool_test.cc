#include "forward/worker_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif

namespace slm {
namespace {

using std::chrono_literals::operator""ms;

void WaitUntil(const std::atomic<int>& count, int value) {
  while (count.load() < value) std::this_thread::yield();
}

TEST(WorkerPoolTest, FreeThreadsJoinAJob) {
  WorkerPool pool(4, {});
  EXPECT_EQ(pool.Reserve(4), 4);
  for (const int threads : {1, 4, 2, 3}) {
    std::atomic<int> arrived = 0;
    std::vector<int> ranks(4);
    pool.Run(threads, [&](int rank) {
      ++ranks[static_cast<std::size_t>(rank)];
      ++arrived;
      WaitUntil(arrived, threads);
    });
    EXPECT_EQ(std::ranges::count(ranks, 1), threads);
    EXPECT_EQ(std::ranges::count(ranks, 0), 4 - threads);
  }
}

TEST(WorkerPoolTest, NobodyIsWaitedFor) {
  WorkerPool pool(3, {});
  int caller_runs = 0;
  for (int job = 0; job < 1000; ++job) {
    pool.Run(3, [&](int rank) {
      if (rank == 0) ++caller_runs;
    });
  }
  EXPECT_EQ(caller_runs, 1000);
}

// While somebody else computes there are no more than two threads at work, and then there are again.
TEST(WorkerPoolTest, CallersAtTheSameTimeShareThePool) {
  WorkerPool pool(2, {});
  ASSERT_EQ(pool.Reserve(2), 2);
  std::atomic<int> busy = 0, free = 0;
  std::thread other([&] {
    pool.Run(1, [&](int) {
      ++busy;
      WaitUntil(free, 1);
    });
  });
  WaitUntil(busy, 1);
  std::atomic<int> workers = 0;
  pool.Run(2, [&](int) {
    ++workers;
    std::this_thread::sleep_for(50ms);
  });
  EXPECT_EQ(workers, 1);
  ++free;
  other.join();
  std::atomic<int> arrived = 0;
  pool.Run(2, [&](int) {
    ++arrived;
    WaitUntil(arrived, 2);
  });
  EXPECT_EQ(arrived, 2);
}

TEST(WorkerPoolTest, MoreThreadsForWhoAsksForThem) {
  WorkerPool pool(1, {});
  EXPECT_EQ(pool.Reserve(2), 2);
  EXPECT_EQ(pool.Reserve(5), 5);
  std::atomic<int> arrived = 0;
  pool.Run(5, [&](int) {
    ++arrived;
    WaitUntil(arrived, 5);
  });
  EXPECT_EQ(arrived, 5);
}

TEST(WorkersTest, Options) {
  EXPECT_EQ(Workers::Create({.threads = 3}).value().threads(), 3);
  EXPECT_GT(Workers::Create({}).value().threads(), 0);
  EXPECT_EQ(Workers().threads(), Workers().threads());
  EXPECT_EQ(Workers::Create({.threads = -1}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Workers::Create({.threads = 2000}).status().code(), StatusCode::kInvalidArgument);
}

#if defined(__linux__)
TEST(WorkersTest, ThreadsRunOnTheirProcessors) {
  cpu_set_t set;
  ASSERT_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
  std::vector<std::int32_t> processors;
  for (std::int32_t i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &set)) processors.push_back(i);
  }
  std::ranges::reverse(processors);
  Workers workers = Workers::Create({.threads = 3, .processors = processors}).value();
  WorkerPool& pool = Internal::Impl(workers).pool();
  ASSERT_EQ(pool.Reserve(3), 3);
  std::atomic<int> arrived = 0;
  std::vector<int> places(3, -1);
  pool.Run(3, [&](int rank) {
    cpu_set_t own;
    if (rank > 0 && sched_getaffinity(0, sizeof(own), &own) == 0 && CPU_COUNT(&own) == 1) {
      places[static_cast<std::size_t>(rank)] = sched_getcpu();
    }
    ++arrived;
    WaitUntil(arrived, 3);
  });
  std::vector<int> expected = {-1, processors[1 % processors.size()], processors[2 % processors.size()]};
  std::ranges::sort(places);
  std::ranges::sort(expected);
  EXPECT_EQ(places, expected);

  processors.push_back(CPU_SETSIZE - 1);
  const Status status = Workers::Create({.processors = processors}).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find(std::to_string(CPU_SETSIZE - 1)), std::string::npos) << status.message();
}
#endif

}  // namespace
}  // namespace slm
