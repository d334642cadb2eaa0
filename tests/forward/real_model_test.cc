// Two real models against HF transformers on their dequantized weights, for every kernel set. Needs the models in the
// cache of tools/fetch-model; takes a few minutes. docs/numerics.md gives the reason for each bound.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <ostream>
#include <span>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "model/model_impl.h"
#include "slm/tokenizer.h"
#include "support/fixture.h"
#include "support/json.h"

namespace slm::test {
namespace {

struct TopToken {
  Token id = 0;
  double logit = 0;
};

struct Text {
  std::string name;
  std::string text;
  std::vector<Token> tokens;
  double mean_nll = 0;
  std::vector<std::vector<Token>> top_ids;        // [tokens][5]
  std::vector<std::vector<double>> top_logprobs;  // [tokens][5]
  std::vector<Token> greedy;
  std::vector<double> greedy_gaps;  // logits between the best and the second best at each step

  bool repeats() const { return name.starts_with("repeat-"); }
};

// A model, and llama.cpp's own figures on the same texts (f16 cache, the repeat-* texts not counted): the bar.
struct Case {
  const char* model;
  double mean_nll_difference;
  double kl;
  double top1;
};
void PrintTo(const Case& parameters, std::ostream* os) { *os << parameters.model; }

constexpr Case kCases[] = {{"gemma-3-270m", 0.0081, 0.00615, 0.9517}, {"smollm2-135m", 0.0051, 0.00314, 0.9618}};

constexpr double kMaxNllDifference = 0.02;  // of one text
// A step of greedy generation whose two best tokens are closer may go either way with integer activations.
constexpr double kClearGap = 0.5;
// "scalar" is for checking, not for speed: it reads the short texts only.
constexpr std::size_t kMaxScalarTokens = 110;

std::vector<Text> ReadTexts(const std::string& model) {
  std::vector<Text> texts;
  for (const auto& item : ParseJson(ReadFile(DataPath("real/" + model + ".json")))) {
    texts.push_back({.name = item.at("name"),
                     .text = item.at("text"),
                     .tokens = item.at("tokens"),
                     .mean_nll = item.at("mean_nll"),
                     .top_ids = item.at("top_ids"),
                     .top_logprobs = item.at("top_logprobs"),
                     .greedy = item.at("greedy"),
                     .greedy_gaps = item.at("greedy_gaps")});
  }
  return texts;
}

// exp(x) for x <= 0 with a relative error below 1e-6, in a form that compilers vectorize: a row has up to 262,144
// logits, and most of this test's time would go into std::exp.
float ExpOfNegative(float x) {
  const float power = std::max(x, -80.0f) * 1.44269504f;  // of 2
  const auto whole = static_cast<std::int32_t>(power);
  const float y = (power - static_cast<float>(whole)) * 0.693147181f;  // -ln 2 < y <= 0
  const float series =
      1 + y * (1 + y / 2 * (1 + y / 3 * (1 + y / 4 * (1 + y / 5 * (1 + y / 6 * (1 + y / 7 * (1 + y / 8)))))));
  return series * std::bit_cast<float>((whole + 127) << 23);
}

// ln of the sum of exp(logits), of which `top` is the largest.
double LogSumExp(std::span<const float> logits, float top) {
  constexpr std::size_t kLanes = 64;
  std::array<float, kLanes> terms{};
  double sum = 0;
  for (std::size_t i = 0; i < logits.size(); i += kLanes) {
    const std::size_t count = std::min(kLanes, logits.size() - i);
    for (std::size_t lane = 0; lane < count; ++lane) terms[lane] = ExpOfNegative(logits[i + lane] - top);
    sum +=
        static_cast<double>(std::accumulate(terms.begin(), terms.begin() + static_cast<std::ptrdiff_t>(count), 0.0f));
  }
  return static_cast<double>(top) + std::log(sum);
}

// KL divergence from the reference p to q, of the events "each of the five best tokens" and "any other". Putting all
// other tokens into one event makes it a lower bound of the divergence over the vocabulary.
double GroupedKl(std::span<const double> logprobs, std::span<const double> actual) {
  double kl = 0;
  double p_rest = 1;
  double q_rest = 1;
  for (std::size_t i = 0; i < logprobs.size(); ++i) {
    const double p = std::exp(logprobs[i]);
    kl += p * (logprobs[i] - actual[i]);
    p_rest -= p;
    q_rest -= std::exp(actual[i]);
  }
  // The stored values are rounded, so that the rest of a certain prediction may come out as nothing.
  constexpr double kLeast = 1e-9;
  if (p_rest > kLeast) kl += p_rest * std::log(p_rest / std::max(q_rest, kLeast));
  return kl;
}

struct Score {
  double nll_difference = 0;
  double kl_sum = 0;
  int top1_hits = 0;
};

// Compares each row of logits as it comes: all of a text would be gigabytes.
Score ScoreText(Session& session, const Text& text) {
  Score score;
  double nll = 0;
  const Status status = session.AppendVisiting(text.tokens, [&](std::int32_t position, std::span<const float> logits) {
    const auto row = static_cast<std::size_t>(position);
    const auto largest = std::max_element(logits.begin(), logits.end());
    const std::int64_t best = largest - logits.begin();
    const double normalizer = LogSumExp(logits, *largest);
    const auto logprob = [&](Token token) {
      return static_cast<double>(logits[static_cast<std::size_t>(token)]) - normalizer;
    };
    if (row + 1 < text.tokens.size()) nll -= logprob(text.tokens[row + 1]);
    std::array<double, 5> actual{};
    std::ranges::transform(text.top_ids[row], actual.begin(), logprob);
    score.kl_sum += GroupedKl(text.top_logprobs[row], actual);
    score.top1_hits += best == text.top_ids[row][0];
  });
  if (!status.ok()) throw std::runtime_error(status.message());
  score.nll_difference = std::abs(nll / static_cast<double>(text.tokens.size() - 1) - text.mean_nll);
  return score;
}

// The reference's greedy continuation, as far as integer activations can't rightly choose another token. The text's
// last token has been read already: it is read once more.
void ExpectGreedy(Session& session, const Text& text) {
  const auto first_close = std::ranges::find_if(text.greedy_gaps, [](double gap) { return gap < kClearGap; });
  const std::size_t count =
      text.repeats() ? text.greedy.size() : static_cast<std::size_t>(first_close - text.greedy_gaps.begin());
  ASSERT_TRUE(session.Rewind(session.position() - 1).ok());
  const std::vector<Token> expected(text.greedy.begin(), text.greedy.begin() + static_cast<std::ptrdiff_t>(count));
  EXPECT_EQ(GreedyContinuation(session, std::span(text.tokens).last(1), count), expected) << text.name;
}

// Opens a model of the cache; skips the test where it is not there.
class RealModelTest : public testing::Test {
 protected:
  void Open(const std::string& name, const std::string& kernels = "") {
    const auto path = RealModel(name);
    if (!path) GTEST_SKIP() << "the model is not in the cache: tools/fetch-model " << name;
    model_.emplace(OpenOrThrow(*path, kernels));
  }
  std::optional<Model> model_;
};

class RealNumbersTest : public RealModelTest, public testing::WithParamInterface<std::tuple<const KernelSet*, Case>> {
 protected:
  void SetUp() override { Open(parameters().model, kernels()); }
  const Case& parameters() const { return std::get<1>(GetParam()); }
  std::string kernels() const { return std::get<0>(GetParam())->name; }
};

std::string InstanceName(const testing::TestParamInfo<RealNumbersTest::ParamType>& info) {
  std::string name = std::string(std::get<0>(info.param)->name) + "_" + std::get<1>(info.param).model;
  std::ranges::replace(name, '-', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(, RealNumbersTest, testing::Combine(RunnableSets(), testing::ValuesIn(kCases)), InstanceName);

TEST_P(RealNumbersTest, AgreeWithTransformers) {
  const bool short_texts_only = kernels() == "scalar";
  int texts = 0;
  std::size_t positions = 0;
  double nll_differences = 0;
  double kl = 0;
  int top1_hits = 0;
  for (const Text& text : ReadTexts(parameters().model)) {
    if (short_texts_only && text.tokens.size() >= kMaxScalarTokens) continue;
    Session session = SessionOrThrow(*model_, {.kv_type = KvType::kF32});
    const Score score = ScoreText(session, text);
    EXPECT_LE(score.nll_difference, kMaxNllDifference) << text.name;
    ExpectGreedy(session, text);
    if (text.repeats()) continue;
    ++texts;
    positions += text.tokens.size();
    nll_differences += score.nll_difference;
    kl += score.kl_sum;
    top1_hits += score.top1_hits;
  }
  const double mean_nll_difference = nll_differences / texts;
  const double mean_kl = kl / static_cast<double>(positions);
  const double top1 = top1_hits / static_cast<double>(positions);
  std::printf("%d texts: mean NLL difference %.4f, KL %.5f, top-1 agreement %.2f %%\n", texts, mean_nll_difference,
              mean_kl, 100 * top1);
  EXPECT_LE(mean_kl, parameters().kl);
  EXPECT_GE(top1, parameters().top1);
  // The peer's mean is over all texts; the short ones alone scatter more.
  if (short_texts_only) return;
  EXPECT_LE(mean_nll_difference, parameters().mean_nll_difference);
}

// What follows "The capital of France is", by HF transformers.
struct Capital {
  std::vector<Token> prompt;
  std::vector<TopToken> top;  // with logits
  std::vector<Token> greedy;
};
const Capital kGemmaCapital = {{2, 818, 5279, 529, 7001, 563},
                               {{506, 19.091}, {496, 18.548}, {9079, 18.269}, {886, 18.113}, {3224, 17.784}},
                               {506, 5279, 529, 506, 2891, 529, 7001, 236761}};
const Capital kSmolLm2Capital = {{504, 3575, 282, 4649, 314},
                                 {{7042, 17.371}, {260, 14.889}, {4528, 13.245}, {2250, 13.009}, {1315, 12.952}},
                                 {7042, 30, 198, 198, 504, 2988, 314, 42}};

// A kernel set that computes an architecture wrong shows here first.
TEST_P(RealNumbersTest, TheCapitalOfFrance) {
  // Integer activations move logits by less, and pairs of high ones against each other by less still.
  constexpr double kTolerance = 0.35;
  constexpr double kClose = 0.25;
  const Capital& expected = model_->architecture() == "gemma3" ? kGemmaCapital : kSmolLm2Capital;
  EXPECT_EQ(model_->tokenizer().Encode("The capital of France is", {.add_special = true}).value(), expected.prompt);
  Session session = SessionOrThrow(*model_, {.kv_type = KvType::kF32});
  const auto logits = session.Append(expected.prompt);
  ASSERT_TRUE(logits.ok()) << logits.status().message();
  const auto logit = [&](Token token) { return (*logits)[static_cast<std::size_t>(token)]; };
  for (const TopToken& token : expected.top) EXPECT_NEAR(logit(token.id), token.logit, kTolerance) << token.id;
  // The same order where two are not closer than that moves them, and no other token among them.
  for (std::size_t i = 0; i < expected.top.size(); ++i) {
    for (std::size_t j = i + 1; j < expected.top.size(); ++j) {
      if (expected.top[i].logit - expected.top[j].logit < kClose) continue;
      EXPECT_GT(logit(expected.top[i].id), logit(expected.top[j].id));
    }
  }
  const double bound = expected.top.back().logit + kClose;
  for (Token token = 0; token < model_->vocab_size(); ++token) {
    const bool listed = std::ranges::count(expected.top, token, &TopToken::id) != 0;
    EXPECT_TRUE(listed || logit(token) < bound) << token;
  }
  ASSERT_TRUE(session.Rewind(0).ok());
  EXPECT_EQ(GreedyContinuation(session, expected.prompt, expected.greedy.size()), expected.greedy);
}

TEST(RealModelScoring, LogSumExp) {
  for (const std::size_t n : {1u, 63u, 64u, 65u, 1000u}) {
    std::vector<float> logits(n);
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
      logits[i] = 10 - static_cast<float>(i % 131) * 0.77f;
      sum += std::exp(static_cast<double>(logits[i]));
    }
    EXPECT_NEAR(LogSumExp(logits, 10), std::log(sum), 1e-6);
  }
}

class RealFileTest : public RealModelTest, public testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override { Open(GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(, RealFileTest, testing::Values(kCases[0].model, kCases[1].model),
                         [](const auto& model) { return model.index == 0 ? "gemma_3_270m" : "smollm2_135m"; });

TEST_P(RealFileTest, TokenIds) {
  for (const Text& text : ReadTexts(GetParam())) {
    const EncodeOptions options = {.parse_special = text.name.starts_with("chat-"), .add_special = true};
    EXPECT_EQ(model_->tokenizer().Encode(text.text, options).value(), text.tokens) << text.name;
  }
}

TEST_P(RealFileTest, HasNoBadNumbers) { EXPECT_TRUE(model_->file().FindBadNumbers().empty()); }

// The first weights of a row, as an independent implementation reads them.
struct FirstWeights {
  const char* tensor;
  const char* format;
  std::int64_t row;
  std::array<float, 4> values;
};
constexpr FirstWeights kGemmaWeights[] = {
    {"token_embd.weight", "Q8_0", 2, {-0.0142424f, 0.0105670f, 0.0133236f, 0.0124047f}},
    {"blk.0.attn_q.weight", "Q5_0", 0, {-0.00378418f, 0.00756836f, -0.0151367f, -0.00567627f}},
    {"blk.0.attn_v.weight", "Q8_0", 0, {0.00608826f, -0.0395737f, -0.0314560f, -0.0568237f}},
    {"blk.0.attn_output.weight", "Q4_K", 0, {-0.0157051f, 0.0496693f, -0.0374966f, 0.0605650f}},
    {"blk.0.ffn_down.weight", "Q6_K", 0, {0.00521171f, 0.0217155f, -0.0251899f, 0.0138979f}},
    {"blk.0.attn_norm.weight", "F32", 0, {16, 16.875f, 10.8125f, 41.5f}},
};
constexpr FirstWeights kSmolLm2Weights[] = {
    {"blk.0.attn_q.weight", "Q4_1", 0, {-0.0963135f, 0.157349f, -0.0963135f, -0.730469f}},
    {"token_embd.weight", "Q8_0", 1, {-0.0238037f, -0.0158691f, -0.0396729f, 0.0158691f}},
    {"blk.0.ffn_down.weight", "Q4_1", 5, {-0.198578f, -0.127228f, -0.0558777f, -0.0558777f}},
};

TEST_P(RealFileTest, Weights) {
  const bool gemma = model_->architecture() == "gemma3";
  for (const FirstWeights& expected : gemma ? std::span<const FirstWeights>(kGemmaWeights) : kSmolLm2Weights) {
    const GgufTensor* tensor = Internal::Impl(*model_).file.FindTensor(expected.tensor);
    ASSERT_NE(tensor, nullptr) << expected.tensor;
    EXPECT_STREQ(tensor->format->name, expected.format);
    const auto columns = static_cast<std::int64_t>(tensor->shape[0]);
    std::vector<float> row(tensor->shape[0]);
    const std::size_t row_bytes = RowBytes(*tensor->format, columns);
    tensor->format->to_float(tensor->data.data() + static_cast<std::size_t>(expected.row) * row_bytes, columns,
                             row.data());
    for (std::size_t i = 0; i < expected.values.size(); ++i) {
      EXPECT_NEAR(row[i], expected.values[i], 1e-6 * std::max(1.0f, std::abs(expected.values[i]))) << expected.tensor;
    }
  }
}

TEST_P(RealFileTest, Sizes) {
  const ModelConfig& config = Internal::Impl(*model_).config;
  const bool gemma = model_->architecture() == "gemma3";
  EXPECT_EQ(config.layers.size(), gemma ? 18u : 30u);
  EXPECT_EQ(config.embedding_length, gemma ? 640 : 576);
  EXPECT_EQ(config.layers[0].key_length, gemma ? 256 : 64);  // Gemma's is not 640 / 4
  EXPECT_EQ(config.layers[0].heads, gemma ? 4 : 9);
  EXPECT_EQ(config.layers[0].kv_heads, gemma ? 1 : 3);
  EXPECT_EQ(config.window, gemma ? 512 : 0);
  // Keys the Gemma file leaves out: every sixth layer is global, and sliding layers have a base of their own.
  for (std::size_t i = 0; i < config.layers.size(); ++i) EXPECT_EQ(config.layers[i].sliding, gemma && i % 6 != 5);
  EXPECT_EQ(config.rope_global.base, gemma ? 1e6 : 1e5);
  EXPECT_EQ(config.rope_sliding.base, gemma ? 1e4 : 1e5);
  EXPECT_EQ(config.rope_global.position_scale, 1);
  EXPECT_EQ(Internal::Impl(*model_).weights.output.data, Internal::Impl(*model_).weights.token_embd.data);
}

}  // namespace
}  // namespace slm::test
