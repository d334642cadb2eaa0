// How many conversations work at the same time, and what their threads do when something goes wrong.

#include "chat_parallel.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <latch>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

namespace slm::tools {

namespace {

TEST(CountOthersTest, AsManyAsAreAskedForAndAsThereAreTasks) {
  EXPECT_EQ(CountOthers(1, 16, 100, 10000), 0);
  EXPECT_EQ(CountOthers(4, 16, 100, 10000), 3);
  EXPECT_EQ(CountOthers(64, 16, 100, 10000), 15);
  EXPECT_EQ(CountOthers(4, 1, 100, 10000), 0);
  EXPECT_EQ(CountOthers(4, 0, 100, 10000), 0);
  EXPECT_EQ(CountOthers(4, 16, 100, 0), 3) << "whoever asks for so many knows why";
}

TEST(CountOthersTest, WithoutANumberMemoryDecides) {
  EXPECT_EQ(CountOthers(0, 16, 100, 1'000'000), 7) << "8 in all";
  EXPECT_EQ(CountOthers(0, 3, 100, 1'000'000), 2);
  EXPECT_EQ(CountOthers(0, 16, 100, 1000), 5) << "half of it";
  EXPECT_EQ(CountOthers(0, 16, 100, 199), 0);
  EXPECT_EQ(CountOthers(0, 16, 100, 0), 0) << "not known";
}

TEST(OutcomeOfTest, WhatIsThrownIsAnOutcome) {
  EXPECT_EQ(OutcomeOf([] { return Result<Record>(Record{.answer = 3}); })->answer, 3);
  EXPECT_EQ(OutcomeOf([]() -> Result<Record> { throw std::bad_alloc(); }).status().code(), StatusCode::kOutOfMemory);
  const Status other = OutcomeOf([]() -> Result<Record> { throw std::runtime_error("odd"); }).status();
  EXPECT_NE(other.message().find("odd"), std::string::npos) << other.message();
}

TEST(RunTogetherTest, RunsAllAtTheSameTime) {
  std::latch all(3);  // nobody goes on before all have come
  std::atomic<int> done = 0;
  RunTogether(std::vector<std::function<void()>>(3, [&] {
    all.arrive_and_wait();
    ++done;
  }));
  EXPECT_EQ(done, 3);
}

#ifdef __GLIBC__
// Before, this ended the process.
TEST(RunTogetherTest, WhereThereAreNoMoreThreadsTheFirstWorks) {
  ::pthread_attr_t usual, impossible;
  ASSERT_EQ(::pthread_getattr_default_np(&usual), 0);
  ASSERT_EQ(::pthread_attr_init(&impossible), 0);
  ASSERT_EQ(::pthread_attr_setstacksize(&impossible, std::size_t{1} << 47), 0);  // all there is to address
  ASSERT_EQ(::pthread_setattr_default_np(&impossible), 0);
  std::atomic<int> done = 0;
  RunTogether(std::vector<std::function<void()>>(3, [&] { ++done; }));
  EXPECT_EQ(::pthread_setattr_default_np(&usual), 0);
  EXPECT_EQ(done, 1);
  ::pthread_attr_destroy(&impossible);
  ::pthread_attr_destroy(&usual);
}
#endif

}  // namespace

}  // namespace slm::tools
