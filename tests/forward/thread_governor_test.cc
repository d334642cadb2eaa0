#include "forward/thread_governor.h"

#include <gtest/gtest.h>

namespace slm {
namespace {

// A machine on which a token takes `full` seconds with all threads and `reduced` with one less.
struct Times {
  double full;
  double reduced;
};

// Generates tokens and counts those that were computed with all threads.
int FullTokens(ThreadGovernor& governor, int threads, int tokens, const Times& times) {
  int full = 0;
  for (int i = 0; i < tokens; ++i) {
    const bool all = governor.threads() == threads;
    full += all ? 1 : 0;
    governor.Took(all ? times.full : times.reduced);
  }
  return full;
}

constexpr Times kIdle = {.full = 0.010, .reduced = 0.017};
constexpr Times kBusy = {.full = 0.030, .reduced = 0.017};  // the full team waits for the thread that is pushed off

TEST(ThreadGovernorTest, AnUndisturbedTeamStaysFull) {
  ThreadGovernor governor(2);
  EXPECT_EQ(FullTokens(governor, 2, 1000, kIdle), 1000);
}

TEST(ThreadGovernorTest, OneThreadIsNeverReduced) {
  ThreadGovernor governor(1);
  governor.Took(0.01);
  for (int i = 0; i < 10; ++i) {
    governor.Took(10);
    EXPECT_EQ(governor.threads(), 1);
  }
}

TEST(ThreadGovernorTest, SlowGrowthIsNoDisturbance) {
  ThreadGovernor governor(4);
  for (int i = 0; i < 2000; ++i) {
    EXPECT_EQ(governor.threads(), 4) << i;
    governor.Took(0.010 * (1 + i * 0.001));  // a growing context
  }
}

TEST(ThreadGovernorTest, ADisturbedTeamGivesWayAndComesBack) {
  ThreadGovernor governor(2);
  FullTokens(governor, 2, 10, kIdle);
  // Trials cost little once the pauses have grown.
  const int trials = FullTokens(governor, 2, 640, kBusy);
  EXPECT_GE(trials, 5);
  EXPECT_LE(trials, 20);
  // Back at full size after one pause at most, and for good.
  FullTokens(governor, 2, 65, kIdle);
  EXPECT_EQ(FullTokens(governor, 2, 200, kIdle), 200);
}

TEST(ThreadGovernorTest, ASingleSlowTokenCostsFewTokens) {
  ThreadGovernor governor(2);
  FullTokens(governor, 2, 10, kIdle);
  governor.Took(0.1);
  EXPECT_EQ(FullTokens(governor, 2, 100, kIdle), 96);
}

// A large model's tokens outlast many slices: the team loses less than a thread does.
TEST(ThreadGovernorTest, AFullTeamThatIsStillFasterStays) {
  ThreadGovernor governor(2);
  FullTokens(governor, 2, 10, kIdle);
  constexpr Times kShared = {.full = 0.0155, .reduced = 0.020};
  EXPECT_GE(FullTokens(governor, 2, 200, kShared), 190);
}

TEST(ThreadGovernorTest, ADisturbanceFromTheStartIsNoticed) {
  ThreadGovernor governor(2);
  // Some tokens get through undisturbed and show what is usual.
  for (int i = 0; i < 3; ++i) governor.Took(i == 1 ? 0.010 : 0.030);
  EXPECT_EQ(governor.threads(), 1);
}

}  // namespace
}  // namespace slm
