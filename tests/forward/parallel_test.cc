#include "forward/parallel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <numeric>
#include <thread>
#include <vector>

namespace slm {
namespace {

// More than this machine's processors, too.
constexpr int kTeamSizes[] = {1, 2, 3, 5};

// Whoever is free joins: a worker that waits for the others sees them all.
TEST(TeamTest, RunsOnAsManyThreadsAsAsked) {
  for (const int threads : {1, 2, 3, 5, 2}) {
    Team team(5);
    EXPECT_EQ(team.threads(), 5);
    std::atomic<int> arrived = 0;
    std::vector<int> runs(5);
    team.Run(threads, [&](Worker& worker) {
      ++runs[static_cast<std::size_t>(worker.rank())];
      ++arrived;
      while (arrived.load() < threads) std::this_thread::yield();
    });
    EXPECT_EQ(std::accumulate(runs.begin(), runs.end(), 0), threads);
    EXPECT_EQ(*std::max_element(runs.begin(), runs.end()), 1);
  }
}

TEST(TeamTest, EveryChunkOfEveryStepOnce) {
  constexpr std::int64_t kChunks[] = {0, 1, 2, 3, 64, 0, 1000, 7};
  for (const int threads : kTeamSizes) {
    Team team(threads);
    std::vector<std::vector<int>> calls;
    for (const std::int64_t chunks : kChunks) calls.emplace_back(chunks);
    for (int repetition = 1; repetition <= 20; ++repetition) {
      team.Run([&](Worker& worker) {
        for (std::size_t step = 0; step < std::size(kChunks); ++step) {
          // No atomics: a chunk belongs to one worker.
          worker.ForEach(kChunks[step], [&](std::int64_t chunk) { ++calls[step][static_cast<std::size_t>(chunk)]; });
        }
      });
      for (const std::vector<int>& step : calls) EXPECT_EQ(step, std::vector<int>(step.size(), repetition));
    }
  }
}

// Each step reads what the whole step before wrote, without atomics: wrong sums, or a report of the thread sanitizer,
// if a step begins too early.
TEST(TeamTest, AStepSeesTheStepsBefore) {
  constexpr std::size_t kCells = 6;
  constexpr int kSteps = 500;
  const auto mix = [](const std::vector<std::int64_t>& cells, std::size_t cell) {
    return std::accumulate(cells.begin(), cells.end(), static_cast<std::int64_t>(cell)) % 1000003;
  };
  std::vector<std::int64_t> expected(kCells, 1);
  for (int step = 0; step < kSteps; ++step) {
    std::vector<std::int64_t> next(kCells);
    for (std::size_t cell = 0; cell < kCells; ++cell) next[cell] = mix(expected, cell);
    expected = next;
  }
  for (const int threads : kTeamSizes) {
    Team team(threads);
    std::vector<std::int64_t> now(kCells, 1);
    std::vector<std::int64_t> next(kCells);
    team.Run([&](Worker& worker) {
      for (int step = 0; step < kSteps; ++step) {
        worker.ForEach(kCells, [&](std::int64_t chunk) {
          const auto cell = static_cast<std::size_t>(chunk);
          next[cell] = mix(now, cell);
        });
        worker.ForEach(kCells, [&](std::int64_t chunk) {
          const auto cell = static_cast<std::size_t>(chunk);
          now[cell] = next[cell];
        });
      }
    });
    EXPECT_EQ(now, expected);
  }
}

// A worker that comes late finds its steps done and goes on to where the others are.
TEST(TeamTest, ALateWorkerHoldsUpNothing) {
  Team team(3);
  std::vector<int> calls(4);
  team.Run([&](Worker& worker) {
    if (worker.rank() != 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    for (int step = 0; step < 100; ++step) {
      worker.ForEach(4, [&](std::int64_t chunk) { ++calls[static_cast<std::size_t>(chunk)]; });
    }
  });
  EXPECT_EQ(calls, std::vector<int>(4, 100));
}

// What the team wrote is there when Run returns, and what the caller writes then is there in the next Run.
TEST(TeamTest, RunOrdersMemoryAtBothEnds) {
  Team team(3);
  std::vector<int> values(300);
  for (int round = 1; round <= 100; ++round) {
    team.Run(
        [&](Worker& worker) { worker.ForEach(300, [&](std::int64_t i) { ++values[static_cast<std::size_t>(i)]; }); });
    for (int& value : values) {
      ASSERT_EQ(value, 2 * round - 1);
      ++value;
    }
  }
}

double ProcessSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

// Waiting is a bounded spin, then sleep: between runs nobody computes (llama.cpp issues 13079 and 13758: idle workers
// burnt all cores after the answer).
TEST(TeamTest, IdleThreadsUseNoProcessor) {
  Team team(3);
  team.Run([](Worker& worker) {
    for (int step = 0; step < 50; ++step) worker.ForEach(6, [](std::int64_t) {});
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const double before = ProcessSeconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(1000));
  EXPECT_LT(ProcessSeconds() - before, 0.010);
}

// With twice as many threads as processors, work takes about as long as with as many. The bound is generous, for busy
// machines: what it excludes is the collapse to a hundredth that spinning at barriers leads to.
TEST(TeamTest, TooManyThreadsDoNotCollapse) {
  const auto seconds = [](int threads) {
    Team team(threads);
    const auto start = std::chrono::steady_clock::now();
    for (int run = 0; run < 20; ++run) {
      team.Run([&](Worker& worker) {
        for (int step = 0; step < 100; ++step) {
          worker.ForEach(8, [](std::int64_t chunk) {
            volatile std::int64_t sum = 0;
            for (std::int64_t i = 0; i < 10000; ++i) sum = sum + chunk * i;
          });
        }
      });
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  const int processors = static_cast<int>(std::thread::hardware_concurrency());
  EXPECT_LT(seconds(2 * processors), 10 * seconds(processors));
}

}  // namespace
}  // namespace slm
