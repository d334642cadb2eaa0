// Guessed tokens change how long a text takes, and nothing else.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "session/guess_policy.h"
#include "session/text_guesser.h"
#include "slm/generate.h"
#include "support/fixture.h"

namespace slm::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// --- Finding places in a text ---

struct Found {
  std::size_t match;
  std::vector<Token> guess;
};
Found Find(const std::vector<Token>& text, std::size_t count) {
  TextGuesser guesser;
  guesser.Reset(text);
  Found found;
  found.match = guesser.Find(count, found.guess);
  return found;
}

TEST(TextGuesserTest, GoesOnAsBefore) {
  EXPECT_THAT(Find({1, 2, 3, 4, 5, 1, 2, 3}, 5).guess, ElementsAre(4, 5, 1, 2, 3));
  EXPECT_EQ(Find({1, 2, 3, 4, 5, 1, 2, 3}, 5).match, 3u);
  EXPECT_THAT(Find({1, 2, 3, 4, 5, 1, 2, 3}, 2).guess, ElementsAre(4, 5));
  EXPECT_THAT(Find({7, 7, 7, 7}, 5).guess, ElementsAre(7, 7, 7, 7, 7));  // again and again
  EXPECT_THAT(Find({6, 7, 8, 6, 7, 8}, 4).guess, ElementsAre(6, 7, 8, 6));
  EXPECT_THAT(Find({9, 1, 2, 3, 4, 8, 1, 2, 3, 5, 9, 1, 2, 3}, 1).guess, ElementsAre(4));  // longer, not newer
  EXPECT_THAT(Find({9, 1, 2, 3, 4, 9, 1, 2, 3, 5, 9, 1, 2, 3}, 1).guess, ElementsAre(5));  // as long, newer
  for (const std::vector<Token>& text : {std::vector<Token>{}, {1}, {1, 2, 3}, {1, 2, 1, 2}, {1, 2, 3, 4, 5, 6, 7}}) {
    EXPECT_THAT(Find(text, 5).guess, IsEmpty());
    EXPECT_EQ(Find(text, 5).match, 0u);
  }
}

TEST(TextGuesserTest, FindsWhatASearchFinds) {
  std::mt19937 random(3);
  TextGuesser guesser;
  std::vector<Token> text;
  guesser.Reset(text);
  for (int i = 0; i < 3000; ++i) {
    // Words of 6 tokens over a large alphabet: far fewer than 32 places have the same three tokens.
    const auto word = static_cast<Token>(random() % 400);
    for (Token j = 0; j < 6; ++j) {
      text.push_back(random() % 10 == 0 ? static_cast<Token>(random() % 5000) : 6 * word + j);
      guesser.Add(text.back());
    }
    std::size_t best = 2, place = 0;
    for (std::size_t end = text.size() - 1; end >= 3; --end) {
      std::size_t match = 0;
      while (match < std::min<std::size_t>(end, 32) && text[end - 1 - match] == text[text.size() - 1 - match]) ++match;
      if (match > best) best = match, place = end;
    }
    std::vector<Token> guess;
    ASSERT_EQ(guesser.Find(1, guess), place == 0 ? 0 : best);
    if (place != 0) {
      ASSERT_THAT(guess, ElementsAre(text[place]));
    }
  }
}

// --- How many ---

void Learn(GuessPolicy& policy, GuessKind kind, bool right, int times) {
  for (int i = 0; i < times; ++i) policy.Learn(kind, right);
}

std::size_t Chosen(const GuessPolicy& policy, GuessKind kind, std::size_t most) {
  return policy.Choose(std::vector<GuessKind>(most, kind), 0).tokens;
}

