#include "slm/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace slm {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// All steps off.
SamplerOptions Plain() {
  return {.temperature = 1.0f, .top_k = 0, .top_p = 1.0f, .min_p = 0.0f, .repeat_penalty = 1.0f, .repeat_last_n = 64};
}

std::vector<double> Softmax(const std::vector<double>& logits) {
  const double max = *std::max_element(logits.begin(), logits.end());
  std::vector<double> p;
  for (const double logit : logits) p.push_back(std::exp(logit - max));
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& x : p) x /= sum;
  return p;
}

// The chain as the documentation words it, one step after the other with everything sorted: probability by token.
std::map<Token, double> ReferenceDistribution(std::span<const float> logits, const SamplerOptions& o,
                                              const std::vector<Token>& accepted = {}) {
  std::vector<double> l(logits.begin(), logits.end());
  const std::size_t window = std::min<std::size_t>(accepted.size(), static_cast<std::size_t>(o.repeat_last_n));
  for (const Token token : std::set<Token>(accepted.end() - static_cast<std::ptrdiff_t>(window), accepted.end())) {
    l[token] = static_cast<float>(l[token] > 0 ? static_cast<float>(l[token]) / o.repeat_penalty
                                               : static_cast<float>(l[token]) * o.repeat_penalty);
  }
  std::vector<Token> order(l.size());
  std::iota(order.begin(), order.end(), 0);
  std::erase_if(order, [&](Token t) { return std::isinf(l[t]); });
  std::stable_sort(order.begin(), order.end(), [&](Token a, Token b) { return l[a] > l[b]; });
  const auto kept_logits = [&] {
    std::vector<double> kept;
    for (const Token token : order) kept.push_back(l[token]);
    return kept;
  };

  if (o.top_k > 0 && order.size() > static_cast<std::size_t>(o.top_k)) order.resize(static_cast<std::size_t>(o.top_k));
  if (o.top_p < 1) {
    const std::vector<double> p = Softmax(kept_logits());
    double sum = 0;
    std::size_t count = 0;
    while (count < p.size() && sum < o.top_p) sum += p[count++];
    order.resize(std::max<std::size_t>(count, 1));
  }
  const std::vector<double> p = Softmax(kept_logits());
  std::size_t likely = 0;
  while (likely < p.size() && p[likely] >= o.min_p * p[0]) ++likely;
  order.resize(std::max<std::size_t>(likely, 1));

  std::vector<double> tempered = kept_logits();
  for (double& x : tempered) x /= o.temperature;
  const std::vector<double> final_p = Softmax(tempered);
  std::map<Token, double> distribution;
  for (std::size_t i = 0; i < order.size(); ++i) distribution[order[i]] = final_p[i];
  return distribution;
}

std::vector<float> RandomLogits(std::mt19937& random, std::size_t count, double spread) {
  std::normal_distribution<float> normal(0.0f, static_cast<float>(spread));
  std::vector<float> logits(count);
  for (float& x : logits) x = normal(random);
  return logits;
}

std::map<Token, int> Draw(Sampler& sampler, std::span<const float> logits, int draws) {
  std::map<Token, int> counts;
  for (int i = 0; i < draws; ++i) {
    const Result<Token> token = sampler.Sample(logits);
    EXPECT_TRUE(token.ok()) << token.status().message();
    if (!token.ok()) break;
    ++counts[*token];
  }
  return counts;
}

// Pearson's statistic of the counts, with tokens expected fewer than five times taken together; and its degrees of
// freedom.
std::pair<double, int> ChiSquare(const std::map<Token, int>& counts, const std::map<Token, double>& p, int draws) {
  double statistic = 0;
  int cells = 0;
  double rare_expected = 0;
  double rare_seen = 0;
  for (const auto& [token, probability] : p) {
    const auto it = counts.find(token);
    const double seen = it == counts.end() ? 0 : it->second;
    const double expected = probability * draws;
    if (expected < 5) {
      rare_expected += expected;
      rare_seen += seen;
      continue;
    }
    statistic += (seen - expected) * (seen - expected) / expected;
    ++cells;
  }
  if (rare_expected >= 5) {
    statistic += (rare_seen - rare_expected) * (rare_seen - rare_expected) / rare_expected;
    ++cells;
  }
  return {statistic, cells - 1};
}

TEST(SamplerTest, TemperatureZeroIsTheMostLikelyTokenWhateverTheSeed) {
  const std::vector<float> logits = {3, 2, 1};
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Sampler sampler({.temperature = 0.0f, .top_k = 1 + static_cast<int>(seed % 3), .seed = seed});
    EXPECT_EQ(sampler.Sample(logits).value(), 0);
  }
  Sampler sampler({.temperature = 0.0f});
  EXPECT_EQ(sampler.Sample(std::vector<float>{-kInf, -5, 7, 7, 1}).value(), 2) << "the lowest id among equals";
  EXPECT_EQ(sampler.Sample(std::vector<float>{-kInf, -kInf, -1e30f}).value(), 2);
}

