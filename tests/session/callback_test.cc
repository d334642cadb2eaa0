// Callbacks of a session that throw, or that call it.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "slm/generate.h"
#include "support/fixture.h"

namespace slm::test {
namespace {

struct Interrupted : std::runtime_error {
  Interrupted() : std::runtime_error("interrupted") {}
};

// A model with sliding windows: a batch that was begun has overwritten cells.
class SessionCallbackTest : public testing::Test {
 protected:
  const Fixture fixture_ = FindFixture("gemma3");
  const Model model_ = OpenOrThrow(fixture_.model());
  const std::vector<Token> prompt_ = fixture_.Prompt();
  const SessionOptions options_ = {.kv_type = KvType::kF32, .threads = 3, .batch_size = 16};
  const std::vector<float> expected_ = AllLogits(model_, options_, prompt_);
  Session session_ = SessionOrThrow(model_, options_);

  // Reads what is missing of the prompt, and compares.
  void ExpectGoesOn() {
    const auto rest = std::span(prompt_).subspan(static_cast<std::size_t>(session_.position()));
    const auto vocab = static_cast<std::size_t>(model_.vocab_size());
    ASSERT_FALSE(rest.empty());
    EXPECT_TRUE(SameBits(AllLogits(session_, rest), std::span(expected_).last(rest.size() * vocab)));
  }
};

TEST_F(SessionCallbackTest, AnExceptionOfProgressLeavesTheThreads) {
  for (int at = 0; at < 8; ++at) {
    ASSERT_TRUE(session_.Rewind(0).ok());
    int calls = 0;
    const AppendOptions throwing = {.progress = [&](std::int64_t, std::int64_t) {
      if (calls++ == at) throw Interrupted();
    }};
    EXPECT_THROW((void)session_.Append(prompt_, throwing), Interrupted) << at;
    EXPECT_EQ(calls, at + 1) << "nothing is told after it";
    EXPECT_EQ(session_.position() % options_.batch_size, 0) << "whole batches were read";
    ExpectGoesOn();
  }
}

TEST_F(SessionCallbackTest, AnExceptionOfAVisitor) {
  for (const std::int32_t at : {0, 5, 16, 17}) {
    ASSERT_TRUE(session_.Rewind(0).ok());
    EXPECT_THROW((void)session_.AppendVisiting(prompt_,
                                               [&](std::int32_t position, std::span<const float>) {
                                                 if (position == at) throw Interrupted();
                                               }),
                 Interrupted);
    ExpectGoesOn();
  }
}

TEST_F(SessionCallbackTest, AnExceptionOfAPiece) {
  Sampler sampler({.temperature = 0}, &model_.tokenizer());
  const auto begin = std::span(prompt_).first(10);
  EXPECT_THROW((void)Generate(session_, sampler, begin, {.max_tokens = 20, .ignore_end = true},
                              [](std::string_view) -> StreamAction { throw Interrupted(); }),
               Interrupted);
  ASSERT_TRUE(session_.Follow(begin).ok());
  ExpectGoesOn();
}

TEST_F(SessionCallbackTest, ACallToItsOwnSessionFails) {
  const auto try_all = [&] {
    const Token token = prompt_[0];
    EXPECT_EQ(session_.Append({&token, 1}).status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(session_.Follow({&token, 1}).status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(session_.AppendVisiting({&token, 1}, {}).code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(session_.Rewind(0).code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(session_.Shift(0, 0).code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(session_.Save(testing::TempDir() + "saved_by_a_callback").code(), StatusCode::kInvalidArgument);
  };
  int calls = 0;
  ASSERT_TRUE(session_
                  .AppendVisiting(std::span(prompt_).first(20),
                                  [&](std::int32_t, std::span<const float>) { try_all(); },
                                  {.progress = [&](std::int64_t, std::int64_t) { calls += 1, try_all(); }})
                  .ok());
  EXPECT_GT(calls, 0);
  ExpectGoesOn();
}

// A view of the session's own tokens: a use after free.
TEST_F(SessionCallbackTest, AppendsItsOwnTokens) {
  const auto begin = std::span(prompt_).first(20);
  ASSERT_TRUE(session_.Append(begin).ok());
  ASSERT_TRUE(session_.Append(session_.tokens()).ok());
  ASSERT_TRUE(session_.Append(session_.tokens().subspan(7, 30)).ok());
  std::vector<Token> expected(begin.begin(), begin.end());
  expected.insert(expected.end(), begin.begin(), begin.end());
  const std::vector<Token> middle(expected.begin() + 7, expected.begin() + 37);
  expected.insert(expected.end(), middle.begin(), middle.end());
  EXPECT_TRUE(std::ranges::equal(session_.tokens(), expected));
}

}  // namespace
}  // namespace slm::test
