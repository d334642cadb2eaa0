// Sums of the squares of what matrices meet, against sums computed here from the embeddings.

#include "forward/activation_statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string_view>
#include <vector>

#include "forward/forward.h"
#include "forward/kv_cache.h"
#include "model/model_impl.h"
#include "model/placed_matrix.h"
#include "support/fixture.h"
#include "support/tiny_model.h"

namespace slm::test {
namespace {

bool IsIn(std::string_view part, const GgufTensor& tensor) { return tensor.name.find(part) != std::string_view::npos; }

// Of all matrices but routers, after `tokens` in steps of `step`.
ActivationStatistics Collect(const Model& model, std::span<const Token> tokens, int threads, std::size_t step) {
  const ModelImpl& impl = Internal::Impl(model);
  std::vector<PlacedMatrix> matrices = PlaceMatrices(impl.file, impl.weights);
  std::erase_if(matrices, [](const PlacedMatrix& placed) { return IsIn("ffn_gate_inp", *placed.tensor); });
  ActivationStatistics statistics(matrices);
  Team team(threads);
  Result<Forward> forward =
      Forward::Create(impl, team, {.max_rows = static_cast<std::int64_t>(step), .statistics = &statistics});
  Result<KvCache> cache = KvCache::Create(impl.config, 256, static_cast<std::int32_t>(step), CacheFormat::kF16);
  EXPECT_TRUE(forward.ok() && cache.ok());
  for (std::size_t i = 0; i < tokens.size(); i += step) {
    std::vector<Row> rows;
    for (std::size_t j = i; j < std::min(tokens.size(), i + step); ++j)
      rows.push_back({tokens[j], static_cast<std::int32_t>(j), &*cache});
    EXPECT_TRUE(forward->Run(rows));
  }
  return statistics;
}

TEST(ActivationStatisticsTest, SquaresOfTheFirstLayersInput) {
  const Fixture fixture = FindFixture("llama_f16");
  const Model model = OpenOrThrow(fixture.model());
  const ModelImpl& impl = Internal::Impl(model);
  const std::vector<Token> prompt = fixture.Prompt();
  const ActivationStatistics statistics = Collect(model, prompt, 2, 16);

  const auto d = static_cast<std::size_t>(impl.config.embedding_length);
  std::vector<double> expected(d);
  for (const Token token : prompt) {
    std::vector<float> x(d);
    const Matrix& table = impl.weights.token_embd;
    table.format->to_float(table.data + static_cast<std::size_t>(token) * table.row_bytes, impl.config.embedding_length,
                           x.data());
    double squares = 0;
    for (const float value : x) squares += std::pow(static_cast<double>(value), 2);
    const double scale =
        1 / std::sqrt(squares / static_cast<double>(d) + static_cast<double>(impl.config.norm_epsilon));
    for (std::size_t i = 0; i < d; ++i)
      expected[i] += std::pow(static_cast<double>(x[i] * impl.weights.layers[0].attn_norm[i]) * scale, 2);
  }
  for (const Matrix* matrix : {&impl.weights.layers[0].attn_q, &impl.weights.layers[0].attn_v}) {
    const ActivationStatistics::Sums* sums = statistics.Find(*matrix);
    ASSERT_NE(sums, nullptr);
    EXPECT_EQ(sums->rows, std::ssize(prompt));
    ASSERT_EQ(sums->squares.size(), d);
    for (std::size_t i = 0; i < d; ++i) EXPECT_NEAR(sums->squares[i], expected[i], 1e-4 * expected[i]) << i;
  }
}

TEST(ActivationStatisticsTest, EveryRowOfEveryMatrixForAnyThreadsAndSteps) {
  for (const char* name : {"gemma3", "mixtral", "phi3_longrope", "gemma4_e", "gemma3n"}) {
    SCOPED_TRACE(name);
    const Fixture fixture = FindFixture(name);
    const Model model = OpenOrThrow(fixture.model());
    const ModelImpl& impl = Internal::Impl(model);
    const std::vector<Token> prompt = fixture.Prompt();
    const ActivationStatistics one = Collect(model, prompt, 1, 1);
    const ActivationStatistics many = Collect(model, prompt, 4, 7);
    std::int64_t expert_rows = 0;
    for (const PlacedMatrix& placed : PlaceMatrices(impl.file, impl.weights)) {
      if (IsIn("ffn_gate_inp", *placed.tensor)) continue;
      SCOPED_TRACE(placed.tensor->name);
      const ActivationStatistics::Sums& sums = *one.Find(*placed.matrix);
      EXPECT_EQ(sums.squares, many.Find(*placed.matrix)->squares);
      EXPECT_EQ(sums.rows, many.Find(*placed.matrix)->rows);
      if (IsIn("_exps", *placed.tensor)) {
        expert_rows += sums.rows;
      } else if (placed.matrix != &impl.weights.output && !placed.tensor->name.starts_with("altup_unembd")) {
        EXPECT_EQ(sums.rows, std::ssize(prompt));
      }
    }
    // Gate, up and down of those experts that a row uses.
    std::int64_t layers = 0;
    for (const LayerConfig& layer : impl.config.layers) layers += layer.expert_feed_forward_length > 0 ? 1 : 0;
    EXPECT_EQ(expert_rows, 3 * layers * std::ssize(prompt) * impl.config.expert_used_count);
  }
}

// Where products read int8 blocks alone.
TEST(ActivationStatisticsTest, RowsThatWereGathered) {
  const Result<Model> model = TinyModel({.architecture = "qwen3moe", .experts = 4}).Quantize().Open();
  ASSERT_TRUE(model.ok()) << model.status().message();
  const ModelImpl& impl = Internal::Impl(*model);
  const std::vector<Token> tokens = {1, 2, 3, 5, 8, 13, 21, 34};
  const ActivationStatistics one = Collect(*model, tokens, 1, 1), many = Collect(*model, tokens, 2, 8);
  for (const Expert& expert : impl.weights.layers[1].ffn_experts.experts)
    EXPECT_EQ(one.Find(expert.gate)->squares, many.Find(expert.gate)->squares);
}

}  // namespace
}  // namespace slm::test
