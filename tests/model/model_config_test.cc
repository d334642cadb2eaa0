// The second fence: what the numbers of a file mean, and which are refused.

#include "model/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "base/format.h"
#include "dispatch.h"
#include "support/test_data.h"
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

TinyModel Gemma(std::uint32_t layers = 7) { return TinyModel({.architecture = "gemma3", .layers = layers}); }

std::vector<bool> Sliding(const ModelConfig& config) {
  std::vector<bool> sliding;
  for (const LayerConfig& layer : config.layers) sliding.push_back(layer.sliding);
  return sliding;
}

TEST(ModelConfigTest, ReadsAllSizes) {
  const TinyShape shape = {.layers = 3, .heads = 6, .kv_heads = 2, .head_dim = 10, .ffn_width = 96, .context = 77};
  const ModelConfig config = Config(TinyModel(shape)).value();
  EXPECT_EQ(config.architecture->name, "llama");
  EXPECT_EQ(config.vocab_size, 40);
  EXPECT_EQ(config.context_length, 77);
  EXPECT_EQ(config.embedding_length, 32);
  EXPECT_EQ(config.layers[0].key_length, 10);
  EXPECT_EQ(config.layers[0].value_length, 10);
  EXPECT_EQ(config.rope_global.dimensions, 10);
  EXPECT_FLOAT_EQ(config.norm_epsilon, 1e-5f);
  ASSERT_EQ(config.layers.size(), 3u);
  for (const LayerConfig& layer : config.layers) {
    EXPECT_EQ(layer.heads, 6);
    EXPECT_EQ(layer.kv_heads, 2);
    EXPECT_EQ(layer.feed_forward_length, 96);
    EXPECT_FALSE(layer.sliding);
  }
}

TEST(ModelConfigTest, HeadLengthIsTheFilesNotTheShareOfAHead) {
  const ModelConfig config = Config(TinyModel({.head_dim = 16})).value();  // 32 / 4 = 8
  EXPECT_EQ(config.layers[0].key_length, 16);
  EXPECT_FLOAT_EQ(config.layers[0].attention_scale, 0.25f);
}

TEST(ModelConfigTest, PerLayerArrays) {
  TinyModel model;
  model.Set("llama.attention.head_count", std::vector<std::uint32_t>{4, 2});
  model.Set("llama.attention.head_count_kv", std::vector<std::int32_t>{2, 1});
  model.Set("llama.feed_forward_length", std::vector<std::uint32_t>{64, 32});
  const ModelConfig config = Config(model).value();
  EXPECT_EQ(config.layers[1].heads, 2);
  EXPECT_EQ(config.layers[1].kv_heads, 1);
  EXPECT_EQ(config.layers[1].feed_forward_length, 32);
  model.Set("llama.feed_forward_length", std::vector<std::uint32_t>{64, 32, 32});
  ExpectFails(model, StatusCode::kCorruptFile, AllOf(HasSubstr("llama.feed_forward_length"), HasSubstr("2 integers")));
  model.Set("llama.feed_forward_length", std::vector<std::uint32_t>{64, 0});
  ExpectFails(model, StatusCode::kCorruptFile, HasSubstr("llama.feed_forward_length"));
}

TEST(ModelConfigTest, GemmaScalesItsEmbeddingAndSomeQueriesByWidth) {
  const ModelConfig config = Config(Gemma()).value();
  EXPECT_FLOAT_EQ(config.embedding_scale, std::sqrt(32.0f));
  EXPECT_FLOAT_EQ(config.layers[0].attention_scale, 0.25f);
  // The 27B model is recognised by its 62 layers: 1 / sqrt(width / heads).
  const ModelConfig large = Config(Gemma(62)).value();
  EXPECT_FLOAT_EQ(large.layers[0].attention_scale, 1 / std::sqrt(8.0f));
  EXPECT_FLOAT_EQ(Config(Gemma().Set("gemma3.attention.scale", 0.5f)).value().layers[0].attention_scale, 0.5f);
}