TEST(GuessPolicyTest, GuessesWhatPays) {
  GuessPolicy policy;
  Learn(policy, KindOfMatch(20), true, 1000);
  Learn(policy, KindOfMatch(3), false, 100);
  for (const std::size_t tokens : {1, 2, 4, 8, 16}) policy.Took(tokens, 1 + 0.05 * static_cast<double>(tokens - 1));
  EXPECT_EQ(Chosen(policy, KindOfMatch(20), 15), 15u);
  EXPECT_EQ(Chosen(policy, KindOfMatch(20), 2), 2u);  // there are no more
  EXPECT_EQ(Chosen(policy, KindOfMatch(20), 0), 0u);
  EXPECT_EQ(Chosen(policy, KindOfMatch(3), 15), 0u);
  // Sure ones first; what comes after an unlikely one is not worth it.
  std::vector<GuessKind> guess(15, GuessKind::kMatch32);
  guess[3] = GuessKind::kMatch4;
  EXPECT_EQ(policy.Choose(guess, 0).tokens, 3u);
}

TEST(GuessPolicyTest, StopsWhereStepsAreExpensiveAndBeginsAgain) {
  GuessPolicy policy;
  const GuessKind kind = KindOfMatch(20);
  Learn(policy, kind, true, 1000);
  policy.Took(1, 1);
  for (const std::size_t tokens : {2, 4, 8, 16}) policy.Took(tokens, static_cast<double>(tokens));
  EXPECT_EQ(Chosen(policy, kind, 15), 0u);
  for (int i = 0; i < 50; ++i) policy.Took(8, 1.5);
  EXPECT_EQ(Chosen(policy, kind, 15), 7u);
  Learn(policy, kind, false, 50);
  EXPECT_EQ(Chosen(policy, kind, 15), 0u);
  Learn(policy, kind, true, 50);  // what was guessed for comparison came true
  EXPECT_EQ(Chosen(policy, kind, 15), 7u);
}

TEST(GuessPolicyTest, ADraftRestsWhereItDoesNotPay) {
  GuessPolicy policy;
  for (const std::size_t tokens : {1, 2, 4, 8, 16}) policy.Took(tokens, 1);
  policy.DraftTook(0.1);
  Learn(policy, GuessKind::kSure, true, 500);
  EXPECT_DOUBLE_EQ(policy.DraftCost(), 0.1);
  EXPECT_EQ(policy.CountDraft(15, 1), 15u);  // 16 tokens for 2.5
  EXPECT_EQ(policy.CountDraft(4, 1), 4u);
  EXPECT_EQ(policy.CountDraft(15, 6.5), 0u);  // the other guess is better
  // 1 + 0.9 + 0.9^2 + ... against 1 + 0.5 for each: no.
  for (int i = 0; i < 100; ++i) policy.DraftTook(0.5);
  Learn(policy, GuessKind::kUnlikely, false, 300);
  int asked = 0, last = 0;
  for (int i = 1; i <= 3000; ++i) {
    const std::size_t tokens = policy.CountDraft(15, 1);
    if (tokens == 0) continue;
    EXPECT_EQ(tokens, 1u);
    ++asked;
    EXPECT_GT(i - last, 30);
    last = i;
  }
  EXPECT_GE(asked, 8);
  EXPECT_LE(asked, 20);
  for (int i = 0; i < 100; ++i) policy.DraftTook(0.1);
  Learn(policy, GuessKind::kSure, true, 100);
  EXPECT_GT(policy.CountDraft(15, 1), 1u);
}

// --- Texts ---

struct Written {
  GenerateResult result;
  std::vector<std::string> pieces;
  std::vector<Token> tokens;
  std::vector<float> next;  // logits after one more token
};

class LookaheadTest : public testing::TestWithParam<const char*> {
 protected:
  Written Write(const SamplerOptions& sampling, GenerateOptions options, const SessionOptions& session_options,
                std::int32_t guesses) {
    Session session = SessionOrThrow(model_, session_options);
    Sampler sampler(sampling, &model_.tokenizer());
    options.guess_tokens = guesses;
    Written written;
    const auto keep = [&](std::string_view piece) {
      written.pieces.emplace_back(piece);
      return kContinue;
    };
    const Result<GenerateResult> result = Generate(session, sampler, prompt_, options, keep);
    if (!result.ok()) throw std::runtime_error(std::string(result.status().message()));
    written.result = *result;
    written.tokens.assign(session.tokens().begin(), session.tokens().end());
    if (session.position() < session.context_length()) {
      const auto logits = session.Append(std::span(prompt_).first(1)).value();
      written.next.assign(logits.begin(), logits.end());
    }
    return written;
  }