// Truncation looks at 0.665, 0.245, 0.090; tempered first, token 0 alone would have 0.867.
TEST(SamplerTest, TopPComesBeforeTemperature) {
  SamplerOptions options = Plain();
  options.temperature = 0.5f;
  options.top_p = 0.8f;
  Sampler sampler(options);
  const std::map<Token, int> counts = Draw(sampler, std::vector<float>{3, 2, 1}, 5000);
  EXPECT_EQ(counts.size(), 2u);
  EXPECT_NEAR(counts.at(1) / 5000.0, 1 / (1 + std::exp(2.0)), 0.02);
}

TEST(SamplerTest, DrawsFollowTheExactDistribution) {
  std::mt19937 random(7);
  const std::vector<float> logits = RandomLogits(random, 60, 1.5);
  std::vector<SamplerOptions> cases(7, Plain());
  cases[1].temperature = 0.6f;
  cases[2].temperature = 1.7f;
  cases[2].top_k = 20;
  cases[3].top_p = 0.7f;
  cases[4].min_p = 0.1f;
  cases[5] = SamplerOptions();
  cases[6].top_k = 30;
  cases[6].top_p = 0.9f;
  cases[6].min_p = 0.05f;
  cases[6].repeat_penalty = 1.5f;
  const std::vector<Token> accepted = {3, 3, 17, 42, 5};
  for (std::size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(i);
    constexpr int kDraws = 20000;
    cases[i].seed = 1234 + i;
    Sampler sampler(cases[i]);
    for (const Token token : accepted) sampler.Accept(token);
    const std::map<Token, double> p = ReferenceDistribution(logits, cases[i], accepted);
    const std::map<Token, int> counts = Draw(sampler, logits, kDraws);
    for (const auto& [token, count] : counts) EXPECT_TRUE(p.contains(token)) << token << " was to be cut off";
    const auto [statistic, freedom] = ChiSquare(counts, p, kDraws);
    ASSERT_GE(freedom, 1);
    // Mean and variance of the statistic are its degrees of freedom and twice that.
    EXPECT_LT(statistic, freedom + 4 * std::sqrt(2.0 * freedom));
  }
}

// Temperature so high that every token kept is drawn: what is kept is then seen exactly.
TEST(SamplerTest, KeepsWhatThePlainChainKeeps) {
  std::mt19937 random(11);
  std::uniform_real_distribution<float> uniform(0, 1);
  for (int round = 0; round < 300; ++round) {
    SamplerOptions o = Plain();
    o.temperature = 1e6f;
    if (round % 2 == 0) o.top_k = 1 + static_cast<int>(random() % 40);
    if (round % 3 != 0) o.top_p = uniform(random);
    if (round % 5 != 0) o.min_p = 0.2f * uniform(random);
    if (round % 7 == 0) o.repeat_penalty = 1 + uniform(random);
    o.repeat_last_n = static_cast<int>(random() % 8);
    o.seed = random();
    std::vector<float> logits = RandomLogits(random, 30, 2.0);
    logits[random() % 30] = -kInf;
    if (round % 4 == 0) {
      for (float& x : logits) x = std::round(x);  // many ties
    }
    Sampler sampler(o);
    std::vector<Token> accepted;
    for (int i = 0; i < 10; ++i) accepted.push_back(static_cast<Token>(random() % 30));
    for (const Token token : accepted) sampler.Accept(token);
    std::set<Token> kept;
    for (const auto& [token, p] : ReferenceDistribution(logits, o, accepted)) kept.insert(token);
    std::set<Token> drawn;
    for (const auto& [token, count] : Draw(sampler, logits, 1000)) drawn.insert(token);
    EXPECT_EQ(drawn, kept) << "round " << round << " top_k " << o.top_k << " top_p " << o.top_p << " min_p " << o.min_p;
  }
}

