#include "sample/sampler_dry.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "slm/sampler.h"
#include "support/tokenizer_test_util.h"

namespace slm::test {
namespace {

const std::vector<std::string> kPieces = {"a", "b", "c", "\n", "x:y", "##", "# Re", "sponse", "d"};

SamplerOptions Dry() {
  SamplerOptions options;
  options.temperature = 0;
  options.dry_multiplier = 1;
  options.dry_base = 2;
  options.dry_allowed_length = 2;
  options.dry_penalty_last_n = -1;
  return options;
}

// What every token loses after this text.
std::map<Token, float> Lost(const SamplerOptions& options, const Tokens& text, const Tokenizer* tokenizer,
                            std::size_t vocabulary = 9) {
  DryPenalty dry(options, tokenizer);
  for (const Token token : text) dry.Accept(token);
  std::vector<float> logits(vocabulary, 0.0f);
  const std::size_t window = options.dry_penalty_last_n < 0
                                 ? text.size()
                                 : std::min(text.size(), static_cast<std::size_t>(options.dry_penalty_last_n));
  dry.Apply(std::span(text).last(window), logits);
  std::map<Token, float> lost;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] != 0) lost[static_cast<Token>(i)] = -logits[i];
  }
  return lost;
}

using Loss = std::map<Token, float>;

TEST(SamplerDryTest, LosesMoreTheLongerTheRepetition) {
  SamplerOptions options = Dry();
  options.dry_sequence_breakers = {};
  EXPECT_EQ(Lost(options, {0, 1, 2, 8}, nullptr), Loss());
  EXPECT_EQ(Lost(options, {0, 1, 2, 8, 0}, nullptr), Loss()) << "one token is allowed to come again";
  EXPECT_EQ(Lost(options, {0, 1, 2, 8, 0, 1}, nullptr), (Loss{{2, 1}}));
  EXPECT_EQ(Lost(options, {0, 1, 2, 8, 0, 1, 2}, nullptr), (Loss{{8, 2}}));
  EXPECT_EQ(Lost(options, {0, 1, 2, 8, 0, 1, 2, 8}, nullptr), (Loss{{0, 4}}));
  // Two places to continue from, with different tokens; for the same token the longer one counts.
  EXPECT_EQ(Lost(options, {8, 0, 1, 2, 0, 1, 3, 8, 0, 1}, nullptr), (Loss{{2, 2}, {3, 1}}));
  EXPECT_EQ(Lost(options, {8, 0, 1, 2, 0, 1, 2, 8, 0, 1}, nullptr), (Loss{{2, 2}}));
  // A repetition may overlap what it repeats: of "aaaaa" the last four are also its first four.
  EXPECT_EQ(Lost(options, {0, 0, 0, 0, 0}, nullptr), (Loss{{0, 4}}));
}

TEST(SamplerDryTest, LooksAtItsWindow) {
  SamplerOptions options = Dry();
  options.dry_sequence_breakers = {};
  const Tokens text = {0, 1, 2, 8, 8, 0, 1};
  EXPECT_EQ(Lost(options, text, nullptr), (Loss{{2, 1}}));
  options.dry_penalty_last_n = 7;
  EXPECT_EQ(Lost(options, text, nullptr), (Loss{{2, 1}}));
  options.dry_penalty_last_n = 6;
  EXPECT_EQ(Lost(options, text, nullptr), Loss());
}

