#include "slm/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/format.h"
#include "support/fixture.h"
#include "support/tiny_model.h"

namespace slm::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// A window of 16 on six of seven layers, and a prompt of 56 tokens.
class SessionTest : public testing::Test {
 protected:
  Session Make(const SessionOptions& options) const { return SessionOrThrow(model_, options); }
  std::span<const Token> First(std::size_t n) const { return std::span(prompt_).first(n); }

  const Model model_ = OpenOrThrow(FindFixture("gemma3").model());
  const std::vector<Token> prompt_ = FindFixture("gemma3").Prompt();
};

void ExpectFails(const Status& status, StatusCode code, const testing::Matcher<std::string>& message) {
  EXPECT_EQ(status.code(), code) << status.message();
  EXPECT_THAT(status.message(), message);
}

TEST_F(SessionTest, StartsEmpty) {
  const Session session = Make({.context_length = 100, .threads = 2});
  EXPECT_EQ(session.position(), 0);
  EXPECT_TRUE(session.tokens().empty());
  EXPECT_EQ(session.context_length(), 100);
  EXPECT_EQ(session.threads(), 2);
  EXPECT_EQ(session.model().name(), model_.name());
  EXPECT_GT(session.scratch_bytes(), 0u);
}

TEST_F(SessionTest, DefaultContextIsTheSmallerOf4096AndTheModels) {
  EXPECT_EQ(Make({}).context_length(), std::min(4096, model_.context_length()));
  const Model wide = TinyModel({.context = 100000}).Open().value();
  EXPECT_EQ(SessionOrThrow(wide, {.threads = 1, .batch_size = 1}).context_length(), 4096);
}

TEST_F(SessionTest, RefusesOptionsOutOfRange) {
  const auto fails = [&](const SessionOptions& options, const std::string& option) {
    ExpectFails(Session::Create(model_, options).status(), StatusCode::kInvalidArgument,
                HasSubstr(Cat("SessionOptions::", option)));
  };
  fails({.context_length = -1}, "context_length is -1");
  fails({.threads = -1}, "threads is -1");
  fails({.threads = 100000}, "threads is 100000");
  fails({.batch_size = 0}, "batch_size is 0");
  fails({.batch_size = 1 << 20}, "batch_size is 1048576");
}

TEST_F(SessionTest, RefusesAContextThatDoesNotFitInMemory) {
  // 64 * 1024 * 2 * 2 bytes a token and layer, times 2^31 - 1 tokens and 2 layers: 2^50 bytes.
  const Model model = TinyModel({.heads = 64, .kv_heads = 64, .head_dim = 1024}).Open().value();
  const Status status =
      Session::Create(model, {.context_length = std::numeric_limits<std::int32_t>::max(), .threads = 1}).status();
  ExpectFails(status, StatusCode::kOutOfMemory, AllOf(HasSubstr("bytes"), HasSubstr("2147483647")));
}

TEST_F(SessionTest, RefusesNoTokensAndUnknownTokens) {
  Session session = Make({.threads = 1});
  ASSERT_TRUE(session.Append(First(5)).ok());
  ExpectFails(session.Append({}).status(), StatusCode::kInvalidArgument, HasSubstr("no tokens"));
  EXPECT_TRUE(session.AppendVisiting(std::vector<Token>{1}, {}).ok()) << "nobody looks";
  EXPECT_TRUE(session.Rewind(session.position() - 1).ok());
  ExpectFails(session.AppendVisiting({}, [](std::int32_t, std::span<const float>) {}), StatusCode::kInvalidArgument,
              HasSubstr("no tokens"));
  for (const Token bad :
       {-1, model_.vocab_size(), std::numeric_limits<Token>::max(), std::numeric_limits<Token>::min()}) {
    const std::vector<Token> tokens = {3, 4, bad, 5};
    ExpectFails(session.Append(tokens).status(), StatusCode::kInvalidArgument,
                AllOf(HasSubstr(Cat("token ", bad, " at index 2")), HasSubstr(std::to_string(model_.vocab_size()))));
  }
  EXPECT_EQ(session.position(), 5);
}

TEST_F(SessionTest, ContextCanBeFilledExactly) {
  const std::vector<float> expected = AllLogits(model_, {.threads = 1}, prompt_);
  const auto context = static_cast<std::int32_t>(prompt_.size());
  Session session = Make({.context_length = context, .threads = 1});
  EXPECT_TRUE(SameBits(AllLogits(session, prompt_), expected));
  EXPECT_EQ(session.position(), context);
  ExpectFails(session.Append(First(1)).status(), StatusCode::kContextFull, HasSubstr("56"));
  EXPECT_EQ(session.position(), context);
}

