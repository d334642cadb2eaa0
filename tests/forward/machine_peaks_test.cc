#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

#include "dispatch.h"
#include "slm/machine.h"

namespace slm {
namespace {

// Any processor of the last twenty years is between these, and a loop the compiler has thrown away above.
constexpr double kLeast = 1e7, kMost = 1e15;

void ExpectPlausible(const Result<MachinePeaks>& peaks) {
  ASSERT_TRUE(peaks.ok()) << peaks.status().message();
  EXPECT_GT(peaks->read_bytes_per_second, kLeast);
  EXPECT_LT(peaks->read_bytes_per_second, kMost);
  EXPECT_GT(peaks->multiply_adds_per_second, kLeast);
  EXPECT_LT(peaks->multiply_adds_per_second, kMost);
}

TEST(MachinePeaks, ArePlausible) {
  const std::string best_set = BestKernelSet().name;
  const Result<MachinePeaks> best = MeasurePeaks(best_set, 0);
  const Result<MachinePeaks> scalar = MeasurePeaks("scalar", 3);
  ExpectPlausible(best);
  ExpectPlausible(scalar);
  // Vector instructions do dozens of multiply-adds at a time.
  if (best.ok() && scalar.ok() && best_set != "scalar") {
    EXPECT_GT(best->multiply_adds_per_second, 3 * scalar->multiply_adds_per_second);
  }
}

TEST(MachinePeaks, RefuseUnknownKernels) {
  const Result<MachinePeaks> peaks = MeasurePeaks("mmx", 1);
  ASSERT_FALSE(peaks.ok());
  EXPECT_EQ(peaks.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(peaks.status().message().find("\"mmx\""), std::string::npos) << peaks.status().message();
  EXPECT_NE(peaks.status().message().find("scalar"), std::string::npos) << peaks.status().message();
}

TEST(MachinePeaks, RefuseImpossibleThreads) {
  for (const std::int32_t threads : {-1, std::numeric_limits<std::int32_t>::min(), 1 << 20}) {
    const Result<MachinePeaks> peaks = MeasurePeaks("", threads);
    ASSERT_FALSE(peaks.ok()) << threads;
    EXPECT_EQ(peaks.status().code(), StatusCode::kInvalidArgument);
    EXPECT_NE(peaks.status().message().find(std::to_string(threads)), std::string::npos) << peaks.status().message();
  }
}

}  // namespace
}  // namespace slm