TEST(SamplerDryTest, BreakersEndRepetitions) {
  const LoadedTokenizer tokenizer(TokensFile(kPieces));
  SamplerOptions options = Dry();
  options.dry_allowed_length = 1;
  const Tokens twice = {0, 1, 3, 2, 8, 0, 1, 3, 2};  // "ab\ncd", then "ab\nc"
  options.dry_sequence_breakers = {"\n"};
  EXPECT_EQ(Lost(options, twice, &*tokenizer), (Loss{{8, 1}})) << "only c is counted";
  options.dry_sequence_breakers = {"!"};
  EXPECT_EQ(Lost(options, twice, &*tokenizer), (Loss{{8, 8}}));
  // A token with a breaker inside is one, and is never penalized itself.
  options.dry_sequence_breakers = {":"};
  EXPECT_EQ(Lost(options, {0, 4, 1, 2, 0, 4, 1}, &*tokenizer), (Loss{{2, 1}}));
  EXPECT_EQ(Lost(options, {0, 1, 4, 2, 0, 1}, &*tokenizer), Loss());
  EXPECT_EQ(Lost(options, {0, 4, 1, 2, 0, 4}, &*tokenizer), Loss()) << "nothing follows the breaker yet";
}

TEST(SamplerDryTest, BreakersAreFoundHoweverTheyAreCut) {
  const LoadedTokenizer tokenizer(TokensFile(kPieces));
  SamplerOptions options = Dry();
  options.dry_allowed_length = 1;
  options.dry_sequence_breakers = {"### Response"};
  const Tokens twice = {0, 1, 5, 6, 7, 2, 8, 0, 1, 5, 6, 7, 2};  // "ab### Responsecd" ...
  EXPECT_EQ(Lost(options, twice, &*tokenizer), (Loss{{8, 1}}));
  // Its last token does not spell it alone, so that it can be penalized.
  EXPECT_EQ(Lost(options, {0, 5, 6, 7, 0, 5, 6}, &*tokenizer), (Loss{{7, 4}}));
  options.dry_sequence_breakers = {"### Response!"};
  EXPECT_EQ(Lost(options, twice, &*tokenizer), (Loss{{8, 32}}));
  // Inside of one token's beginning and another's end.
  options.dry_sequence_breakers = {"# "};
  EXPECT_EQ(Lost(options, {0, 6, 1, 8, 0, 6, 1}, &*tokenizer), (Loss{{8, 1}}));
  options.dry_sequence_breakers = {"yax"};
  EXPECT_EQ(Lost(options, {4, 0, 4, 1, 8, 4, 0, 4, 1}, &*tokenizer), (Loss{{8, 1}}));
}

TEST(SamplerDryTest, ABreakerIsFoundOnce) {
  const LoadedTokenizer tokenizer(TokensFile(kPieces));
  SamplerOptions options = Dry();
  options.dry_sequence_breakers = {"\n", "longer than a few tokens"};
  EXPECT_EQ(Lost(options, {3, 0, 1, 2, 8, 3, 0, 1, 2}, &*tokenizer), (Loss{{8, 2}})) << "three tokens since";
}

TEST(SamplerDryTest, ClearForgetsHalfABreaker) {
  const LoadedTokenizer tokenizer(TokensFile(kPieces));
  BreakerFinder finder({"ab"}, &*tokenizer);
  finder.Accept(0);
  finder.Clear();
  finder.Accept(1);
  EXPECT_EQ(finder.tokens_since(), 1u);
  finder.Accept(0);
  finder.Accept(1);
  EXPECT_EQ(finder.tokens_since(), 0u);
}

TEST(SamplerDryTest, ControlTokensCanBeBreakers) {
  const LoadedTokenizer tokenizer(SpmFile({"a", "b", "c"}));
  SamplerOptions options = Dry();
  options.dry_allowed_length = 1;
  options.dry_sequence_breakers = {"</s>"};
  EXPECT_EQ(Lost(options, {259, 2, 260, 261, 259, 2, 260}, &*tokenizer, 262), (Loss{{261, 1}}));
}