TEST_F(SessionTest, FullContextNamesBothNumbersAndReadsNothing) {
  Session session = Make({.context_length = 20, .threads = 1, .batch_size = 4});
  ExpectFails(session.Append(First(21)).status(), StatusCode::kContextFull, AllOf(HasSubstr("21"), HasSubstr("20")));
  EXPECT_EQ(session.position(), 0);
  ASSERT_TRUE(session.Append(First(12)).ok());
  ExpectFails(session.Append(First(9)).status(), StatusCode::kContextFull,
              AllOf(HasSubstr("9 tokens"), HasSubstr("20"), HasSubstr("8"), HasSubstr("12")));
  EXPECT_EQ(session.position(), 12);
  // What it holds is not harmed.
  const std::vector<float> expected = AllLogits(model_, {.threads = 1}, First(20));
  EXPECT_TRUE(SameBits(AllLogits(session, std::span(prompt_).subspan(12, 8)),
                       std::span(expected).last(8 * static_cast<std::size_t>(model_.vocab_size()))));
}

TEST_F(SessionTest, ContextOfOneToken) {
  Session session = Make({.context_length = 1, .threads = 2});
  const auto logits = session.Append(First(1));
  ASSERT_TRUE(logits.ok()) << logits.status().message();
  EXPECT_TRUE(SameBits(*logits, AllLogits(model_, {.threads = 1}, First(1))));
  EXPECT_EQ(session.Append(First(1)).status().code(), StatusCode::kContextFull);
  ASSERT_TRUE(session.Rewind(0).ok());
  EXPECT_TRUE(session.Append(First(1)).ok());
}

// From any text to any other that shares a beginning with it, within the windows of 16 and beyond.
TEST_F(SessionTest, FollowsATextThatChanges) {
  const auto vocab = static_cast<std::size_t>(model_.vocab_size());
  const std::vector<float> expected = AllLogits(model_, {.threads = 1}, prompt_);
  int reread = 0;
  for (const std::size_t read : {1u, 20u, 56u}) {
    for (const std::size_t shared : {0u, 1u, 10u, 19u, 40u, 55u, 56u}) {
      if (shared > read) continue;
      for (const std::size_t wanted : {1u, 20u, 41u, 56u}) {
        SCOPED_TRACE(Cat(read, " tokens, ", shared, " shared, ", wanted, " wanted"));
        Session session = Make({.threads = 1, .batch_size = 8});
        std::vector<Token> before(prompt_.begin(), prompt_.begin() + static_cast<std::ptrdiff_t>(read));
        for (std::size_t i = shared; i < read; ++i) before[i] = (before[i] + 1) % model_.vocab_size();
        ASSERT_TRUE(session.Append(before).ok());
        Reuse reuse;
        std::int64_t last_done = 0;
        const auto logits = session.Follow(
            First(wanted), {.progress = [&](std::int64_t done, std::int64_t) { last_done = done; }}, &reuse);
        ASSERT_TRUE(logits.ok()) << logits.status().message();
        EXPECT_TRUE(SameBits(*logits, std::span(expected).subspan((wanted - 1) * vocab, vocab)));
        EXPECT_TRUE(std::ranges::equal(session.tokens(), First(wanted)));
        const auto same = static_cast<std::int32_t>(std::min(shared, wanted - 1));
        EXPECT_EQ(reuse.cached_tokens + reuse.reread_tokens, same);
        EXPECT_EQ(last_done, static_cast<std::int64_t>(wanted) - reuse.cached_tokens);
        if (read - static_cast<std::size_t>(same) <= 8) {
          EXPECT_EQ(reuse.reread_tokens, 0);
        }
        reread += reuse.reread_tokens > 0;
      }
    }
  }
  EXPECT_GT(reread, 0);
}

TEST_F(SessionTest, FollowsItsOwnTokens) {
  Session session = Make({.threads = 1});
  const auto logits = session.Append(prompt_);
  ASSERT_TRUE(logits.ok());
  const std::vector<float> expected(logits->begin(), logits->end());
  Reuse reuse;
  const auto again = session.Follow(session.tokens(), {}, &reuse);
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(SameBits(*again, expected));
  EXPECT_TRUE(std::ranges::equal(session.tokens(), prompt_));
  EXPECT_EQ(reuse.cached_tokens, 55);
  // A text that begins in the middle of what is read: it is overwritten while it is read.
  ASSERT_TRUE(session.Follow(session.tokens().subspan(10)).ok());
  EXPECT_TRUE(std::ranges::equal(session.tokens(), std::span(prompt_).subspan(10)));
}