  void ExpectSameText(const SamplerOptions& sampling, const GenerateOptions& options, const SessionOptions& session) {
    const Written plain = Write(sampling, options, session, 0);
    EXPECT_EQ(plain.result.guessed_tokens, 0);
    for (const std::int32_t guesses : {-1, 1, 3, 15}) {
      const Written written = Write(sampling, options, session, guesses);
      EXPECT_EQ(written.result.text, plain.result.text) << guesses;
      EXPECT_EQ(written.pieces, plain.pieces) << guesses;
      EXPECT_EQ(written.tokens, plain.tokens) << guesses;
      EXPECT_EQ(written.result.finish_reason, plain.result.finish_reason) << guesses;
      EXPECT_EQ(written.result.generated_tokens, plain.result.generated_tokens) << guesses;
      EXPECT_EQ(written.result.forgotten_tokens, plain.result.forgotten_tokens) << guesses;
      EXPECT_TRUE(SameBits(written.next, plain.next)) << guesses;
      EXPECT_LE(written.result.accepted_tokens, written.result.guessed_tokens);
      guessed_ += written.result.guessed_tokens;
      accepted_ += written.result.accepted_tokens;
    }
  }

  const Model model_ = OpenOrThrow(FindFixture(GetParam()).model());
  const std::vector<Token> prompt_ = [] {  // twice the same
    std::vector<Token> prompt = FindFixture(GetParam()).Prompt();
    const std::size_t size = prompt.size();
    for (std::size_t i = 0; i < size; ++i) prompt.push_back(prompt[i]);
    return prompt;
  }();
  int guessed_ = 0;
  int accepted_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Models, LookaheadTest,
                         testing::Values("gemma3", "llama_f16", "mixtral", "gemma3n", "gemma4_e"));

TEST_P(LookaheadTest, EverySampler) {
  const SamplerOptions samplers[] = {
      {.temperature = 0},
      {.temperature = 0.8f, .seed = 5},
      {.temperature = 0.1f, .repeat_penalty = 1.2f, .frequency_penalty = 0.1f, .dry_multiplier = 0.3f, .seed = 6},
      {.temperature = 0.3f, .mirostat = 2, .seed = 7},
      {.temperature = 0.2f, .xtc_probability = 0.3f, .seed = 8}};
  for (const SamplerOptions& sampler : samplers) {
    for (const std::int32_t threads : {1, 3})
      ExpectSameText(sampler, {.max_tokens = 60, .ignore_end = true}, {.context_length = 300, .threads = threads});
  }
  EXPECT_GT(guessed_, 0);
}

TEST_P(LookaheadTest, EveryEnd) {
  const SamplerOptions greedy = {.temperature = 0};
  const auto size = static_cast<std::int32_t>(prompt_.size());
  for (std::int32_t most = 0; most < 12; ++most) ExpectSameText(greedy, {.max_tokens = most}, {.context_length = 300});
  for (std::int32_t room = 0; room < 12; ++room)
    ExpectSameText(greedy, {.ignore_end = true}, {.context_length = size + room, .batch_size = 16});
  ExpectSameText(greedy, {.max_tokens = 150, .ignore_end = true, .shift_keep = 4}, {.context_length = size + 20});
  ExpectSameText(greedy, {.max_tokens = 60, .ignore_end = true}, {.context_length = 300, .batch_size = 1});
  ExpectSameText(greedy, {.max_tokens = 60, .ignore_end = true}, {.context_length = 300, .batch_size = 3});
  const std::vector<std::string> pieces =
      Write(greedy, {.max_tokens = 40, .ignore_end = true}, {.context_length = 300}, 0).pieces;
  ASSERT_GT(pieces.size(), 10u);
  ExpectSameText(greedy, {.max_tokens = 60, .stop = {pieces[pieces.size() / 2]}}, {.context_length = 300});
}