TEST(SamplerTest, SelectsFromALargeVocabulary) {
  constexpr std::size_t kVocabulary = 262144;
  std::mt19937 random(5);
  std::vector<std::vector<float>> cases = {RandomLogits(random, kVocabulary, 3.0),
                                           std::vector<float>(kVocabulary, 1.5f), std::vector<float>(kVocabulary),
                                           std::vector<float>(kVocabulary)};
  for (std::size_t i = 0; i < kVocabulary; ++i) {
    cases[2][i] = static_cast<float>(i) * 1e-4f;  // every token better than all before
    cases[3][i] = -static_cast<float>(i) * 1e-4f;
  }
  for (std::size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(i);
    SamplerOptions options = Plain();
    options.temperature = 1e6f;
    options.top_k = 40;
    Sampler sampler(options);
    std::vector<Token> order(kVocabulary);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](Token a, Token b) { return cases[i][a] > cases[i][b]; });
    std::set<Token> drawn;
    for (const auto& [token, count] : Draw(sampler, cases[i], 600)) drawn.insert(token);
    EXPECT_EQ(drawn, std::set<Token>(order.begin(), order.begin() + 40));
  }
}

TEST(SamplerTest, TopPOfALargeVocabularyWithoutTopK) {
  constexpr std::size_t kVocabulary = 50000;
  std::vector<float> logits(kVocabulary, 0.0f);
  SamplerOptions options = Plain();
  options.top_p = 0.01f;
  Sampler sampler(options);
  const std::map<Token, int> counts = Draw(sampler, logits, 4000);
  EXPECT_LT(counts.rbegin()->first, 500) << "0.01 of 50000 equals, the lowest ids";
  EXPECT_GT(counts.size(), 450u);
}

TEST(SamplerTest, MaskedTokensDoNotChangeTheDraws) {
  std::mt19937 random(3);
  const std::vector<float> logits = RandomLogits(random, 25, 1.0);
  std::vector<float> masked;
  std::vector<Token> place;
  for (const float logit : logits) {
    while (random() % 3 != 0) masked.push_back(-kInf);
    place.push_back(static_cast<Token>(masked.size()));
    masked.push_back(logit);
  }
  for (const int top_k : {0, 5, 40}) {
    SamplerOptions options = Plain();
    options.top_k = top_k;
    options.seed = 99;
    Sampler a(options);
    Sampler b(options);
    for (int i = 0; i < 500; ++i) EXPECT_EQ(place[a.Sample(logits).value()], b.Sample(masked).value());
  }
}

TEST(SamplerTest, SeedsDecideTheDraws) {
  const std::vector<float> logits(64, 0.0f);
  const auto draws = [&](std::uint64_t seed) {
    SamplerOptions options = Plain();
    options.seed = seed;
    Sampler sampler(options);
    std::vector<Token> tokens;
    for (int i = 0; i < 20; ++i) tokens.push_back(sampler.Sample(logits).value());
    return tokens;
  };
  EXPECT_EQ(draws(1), draws(1));
  EXPECT_NE(draws(1), draws(2));
  // The C++ standard defines this generator's numbers: of 64 equals, the upper six bits choose.
  std::mt19937_64 generator(42);
  for (const Token token : draws(42)) EXPECT_EQ(token, static_cast<Token>(generator() >> 58));
}

TEST(SamplerTest, RepetitionPenaltyLooksAtTheRecentTokensOnce) {
  SamplerOptions options;
  options.temperature = 0;
  options.repeat_penalty = 2;
  options.repeat_last_n = 3;
  Sampler sampler(options);
  const std::vector<float> logits = {8, 5, 3, -1};
  EXPECT_EQ(sampler.Sample(logits).value(), 0);
  sampler.Accept(0);
  EXPECT_EQ(sampler.Sample(logits).value(), 1) << "8 / 2 is less than 5";
  sampler.Accept(0);
  sampler.Accept(1);
  EXPECT_EQ(sampler.Sample(logits).value(), 0) << "8 / 2, not 8 / 4";
  sampler.Accept(2);
  sampler.Accept(2);
  sampler.Accept(-7);  // not of this vocabulary: changes nothing
  EXPECT_EQ(sampler.Sample(logits).value(), 0) << "forgotten after three";
  sampler.SetHistory(std::vector<Token>{1, 0, 3, 3, 3});
  EXPECT_EQ(sampler.Sample(logits).value(), 0);
  sampler.SetHistory(std::vector<Token>{3, 0, 3});
  EXPECT_EQ(sampler.Sample(logits).value(), 1);
  EXPECT_EQ(Sampler({.temperature = 0, .repeat_penalty = 2, .repeat_last_n = 0}).Sample(logits).value(), 0);

  const std::vector<float> negative = {-4, -5};
  sampler.SetHistory(std::vector<Token>{0});
  EXPECT_EQ(sampler.Sample(negative).value(), 1) << "-4 * 2 is less than -5";
}