TEST_F(SessionTest, ATextThatCannotBeFollowedChangesNothing) {
  Session session = Make({.context_length = 20, .threads = 1});
  ASSERT_TRUE(session.Append(First(20)).ok());
  ExpectFails(session.Follow({}).status(), StatusCode::kInvalidArgument, HasSubstr("no tokens"));
  ExpectFails(session.Follow(std::vector<Token>{3, -1}).status(), StatusCode::kInvalidArgument, HasSubstr("index 1"));
  ExpectFails(session.Follow(First(21)).status(), StatusCode::kContextFull,
              AllOf(HasSubstr("21"), HasSubstr("room for 20")));
  EXPECT_TRUE(std::ranges::equal(session.tokens(), First(20)));
}

TEST_F(SessionTest, ProgressIsToldLayerByLayer) {
  Session session = Make({.threads = 2, .batch_size = 10});
  std::vector<std::int64_t> calls;
  const auto caller = std::this_thread::get_id();
  const AppendOptions options = {.progress = [&](std::int64_t done, std::int64_t total) {
    EXPECT_EQ(total, 25);
    EXPECT_EQ(std::this_thread::get_id(), caller);
    calls.push_back(done);
  }};
  ASSERT_TRUE(session.Append(First(25), options).ok());
  EXPECT_TRUE(std::ranges::is_sorted(calls));
  EXPECT_EQ(calls.size(), 3 * static_cast<std::size_t>(model_.layer_count()));
  EXPECT_EQ(std::ranges::count(calls, 25), 1);
  EXPECT_EQ(calls.back(), 25);
}

// In the middle of the only batch, after some layers have written their keys and values.
// More threads than there is work: some come by when others are layers ahead. For ThreadSanitizer.
TEST_F(SessionTest, LateThreadsSeeWhetherItWasCancelled) {
  const CancelToken cancel;
  Session session = Make({.threads = 8, .batch_size = 40});
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(session.Rewind(0).ok());
    ASSERT_TRUE(session.Append(First(20), {.cancel = &cancel}).ok());
  }
}

TEST_F(SessionTest, CancelledBetweenLayersCanGoOn) {
  const std::vector<float> expected = AllLogits(model_, {.threads = 1}, prompt_);
  for (const int threads : {1, 2, 3}) {
    Session session = Make({.threads = threads, .batch_size = 40});
    ASSERT_TRUE(session.Append(First(16)).ok());
    CancelToken cancel;
    int calls = 0;
    const AppendOptions options = {.cancel = &cancel, .progress = [&](std::int64_t, std::int64_t) {
                                     if (++calls == 2) cancel.Cancel();
                                   }};
    const Status status = session.Append(std::span(prompt_).subspan(16), options).status();
    // Several threads may have done all layers before the calling one came to tell of two.
    if (threads == 1 || !status.ok()) {
      ExpectFails(status, StatusCode::kCancelled, HasSubstr("0 of 40"));
      EXPECT_LT(calls, model_.layer_count());
      EXPECT_EQ(session.position(), 16);
    } else {
      ASSERT_TRUE(session.Rewind(0).ok());
      ASSERT_TRUE(session.Append(First(16)).ok());
    }
    const auto logits = session.Append(std::span(prompt_).subspan(16));
    ASSERT_TRUE(logits.ok());
    EXPECT_TRUE(SameBits(*logits, std::span(expected).last(static_cast<std::size_t>(model_.vocab_size()))));
  }
}

TEST_F(SessionTest, CancelledBeforeItBegins) {
  Session session = Make({.threads = 1});
  CancelToken cancel;
  cancel.Cancel();
  ExpectFails(session.Append(First(5), {.cancel = &cancel}).status(), StatusCode::kCancelled, HasSubstr("0 of 5"));
  EXPECT_EQ(session.position(), 0);
  cancel.Reset();
  EXPECT_TRUE(session.Append(First(5), {.cancel = &cancel}).ok());
}

TEST_F(SessionTest, CancelledOnTheWayCanGoOn) {
  Session session = Make({.threads = 2, .batch_size = 8});
  CancelToken cancel;
  const AppendOptions options = {.cancel = &cancel, .progress = [&](std::int64_t done, std::int64_t) {
                                   if (done == 16) cancel.Cancel();
                                 }};
  ExpectFails(session.Append(prompt_, options).status(), StatusCode::kCancelled, HasSubstr("16 of 56"));
  EXPECT_EQ(session.position(), 16);
  EXPECT_TRUE(std::ranges::equal(session.tokens(), First(16)));
  const auto logits = session.Append(std::span(prompt_).subspan(16));
  ASSERT_TRUE(logits.ok());
  const std::vector<float> expected = AllLogits(model_, {.threads = 1}, prompt_);
  EXPECT_TRUE(SameBits(*logits, std::span(expected).last(static_cast<std::size_t>(model_.vocab_size()))));
}