TEST_P(LookaheadTest, WhoLooksSeesWhatIsChosen) {
  for (const std::int32_t guesses : {0, 7}) {
    Session session = SessionOrThrow(model_, {.context_length = 300});
    Sampler sampler({.temperature = 0}, &model_.tokenizer());
    std::int32_t calls = 0;
    const auto look = [&](std::string_view) {
      EXPECT_LE(session.position(), static_cast<std::int32_t>(prompt_.size()) + 60);
      return ++calls == 5 ? kStop : kContinue;
    };
    const auto result =
        Generate(session, sampler, prompt_, {.max_tokens = 60, .ignore_end = true, .guess_tokens = guesses}, look);
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(session.position(), static_cast<std::int32_t>(prompt_.size()) + result->generated_tokens - 1);
  }
}

TEST_P(LookaheadTest, WhoCancelsFindsTheSameTokens) {
  for (const std::int32_t guesses : {0, 7}) {
    Session session = SessionOrThrow(model_, {.context_length = 300});
    Sampler sampler({.temperature = 0, .logit_bias = {{7, 100.0f}}}, &model_.tokenizer());  // all guesses are right
    for (std::int32_t end = 1; end < 20; ++end) {
      CancelToken cancel;
      const auto look = [&, calls = 0](std::string_view) mutable {
        if (++calls == end) cancel.Cancel();
        return kContinue;
      };
      const auto result =
          Generate(session, sampler, prompt_,
                   {.max_tokens = 60, .cancel = &cancel, .ignore_end = true, .guess_tokens = guesses}, look);
      EXPECT_EQ(result.value().finish_reason, FinishReason::kCancelled);
      EXPECT_EQ(session.position(), static_cast<std::int32_t>(prompt_.size()) + result->generated_tokens - 1);
    }
  }
}

// Each guess that comes true saves a step.
TEST(LookaheadStepsTest, AreSaved) {
  const Model model = OpenOrThrow(FindFixture("llama_f16").model());
  for (const std::int32_t guesses : {0, 5}) {
    const Batch batch = Batch::Create(model).value();
    Session session = SessionOrThrow(model, {.context_length = 300, .batch = &batch});
    Sampler sampler({.temperature = 0, .logit_bias = {{7, 100.0f}}}, &model.tokenizer());  // always the same
    const std::vector<Token> prompt = FindFixture("llama_f16").Prompt();
    const GenerateResult result =
        Generate(session, sampler, prompt, {.max_tokens = 40, .ignore_end = true, .guess_tokens = guesses}, {}).value();
    EXPECT_EQ(batch.steps(), 1 + result.generated_tokens - 1 - result.accepted_tokens);
    EXPECT_EQ(result.accepted_tokens, guesses > 0 ? 30 : 0);
  }
}

// Guesses are weighed against the price of a single token, so that is measured first: without it the second token, of
// which there could hardly be a better guess, would have been guessed.
TEST(LookaheadStepsTest, TheFirstIsOfOneToken) {
  const Model model = OpenOrThrow(FindFixture("llama_f16").model());
  const std::vector<Token> prompt(40, 7);
  for (const std::int32_t guesses : {-1, 1}) {
    Session session = SessionOrThrow(model, {.context_length = 50});
    Sampler sampler({.temperature = 0, .logit_bias = {{7, 100.0f}}}, &model.tokenizer());
    const GenerateOptions options = {.max_tokens = 3, .ignore_end = true, .guess_tokens = guesses};
    EXPECT_EQ(Generate(session, sampler, prompt, options, {})->accepted_tokens, guesses > 0 ? 1 : 0);
  }
}

TEST(LookaheadOptionsTest, Range) {
  const Model model = OpenOrThrow(FindFixture("llama_f16").model());
  Session session = SessionOrThrow(model, {.context_length = 50});
  Sampler sampler;
  const std::vector<Token> prompt = {1};
  EXPECT_EQ(Generate(session, sampler, prompt, {.guess_tokens = -2}, {}).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace slm::test
