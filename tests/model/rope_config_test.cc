// What a file says about RoPE: bases, the kinds of scaling, and where each applies.

#include "model/rope_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "base/format.h"
#include "support/tiny_architecture.h"
#include "support/tiny_model.h"

namespace slm::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Result<ModelConfig> Config(const TinyModel& model) {
  const std::string bytes = model.Build();
  const Result<GgufFile> file = GgufFile::Parse(std::as_bytes(std::span(bytes)), "tiny");
  if (!file.ok()) return file.status();
  return ReadModelConfig(*file);
}

void ExpectFails(const TinyModel& model, StatusCode code, const testing::Matcher<std::string>& message) {
  const Status status = Config(model).status();
  EXPECT_EQ(status.code(), code) << status.message();
  EXPECT_THAT(status.message(), message);
}

TEST(RopeConfigTest, LinearScalingOnGlobalLayersOfGemmaOnly) {
  const ModelConfig gemma = Config(TinyModel({.architecture = "gemma3", .layers = 7})
                                       .Set("gemma3.attention.sliding_window", 4u)
                                       .Set("gemma3.rope.freq_base", 1e6f)
                                       .Set("gemma3.rope.scaling.type", "linear")
                                       .Set("gemma3.rope.scaling.factor", 8.0f))
                                .value();
  EXPECT_EQ(gemma.rope_global.base, 1e6);
  EXPECT_EQ(gemma.rope_global.position_scale, 1.0 / 8);
  EXPECT_EQ(gemma.rope_sliding.base, 1e4);
  EXPECT_EQ(gemma.rope_sliding.position_scale, 1);
  for (std::size_t i = 0; i < 7; ++i) EXPECT_EQ(gemma.layers[i].sliding, i != 5) << i;
}

TEST(RopeConfigTest, RopeScalingKeys) {
  const auto scale = [](TinyModel model) { return Config(model).value().rope_global.position_scale; };
  EXPECT_EQ(scale(TinyModel().Set("llama.rope.scaling.factor", 4.0f)), 0.25);  // linear without saying so
  EXPECT_EQ(scale(TinyModel().Set("llama.rope.scale_linear", 4.0f)), 0.25);    // the key of old files
  EXPECT_EQ(scale(TinyModel().Set("llama.rope.scaling.factor", 0.0f)), 1);
  EXPECT_EQ(scale(TinyModel().Set("llama.rope.scaling.type", "none").Set("llama.rope.scaling.factor", 4.0f)), 1);
  ExpectFails(TinyModel().Set("llama.rope.scaling.type", "linear"), StatusCode::kCorruptFile,
              AllOf(HasSubstr("llama.rope.scaling.factor"), HasSubstr("missing")));
  ExpectFails(TinyModel().Set("llama.rope.scaling.factor", -4.0f), StatusCode::kCorruptFile,
              HasSubstr("llama.rope.scaling.factor"));
  ExpectFails(TinyModel().Set("llama.rope.scaling.type", "dynamic"), StatusCode::kUnsupported,
              AllOf(HasSubstr("llama.rope.scaling.type"), HasSubstr("dynamic"),
                    HasSubstr("supported: none, linear, yarn, longrope")));
  ExpectFails(TinyModel().Set("llama.rope.scaling.type", 7u), StatusCode::kUnsupported,
              HasSubstr("llama.rope.scaling.type"));
}

TinyModel Yarn(const char* architecture = "qwen2") {
  const std::string arch = architecture;
  return TinyModel({.architecture = arch, .head_dim = 64, .context = 32768})
      .Set(arch + ".rope.freq_base", 10000.0f)
      .Set(arch + ".rope.scaling.type", "yarn")
      .Set(arch + ".rope.scaling.factor", 4.0f)
      .Set(arch + ".rope.scaling.original_context_length", 8192u);
}

