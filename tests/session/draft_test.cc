// A draft changes how long a text takes, and nothing else.

#include "slm/draft.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "session/draft_impl.h"
#include "slm/generate.h"
#include "support/fixture.h"
#include "support/tiny_model.h"

namespace slm::test {
namespace {

using testing::HasSubstr;

TEST(FindLikeliestTest, IsArgmaxAndSoftmax) {
  std::mt19937 random(5);
  std::normal_distribution<float> logit(0, 4);
  for (int i = 0; i < 20; ++i) {
    std::vector<float> logits(1000);
    for (float& value : logits) value = logit(random);
    const auto largest = std::ranges::max_element(logits);
    const double sum = std::accumulate(logits.begin(), logits.end(), 0.0,
                                       [](double s, float x) { return s + std::exp(static_cast<double>(x)); });
    const LikelyToken likely = FindLikeliest(logits);
    EXPECT_EQ(likely.token, largest - logits.begin());
    EXPECT_NEAR(likely.probability, std::exp(static_cast<double>(*largest)) / sum, 1e-4);
  }
}

// --- Texts ---

struct Written {
  GenerateResult result;
  std::vector<Token> tokens;
  std::int64_t steps = 0;
};

Written Write(const Model& model, std::span<const Token> prompt, const SamplerOptions& sampling,
              const GenerateOptions& options, SessionOptions session_options = {.context_length = 300}) {
  const Batch batch =
      Batch::Create(model, {.threads = session_options.threads, .batch_size = session_options.batch_size}).value();
  session_options.batch = &batch;
  Session session = SessionOrThrow(model, session_options);
  Sampler sampler(sampling, &model.tokenizer());
  Written written;
  written.result = Generate(session, sampler, prompt, options, {}).value();
  written.tokens.assign(session.tokens().begin(), session.tokens().end());
  written.steps = batch.steps();
  return written;
}

void ExpectSame(const Written& written, const Written& plain) {
  EXPECT_EQ(written.result.text, plain.result.text);
  EXPECT_EQ(written.tokens, plain.tokens);
  EXPECT_EQ(written.result.finish_reason, plain.result.finish_reason);
  EXPECT_EQ(written.result.generated_tokens, plain.result.generated_tokens);
  EXPECT_EQ(written.result.forgotten_tokens, plain.result.forgotten_tokens);
}

// The model and its draft.
class DraftTest : public testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  const Model model_ = OpenOrThrow(FindFixture(std::get<0>(GetParam())).model());
  const Model small_ = OpenOrThrow(FindFixture(std::get<1>(GetParam())).model());
  const std::vector<Token> prompt_ = FindFixture(std::get<0>(GetParam())).Prompt();
};

INSTANTIATE_TEST_SUITE_P(Models, DraftTest,
                         testing::Values(std::tuple("q8_0", "q4_0"), std::tuple("gemma3", "gemma3"),
                                         std::tuple("gemma3", "gemma3n"), std::tuple("gemma2", "gemma3"),
                                         std::tuple("mixtral", "mixtral_legacy")));

TEST_P(DraftTest, TheTextIsTheSame) {
  Draft draft = Draft::Create(model_, small_, {.context_length = 300}).value();
  const SamplerOptions samplers[] = {{.temperature = 0},
                                     {.temperature = 0.8f, .seed = 5},
                                     {.temperature = 0.3f, .mirostat = 2, .repeat_penalty = 1.2f, .seed = 7}};
  int guessed = 0;
  for (const SamplerOptions& sampler : samplers) {
    for (const std::int32_t threads : {1, 2}) {
      const SessionOptions session = {.context_length = 300, .threads = threads};
      const GenerateOptions options = {.max_tokens = 80, .ignore_end = true};
      GenerateOptions plain = options, drafted = options;
      plain.guess_tokens = 0;
      drafted.draft = &draft;
      const Written expected = Write(model_, prompt_, sampler, plain, session);
      for (const std::int32_t guesses : {-1, 1, 4, 15}) {
        drafted.guess_tokens = guesses;
        const Written written = Write(model_, prompt_, sampler, drafted, session);
        ExpectSame(written, expected);
        EXPECT_EQ(written.steps, written.result.generated_tokens - written.result.accepted_tokens);
        guessed += written.result.guessed_tokens;
      }
    }
  }
  EXPECT_GT(guessed, 0);
}

// None of a batch waits for another that waits for it, whether by way of a draft or of two.
TEST_P(DraftTest, MayBeOfABatch) {
  const Batch batch = Batch::Create(model_, {.threads = 1}).value();
  const Batch other_batch = Batch::Create(model_, {.threads = 1}).value();
  const GenerateOptions options = {.max_tokens = 30, .ignore_end = true, .guess_tokens = 4};
  const std::string expected = Write(model_, prompt_, {.temperature = 0}, options).result.text;
  const auto write = [&](const Batch& own, const Batch& of_draft) {
    Draft draft = Draft::Create(model_, model_, {.context_length = 300, .batch = &of_draft}).value();
    Session session = SessionOrThrow(model_, {.context_length = 300, .batch = &own});
    Sampler sampler({.temperature = 0}, &model_.tokenizer());
    GenerateOptions drafted = options;
    drafted.draft = &draft;
    const GenerateResult result = Generate(session, sampler, prompt_, drafted, {}).value();
    EXPECT_EQ(result.text, expected);
    return result.accepted_tokens;
  };
  EXPECT_GT(write(batch, batch), 0);
  std::thread other([&] { write(other_batch, batch); });
  write(batch, other_batch);
  other.join();
}

TEST_P(DraftTest, EndsAndFullContexts) {
  const auto size = static_cast<std::int32_t>(prompt_.size());
  Draft draft = Draft::Create(model_, small_, {.context_length = size + 12}).value();  // of texts up to there
  const auto expect_same = [&](GenerateOptions options, const SessionOptions& session) {
    options.guess_tokens = 0;
    const Written plain = Write(model_, prompt_, {.temperature = 0}, options, session);
    options.guess_tokens = 7;
    options.draft = &draft;
    ExpectSame(Write(model_, prompt_, {.temperature = 0}, options, session), plain);
  };
  for (std::int32_t most = 0; most < 10; ++most) expect_same({.max_tokens = most}, {.context_length = 300});
  for (std::int32_t room = 1; room < 10; ++room) expect_same({.ignore_end = true}, {.context_length = size + room});
  expect_same({.max_tokens = 100, .ignore_end = true, .shift_keep = 4}, {.context_length = size + 20});
  expect_same({.max_tokens = 100, .ignore_end = true}, {.context_length = 300, .batch_size = 3});
}

// Of itself: everything comes true, and each step has as many tokens as are wanted.
TEST(DraftStepsTest, AreSaved) {
  for (const char* name : {"llama_f16", "gemma3"}) {
    const Model model = OpenOrThrow(FindFixture(name).model());
    Draft draft = Draft::Create(model, model, {.context_length = 300}).value();
    const GenerateOptions options = {.max_tokens = 61, .ignore_end = true, .guess_tokens = 4, .draft = &draft};
    const Written written = Write(model, FindFixture(name).Prompt(), {.temperature = 0}, options);
    EXPECT_EQ(written.result.guessed_tokens, 48) << name;
    EXPECT_EQ(written.result.accepted_tokens, 48) << name;
    EXPECT_EQ(written.steps, 13) << name;  // the prompt, then five tokens a step
  }
}

// It reads what it has not read: one conversation after another, and one that was taken back.
TEST(DraftStepsTest, TheDraftFollows) {
  const Model model = OpenOrThrow(FindFixture("gemma3").model());
  Draft draft = Draft::Create(model, model, {.context_length = 300}).value();
  std::vector<Token> prompt = FindFixture("gemma3").Prompt();
  for (int i = 0; i < 3; ++i) {
    const Written written = Write(model, prompt, {.temperature = 0},
                                  {.max_tokens = 20, .ignore_end = true, .guess_tokens = 3, .draft = &draft});
    EXPECT_EQ(written.result.accepted_tokens, written.result.guessed_tokens);
    EXPECT_GT(written.result.accepted_tokens, 10);
    prompt[prompt.size() / 2] += 1;
  }
}

// --- What can't be ---

Model Tiny(std::uint32_t vocab) { return TinyModel({.vocab = vocab, .context = 64}).Open().value(); }

TEST(DraftErrorsTest, Vocabularies) {
  const Model llama = OpenOrThrow(FindFixture("llama_f16").model());
  const Model gemma = OpenOrThrow(FindFixture("gemma3").model());
  const Status status = Draft::Create(gemma, llama).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("another vocabulary: token 0 is "));
  EXPECT_EQ(Draft::Create(llama, llama, {.context_length = -1}).status().code(), StatusCode::kInvalidArgument);

