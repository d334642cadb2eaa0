// An architecture of known parts costs a row of the table: one made up here, which no file of the library knows, is
// computed right.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "forward/forward.h"
#include "model/model_impl.h"
#include "support/fixture.h"
#include "support/oracle_parts.h"
#include "support/tiny_architecture.h"

namespace slm::test {
namespace {

// Gemma's norms and scales, but SiLU, and two bases of its own.
constexpr Architecture kHouse = {
    .name = "house",
    .rope_pairs = RopePairs::kHalves,
    .activation = FfnActivation::kSilu,
    .scales_embedding = true,
    .post_norms = true,
    .query_key_norm = true,
    .window = kInFile,
    .window_pattern = 3,
    .rope_base = 700,
    .rope_base_sliding = 50,
};

std::vector<Token> Text() {
  std::vector<Token> tokens;
  for (int i = 0; i < static_cast<int>(Forward::kLogitsRows); ++i) tokens.push_back(3 + i * 5 % 37);
  return tokens;
}

// As Model::Open does, with a table of its own.
ModelImpl Open(const std::filesystem::path& path, std::span<const Architecture> table, const KernelSet& kernels) {
  ModelFile source = ModelFile::Open(path).value();
  const GgufFile& file = Internal::Impl(source).gguf;
  ModelConfig config = ReadModelConfig(file, table).value();
  Weights weights = BindWeights(file, config).value();
  Tokenizer tokenizer = LoadTokenizer(file, config.architecture->tokenizer, config.vocab_size, {}).value();
  return {std::move(source), std::move(config), std::move(weights), std::move(tokenizer), kernels, {}};
}

std::vector<float> LogitsOf(const ModelImpl& model) {
  constexpr std::int64_t kRows = Forward::kLogitsRows;
  Team team(1);
  Forward forward = Forward::Create(model, team, {.max_rows = kRows}).value();
  KvCache cache = KvCache::Create(model.config, kRows, kRows, CacheFormat::kF32).value();
  std::vector<Row> rows;
  for (const Token token : Text())
    rows.push_back({.token = token, .position = static_cast<std::int32_t>(rows.size()), .cache = &cache});
  EXPECT_TRUE(forward.Run(rows));
  std::vector<float> logits(static_cast<std::size_t>(kRows * model.config.vocab_size));
  forward.Logits(0, kRows, logits.data());
  return logits;
}

// What the row says, written out.
oracle::Matrix Expected(const oracle::OracleFile& file, const TinyShape& shape) {
  using namespace oracle;
  const double epsilon = file.Number("attention.layer_norm_rms_epsilon");
  const auto window = file.Count("attention.sliding_window");
  const AttentionShape heads = {shape.heads, shape.kv_heads, shape.head_dim, shape.head_dim};
  Matrix x = std::sqrt(shape.width) * file.Rows("token_embd.weight", Text());
  for (Index layer = 0; layer < file.layers(); ++layer) {
    const auto norm = [&](const Matrix& values, const char* name) {
      return RmsNorm(values, file.Values(LayerTensor(layer, name)), epsilon);
    };
    const bool slides = layer % 3 != 2;
    const Rope rope = {.pairs = Rope::kHalves, .angles = RopeAngles(slides ? 50 : 700, shape.head_dim)};
    const Matrix input = norm(x, "attn_norm.weight");
    const auto turned = [&](const std::string& name) {
      const Matrix projected = Linear(file, input, LayerTensor(layer, name));
      const Vector weight = file.Values(LayerTensor(layer, name + "_norm.weight"));
      return Rotate(RmsNormHeads(projected, weight, epsilon), shape.head_dim, rope);
    };
    const Matrix attended =
        Attention(turned("attn_q"), turned("attn_k"), Linear(file, input, LayerTensor(layer, "attn_v")), heads,
                  {.scale = 1 / std::sqrt(shape.head_dim), .window = slides ? window : 0});
    x += norm(Linear(file, attended, LayerTensor(layer, "attn_output")), "post_attention_norm.weight");
    x += norm(FeedForward(file, norm(x, "ffn_norm.weight"), layer, Silu), "post_ffw_norm.weight");
  }
  return OutputLogits(file, x, epsilon, 0);
}

TEST(NewArchitectureTest, CostsOneRow) {
  const TinyShape shape = {.layers = kTinyLayers};
  const std::string bytes = TinyArchitecture(kHouse, shape).Erase("house.rope.freq_base").Build();
  const auto path = std::filesystem::path(testing::TempDir()) / ("house_" + std::to_string(getpid()) + ".gguf");
  std::ofstream(path, std::ios::binary) << bytes;
  EXPECT_EQ(Model::Open(path).status().code(), StatusCode::kUnsupported);
  const GgufFile file = GgufFile::Parse(std::as_bytes(std::span(bytes)), "house").value();
  const oracle::Matrix logits = Expected(oracle::OracleFile(file), shape);
  const std::vector<float> expected(logits.data(), logits.data() + logits.size());
  for (const KernelSet* kernels : RunnableKernelSets()) {
    const ModelImpl model = Open(path, {&kHouse, 1}, *kernels);
    EXPECT_LE(Compare(LogitsOf(model), expected).max_abs, 1e-4) << kernels->name;
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace slm::test
