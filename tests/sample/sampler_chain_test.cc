// Rules of the chain as a whole: order, off values, temperature 0, XTC, mirostat, bias, seeds. sampler_test.cc has the
// draws, sampler_reference_test.cc the numbers.

#include "sample/sampler_chain.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support/tokenizer_test_util.h"

namespace slm {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

// All steps off.
SamplerOptions Plain() { return {.temperature = 1.0f, .top_k = 0, .top_p = 1.0f, .min_p = 0.0f}; }

std::vector<float> RandomLogits(std::uint32_t seed, std::size_t count, double spread) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, static_cast<float>(spread));
  std::vector<float> logits(count);
  for (float& logit : logits) logit = normal(random);
  return logits;
}

using Distribution = std::map<Token, double>;

Distribution DistributionOf(SamplerChain& chain, const std::vector<float>& logits) {
  const Status status = chain.Distribute(logits);
  EXPECT_TRUE(status.ok()) << status.message();
  Distribution p;
  for (std::size_t i = 0; i < chain.candidates().size(); ++i) {
    p[chain.candidates()[i].token] = chain.weights()[i] / chain.total_weight();
  }
  return p;
}

Distribution DistributionOf(const SamplerOptions& options, const std::vector<float>& logits,
                            const std::vector<Token>& history = {}) {
  SamplerChain chain(options, nullptr);
  for (const Token token : history) chain.Accept(token);
  return DistributionOf(chain, logits);
}

std::set<Token> Kept(const SamplerOptions& options, const std::vector<float>& logits) {
  std::set<Token> tokens;
  for (const auto& [token, p] : DistributionOf(options, logits)) tokens.insert(token);
  return tokens;
}

std::vector<Token> Draws(Sampler& sampler, const std::vector<float>& logits, int count) {
  std::vector<Token> tokens;
  for (int i = 0; i < count; ++i) {
    tokens.push_back(sampler.Sample(logits).value());
    sampler.Accept(tokens.back());
  }
  return tokens;
}

// Field case B44: 0.665, 0.245 and 0.090 before temperature; tempered first, token 0 alone would have 0.867.
TEST(SamplerChainTest, TruncatesBeforeTemperature) {
  SamplerOptions options = Plain();
  options.top_p = 0.8f;
  options.temperature = 0.5f;
  const Distribution p = DistributionOf(options, {3, 2, 1});
  ASSERT_EQ(p.size(), 2u);
  EXPECT_NEAR(p.at(0), 1 / (1 + std::exp(-2.0)), 1e-12);
}

// Each step looks at what is left, not at the original probabilities.
TEST(SamplerChainTest, StepsComeInTheirOrder) {
  const std::vector<float> logits = {std::log(0.4f), std::log(0.3f), std::log(0.2f), std::log(0.1f)};
  SamplerOptions options = Plain();
  options.top_k = 2;
  options.top_p = 0.55f;  // of 4/7 and 3/7 the first is enough; of 0.4 and 0.3 it is not
  EXPECT_EQ(Kept(options, logits), (std::set<Token>{0}));

  options = Plain();
  options.min_p = 0.4f;  // leaves 4/9, 3/9, 2/9
  options.xtc_probability = 1;
  options.xtc_threshold = 0.21f;  // which 0.2 would not reach
  EXPECT_EQ(Kept(options, logits), (std::set<Token>{2}));

  options = Plain();
  options.top_k = 3;
  options.typical_p = 0.3f;  // the surprise nearest to the entropy is that of 3/9
  options.top_p = 0.5f;      // of what typical leaves, all is token 1's
  EXPECT_EQ(Kept(options, logits), (std::set<Token>{1}));

  options = Plain();
  options.logit_bias = {{3, 5.0f}};
  options.presence_penalty = 100;
  options.top_k = 1;
  const Distribution p = DistributionOf(options, logits, {3});
  EXPECT_TRUE(p.contains(0)) << "penalties come before top-k";
}