// Long before the end of a text that would take a while.
TEST_F(SessionTest, CancelledByAnotherThread) {
  Session session = Make({.context_length = 20000, .threads = 1, .batch_size = 1});
  std::vector<Token> text(20000, 5);
  CancelToken cancel;
  std::thread other;
  const AppendOptions options = {.cancel = &cancel, .progress = [&](std::int64_t done, std::int64_t) {
                                   if (done == 1) other = std::thread([&] { cancel.Cancel(); });
                                 }};
  const Status status = session.Append(text, options).status();
  other.join();
  EXPECT_EQ(status.code(), StatusCode::kCancelled);
  EXPECT_LT(session.position(), 20000);
}

TEST_F(SessionTest, VisitsEveryPositionInOrder) {
  Session session = Make({.threads = 1, .batch_size = 40});
  ASSERT_TRUE(session.Append(First(3)).ok());
  std::int32_t expected = 3;
  ASSERT_TRUE(session
                  .AppendVisiting(std::span(prompt_).subspan(3),
                                  [&](std::int32_t position, std::span<const float> logits) {
                                    EXPECT_EQ(position, expected++);
                                    EXPECT_EQ(logits.size(), static_cast<std::size_t>(model_.vocab_size()));
                                  })
                  .ok());
  EXPECT_EQ(expected, static_cast<std::int32_t>(prompt_.size()));
}

// Damage that only some tokens meet: the embedding of one token.
TEST_F(SessionTest, NanInTheLogitsIsAnError) {
  TinyModel damaged({.tied = false});
  damaged.SetValue("token_embd.weight", 7 * 32 + 5, std::nanf(""));
  const Model model = damaged.Open().value();
  Session session = SessionOrThrow(model, {.threads = 1});
  const std::vector<Token> good = {3, 4};
  const std::vector<Token> bad = {5, 7};
  ASSERT_TRUE(session.Append(good).ok());
  ExpectFails(session.Append(bad).status(), StatusCode::kInvalidNumber,
              AllOf(HasSubstr("NaN"), HasSubstr("position 3")));
  ASSERT_TRUE(session.Rewind(2).ok());
  EXPECT_TRUE(session.Append(good).ok());
  const Status visited = session.AppendVisiting(bad, [](std::int32_t position, std::span<const float>) {
    EXPECT_EQ(position, 4);  // the sound token before
  });
  EXPECT_EQ(visited.code(), StatusCode::kInvalidNumber);
}

TEST_F(SessionTest, NanAndInfinityInWeightsAreErrors) {
  for (const float value : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    for (const char* tensor : {"blk.0.attn_q.weight", "blk.1.ffn_down.weight", "output_norm.weight"}) {
      const Model model = TinyModel().SetValue(tensor, 0, value).Open().value();
      Session session = SessionOrThrow(model, {.threads = 1});
      const std::vector<Token> tokens = {3, 4, 5};
      EXPECT_EQ(session.Append(tokens).status().code(), StatusCode::kInvalidNumber) << tensor << " " << value;
    }
  }
}

TEST_F(SessionTest, OutlivesTheModelHandle) {
  std::optional<Session> session;
  std::vector<float> expected;
  {
    const Model model = TinyModel().Open().value();
    session.emplace(SessionOrThrow(model, {.threads = 1}));
    expected = AllLogits(model, {.threads = 1}, std::vector<Token>{3, 4, 5});
  }
  EXPECT_TRUE(SameBits(AllLogits(*session, std::vector<Token>{3, 4, 5}), expected));
}

TEST_F(SessionTest, MovesWithWhatItHolds) {
  const std::vector<float> expected = AllLogits(model_, {.threads = 1}, prompt_);
  const auto vocab = static_cast<std::size_t>(model_.vocab_size());
  Session first = Make({.threads = 1});
  ASSERT_TRUE(first.Append(First(20)).ok());
  Session second = std::move(first);
  EXPECT_EQ(second.position(), 20);
  Session third = Make({.threads = 1});
  third = std::move(second);
  EXPECT_TRUE(SameBits(AllLogits(third, std::span(prompt_).subspan(20)), std::span(expected).subspan(20 * vocab)));
}

}  // namespace
}  // namespace slm::test