// The definition, tried at every place.
TEST(SamplerDryTest, AgreesWithTheDefinitionOnRandomTexts) {
  const LoadedTokenizer tokenizer(TokensFile({"a", "b", "c", "."}));
  std::mt19937 random(8);
  SamplerOptions options = Dry();
  for (int round = 0; round < 500; ++round) {
    options.dry_allowed_length = 1 + static_cast<int>(random() % 3);
    options.dry_penalty_last_n = round % 3 == 0 ? -1 : static_cast<int>(random() % 40);
    options.dry_sequence_breakers = round % 2 == 0 ? std::vector<std::string>{} : std::vector<std::string>{"."};
    Tokens text;
    for (std::size_t i = 0, size = random() % 60; i < size; ++i) {
      text.push_back(random() % 12 == 0 ? 3 : static_cast<Token>(random() % 2));
    }
    const std::size_t window = options.dry_penalty_last_n < 0
                                   ? text.size()
                                   : std::min(text.size(), static_cast<std::size_t>(options.dry_penalty_last_n));
    const Tokens recent(text.end() - static_cast<std::ptrdiff_t>(window), text.end());
    Loss expected;
    for (std::size_t follower = 1; follower < recent.size(); ++follower) {
      std::size_t length = 0;
      while (length < follower && recent[follower - 1 - length] == recent[recent.size() - 1 - length]) {
        if (round % 2 == 1 && recent[recent.size() - 1 - length] == 3) break;
        ++length;
      }
      if (length < static_cast<std::size_t>(options.dry_allowed_length)) continue;
      if (round % 2 == 1 && recent[follower] == 3) continue;
      float& loss = expected[recent[follower]];
      loss = std::max(loss, std::ldexp(1.0f, static_cast<int>(length) - options.dry_allowed_length));
    }
    EXPECT_EQ(Lost(options, text, &*tokenizer, 4), expected) << round;
  }
}

TEST(SamplerDryTest, LongRepetitionsStayFinite) {
  SamplerOptions options = Dry();
  options.dry_sequence_breakers = {};
  options.dry_multiplier = 3e38f;
  options.dry_base = 3e38f;
  const Tokens text(20000, 1);
  EXPECT_EQ(Lost(options, text, nullptr), (Loss{{1, std::numeric_limits<float>::max()}}));
  // If nothing else is possible, it is chosen all the same.
  Sampler sampler(options);
  sampler.SetHistory(text);
  constexpr float kBanned = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(sampler.Sample(std::vector<float>{kBanned, 1, kBanned}).value(), 1);
  EXPECT_EQ(sampler.Sample(std::vector<float>{-3e38f, 1, kBanned}).value(), 0);
  // Tokens that are none of this vocabulary change nothing.
  sampler.SetHistory(Tokens{-1, 70, -1, 70, -1});
  EXPECT_EQ(sampler.Sample(std::vector<float>{1, 2, 0}).value(), 1);
}

TEST(SamplerDryTest, SamplerStopsALoop) {
  const LoadedTokenizer tokenizer(TokensFile(kPieces));
  SamplerOptions options = Dry();
  Sampler sampler(options, &*tokenizer);
  sampler.SetHistory(Tokens{0, 1, 2, 0, 1, 2, 0, 1});
  const std::vector<float> logits = {0, 0, 5, 0, 0, 0, 0, 0, 4};  // c, and then d
  EXPECT_EQ(sampler.Sample(logits).value(), 8);
  sampler.SetHistory(Tokens{0, 1, 2, 0});
  EXPECT_EQ(sampler.Sample(logits).value(), 2) << "SetHistory forgets";
  sampler.Accept(1);
  EXPECT_EQ(sampler.Sample(std::vector<float>{0, 0, 5, 0, 0, 0, 0, 0, 4.5f}).value(), 8) << "and Accept adds";
}

TEST(SamplerDryTest, NeedsATokenizerForBreakers) {
  SamplerOptions options = Dry();
  EXPECT_TRUE(Sampler::Validate(options).ok());
  Sampler without(options);
  without.Accept(3);
  const Status status = without.Sample(std::vector<float>{1, 2}).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("tokenizer"), std::string::npos) << status.message();
  options.dry_sequence_breakers = {};
  EXPECT_TRUE(Sampler(options).Sample(std::vector<float>{1, 2}).ok());
}

}  // namespace
}  // namespace slm::test