TEST(SamplerChainTest, OffValuesChangeNothing) {
  SamplerOptions off;  // the defaults of all but what they turn on
  off.seed = 5;
  SamplerOptions spelled = off;
  spelled.dynatemp_range = 0;
  spelled.dynatemp_exponent = 3;
  spelled.typical_p = 1;
  spelled.top_n_sigma = -0.5f;
  spelled.xtc_probability = 0;
  spelled.xtc_threshold = 0;
  spelled.mirostat_tau = 1;
  spelled.mirostat_eta = 0.9f;
  spelled.repeat_penalty = 1;
  spelled.repeat_last_n = -1;
  spelled.dry_multiplier = 0;
  spelled.dry_allowed_length = 1;
  spelled.logit_bias = {{3, 0.0f}};
  // Windows of no tokens turn their steps off too.
  SamplerOptions no_window = off;
  no_window.repeat_penalty = 2;
  no_window.frequency_penalty = 1;
  no_window.presence_penalty = 1;
  no_window.repeat_last_n = 0;
  no_window.dry_multiplier = 1;
  no_window.dry_penalty_last_n = 0;

  const std::vector<float> logits = RandomLogits(1, 200, 2);
  const Distribution expected = DistributionOf(off, logits, {3, 3, 3, 3});
  EXPECT_EQ(DistributionOf(spelled, logits, {3, 3, 3, 3}), expected) << "to the last bit";
  EXPECT_EQ(DistributionOf(no_window, logits, {3, 3, 3, 3}), expected);
  Sampler a(off), b(spelled), c(no_window);
  const std::vector<Token> draws = Draws(a, logits, 200);
  EXPECT_EQ(Draws(b, logits, 200), draws);
  EXPECT_EQ(Draws(c, logits, 200), draws);
}

TEST(SamplerChainTest, EverythingOffIsTheSoftmax) {
  const std::vector<float> logits = {1, 2, -kInf, 4};
  const double sum = std::exp(1) + std::exp(2) + std::exp(4);
  const Distribution p = DistributionOf(Plain(), logits);
  ASSERT_EQ(p.size(), 3u);
  for (const auto& [token, probability] : p) {
    EXPECT_NEAR(probability, std::exp(static_cast<double>(logits[static_cast<std::size_t>(token)])) / sum, 1e-15);
  }
}

TEST(SamplerChainTest, TemperatureZeroWhateverElseIsSet) {
  std::vector<SamplerOptions> cases(6, SamplerOptions{.temperature = 0});
  cases[1].xtc_probability = 1;
  cases[1].xtc_threshold = 0;
  cases[2].mirostat = 2;
  cases[3].typical_p = 0.01f;
  cases[4].dynatemp_range = 5;
  cases[5].top_n_sigma = 0.1f;
  cases[5].top_p = 0;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      cases[i].seed = seed;
      EXPECT_EQ(Sampler(cases[i]).Sample(std::vector<float>{3, 2, 1}).value(), 0) << i;
      EXPECT_EQ(Sampler(cases[i]).Sample(std::vector<float>{2, 3, 3}).value(), 1) << "the lowest id among equals";
    }
  }
  SamplerOptions adjusted{.temperature = 0};
  adjusted.logit_bias = {{2, 2.5f}};
  EXPECT_EQ(Sampler(adjusted).Sample(std::vector<float>{3, 2, 1}).value(), 2);
}

// Reordering the vocabulary reorders the result, as long as no two logits are equal.
TEST(SamplerChainTest, DoesNotDependOnTheOrderOfTokens) {
  const std::vector<float> logits = RandomLogits(2, 60, 2);
  std::vector<std::size_t> place(logits.size());
  std::iota(place.begin(), place.end(), std::size_t{0});
  std::shuffle(place.begin(), place.end(), std::mt19937(3));
  std::vector<float> moved(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) moved[place[i]] = logits[i];

  std::vector<SamplerOptions> cases(7, Plain());
  cases[0] = SamplerOptions();
  cases[1].typical_p = 0.6f;
  cases[2].top_n_sigma = 1;
  cases[3].xtc_probability = 1;
  cases[3].xtc_threshold = 0.05f;
  cases[4].mirostat = 2;
  cases[4].mirostat_tau = 1.5f;
  cases[5].dynatemp_range = 0.5f;
  cases[6].top_k = 12;
  cases[6].top_p = 0.9f;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(i);
    const Distribution p = DistributionOf(cases[i], logits);
    const Distribution q = DistributionOf(cases[i], moved);
    ASSERT_EQ(p.size(), q.size());
    for (const auto& [token, probability] : p) {
      const Token there = static_cast<Token>(place[static_cast<std::size_t>(token)]);
      ASSERT_TRUE(q.contains(there));
      EXPECT_NEAR(q.at(there), probability, 1e-12);
    }
  }
}