TEST(ModelConfigTest, ScalesOfGranite) {
  TinyModel tiny = TinyArchitecture("granite");
  tiny.Set("granite.embedding_scale", 12.0f).Set("granite.residual_scale", 0.25f);
  tiny.Set("granite.attention.scale", 0.0625f).Set("granite.logit_scale", 8.0f);
  const ModelConfig config = Config(tiny).value();
  EXPECT_EQ(config.embedding_scale, 12);
  EXPECT_EQ(config.residual_scale, 0.25f);
  EXPECT_EQ(config.layers[1].attention_scale, 0.0625f);
  EXPECT_EQ(config.logit_scale, 0.125f);  // what the file has divides
  for (const char* name : {"embedding_scale", "residual_scale", "attention.scale", "logit_scale"}) {
    const std::string key = Cat("granite.", name);
    for (const float number : {0.0f, -2.0f, NAN, INFINITY}) {
      ExpectFails(TinyModel(tiny).Set(key, number), StatusCode::kCorruptFile,
                  AllOf(HasSubstr(key), HasSubstr("a finite number above 0")));
    }
    // As floats they are 0 or infinite, or what is divided by them is.
    for (const double number : {1e-60, 1e60})
      ExpectFails(TinyModel(tiny).Set(key, number), StatusCode::kCorruptFile, HasSubstr("must be finite and above 0"));
    ExpectFails(TinyModel(tiny).Erase(key), StatusCode::kCorruptFile, AllOf(HasSubstr(key), HasSubstr("missing")));
  }
}

// Pairs of (2i, 2i + 1) in files of llama and its nearest, of (i, i + n / 2) in all others.
TEST(ModelConfigTest, RopePairsFollowTheArchitecture) {
  const float cosine = std::cos(1.0f);
  const float sine = std::sin(1.0f);
  for (const Architecture& row : AllArchitectures()) {
    for (const KernelSet* set : AllKernelSets()) {
      if (!CanRun(*set)) continue;
      // Position 1; the second pair turns by an angle of its own.
      float head[4] = {1, 0, 0, 0};
      const float cosines[2] = {cosine, 0.9f};
      const float sines[2] = {sine, 0.1f};
      set->rope(head, cosines, sines, 4, row.rope_pairs);
      const bool interleaved =
          row.name == "granite" || row.name == "llama" || row.name == "mistral3" || row.name == "smollm3";
      EXPECT_FLOAT_EQ(head[0], cosine);
      EXPECT_FLOAT_EQ(head[interleaved ? 1 : 2], sine);
      EXPECT_EQ(head[interleaved ? 2 : 1], 0);
      EXPECT_EQ(head[3], 0);
    }
  }
}

TEST(ModelConfigTest, WindowPatterns) {
  const auto sliding = [](TinyModel model) { return Sliding(Config(model).value()); };
  const auto with_window = [] { return Gemma(4).Set("gemma3.attention.sliding_window", 4u); };
  EXPECT_EQ(sliding(Gemma(4)), std::vector<bool>(4, false));  // no window, no sliding layer
  EXPECT_EQ(sliding(Gemma(4).Set("gemma3.attention.sliding_window", 0u)), std::vector<bool>(4, false));
  const std::string pattern = "gemma3.attention.sliding_window_pattern";
  EXPECT_EQ(sliding(with_window().Set(pattern, 2u)), (std::vector<bool>{true, false, true, false}));
  EXPECT_EQ(sliding(with_window().Set(pattern, 1u)), std::vector<bool>(4, false));
  EXPECT_EQ(sliding(with_window().Set(pattern, 0u)), std::vector<bool>(4, true));
  const std::vector<std::uint32_t> array = {0, 1, 1, 0};
  EXPECT_EQ(sliding(with_window().Set(pattern, array)), (std::vector<bool>{false, true, true, false}));
  ExpectFails(with_window().Set(pattern, std::vector<std::uint32_t>{0, 1}), StatusCode::kCorruptFile,
              AllOf(HasSubstr(pattern), HasSubstr("4 booleans")));
  // A llama file that names a window has it on all layers.
  EXPECT_EQ(sliding(TinyModel().Set("llama.attention.sliding_window", 4u)), std::vector<bool>(2, true));
}

TEST(ModelConfigTest, FinalSoftcapOnlyFromTheFile) {
  EXPECT_EQ(Config(Gemma()).value().final_softcap, 0);
  EXPECT_EQ(Config(Gemma().Set("gemma3.final_logit_softcapping", 30.0f)).value().final_softcap, 30);
  EXPECT_EQ(Config(TinyArchitecture("gemma2").Set("gemma2.final_logit_softcapping", 0.0f)).value().final_softcap, 0);
  ExpectFails(Gemma().Set("gemma3.final_logit_softcapping", -1.0f), StatusCode::kCorruptFile,
              HasSubstr("gemma3.final_logit_softcapping"));
}