TEST(SamplerTest, NumbersThatAreNoNumbersAreErrors) {
  for (const float temperature : {0.0f, 0.8f}) {
    for (const int top_k : {0, 2}) {
      SCOPED_TRACE(temperature);
      SamplerOptions options = Plain();
      options.temperature = temperature;
      options.top_k = top_k;
      Sampler sampler(options);
      for (const float bad : {kNan, kInf}) {
        for (std::size_t at = 0; at < 7; ++at) {
          std::vector<float> logits = {9, 8, 7, 6, -kInf, 4, 10};
          logits[at] = bad;
          const Result<Token> token = sampler.Sample(logits);
          EXPECT_EQ(token.status().code(), StatusCode::kInvalidNumber);
          EXPECT_NE(token.status().message().find("token " + std::to_string(at)), std::string::npos);
        }
      }
      EXPECT_EQ(sampler.Sample(std::vector<float>(4, -kInf)).status().code(), StatusCode::kInvalidNumber);
      EXPECT_EQ(sampler.Sample({}).status().code(), StatusCode::kInvalidNumber);
    }
  }
}

TEST(SamplerTest, ExtremeTemperaturesAndLogits) {
  const std::vector<float> logits = {3e38f, -3e38f, 0, 2.9e38f};
  for (const float temperature : {1e-30f, 1.0f, 1e-3f}) {
    SamplerOptions options = Plain();
    options.temperature = temperature;
    Sampler sampler(options);
    EXPECT_EQ(Draw(sampler, logits, 100), (std::map<Token, int>{{0, 100}}));
  }
  SamplerOptions options = Plain();
  options.top_p = 0;
  Sampler sampler(options);
  EXPECT_EQ(Draw(sampler, std::vector<float>{1, 2, 1.9f}, 100), (std::map<Token, int>{{1, 100}}))
      << "one is always kept";
}

TEST(SamplerTest, ValidateNamesTheOption) {
  const auto expect_invalid = [](SamplerOptions options, const std::string& name) {
    const Status status = Sampler::Validate(options);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_NE(status.message().find(name), std::string::npos) << status.message();
    EXPECT_EQ(Sampler(options).Sample(std::vector<float>{1, 2}).status().code(), StatusCode::kInvalidArgument);
  };
  EXPECT_TRUE(Sampler::Validate({}).ok());
  EXPECT_TRUE(Sampler::Validate(Plain()).ok());
  for (const float bad : {-0.1f, kNan, kInf}) expect_invalid({.temperature = bad}, "temperature");
  expect_invalid({.top_k = -1}, "top_k");
  for (const float bad : {-0.1f, 1.1f, kNan}) expect_invalid({.top_p = bad}, "top_p");
  for (const float bad : {-0.1f, 1.1f, kNan}) expect_invalid({.min_p = bad}, "min_p");
  for (const float bad : {0.0f, -1.0f, kNan, kInf}) expect_invalid({.repeat_penalty = bad}, "repeat_penalty");
  expect_invalid({.repeat_last_n = -2}, "repeat_last_n");
  for (const float bad : {-0.1f, kNan, kInf}) {
    expect_invalid({.dynatemp_range = bad}, "dynatemp_range");
    expect_invalid({.dynatemp_exponent = bad}, "dynatemp_exponent");
    expect_invalid({.dry_multiplier = bad}, "dry_multiplier");
    expect_invalid({.mirostat_tau = bad}, "mirostat_tau");
  }
  for (const float bad : {-0.1f, 1.1f, kNan}) {
    expect_invalid({.typical_p = bad}, "typical_p");
    expect_invalid({.xtc_probability = bad}, "xtc_probability");
    expect_invalid({.xtc_threshold = bad}, "xtc_threshold");
    expect_invalid({.mirostat_eta = bad}, "mirostat_eta");
  }
  for (const float bad : {kInf, -kInf, kNan}) {
    expect_invalid({.top_n_sigma = bad}, "top_n_sigma");
    expect_invalid({.frequency_penalty = bad}, "frequency_penalty");
    expect_invalid({.presence_penalty = bad}, "presence_penalty");
  }
  for (const int bad : {-1, 1, 3}) expect_invalid({.mirostat = bad}, "mirostat");
  for (const float bad : {0.9f, kNan, kInf}) expect_invalid({.dry_base = bad}, "dry_base");
  expect_invalid({.dry_allowed_length = 0}, "dry_allowed_length");
  expect_invalid({.dry_penalty_last_n = -2}, "dry_penalty_last_n");
  expect_invalid({.dry_sequence_breakers = {"a", ""}}, "dry_sequence_breakers");
  expect_invalid({.logit_bias = {{-1, 1}}}, "logit_bias");
  for (const float bad : {kNan, kInf}) expect_invalid({.logit_bias = {{0, 1}, {1, bad}}}, "token 1");
}

}  // namespace
}  // namespace slm