TEST(SamplerChainTest, PenaltiesCountTheirWindow) {
  SamplerOptions options = Plain();
  options.frequency_penalty = 0.5f;
  options.presence_penalty = 0.25f;
  const std::vector<float> logits(10, 0.0f);
  // ln of the ratio of two probabilities is the difference of their logits.
  const auto lost = [&](std::int32_t last_n, const std::vector<Token>& history, Token token) {
    options.repeat_last_n = last_n;
    const Distribution p = DistributionOf(options, logits, history);
    return std::log(p.at(9) / p.at(token));
  };
  const std::vector<Token> history = {1, 2, 2, 3, 2};
  EXPECT_NEAR(lost(2, history, 2), 0.75, 1e-6);
  EXPECT_NEAR(lost(2, history, 3), 0.75, 1e-6);
  EXPECT_NEAR(lost(2, history, 1), 0, 1e-6);
  EXPECT_NEAR(lost(4, history, 2), 1.75, 1e-6);
  EXPECT_NEAR(lost(5, history, 1), 0.75, 1e-6);
  EXPECT_NEAR(lost(1000, history, 2), 1.75, 1e-6);
  std::vector<Token> long_history(5000, 1);
  long_history.insert(long_history.end(), 100, 4);
  EXPECT_NEAR(lost(64, long_history, 1), 0, 1e-6);
  options.frequency_penalty = 0.001f;
  EXPECT_NEAR(lost(-1, long_history, 1), 5.25, 1e-4);
}

TEST(SamplerChainTest, PenaltiesLeaveMaskedAndBadLogitsAsTheyAre) {
  SamplerOptions options = Plain();
  options.presence_penalty = 1;
  EXPECT_EQ(DistributionOf(options, {0, -kInf}, {0, 1}), (Distribution{{0, 1}}));
  for (const float bad : {kInf, std::nanf("")}) {
    Sampler sampler(options);
    sampler.Accept(1);
    EXPECT_EQ(sampler.Sample(std::vector<float>{0, bad}).status().code(), StatusCode::kInvalidNumber);
  }
}

TEST(SamplerChainTest, PenaltiesLeaveLogitsFinite) {
  SamplerOptions options = Plain();
  options.repeat_penalty = 1e-30f;
  EXPECT_EQ(Sampler(options).Sample(std::vector<float>{1, 2}).status().code(), StatusCode::kOk);
  EXPECT_EQ(DistributionOf(options, {3e38f, 3e38f}, {0, 1}), (Distribution{{0, 0.5}, {1, 0.5}}));
  options.repeat_penalty = 1;
  options.frequency_penalty = 3e38f;
  EXPECT_EQ(DistributionOf(options, {-3e38f, -3e38f}, {0, 0, 1, 1}), (Distribution{{0, 0.5}, {1, 0.5}}));
  options.logit_bias = {{0, 3e38f}};
  EXPECT_EQ(Kept(options, {3e38f, -3e38f}).size(), 2u);
}