// What Gemma 2 files may leave out, and what its 27B model, of 46 layers, does differently.
TEST(ModelConfigTest, Gemma2Defaults) {
  const auto gemma = [](std::uint32_t layers) { return TinyModel({.architecture = "gemma2", .layers = layers}); };
  const ModelConfig config = Config(gemma(4)).value();
  EXPECT_EQ(config.attention_softcap, 50);
  EXPECT_EQ(config.final_softcap, 30);
  EXPECT_EQ(config.window, 4096);
  EXPECT_EQ(Sliding(config), (std::vector<bool>{true, false, true, false}));
  EXPECT_FLOAT_EQ(config.layers[0].attention_scale, 0.25f);
  EXPECT_FLOAT_EQ(Config(gemma(46)).value().layers[0].attention_scale, 1 / std::sqrt(8.0f));
  const ModelConfig other = Config(gemma(4)
                                       .Set("gemma2.attn_logit_softcapping", 3.0f)
                                       .Set("gemma2.final_logit_softcapping", 5.0f)
                                       .Set("gemma2.attention.sliding_window", 12u))
                                .value();
  EXPECT_EQ(other.attention_softcap, 3);
  EXPECT_EQ(other.final_softcap, 5);
  EXPECT_EQ(other.window, 12);
  // These are Gemma 2's alone.
  for (const char* name : {"gemma", "gemma3", "gemma4", "llama"}) {
    const ModelConfig without = Config(TinyArchitecture(name)).value();
    EXPECT_EQ(without.attention_softcap, 0) << name;
    EXPECT_EQ(without.final_softcap, 0) << name;
  }
}

// SmolLM3's every fourth layer is blind to position.
TEST(ModelConfigTest, LayersWithoutRope) {
  const ModelConfig config = Config(TinyModel({.architecture = "smollm3", .layers = 9})).value();
  for (std::size_t i = 0; i < 9; ++i) EXPECT_EQ(config.layers[i].rotates, i != 3 && i != 7) << i;
  const ModelConfig llama = Config(TinyModel({.layers = 9})).value();
  for (const LayerConfig& layer : llama.layers) EXPECT_TRUE(layer.rotates);
}

TEST(ModelConfigTest, HeadsOfSlidingLayers) {
  TinyModel tiny = TinyArchitecture("gemma4");
  tiny.Set("gemma4.attention.key_length_swa", 8u).Set("gemma4.attention.value_length_swa", 6u);
  const ModelConfig config = Config(tiny).value();
  for (const LayerConfig& layer : config.layers) {
    EXPECT_EQ(layer.key_length, layer.sliding ? 8 : 16);
    EXPECT_EQ(layer.value_length, layer.sliding ? 6 : 16);
    EXPECT_EQ(layer.attention_scale, 1);
  }
  EXPECT_EQ(config.rope_global.dimensions, 16);
  EXPECT_EQ(config.rope_sliding.dimensions, 8);
  // What turns of a global head is no measure of a sliding one of another length, which turns as a whole.
  EXPECT_EQ(Config(tiny.Set("gemma4.rope.dimension_count", 16u)).value().rope_sliding.dimensions, 8);
  EXPECT_EQ(Config(tiny.Set("gemma4.rope.dimension_count_swa", 4u)).value().rope_sliding.dimensions, 4);
  ExpectFails(tiny.Set("gemma4.rope.dimension_count_swa", 10u), StatusCode::kCorruptFile,
              AllOf(HasSubstr("gemma4.rope.dimension_count_swa"), HasSubstr("2 to 8"), HasSubstr("10")));
}

