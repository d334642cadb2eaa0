// What EstimateMemory says is what a session takes, to the byte.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "slm/session.h"
#include "support/fixture.h"
#include "support/tiny_model.h"

namespace slm::test {
namespace {

// A window of 4 on every layer but the last.
Model SlidingModel() {
  return TinyModel({.architecture = "gemma3", .layers = 3, .head_dim = 32, .context = 1000})
      .Set("gemma3.attention.sliding_window", 4u)
      .Set("gemma3.attention.sliding_window_pattern", 3u)
      .Open()
      .value();
}

void ExpectExact(const Model& model, const SessionOptions& options) {
  const Result<MemoryEstimate> estimate = EstimateMemory(model, options);
  ASSERT_TRUE(estimate.ok()) << estimate.status().message();
  const Session session = SessionOrThrow(model, options);
  EXPECT_EQ(estimate->context_length, session.context_length());
  EXPECT_EQ(estimate->weight_bytes, model.file().size());
  EXPECT_EQ(estimate->kv_bytes, session.kv_bytes());
  EXPECT_EQ(estimate->scratch_bytes, session.scratch_bytes());
  EXPECT_EQ(estimate->session_bytes(), session.kv_bytes() + session.scratch_bytes());
  EXPECT_EQ(estimate->total_bytes(), model.file().size() + session.kv_bytes() + session.scratch_bytes());
}

TEST(MemoryEstimateTest, IsWhatASessionTakes) {
  const Model models[] = {SlidingModel(), TinyModel({.head_dim = 32}).Open().value(),
                          OpenOrThrow(FindFixture("q4_k_gemma3").model()), OpenOrThrow(FindFixture("llama3").model())};
  for (const Model& model : models) {
    SCOPED_TRACE(std::string(model.name()));
    ExpectExact(model, {});
    for (const KvType kv : {KvType::kF16, KvType::kF32, KvType::kQ8_0}) {
      if (kv == KvType::kQ8_0 && !Session::Create(model, {.kv_type = kv}).ok()) continue;
      for (const std::int32_t context : {1, 7, 300, 5000}) {
        ExpectExact(model, {.context_length = context, .kv_type = kv});
        ExpectExact(model, {.context_length = context, .kv_type = kv, .threads = 1, .prompt_threads = 3});
        ExpectExact(model, {.context_length = context, .kv_type = kv, .threads = 5, .batch_size = 3});
      }
    }
  }
}

#ifdef __GLIBC__
std::size_t BytesInUse() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

// The allocator knows of nothing that the estimate doesn't.
TEST(MemoryEstimateTest, IsAllTheMemoryThereIs) {
  if (BytesInUse() == 0) GTEST_SKIP() << "this allocator does not tell";  // a sanitizer's
  const Model model = OpenOrThrow(FindFixture("gemma3").model());
  for (const SessionOptions& options :
       {SessionOptions{.context_length = 20000}, SessionOptions{.context_length = 2000, .threads = 8},
        SessionOptions{.context_length = 300, .threads = 1, .batch_size = 1}}) {
    const std::uint64_t estimate = EstimateMemory(model, options)->session_bytes();
    const std::size_t before = BytesInUse();
    const Session session = SessionOrThrow(model, options);
    const std::size_t taken = BytesInUse() - before;
    EXPECT_GE(taken, estimate);
    EXPECT_LE(taken, estimate + (256 << 10));  // pages of each buffer begun, and the objects themselves
  }
}

TEST(MemoryEstimateTest, TakesNothingItself) {
  if (BytesInUse() == 0) GTEST_SKIP() << "this allocator does not tell";
  const Model model = OpenOrThrow(FindFixture("gemma3").model());
  const std::size_t before = BytesInUse();
  const Result<MemoryEstimate> estimate = EstimateMemory(model, {.context_length = 1 << 20});
  EXPECT_LT(BytesInUse() - before, 1u << 16);
  EXPECT_GT(estimate->kv_bytes, 1u << 20);
}
#endif

TEST(MemoryEstimateTest, SlidingLayersTakeOnlyTheirWindow) {
  const Model model = SlidingModel();
  const auto kv = [&](std::int32_t context, std::int32_t batch) {
    return EstimateMemory(model, {.context_length = context, .batch_size = batch})->kv_bytes;
  };
  // Keys and values of 2 heads of 32 halves: a cell takes 256 bytes.
  EXPECT_EQ(kv(500, 1), 256u * (500 + 2 * 4));
  EXPECT_EQ(kv(1000, 1), 256u * (1000 + 2 * 4));
  EXPECT_EQ(kv(1000, 16), 256u * (1000 + 2 * (4 + 15)));
}

TEST(MemoryEstimateTest, MoreThanAnyMachineHasCanBeEstimated) {
  const Model model = SlidingModel();
  const std::int32_t most = std::numeric_limits<std::int32_t>::max();
  const Result<MemoryEstimate> estimate = EstimateMemory(model, {.context_length = most, .batch_size = 1});
  ASSERT_TRUE(estimate.ok()) << estimate.status().message();
  EXPECT_EQ(estimate->kv_bytes / 256, std::uint64_t{2147483647} + 2 * 4);
}

TEST(MemoryEstimateTest, FailsAsASessionWould) {
  const Model model = TinyModel({.head_dim = 16}).Open().value();
  for (const SessionOptions& options : {SessionOptions{.context_length = -1}, SessionOptions{.threads = 5000},
                                        SessionOptions{.batch_size = 0}, SessionOptions{.kv_type = KvType::kQ8_0}}) {
    const Status status = EstimateMemory(model, options).status();
    const Status expected = Session::Create(model, options).status();
    EXPECT_FALSE(status.ok());
    EXPECT_EQ(status.code(), expected.code());
    EXPECT_EQ(status.message(), expected.message());
  }
  const Batch batch = Batch::Create(model, {.threads = 1}).value();
  const Model other = TinyModel().Open().value();
  EXPECT_EQ(EstimateMemory(other, {.batch = &batch}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(EstimateMemory(model, {.threads = 5000, .batch_size = 0, .batch = &batch}).ok());  // the batch's count
  EXPECT_TRUE(Session::Create(model, {.threads = 5000, .batch_size = 0, .batch = &batch}).ok());
}

}  // namespace
}  // namespace slm::test