TEST(SamplerChainTest, BiasBansAndPromotes) {
  SamplerOptions options = Plain();
  for (Token token = 0; token < 99; ++token) options.logit_bias.push_back({token, -kInf});
  const std::vector<float> logits = RandomLogits(4, 100, 3);
  EXPECT_EQ(Kept(options, logits), (std::set<Token>{99}));
  options.logit_bias.push_back({99, -kInf});
  EXPECT_EQ(Sampler(options).Sample(logits).status().code(), StatusCode::kInvalidNumber) << "all are banned";

  options.logit_bias = {{0, 1.0f}, {0, 1.5f}};
  EXPECT_NEAR(DistributionOf(options, {0, 0}).at(0), 1 / (1 + std::exp(-2.5)), 1e-7) << "entries add up";
  // What is wrong with a logit is told all the same.
  options.logit_bias = {{0, -kInf}};
  EXPECT_EQ(Sampler(options).Sample(std::vector<float>{std::nanf(""), 1}).status().code(), StatusCode::kInvalidNumber);
  EXPECT_EQ(Sampler(options).Sample(std::vector<float>{kInf, 1}).status().code(), StatusCode::kInvalidNumber);
  options.logit_bias = {{7, 1.0f}};
  const Status beyond = Sampler(options).Sample(std::vector<float>{1, 2, 3}).status();
  EXPECT_EQ(beyond.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(beyond.message().find("token 7"), std::string::npos) << beyond.message();
  EXPECT_NE(beyond.message().find("3 tokens"), std::string::npos) << beyond.message();
}

TEST(SamplerChainTest, XtcRemovesAsOftenAsItsProbability) {
  const std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.2f)};
  SamplerOptions options = Plain();
  options.xtc_threshold = 0.25f;
  options.xtc_probability = 0.3f;
  SamplerChain chain(options, nullptr);
  int removed = 0;
  constexpr int kRounds = 4000;
  for (int i = 0; i < kRounds; ++i) {
    const Distribution p = DistributionOf(chain, logits);
    if (p.contains(0)) {
      EXPECT_EQ(p.size(), 3u);
      continue;
    }
    EXPECT_EQ(p.size(), 2u) << "of 0.5 and 0.3 the less likely one stays";
    ++removed;
  }
  EXPECT_NEAR(removed, 0.3 * kRounds, 4 * std::sqrt(0.3 * 0.7 * kRounds));

  options.xtc_probability = 1;
  options.xtc_threshold = 0.51f;
  EXPECT_EQ(Kept(options, {9, 0, 0}).size(), 3u) << "two can't have more than half";
  options.xtc_threshold = 0.4f;
  EXPECT_EQ(Kept(options, logits).size(), 3u) << "one choice alone stays";
}

TEST(SamplerChainTest, MirostatReachesItsSurprise) {
  const std::vector<float> logits = RandomLogits(5, 4000, 2.5);
  for (const float tau : {2.0f, 3.5f, 5.0f}) {
    SamplerOptions options = Plain();
    options.mirostat = 2;
    options.mirostat_tau = tau;
    options.seed = 17;
    SamplerChain chain(options, nullptr);
    double surprise = 0;
    constexpr int kDraws = 1000;
    for (int i = 0; i < kDraws; ++i) {
      const Distribution p = DistributionOf(chain, logits);
      surprise -= std::log2(p.at(chain.Draw()));
    }
    EXPECT_NEAR(surprise / kDraws, tau, 0.1);
  }
}

TEST(SamplerChainTest, MirostatTakesThePlaceOfTruncation) {
  SamplerOptions options = Plain();
  options.mirostat = 2;
  options.mirostat_tau = 10;
  options.top_k = 1;
  options.min_p = 1;
  options.xtc_probability = 1;
  const std::vector<float> logits = {2, 1, 0};
  EXPECT_EQ(Kept(options, logits).size(), 3u);
  options.mirostat_tau = 0;
  EXPECT_EQ(Kept(options, logits), (std::set<Token>{0})) << "one is always kept";
  options.presence_penalty = 5;
  SamplerChain chain(options, nullptr);
  chain.Accept(0);
  EXPECT_TRUE(DistributionOf(chain, logits).contains(1)) << "penalties still count";
}

// The bound begins at 2 tau; of 0.6, 0.2 and 0.2 the less likely have 2.32 bits.
TEST(SamplerChainTest, MirostatBeginsAtTwiceItsSurprise) {
  SamplerOptions options = Plain();
  options.mirostat = 2;
  const std::vector<float> logits = {std::log(0.6f), std::log(0.2f), std::log(0.2f)};
  options.mirostat_tau = 1.17f;
  EXPECT_EQ(Kept(options, logits).size(), 3u);
  options.mirostat_tau = 1.15f;
  EXPECT_EQ(Kept(options, logits).size(), 1u);
}

// 0 and -2 have a deviation of 1; a token that can't be chosen has no part in it.
TEST(SamplerChainTest, TopNSigmaCountsTokensThatCanBeChosen) {
  SamplerOptions options = Plain();
  options.top_n_sigma = 1.9f;
  EXPECT_EQ(Kept(options, {0, -2, -kInf}), (std::set<Token>{0}));
  options.top_n_sigma = 2.1f;
  EXPECT_EQ(Kept(options, {0, -2, -kInf}), (std::set<Token>{0, 1}));
}

