// Sessions that compute together give what each gives alone, and none is held up or harmed by another.

#include "slm/batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <latch>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "session/batch_impl.h"
#include "slm/generate.h"
#include "support/fixture.h"

namespace slm::test {
namespace {

using testing::HasSubstr;

void ExpectFails(const Status& status, StatusCode code, const testing::Matcher<std::string>& message) {
  EXPECT_EQ(status.code(), code) << status.message();
  EXPECT_THAT(status.message(), message);
}

std::vector<Token> TextOf(const Model& model, std::size_t tokens, int which) {
  std::vector<Token> text(tokens);
  for (std::size_t i = 0; i < tokens; ++i)
    text[i] = static_cast<Token>((i * 7 + static_cast<std::size_t>(which) * 11 + 3) %
                                 static_cast<std::size_t>(model.vocab_size()));
  return text;
}

// What one of several conversations does.
struct Part {
  std::size_t prompt = 10;
  std::int32_t answer = 30;
  float temperature = 0.9f;
};

Result<GenerateResult> Write(const Model& model, const Batch* batch, const Part& part, int which,
                             const GenerateOptions& options = {}, const PieceCallback& on_piece = {}) {
  Session session = SessionOrThrow(model, {.context_length = 300, .threads = 2, .batch = batch});
  Sampler sampler({.temperature = part.temperature, .seed = static_cast<std::uint64_t>(which)}, &model.tokenizer());
  GenerateOptions all = options;
  all.max_tokens = part.answer;
  all.ignore_end = true;
  return Generate(session, sampler, TextOf(model, part.prompt, which), all, on_piece);
}

// Runs f(0), f(1) and so on, each on a thread of its own.
void OnThreads(int count, const std::function<void(int)>& f) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back([&f, i] { f(i); });
  for (std::thread& thread : threads) thread.join();
}

class BatchTest : public testing::TestWithParam<const char*> {
 protected:
  const Model model_ = OpenOrThrow(FindFixture(GetParam()).model());
};

TEST_P(BatchTest, TextsAreAsAlone) {
  const Part parts[] = {{},
                        {.prompt = 90, .answer = 20},
                        {.prompt = 1, .answer = 45, .temperature = 0},
                        {.prompt = 150, .answer = 3},
                        {.prompt = 33, .answer = 30, .temperature = 0}};
  constexpr int kParts = std::ssize(parts);
  std::vector<std::string> alone;
  for (int i = 0; i < kParts; ++i) alone.push_back(Write(model_, nullptr, parts[i], i).value().text);
  for (const BatchOptions& options : {BatchOptions{.threads = 1}, BatchOptions{.threads = 3, .batch_size = 40},
                                      BatchOptions{.threads = 2, .batch_size = 2}}) {
    const Batch batch = Batch::Create(model_, options).value();
    std::vector<std::string> together(kParts);
    OnThreads(kParts,
              [&](int i) { together[static_cast<std::size_t>(i)] = Write(model_, &batch, parts[i], i).value().text; });
    EXPECT_EQ(together, alone) << options.threads << " threads, " << options.batch_size << " rows";
  }
}

INSTANTIATE_TEST_SUITE_P(Models, BatchTest, testing::Values("gemma3", "llama_f16", "mixtral", "gemma3n"));

class BatchOfLlamaTest : public BatchTest {};
INSTANTIATE_TEST_SUITE_P(Models, BatchOfLlamaTest, testing::Values("llama_f16"));

TEST_P(BatchOfLlamaTest, StepsAreShared) {
  constexpr int kSessions = 4;
  constexpr std::int32_t kAnswer = 40;
  Batch batch = Batch::Create(model_).value();
  ImplOf<Batch>& impl = Internal::Impl(batch);
  impl.ChangePresent(1);  // nobody begins before all are there
  std::thread starter([&] {
    while (impl.waiting() < kSessions) std::this_thread::yield();
    impl.ChangePresent(-1);
  });
  OnThreads(kSessions, [&](int i) { EXPECT_TRUE(Write(model_, &batch, {.answer = kAnswer}, i).ok()); });
  starter.join();
  EXPECT_EQ(batch.steps(), kAnswer);
}

// Where those that generate fill every step, a prompt is read all the same.
TEST_P(BatchOfLlamaTest, APromptFindsRoom) {
  constexpr int kWriters = 60;
  const Batch batch = Batch::Create(model_, {.threads = 1, .batch_size = 17}).value();
  std::latch writing(kWriters + 1);
  std::atomic<bool> is_read = false;
  OnThreads(kWriters + 1, [&](int i) {
    if (i == kWriters) {
      Session session = SessionOrThrow(model_, {.context_length = 50, .batch = &batch});
      writing.arrive_and_wait();
      EXPECT_TRUE(session.Append(TextOf(model_, 40, i)).ok());
      is_read = true;
      return;
    }
    EXPECT_TRUE(
        Write(model_, &batch, {.answer = 250}, i, {.guess_tokens = 0}, [&, first = true](std::string_view) mutable {
          if (std::exchange(first, false)) writing.arrive_and_wait();
          return is_read ? kStop : kContinue;
        }).ok());
  });
  // Each step has 17 tokens of 60 that are wanted: a turn of all takes 4. The prompt takes 3, the last of them few.
  EXPECT_LT(batch.steps(), 100);
}

TEST_P(BatchOfLlamaTest, WhatHappensToOneIsItsOwn) {
  const Part part = {.prompt = 30, .answer = 60};
  const Batch batch = Batch::Create(model_, {.threads = 2}).value();
  CancelToken cancel;
  std::vector<std::string> texts(5);
  OnThreads(5, [&](int i) {
    if (i == 0) {  // cancelled
      const auto result =
          Write(model_, &batch, part, i, {.cancel = &cancel}, [&, pieces = 0](std::string_view) mutable {
            if (++pieces == 5) cancel.Cancel();
            return kContinue;
          });
      EXPECT_EQ(result.value().finish_reason, FinishReason::kCancelled);
    } else if (i == 1) {  // an exception
      EXPECT_THROW(
          static_cast<void>(Write(model_, &batch, part, i, {},
                                  [](std::string_view) -> StreamAction { throw std::runtime_error("no more"); })),
          std::runtime_error);
    } else if (i == 2) {  // too long
      EXPECT_EQ(Write(model_, &batch, {.prompt = 400}, i).status().code(), StatusCode::kContextFull);
    } else {
      texts[static_cast<std::size_t>(i)] = Write(model_, &batch, part, i).value().text;
    }
  });
  for (const int i : {3, 4}) {
    EXPECT_EQ(texts[static_cast<std::size_t>(i)], Write(model_, nullptr, part, i).value().text) << i;
  }
}

TEST_P(BatchOfLlamaTest, ACallbackHoldsUpNobody) {
  const Batch batch = Batch::Create(model_).value();
  std::promise<void> other_is_done;
  OnThreads(2, [&](int i) {
    if (i == 1) {
      EXPECT_TRUE(Write(model_, &batch, {}, i).ok());
      other_is_done.set_value();
      return;
    }
    EXPECT_TRUE(Write(model_, &batch, {.answer = 3}, i, {}, [&, first = true](std::string_view) mutable {
                  if (std::exchange(first, false)) other_is_done.get_future().wait();
                  return kContinue;
                }).ok());
  });
}

TEST_P(BatchOfLlamaTest, ALongPromptIsCancelledBetweenSteps) {
  const Batch batch = Batch::Create(model_, {.batch_size = 20}).value();
  CancelToken cancel;
  std::latch reading(2);
  OnThreads(2, [&](int i) {
    Session session = SessionOrThrow(model_, {.context_length = 300, .batch = &batch});
    if (i == 0) {
      const auto progress = [&](std::int64_t done, std::int64_t) {
        if (done == 20) cancel.Cancel();
      };
      reading.arrive_and_wait();
      const Status status = session.Append(TextOf(model_, 250, i), {.cancel = &cancel, .progress = progress}).status();
      EXPECT_EQ(status.code(), StatusCode::kCancelled);
      EXPECT_LT(session.position(), 250);
    } else {
      reading.arrive_and_wait();
      EXPECT_TRUE(session.Append(TextOf(model_, 250, i)).ok());
    }
  });
}

TEST_P(BatchOfLlamaTest, WhoVisitsALongTextLetsOthersGoOn) {
  const Batch batch = Batch::Create(model_, {.batch_size = 8}).value();
  std::latch writing(2);
  std::atomic<bool> is_read = false;
  OnThreads(2, [&](int i) {
    if (i == 0) {
      Session session = SessionOrThrow(model_, {.context_length = 1000, .batch = &batch});
      writing.arrive_and_wait();
      EXPECT_TRUE(session.AppendVisiting(TextOf(model_, 1000, i), {}).ok());
      is_read = true;
      return;
    }
    int while_read = 0;
    EXPECT_TRUE(
        Write(model_, &batch, {.answer = 250}, i, {.guess_tokens = 0}, [&, first = true](std::string_view) mutable {
          if (std::exchange(first, false)) writing.arrive_and_wait();
          while_read += is_read ? 0 : 1;
          return kContinue;
        }).ok());
    EXPECT_GT(while_read, 20);  // of 125 turns
  });
}

TEST_P(BatchOfLlamaTest, IsInUseWhileItComputes) {
  const Batch batch = Batch::Create(model_).value();
  Session other = SessionOrThrow(model_, {.context_length = 50, .batch = &batch});
  Session session = SessionOrThrow(model_, {.context_length = 50, .batch = &batch});
  const std::vector<Token> text = TextOf(model_, 20, 0);
  int calls = 0;
  const auto call_other = [&](std::int64_t done, std::int64_t total) {
    if (done == total) return;  // computed: others may
    ++calls;
    ExpectFails(other.Append(text).status(), StatusCode::kInvalidArgument, HasSubstr("the batch is in use"));
  };
  ASSERT_TRUE(session.Append(text, {.progress = call_other}).ok());
  EXPECT_GT(calls, 0);
  ASSERT_TRUE(other.Append(text).ok());
}

TEST_P(BatchOfLlamaTest, Options) {
  const Model other = OpenOrThrow(FindFixture("gemma3").model());
  const Batch batch = Batch::Create(model_, {.threads = 2, .prompt_threads = 1, .batch_size = 33}).value();
  EXPECT_EQ(batch.threads(), 2);
  EXPECT_EQ(batch.prompt_threads(), 1);
  ExpectFails(Session::Create(other, {.batch = &batch}).status(), StatusCode::kInvalidArgument,
              HasSubstr("another model"));
  ExpectFails(Batch::Create(model_, {.threads = -1}).status(), StatusCode::kInvalidArgument,
              HasSubstr("BatchOptions::threads is -1"));
  ExpectFails(Batch::Create(model_, {.batch_size = 0}).status(), StatusCode::kInvalidArgument,
              HasSubstr("BatchOptions::batch_size"));
  const Session session = SessionOrThrow(model_, {.context_length = 100, .threads = 1, .batch = &batch});
  EXPECT_EQ(session.threads(), 2);
  const MemoryEstimate estimate = EstimateMemory(model_, {.context_length = 100, .batch = &batch}).value();
  EXPECT_EQ(estimate.kv_bytes, session.kv_bytes());
  EXPECT_EQ(estimate.scratch_bytes, session.scratch_bytes());
  EXPECT_GT(batch.scratch_bytes(), session.scratch_bytes());
}

// --- Forks ---

class ForkTest : public testing::TestWithParam<const char*> {
 protected:
  const Model model_ = OpenOrThrow(FindFixture(GetParam()).model());
};
INSTANTIATE_TEST_SUITE_P(Models, ForkTest, testing::Values("gemma3", "llama_f16", "gemma3n", "gemma4_e"));

// For ThreadSanitizer; and a callback that asks does not wait for itself.
TEST_P(ForkTest, SharesTheProfile) {
  Session first = SessionOrThrow(model_, {.context_length = 100, .threads = 1, .profile = true});
  Session second = first.Fork().value();
  Session* const sessions[] = {&first, &second};
  OnThreads(2, [&](int i) {
    for (int tokens = 0; tokens < 20; ++tokens) {
      EXPECT_TRUE(sessions[i]
                      ->Append(TextOf(model_, 2, tokens),
                               {.progress = [&](std::int64_t,
                                                std::int64_t) { EXPECT_FALSE(sessions[1 - i]->Profile().empty()); }})
                      .ok());
    }
  });
  first.ClearProfile();
  EXPECT_TRUE(second.Append(TextOf(model_, 1, 0)).ok());
  EXPECT_EQ(first.Profile().front().calls, second.Profile().front().calls);
}

TEST_P(ForkTest, GoesOnAsTheFirst) {
  const SessionOptions options = {.context_length = 200, .threads = 2, .batch_size = 16};
  const std::vector<Token> beginning = TextOf(model_, 120, 0);  // longer than a window
  const std::vector<Token> ends[] = {TextOf(model_, 40, 1), TextOf(model_, 40, 2)};
  std::vector<std::vector<float>> expected;
  for (const std::vector<Token>& end : ends) {
    std::vector<Token> text = beginning;
    text.insert(text.end(), end.begin(), end.end());
    expected.push_back(AllLogits(model_, options, text));
  }
  Session first = SessionOrThrow(model_, options);
  ASSERT_TRUE(first.Append(beginning).ok());
  Session second = first.Fork().value();
  EXPECT_EQ(second.position(), 120);
  Session* const sessions[] = {&first, &second};
  OnThreads(2, [&](int i) {
    const auto logits = sessions[i]->Append(ends[i]);
    ASSERT_TRUE(logits.ok());
    EXPECT_TRUE(SameBits(*logits, std::span(expected[static_cast<std::size_t>(i)]).last(logits->size()))) << i;
  });
  EXPECT_GT(first.scratch_bytes(), second.scratch_bytes());  // which computes in the memory of the first
  // The fork outlives it.
  { const Session gone = std::move(first); }
  EXPECT_TRUE(second.Append(ends[0]).ok());
}

}  // namespace
}  // namespace slm::test