  Draft draft = Draft::Create(gemma, gemma).value();
  Session session = SessionOrThrow(llama, {});
  Sampler sampler;
  const std::vector<Token> prompt = {1};
  const Status used = Generate(session, sampler, prompt, {.draft = &draft}, {}).status();
  EXPECT_EQ(used.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(used.message(), HasSubstr("another model"));
}

// Tokens at the end that only one of them has.
TEST(DraftErrorsTest, LongerVocabularies) {
  for (const auto& [size, small_size] : {std::pair(40u, 48u), std::pair(48u, 40u)}) {
    const Model model = Tiny(size), small = Tiny(small_size);
    for (const Token last : {39, 47}) {
      if (last >= static_cast<Token>(size)) continue;
      Draft draft = Draft::Create(model, small).value();
      std::vector<Token> prompt = {5, 6, last, 7};
      GenerateOptions options = {.max_tokens = 30, .ignore_end = true, .guess_tokens = 0};
      const SessionOptions session = {.context_length = 64};
      const Written plain = Write(model, prompt, {.temperature = 1.5f, .seed = 3}, options, session);
      options.guess_tokens = 3;
      options.draft = &draft;
      ExpectSame(Write(model, prompt, {.temperature = 1.5f, .seed = 3}, options, session), plain);
      EXPECT_EQ(draft.session().position() > 0, last < static_cast<Token>(small_size));
    }
  }
}

TEST(DraftErrorsTest, Cancelling) {
  const Model model = OpenOrThrow(FindFixture("llama_f16").model());
  Draft draft = Draft::Create(model, model, {.context_length = 300}).value();
  Session session = SessionOrThrow(model, {.context_length = 300});
  Sampler sampler({.temperature = 0}, &model.tokenizer());
  CancelToken cancel;
  const std::vector<Token> prompt = FindFixture("llama_f16").Prompt();
  // Before the draft reads the prompt.
  const auto result =
      Generate(session, sampler, prompt,
               {.max_tokens = 50, .cancel = &cancel, .ignore_end = true, .guess_tokens = 3, .draft = &draft},
               [&](std::string_view) {
                 cancel.Cancel();
                 return kContinue;
               });
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->finish_reason, FinishReason::kCancelled);
  EXPECT_EQ(session.position(), static_cast<std::int32_t>(prompt.size()) + result->generated_tokens - 1);
}

// Numbers of a damaged draft are an error, not a guess.
TEST(DraftErrorsTest, DamagedDraft) {
  const Model model = Tiny(40);
  TinyModel damaged({.vocab = 40, .context = 64});
  damaged.SetValue("output_norm.weight", 3, std::nanf(""));
  const Model small = damaged.Open().value();
  Draft draft = Draft::Create(model, small).value();
  Session session = SessionOrThrow(model, {.context_length = 64});
  Sampler sampler;
  const std::vector<Token> prompt = {5, 6};
  EXPECT_EQ(Generate(session, sampler, prompt, {.ignore_end = true, .draft = &draft}, {}).status().code(),
            StatusCode::kInvalidNumber);
}

}  // namespace
}  // namespace slm::test