// 64 dimensions of base 10000 over 8192 tokens: pair i turns 8192 / (2 pi 10000^(i / 32)) times, pair 12.84 does it 32
// times and pair 24.88 once.
TEST(RopeConfigTest, YarnRampAndMagnitude) {
  const ModelConfig config = Config(Yarn()).value();
  EXPECT_EQ(config.original_context_length, 8192);
  EXPECT_EQ(config.rope_global.position_scale, 0.25);
  ASSERT_TRUE(config.rope_global.yarn.has_value());
  EXPECT_EQ(config.rope_global.yarn->first, 12);
  EXPECT_EQ(config.rope_global.yarn->last, 25);
  EXPECT_DOUBLE_EQ(config.rope_global.magnitude, 0.1 * std::log(4.0) + 1);

  const auto rope = [](TinyModel tiny) { return Config(tiny).value().rope_global; };
  const RopeConfig betas =
      rope(Yarn().Set("qwen2.rope.scaling.yarn_beta_fast", 1.0f).Set("qwen2.rope.scaling.yarn_beta_slow", 0.0001f));
  EXPECT_EQ(betas.yarn->first, 24);
  EXPECT_EQ(betas.yarn->last, 57);  // beyond the last pair
  EXPECT_DOUBLE_EQ(rope(Yarn().Set("qwen2.rope.scaling.attn_factor", 0.5f)).magnitude, 0.05 * std::log(4.0) + 0.5);
  // Multiplied away where the model was trained without.
  EXPECT_DOUBLE_EQ(rope(Yarn().Set("qwen2.rope.scaling.yarn_log_multiplier", 1.0f)).magnitude, 1);
  EXPECT_DOUBLE_EQ(rope(Yarn().Set("qwen2.rope.scaling.yarn_log_multiplier", 0.5f)).magnitude,
                   (0.1 * std::log(4.0) + 1) / (0.05 * std::log(4.0) + 1));
  EXPECT_EQ(rope(Yarn().Set("qwen2.rope.scaling.factor", 0.5f)).magnitude, 1);
  // Trained for what the model reads, unless the file says less.
  EXPECT_EQ(Config(Yarn().Erase("qwen2.rope.scaling.original_context_length"))->original_context_length, 32768);
}

TEST(RopeConfigTest, YarnNeedsATypeAFactorAndABase) {
  ExpectFails(Yarn().Erase("qwen2.rope.scaling.type"), StatusCode::kCorruptFile,
              AllOf(HasSubstr("qwen2.rope.scaling.type"), HasSubstr("missing")));
  ExpectFails(Yarn().Erase("qwen2.rope.scaling.factor"), StatusCode::kCorruptFile,
              AllOf(HasSubstr("qwen2.rope.scaling.factor"), HasSubstr("missing")));
  ExpectFails(Yarn().Set("qwen2.rope.scaling.factor", 0.0f), StatusCode::kCorruptFile,
              AllOf(HasSubstr("qwen2.rope.scaling.factor"), HasSubstr("above 0")));
  ExpectFails(Yarn().Set("qwen2.rope.freq_base", 1.0f), StatusCode::kCorruptFile,
              AllOf(HasSubstr("qwen2.rope.freq_base"), HasSubstr("YaRN")));
  for (const char* key : {"yarn_beta_fast", "yarn_beta_slow", "attn_factor", "original_context_length"}) {
    const std::string name = Cat("qwen2.rope.scaling.", key);
    ExpectFails(Yarn().Set(name, 0), StatusCode::kCorruptFile, AllOf(HasSubstr(name), HasSubstr("found 0")));
    ExpectFails(Yarn().Set(name, "much"), StatusCode::kCorruptFile, AllOf(HasSubstr(name), HasSubstr("much")));
  }
}

TEST(RopeConfigTest, LongRopeIsInTheTensors) {
  const ModelConfig plain = Config(TinyArchitecture("phi3")).value();
  EXPECT_FALSE(plain.long_rope);
  EXPECT_EQ(plain.original_context_length, 64);
  const ModelConfig config = Config(TinyArchitecture("phi3")
                                        .Set("phi3.rope.scaling.type", "longrope")
                                        .Set("phi3.rope.scaling.attn_factor", 1.25f)
                                        .Set("phi3.rope.scaling.original_context_length", 16u))
                                 .value();
  EXPECT_TRUE(config.long_rope);
  EXPECT_EQ(config.original_context_length, 16);
  EXPECT_EQ(config.rope_global.magnitude, 1.25);
  EXPECT_EQ(config.rope_global.position_scale, 1);
}

TEST(RopeConfigTest, TemperatureNeedsALength) {
  const auto mistral = [] { return TinyArchitecture("mistral3").Set("mistral3.attention.temperature_scale", 0.25f); };
  ExpectFails(mistral(), StatusCode::kCorruptFile,
              AllOf(HasSubstr("mistral3.rope.scaling.original_context_length"), HasSubstr("missing")));
  EXPECT_EQ(Config(mistral().Set("mistral3.rope.scaling.original_context_length", 16u))->temperature_scale, 0.25);
  EXPECT_EQ(Config(TinyArchitecture("mistral3"))->temperature_scale, 0);
}

}  // namespace
}  // namespace slm::test