// The last layers read the last layer of their kind before them.
TEST(ModelConfigTest, SharedKeysAndValues) {
  const auto owners = [](const ModelConfig& config) {
    std::vector<std::int32_t> indices;
    for (const LayerConfig& layer : config.layers) indices.push_back(layer.kv_layer);
    return indices;
  };
  const std::string key = "gemma4.attention.shared_kv_layers";
  TinyModel tiny = TinyArchitecture("gemma4");
  EXPECT_EQ(owners(Config(tiny).value()), (std::vector<std::int32_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(owners(Config(tiny.Set(key, 2u)).value()), (std::vector<std::int32_t>{0, 1, 2, 3, 3, 2}));
  EXPECT_EQ(owners(Config(tiny.Set(key, 3u)).value()), (std::vector<std::int32_t>{0, 1, 2, 1, 1, 2}));
  ExpectFails(tiny.Set(key, 4u), StatusCode::kCorruptFile,
              AllOf(HasSubstr(key), HasSubstr("is 4"), HasSubstr("global"), HasSubstr("layer 2")));
  ExpectFails(tiny.Set(key, 6u), StatusCode::kCorruptFile, AllOf(HasSubstr(key), HasSubstr("0 to 5")));
  tiny.Set(key, 2u).Set("gemma4.attention.head_count_kv", std::vector<std::uint32_t>{2, 2, 1, 2, 2, 2});
  ExpectFails(tiny, StatusCode::kCorruptFile, AllOf(HasSubstr(key), HasSubstr("2 global"), HasSubstr("layer 5")));
}

TEST(ModelConfigTest, StreamsOfGemma3n) {
  const ModelConfig config = Config(TinyArchitecture("gemma3n")).value();
  EXPECT_EQ(config.altup_streams, 3);
  EXPECT_EQ(config.per_layer_width, 8);
  EXPECT_EQ(config.final_softcap, 30);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(config.layers[i].gate_sparsity, i < 2 ? 1 : 0) << i;
  const auto fails = [](const char* key, auto value, StatusCode code, const std::string& expected) {
    ExpectFails(TinyArchitecture("gemma3n").Set(Cat("gemma3n.", key), value), code,
                AllOf(HasSubstr(Cat("gemma3n.", key)), HasSubstr(expected)));
  };
  fails("altup.active_idx", 1u, StatusCode::kUnsupported, "supported: 0");
  fails("altup.active_idx", 3u, StatusCode::kCorruptFile, "0 to 2");
  fails("altup.num_inputs", 1u, StatusCode::kCorruptFile, "2 to 8");
  fails("altup.num_inputs", 9u, StatusCode::kCorruptFile, "2 to 8");
  fails("embedding_length_per_layer_input", 0u, StatusCode::kCorruptFile, "is 0");
  fails("activation_sparsity_scale", std::vector<float>{1, 1}, StatusCode::kCorruptFile, "6 numbers");
  fails("activation_sparsity_scale", std::vector<float>(6, NAN), StatusCode::kCorruptFile, "below infinity");
  fails("activation_sparsity_scale", std::vector<float>(6, INFINITY), StatusCode::kCorruptFile, "below infinity");
  fails("activation_sparsity_scale", 1.5f, StatusCode::kCorruptFile, "6 numbers");
}

TEST(ModelConfigTest, MissingKeysAreNamed) {
  for (const char* key : {"block_count", "context_length", "embedding_length", "feed_forward_length",
                          "attention.head_count", "attention.layer_norm_rms_epsilon"}) {
    const std::string name = Cat("llama.", key);
    ExpectFails(TinyModel().Erase(name), StatusCode::kCorruptFile, AllOf(HasSubstr(name), HasSubstr("missing")));
  }
  ExpectFails(TinyModel().Erase("general.architecture"), StatusCode::kCorruptFile, HasSubstr("general.architecture"));
  ExpectFails(TinyModel().EraseTensor("token_embd.weight"), StatusCode::kCorruptFile, HasSubstr("token_embd.weight"));
}

TEST(ModelConfigTest, WrongTypesAreNamed) {
  for (const char* key :
       {"block_count", "context_length", "embedding_length", "feed_forward_length", "attention.head_count",
        "attention.head_count_kv", "attention.key_length", "attention.layer_norm_rms_epsilon", "rope.freq_base",
        "rope.dimension_count", "attention.sliding_window", "expert_count"}) {
    const std::string name = Cat("llama.", key);
    ExpectFails(TinyModel().Set(name, "four"), StatusCode::kCorruptFile,
                AllOf(HasSubstr(name), HasSubstr("expected"), HasSubstr("four"), HasSubstr("string")));
  }
  ExpectFails(TinyModel().Set("general.architecture", 3u), StatusCode::kCorruptFile,
              AllOf(HasSubstr("general.architecture"), HasSubstr("string"), HasSubstr("u32")));
}

TEST(ModelConfigTest, NumbersOutOfRangeAreNamed) {
  const auto fails = [](const char* key, auto value, const std::string& found) {
    const std::string name = Cat("llama.", key);
    ExpectFails(TinyModel().Set(name, value), StatusCode::kCorruptFile,
                AllOf(HasSubstr(name), HasSubstr("expected"), HasSubstr(found)));
  };
  for (const char* key :
       {"block_count", "context_length", "embedding_length", "feed_forward_length", "attention.head_count",
        "attention.head_count_kv", "attention.key_length", "attention.value_length", "rope.dimension_count"}) {
    fails(key, 0u, "0");
    fails(key, -1, "-1");
    fails(key, 0xFFFFFFFFu, "4294967295");
    fails(key, std::numeric_limits<std::uint64_t>::max(), "18446744073709551615");
  }
  fails("attention.layer_norm_rms_epsilon", 0.0f, "0");
  fails("attention.layer_norm_rms_epsilon", std::nanf(""), "nan");
  fails("rope.freq_base", -1.0f, "-1");
  fails("rope.freq_base", std::numeric_limits<float>::infinity(), "inf");
  fails("attention.scale", 0.0f, "0");
  fails("rope.dimension_count", 18u, "18");  // more than the head has
}

TEST(ModelConfigTest, NumbersThatContradictEachOther) {
  ExpectFails(TinyModel().Set("llama.attention.head_count_kv", 3u), StatusCode::kCorruptFile,
              AllOf(HasSubstr("4"), HasSubstr("3"), HasSubstr("multiple")));
  ExpectFails(TinyModel().Set("llama.rope.dimension_count", 5u), StatusCode::kCorruptFile,
              AllOf(HasSubstr("pairs"), HasSubstr("5")));
  // 32 is no multiple of 5: then the file has to say how long a head is.
  ExpectFails(TinyModel()
                  .Set("llama.attention.head_count", 5u)
                  .Set("llama.attention.head_count_kv", 5u)
                  .Erase("llama.attention.key_length"),
              StatusCode::kCorruptFile, HasSubstr("llama.attention.key_length"));
}

// A number that stands for a key is held to what the key is, and what follows from several keys to what code expects.
TEST(ModelConfigTest, NumbersThatStandForKeysAreChecked) {
  TinyModel many = TinyModel({.heads = 16, .kv_heads = 16});
  many.Set("llama.embedding_length", 1u << 20).Set("llama.attention.head_count_kv", 16u);
  ExpectFails(many.Erase("llama.attention.key_length"), StatusCode::kCorruptFile,
              AllOf(HasSubstr("llama.attention.key_length"), HasSubstr("2 to 4096"), HasSubstr("65536")));
  ExpectFails(TinyModel({.head_dim = 7}), StatusCode::kCorruptFile,
              AllOf(HasSubstr("llama.rope.dimension_count"), HasSubstr("pairs"), HasSubstr("7")));
  // No number of a file is 0, but a float made of it.
  ExpectFails(TinyModel().Set("llama.attention.layer_norm_rms_epsilon", 1e-60), StatusCode::kCorruptFile,
              HasSubstr("epsilon"));
  ExpectFails(TinyModel().Set("llama.rope.scaling.factor", 1e-320), StatusCode::kCorruptFile, HasSubstr("scale inf"));
  ExpectFails(TinyModel().Set("llama.attention.scale", 1e300), StatusCode::kCorruptFile, HasSubstr("scores inf"));
}

TEST(ModelConfigTest, UnknownArchitectureListsTheKnown) {
  ExpectFails(TinyModel().Set("general.architecture", "mamba"), StatusCode::kUnsupported,
              AllOf(HasSubstr("mamba"), HasSubstr("gemma3"), HasSubstr("llama")));
}

TinyModel Mixture(const std::string& architecture = "llama") {
  return TinyModel({.architecture = architecture, .experts = 6, .experts_used = 2});
}

TEST(ModelConfigTest, ReadsExperts) {
  for (const std::string architecture : {"llama", "qwen3moe"}) {
    TinyModel model = Mixture(architecture);
    model.Set(architecture + ".expert_feed_forward_length", 48u);
    const ModelConfig config = Config(model).value();
    EXPECT_EQ(config.expert_count, 6);
    EXPECT_EQ(config.expert_used_count, 2);
    for (const LayerConfig& layer : config.layers) {
      EXPECT_EQ(layer.expert_feed_forward_length, 48);
      EXPECT_EQ(layer.feed_forward_length, 0);
    }
  }
  const ModelConfig dense = Config(TinyModel().Set("llama.expert_count", 0u)).value();
  EXPECT_EQ(dense.expert_count, 0);
  EXPECT_EQ(dense.layers[0].expert_feed_forward_length, 0);
  EXPECT_EQ(dense.layers[0].feed_forward_length, 64);
}

// Mixtral's experts are as wide as its feed_forward_length, Qwen's as wide together.
TEST(ModelConfigTest, WidthOfExpertsThatTheFileLeavesOut) {
  const auto width = [](const std::string& architecture) {
    TinyModel model = Mixture(architecture);
    return Config(model.Erase(architecture + ".expert_feed_forward_length"))
        .value()
        .layers[1]
        .expert_feed_forward_length;
  };
  EXPECT_EQ(width("llama"), 64);
  EXPECT_EQ(width("qwen3moe"), 32);
  ExpectFails(Mixture("qwen3moe").Erase("qwen3moe.expert_feed_forward_length").Set("qwen3moe.feed_forward_length", 1u),
              StatusCode::kCorruptFile, HasSubstr("qwen3moe.expert_feed_forward_length"));
}

TEST(ModelConfigTest, NumbersOfExpertsThatMakeNoSense) {
  const auto fails = [](const char* key, auto value, const std::string& expected) {
    const std::string name = Cat("llama.", key);
    ExpectFails(Mixture().Set(name, value), StatusCode::kCorruptFile, AllOf(HasSubstr(name), HasSubstr(expected)));
  };
  fails("expert_count", 1025u, "from 0 to 1024");
  fails("expert_count", -1, "from 0 to 1024");
  fails("expert_count", std::numeric_limits<std::uint64_t>::max(), "from 0 to 1024");
  fails("expert_used_count", 0u, "from 1 to 6");
  fails("expert_used_count", 7u, "from 1 to 6");
  fails("expert_feed_forward_length", 0u, "from 1 to");
  fails("expert_feed_forward_length", 1u << 21, "from 1 to");
  EXPECT_TRUE(Config(Mixture().Set("llama.expert_used_count", 6u)).ok());
  EXPECT_TRUE(Config(Mixture().Set("llama.expert_used_count", 1u)).ok());
  ExpectFails(Mixture().Erase("llama.expert_used_count"), StatusCode::kCorruptFile,
              AllOf(HasSubstr("llama.expert_used_count"), HasSubstr("missing")));
}

TEST(ModelConfigTest, ArchitecturesWithAndWithoutExperts) {
  ExpectFails(Gemma().Set("gemma3.expert_count", 8u), StatusCode::kUnsupported,
              AllOf(HasSubstr("gemma3.expert_count"), HasSubstr("8"), HasSubstr("no experts")));
  ExpectFails(Mixture("qwen3moe").Erase("qwen3moe.expert_count"), StatusCode::kCorruptFile,
              AllOf(HasSubstr("qwen3moe.expert_count"), HasSubstr("missing")));
  ExpectFails(Mixture("qwen3moe").Set("qwen3moe.expert_count", 0u), StatusCode::kCorruptFile,
              AllOf(HasSubstr("qwen3moe.expert_count"), HasSubstr("from 1")));
}

// Routers that compute something else than the softmax of all, with weights that add up to 1.
TEST(ModelConfigTest, OtherRoutersAreRefused) {
  const auto fails = [](const char* key, auto value, const char* supported) {
    const std::string name = Cat("llama.", key);
    ExpectFails(Mixture().Set(name, value), StatusCode::kUnsupported, AllOf(HasSubstr(name), HasSubstr(supported)));
  };
  fails("expert_gating_func", 2u, "1 (softmax)");
  fails("expert_gating_func", "sigmoid", "1 (softmax)");
  fails("expert_weights_norm", false, "true");
  fails("expert_weights_scale", 2.5f, "1");
  EXPECT_TRUE(Config(Mixture()
                         .Set("llama.expert_gating_func", 1u)
                         .Set("llama.expert_weights_norm", true)
                         .Set("llama.expert_weights_scale", 1.0f))
                  .ok());
}

}  // namespace
}  // namespace slm::test