TEST(SamplerChainTest, DynamicTemperatureFollowsTheEntropy) {
  SamplerOptions options = Plain();
  options.dynatemp_range = 0.5f;
  const auto temperature = [&](const std::vector<float>& logits) {
    Candidates candidates;
    EXPECT_TRUE(SelectBest(logits, logits.size(), candidates).ok());
    return TemperatureFor(options, candidates);
  };
  EXPECT_NEAR(temperature({1, 1, 1, 1}), 1.5, 1e-9);
  EXPECT_NEAR(temperature({1000, 1, 1, 1}), 0.5, 1e-9);
  const double between = temperature({3, 1, 1, 0});
  EXPECT_GT(between, 0.5);
  EXPECT_LT(between, 1.5);
  options.dynatemp_exponent = 2;
  EXPECT_LT(temperature({3, 1, 1, 0}), between);
  // Down to 0 and below: the most likely token, no division by zero.
  options.dynatemp_range = 3;
  EXPECT_NEAR(DistributionOf(options, {1000, 1, 1}).at(0), 1, 1e-12);
}

TEST(SamplerChainTest, ReseedStartsTheRandomSequenceAnew) {
  const std::vector<float> logits = RandomLogits(6, 300, 1.5);
  SamplerOptions options = Plain();
  options.xtc_probability = 0.5f;
  options.xtc_threshold = 0.01f;
  for (const int mirostat : {0, 2}) {
    options.mirostat = mirostat;
    options.mirostat_tau = 3;
    options.seed = 1;
    Sampler used(options);
    Draws(used, logits, 100);
    used.Reseed(42);
    EXPECT_EQ(used.options().seed, 42u);
    options.seed = 42;
    Sampler fresh(options);
    EXPECT_EQ(Draws(used, logits, 100), Draws(fresh, logits, 100));
  }
  // The text so far stays.
  options = Plain();
  options.temperature = 0;
  options.presence_penalty = 9;
  Sampler sampler(options);
  sampler.Accept(0);
  sampler.Reseed(7);
  EXPECT_EQ(sampler.Sample(std::vector<float>{3, 2}).value(), 1);
}

// A template puts a token behind every turn. It is no repetition, whichever option looks for repetitions.
TEST(SamplerChainTest, TokensThatEndATurnAreNotPenalized) {
  constexpr Token kEnd = 2, kWord = 259;
  const test::LoadedTokenizer tokenizer(test::SpmFile({"a", "b"}));
  ASSERT_TRUE(tokenizer->IsEndOfGeneration(kEnd));
  ASSERT_FALSE(tokenizer->IsEndOfGeneration(kWord));
  const std::vector<Token> text = {kWord, kEnd, kWord, kEnd, kWord, kEnd, kWord};
  const auto probabilities = [&](const SamplerOptions& options, const Tokenizer* known) {
    SamplerChain chain(options, known);
    for (const Token token : text) chain.Accept(token);
    Distribution all =
        DistributionOf(chain, std::vector<float>(static_cast<std::size_t>(tokenizer->vocab_size()), 1.0f));
    return std::pair{all[kEnd] / all[kWord + 1], all[kWord] / all[kWord + 1]};  // beside a word that is not there
  };
  struct Case {
    const char* name;
    float SamplerOptions::*option;
    float value;
  };
  for (const auto& [name, option, value] : {Case{"repeat", &SamplerOptions::repeat_penalty, 1.3f},
                                            Case{"frequency", &SamplerOptions::frequency_penalty, 0.5f},
                                            Case{"presence", &SamplerOptions::presence_penalty, 0.5f}}) {
    SamplerOptions options = Plain();
    options.repeat_last_n = -1;
    options.*option = value;
    const auto [end, word] = probabilities(options, &*tokenizer);
    EXPECT_DOUBLE_EQ(end, 1) << name;
    EXPECT_LT(word, 0.9) << name;
    EXPECT_LT(probabilities(options, nullptr).first, 0.9) << name << ": nobody says what ends a turn";
  }
}

}  // namespace
}  // namespace slm
