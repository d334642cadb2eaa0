// The third fence: every tensor of a file, its name, shape and format.

#include "model/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "base/format.h"
#include "model/model_impl.h"
#include "support/fixture.h"
#include "support/tiny_architecture.h"
#include "support/tiny_model.h"

namespace slm::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

void ExpectFails(const TinyModel& tiny, StatusCode code, const testing::Matcher<std::string>& message) {
  const Result<Model> model = tiny.Open();
  EXPECT_EQ(model.status().code(), code) << model.status().message();
  EXPECT_THAT(model.status().message(), message);
}

TinyModel Gemma() { return TinyModel({.architecture = "gemma3"}); }

TinyModel Mixture(const std::string& architecture = "llama") {
  return TinyModel({.architecture = architecture, .ffn_width = 48, .experts = 3, .experts_used = 2});
}

// The same numbers in the layout of before April 2024.
TinyModel WithSingleExperts(TinyModel mixture) {
  for (const char* layer : {"blk.0.", "blk.1."}) {
    for (const char* part : {"ffn_gate", "ffn_up", "ffn_down"}) mixture.SplitExperts(Cat(layer, part, "_exps.weight"));
  }
  return mixture;
}

std::vector<std::string> TensorNames(const TinyModel& tiny) {
  const Model model = tiny.Open().value();
  std::vector<std::string> names;
  for (const TensorInfo& info : model.file().tensors()) names.emplace_back(info.name);
  return names;
}

TEST(WeightsTest, EveryTensorIsNeeded) {
  for (const TinyModel& tiny : {TinyModel(), Gemma(), Mixture(), Mixture("qwen3moe"), WithSingleExperts(Mixture())}) {
    for (const std::string& name : TensorNames(tiny)) {
      TinyModel without = tiny;
      ExpectFails(without.EraseTensor(name), StatusCode::kCorruptFile, AllOf(HasSubstr(name), HasSubstr("missing")));
    }
  }
}

TEST(WeightsTest, EveryShapeIsChecked) {
  for (const TinyModel& tiny : {TinyModel({.tied = false}), Gemma(), Mixture(), WithSingleExperts(Mixture())}) {
    for (const std::string& name : TensorNames(tiny)) {
      TinyModel other = tiny;
      other.AddTensor(name, {24, 3});
      // The embedding's rows are the vocabulary, whose size then differs from the tokenizer's or the width is wrong.
      ExpectFails(other, StatusCode::kCorruptFile,
                  AllOf(HasSubstr(name), HasSubstr("[24, 3]"), HasSubstr("expected [")));
    }
  }
  ExpectFails(TinyModel().AddTensor("blk.1.attn_q.weight", {32, 32}), StatusCode::kCorruptFile,
              AllOf(HasSubstr("blk.1.attn_q.weight"), HasSubstr("shape [32, 32]"), HasSubstr("expected [32, 64]")));
}

// Of stacked experts there must be as many as the file counts.
TEST(WeightsTest, StackedExpertsAreCounted) {
  for (const std::uint64_t experts : {2, 4}) {
    ExpectFails(Mixture().AddTensor("blk.1.ffn_up_exps.weight", {32, 48, experts}), StatusCode::kCorruptFile,
                AllOf(HasSubstr("blk.1.ffn_up_exps.weight"), HasSubstr(Cat("[32, 48, ", experts, "]")),
                      HasSubstr("expected [32, 48, 3]")));
  }
  ExpectFails(Mixture().AddTensor("blk.1.ffn_down_exps.weight", {32, 48, 3}), StatusCode::kCorruptFile,
              HasSubstr("expected [48, 32, 3]"));
  ExpectFails(Mixture().AddTensor("blk.0.ffn_gate_inp.weight", {32, 4}), StatusCode::kCorruptFile,
              AllOf(HasSubstr("blk.0.ffn_gate_inp.weight"), HasSubstr("expected [32, 3]")));
}

TEST(WeightsTest, MissingExpertsAreNamed) {
  ExpectFails(WithSingleExperts(Mixture()).EraseTensor("blk.1.ffn_down.2.weight"), StatusCode::kCorruptFile,
              HasSubstr("tensor blk.1.ffn_down.2.weight is missing"));
  // More than the file counts.
  ExpectFails(WithSingleExperts(Mixture()).AddTensor("blk.0.ffn_up.3.weight", {32, 48}), StatusCode::kUnsupported,
              HasSubstr("blk.0.ffn_up.3.weight"));
  // A dense layer in a model of experts, and the other way round.
  ExpectFails(TinyModel().Set("llama.expert_count", 3u).Set("llama.expert_used_count", 2u), StatusCode::kCorruptFile,
              AllOf(HasSubstr("blk.0.ffn_gate_inp.weight"), HasSubstr("missing")));
  ExpectFails(Mixture().Set("llama.expert_count", 0u), StatusCode::kCorruptFile,
              AllOf(HasSubstr("blk.0.ffn_gate.weight"), HasSubstr("missing")));
}

TEST(WeightsTest, MixedLayoutsOfExpertsAreRefused) {
  for (const char* part : {"ffn_gate", "ffn_up", "ffn_down"}) {
    ExpectFails(Mixture().SplitExperts(Cat("blk.1.", part, "_exps.weight")), StatusCode::kCorruptFile,
                AllOf(HasSubstr("layer 1"), HasSubstr("two layouts"), HasSubstr(Cat("blk.1.", part, ".0.weight")),
                      HasSubstr("_exps.weight")));
  }
  ExpectFails(Mixture().AddTensor("blk.0.ffn_up.2.weight", {32, 48}), StatusCode::kCorruptFile,
              AllOf(HasSubstr("layer 0"), HasSubstr("blk.0.ffn_up.2.weight")));
}

TEST(WeightsTest, BothLayoutsOfExpertsComputeTheSame) {
  const std::vector<Token> tokens = {3, 4, 5, 6, 7, 8, 9};
  const std::vector<float> expected = AllLogits(Mixture().Open().value(), {.threads = 1}, tokens);
  EXPECT_TRUE(SameBits(AllLogits(WithSingleExperts(Mixture()).Open().value(), {.threads = 1}, tokens), expected));
}

// Experts beside a dense feed-forward, with gate and up in one tensor.
class BesideDenseTest : public testing::Test {
 protected:
  BesideDenseTest() : tiny_({.layers = 1}) {
    architecture_ = *Config(tiny_).architecture;
    architecture_.experts = Experts::kBesideDense;
    tiny_.AddTensor("blk.0.ffn_gate_inp.weight", {32, 3}).AddTensor("blk.0.ffn_gate_inp.scale", {32});
    tiny_.AddTensor("blk.0.ffn_gate_up_exps.weight", {32, 2 * 24, 3});
    tiny_.AddTensor("blk.0.ffn_down_exps.weight", {24, 32, 3}).AddTensor("blk.0.ffn_down_exps.scale", {3});
    for (const char* norm : kNorms) tiny_.AddTensor(norm, {32});
  }

  static ModelConfig Config(const TinyModel& tiny) {
    const std::string bytes = tiny.Build();
    return ReadModelConfig(GgufFile::Parse(std::as_bytes(std::span(bytes)), "tiny").value()).value();
  }

  // Views into bytes_.
  Result<Weights> Bind(const TinyModel& tiny) {
    ModelConfig config = Config(tiny);
    config.architecture = &architecture_;
    config.expert_count = 3;
    config.expert_used_count = 2;
    config.layers[0].expert_feed_forward_length = 24;
    bytes_ = tiny.Build();
    return BindWeights(GgufFile::Parse(std::as_bytes(std::span(bytes_)), "tiny").value(), config);
  }

  static constexpr const char* kNorms[] = {"blk.0.pre_ffw_norm_2.weight", "blk.0.post_ffw_norm_1.weight",
                                           "blk.0.post_ffw_norm_2.weight"};
  TinyModel tiny_;
  Architecture architecture_ = {};
  std::string bytes_;
};

TEST_F(BesideDenseTest, BindsBoth) {
  const std::vector<float> scales = {2, 3, 5};
  tiny_.SetTensor("blk.0.ffn_down_exps.scale", {3}, scales);
  tiny_.SetTensor("blk.0.ffn_gate_inp.scale", {32}, std::vector<float>(32, 4.0f));
  const Weights weights = Bind(tiny_).value();
  const LayerWeights& layer = weights.layers[0];
  EXPECT_EQ(layer.ffn_gate.rows, 64);
  const ExpertWeights& experts = layer.ffn_experts;
  ASSERT_EQ(experts.experts.size(), 3u);
  EXPECT_FLOAT_EQ(experts.router_norm[7], 4 / std::sqrt(32.0f));
  constexpr std::size_t kHalf = 4 * 24 * 32;
  for (std::size_t i = 0; i < 3; ++i) {
    const Expert& expert = experts.experts[i];
    EXPECT_EQ(expert.scale, scales[i]);
    EXPECT_EQ(expert.gate.data, experts.experts[0].gate.data + 2 * i * kHalf);
    EXPECT_EQ(expert.up.data, expert.gate.data + kHalf);
    EXPECT_EQ(expert.down.data, experts.experts[0].down.data + i * kHalf);
    for (const Matrix* matrix : {&expert.gate, &expert.up, &expert.down}) EXPECT_EQ(matrix->bytes(), kHalf);
    EXPECT_EQ(expert.up.columns, 32);
    EXPECT_EQ(expert.down.columns, 24);
  }
}

TEST_F(BesideDenseTest, EveryTensorIsNeeded) {
  for (const char* name : {"blk.0.ffn_gate_inp.scale", "blk.0.ffn_down_exps.scale", kNorms[0], kNorms[1], kNorms[2],
                           "blk.0.ffn_gate.weight", "blk.0.ffn_down_exps.weight"}) {
    TinyModel without = tiny_;
    const Status status = Bind(without.EraseTensor(name)).status();
    EXPECT_EQ(status.code(), StatusCode::kCorruptFile);
    EXPECT_THAT(status.message(), AllOf(HasSubstr(name), HasSubstr("missing")));
  }
  TinyModel wrong = tiny_;
  EXPECT_THAT(Bind(wrong.AddTensor("blk.0.ffn_gate_up_exps.weight", {32, 24, 3})).status().message(),
              AllOf(HasSubstr("blk.0.ffn_gate_up_exps.weight"), HasSubstr("expected [32, 48, 3]")));
  // Gate and up of their own besides.
  EXPECT_EQ(Bind(tiny_.AddTensor("blk.0.ffn_gate_exps.weight", {32, 24, 3})).status().code(), StatusCode::kUnsupported);
}

std::string Names(const testing::TestParamInfo<Architecture>& info) { return std::string(info.param.name); }

class ArchitectureWeightsTest : public testing::TestWithParam<Architecture> {
 protected:
  // Tensors that a layer without keys and values of its own may have, and does not read.
  static bool IsUnread(const std::string& name) {
    if (GetParam().shared_kv_layers != kInFile) return false;
    const bool shares = name.starts_with("blk.4.") || name.starts_with("blk.5.");
    return shares && (name.find("attn_k") != std::string::npos || name.find("attn_v") != std::string::npos);
  }
  // Global layers may take their keys as values.
  static bool IsOptional(const std::string& name) {
    return GetParam().keys_as_values && (name == "blk.2.attn_v.weight" || name == "blk.5.attn_v.weight");
  }
};
INSTANTIATE_TEST_SUITE_P(, ArchitectureWeightsTest, testing::ValuesIn(AllArchitectures()), Names);

TEST_P(ArchitectureWeightsTest, EveryTensorIsNeeded) {
  const TinyModel tiny = TinyArchitecture(GetParam());
  for (const std::string& name : TensorNames(tiny)) {
    TinyModel without = tiny;
    without.EraseTensor(name);
    if (IsUnread(name) || IsOptional(name)) {
      EXPECT_TRUE(without.Open().ok()) << name;
    } else {
      ExpectFails(without, StatusCode::kCorruptFile, AllOf(HasSubstr(name), HasSubstr("missing")));
    }
  }
}

TEST_P(ArchitectureWeightsTest, EveryShapeIsChecked) {
  const TinyModel tiny = TinyArchitecture(GetParam());
  for (const std::string& name : TensorNames(tiny)) {
    TinyModel other = tiny;
    // The width of the low-rank path is the tensor's own, so that there the columns have to differ.
    other.AddTensor(name, {24, 7});
    ExpectFails(other, StatusCode::kCorruptFile, AllOf(HasSubstr(name), HasSubstr("[24, 7]"), HasSubstr("expected [")));
  }
}

TEST_P(ArchitectureWeightsTest, TensorsOfOtherArchitecturesAreNamed) {
  for (const Architecture& row : AllArchitectures()) {
    const std::vector<std::string> own = TensorNames(TinyArchitecture(GetParam()));
    for (const std::string& name : TensorNames(TinyArchitecture(row))) {
      // Biases may be in any file.
      if (std::ranges::find(own, name) != own.end() || name.ends_with(".bias")) continue;
      if (name == "rope_freqs.weight") continue;
      ExpectFails(TinyArchitecture(GetParam()).AddTensor(name, {32}), StatusCode::kUnsupported,
                  AllOf(HasSubstr(name), HasSubstr(std::string(GetParam().name))));
    }
  }
}

// Keys and values of a layer that reads another's change nothing, and are not counted as read.
TEST(WeightsTest, SharingLayersDoNotReadTheirOwn) {
  const std::vector<Token> tokens = {3, 4, 5, 6, 7, 8};
  TinyModel tiny = TinyArchitecture("gemma3n");
  const Model model = tiny.Open().value();
  TinyModel other = tiny;
  for (const char* name : {"blk.4.attn_k.weight", "blk.5.attn_v.weight"}) other.SetValue(name, 0, 1e6f);
  const std::vector<float> logits = AllLogits(model, {.threads = 1}, tokens);
  EXPECT_TRUE(SameBits(AllLogits(other.Open().value(), {.threads = 1}, tokens), logits));
  TinyModel owner = tiny;
  owner.SetValue("blk.3.attn_v.weight", 0, 1e6f);
  EXPECT_FALSE(SameBits(AllLogits(owner.Open().value(), {.threads = 1}, tokens), logits));
  for (const char* name : {"blk.4.attn_k", "blk.4.attn_v", "blk.5.attn_k", "blk.5.attn_v"}) {
    tiny.EraseTensor(Cat(name, ".weight"));
  }
  EXPECT_EQ(
      tiny.EraseTensor("blk.4.attn_k_norm.weight").EraseTensor("blk.5.attn_k_norm.weight").Open()->bytes_per_token(),
      model.bytes_per_token());
}

// Of a second embedding table one row is read, as of the first.
TEST(WeightsTest, OneRowOfALayerInputTableIsRead) {
  const TinyModel tiny = TinyArchitecture("gemma4");
  TinyModel wider = tiny;
  wider.Set("gemma4.embedding_length_per_layer_input", 16u);
  const std::uint64_t rows = 40, layers = kTinyLayers;
  wider.AddTensor("per_layer_token_embd.weight", {16 * layers, rows});
  wider.AddTensor("per_layer_model_proj.weight", {32, 16 * layers}).AddTensor("per_layer_proj_norm.weight", {16});
  for (std::uint64_t layer = 0; layer < layers; ++layer) {
    wider.AddTensor(Cat("blk.", layer, ".inp_gate.weight"), {32, 16});
    wider.AddTensor(Cat("blk.", layer, ".proj.weight"), {16, 32});
  }
  const std::uint64_t more = sizeof(float) * 8 * (layers + 32 * layers + 1 + 2 * 32 * layers);
  EXPECT_EQ(wider.Open()->bytes_per_token(), tiny.Open()->bytes_per_token() + more);
}

TEST(WeightsTest, LongRopeFactorsComeTogether) {
  const TinyModel tiny = TinyArchitecture("phi3")
                             .Set("phi3.rope.scaling.attn_factor", 1.25f)
                             .Set("phi3.rope.scaling.original_context_length", 16u);
  for (const char* name : {"rope_factors_long.weight", "rope_factors_short.weight"}) {
    const std::string other = std::string_view(name).find("long") != std::string_view::npos
                                  ? "rope_factors_short.weight"
                                  : "rope_factors_long.weight";
    ExpectFails(TinyModel(tiny).AddTensor(name, {8}), StatusCode::kCorruptFile,
                AllOf(HasSubstr(other), HasSubstr("missing")));
  }
  ExpectFails(TinyModel(tiny).Set("phi3.rope.scaling.type", "longrope"), StatusCode::kCorruptFile,
              AllOf(HasSubstr("rope_factors_long.weight"), HasSubstr("missing")));
}

TEST(WeightsTest, DivisorsFitAllLayersTheyApplyTo) {
  TinyModel tiny = TinyArchitecture("llama");
  tiny.Set("llama.attention.sliding_window", 4u).Set("llama.attention.sliding_window_pattern", 2u);
  tiny.Set("llama.rope.dimension_count_swa", 8u);
  EXPECT_TRUE(tiny.Open().ok());
  tiny.AddTensor("rope_freqs.weight", {8});
  ExpectFails(tiny, StatusCode::kUnsupported, AllOf(HasSubstr("8 pairs"), HasSubstr("sliding layers have 4")));
  // Gemma's divisors are those of global layers.
  EXPECT_TRUE(TinyArchitecture("gemma4").Set("gemma4.rope.dimension_count_swa", 8u).Open().ok());
}

TEST(WeightsTest, LowRankPathIsNarrow) {
  TinyModel tiny = TinyArchitecture("gemma3n");
  ExpectFails(tiny.AddTensor("blk.1.laurel_l.weight", {32, 33}), StatusCode::kCorruptFile,
              AllOf(HasSubstr("blk.1.laurel_l.weight"), HasSubstr("33"), HasSubstr("32")));
}

TEST(WeightsTest, EverySuperfluousTensorIsNamed) {
  for (const char* name :
       {"blk.0.attn_q_norm.weight", "blk.2.attn_norm.weight", "blk.0.ffn_gate_exps.weight", "extra"}) {
    ExpectFails(TinyModel().AddTensor(name, {32}), StatusCode::kUnsupported,
                AllOf(HasSubstr(name), HasSubstr("llama")));
  }
}

// B76: stores that keep text, vision and audio in one file. What is no text is left aside with a word, whatever its
// shape and format.
TEST(WeightsTest, OtherModalitiesAreLeftAside) {
  std::vector<std::string> warnings;
  const auto open = [&](const TinyModel& tiny) {
    return tiny.Open({.log = [&](LogLevel level, std::string_view message) {
      if (level == LogLevel::kWarning) warnings.emplace_back(message);
    }});
  };
  TinyModel tiny;
  for (const char* name :
       {"v.patch_embedding.weight", "v.blk.0.attn_q.weight", "a.conv1d.1.weight", "mm.input_projection.weight"})
    tiny.AddTensor(name, {32, 3});
  EXPECT_TRUE(open(tiny).ok());
  EXPECT_THAT(warnings, testing::ElementsAre(HasSubstr("4 tensors for vision or audio")));
  warnings.clear();
  EXPECT_EQ(open(tiny.AddTensor("vv.weight", {32})).status().code(), StatusCode::kUnsupported);
  EXPECT_THAT(warnings, testing::IsEmpty());
}

TEST(WeightsTest, NamesInMessagesAreEscaped) {
  ExpectFails(TinyModel().AddTensor("\x1b]8;;https://attack.example\x07", {32}), StatusCode::kUnsupported,
              HasSubstr("tensor \\x1b]8;;https://attack.example\\x07 is not part"));
}

TEST(WeightsTest, UnsupportedFormatsNameTypeTensorAndWhatIsSupported) {
  struct Unsupported {
    std::uint32_t id;
    const char* name;
  };
  for (const auto& [id, name] : {Unsupported{4, "Q4_2 (removed from GGUF; re-quantise to Q4_0)"},
                                 {5, "Q4_3 (removed from GGUF; re-quantise to Q4_1)"},
                                 {15, "Q8_K (never stored in files; re-quantise to Q8_0)"},
                                 {24, "I8"},
                                 {31, "Q4_0_4_4 (removed from GGUF; re-quantise to Q4_0)"},
                                 {32, "Q4_0_4_8 (removed from GGUF; re-quantise to Q4_0)"},
                                 {33, "Q4_0_8_8 (removed from GGUF; re-quantise to Q4_0)"},
                                 {36, "IQ4_NL_4_4 (removed from GGUF; re-quantise to Q4_0)"},
                                 {37, "IQ4_NL_4_8 (removed from GGUF; re-quantise to Q4_0)"},
                                 {38, "IQ4_NL_8_8 (removed from GGUF; re-quantise to Q4_0)"},
                                 {40, "NVFP4"},
                                 {43, "(never defined)"},
                                 {255, "(never defined)"},
                                 {0xFFFFFFFF, "(never defined)"}}) {
    TinyModel tiny;
    tiny.SetTensor("blk.0.ffn_up.weight", id, {32, 64}, std::string(4096, '\0'));
    ExpectFails(tiny, StatusCode::kUnsupported,
                AllOf(HasSubstr("blk.0.ffn_up.weight"), HasSubstr(name), HasSubstr(Cat("id ", id, ")")),
                      HasSubstr("supported: F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, "
                                "IQ2_XXS, IQ2_XS, IQ3_XXS, IQ1_S, IQ4_NL, IQ3_S, IQ2_S, IQ4_XS, IQ1_M, BF16, TQ1_0, "
                                "TQ2_0, MXFP4")));
  }
}

TEST(WeightsTest, OutputIsTheEmbeddingUnlessTheFileHasOne) {
  const Model tied = TinyModel().Open().value();
  EXPECT_EQ(Internal::Impl(tied).weights.output.data, Internal::Impl(tied).weights.token_embd.data);

  TinyModel copied;
  copied.CopyTensor("token_embd.weight", "output.weight");
  const Model same = copied.Open().value();
  EXPECT_NE(Internal::Impl(same).weights.output.data, Internal::Impl(same).weights.token_embd.data);

  const Model other = TinyModel({.tied = false}).Open().value();
  const std::vector<Token> tokens = {3, 4, 5};
  const std::vector<float> expected = AllLogits(tied, {.threads = 1}, tokens);
  EXPECT_TRUE(SameBits(AllLogits(same, {.threads = 1}, tokens), expected));
  EXPECT_FALSE(SameBits(AllLogits(other, {.threads = 1}, tokens), expected));
}

TEST(WeightsTest, OptionalBiases) {
  const std::vector<Token> tokens = {3, 4, 5};
  const std::vector<float> without = AllLogits(TinyModel().Open().value(), {.threads = 1}, tokens);
  for (const auto& [name, size] : {std::pair("attn_q.bias", 64), std::pair("attn_k.bias", 32),
                                   std::pair("attn_v.bias", 32), std::pair("attn_output.bias", 32)}) {
    const auto extent = static_cast<std::uint64_t>(size);
    const std::string tensor = Cat("blk.0.", name);
    TinyModel zero;
    zero.SetTensor(tensor, {extent}, std::vector<float>(extent, 0.0f));
    EXPECT_TRUE(SameBits(AllLogits(zero.Open().value(), {.threads = 1}, tokens), without)) << name;
    // A bias of all keys alike is lost in the softmax, so it differs from element to element.
    TinyModel biased;
    biased.AddTensor(tensor, {extent});
    EXPECT_FALSE(SameBits(AllLogits(biased.Open().value(), {.threads = 1}, tokens), without)) << name;
    ExpectFails(TinyModel().AddTensor(tensor, {extent + 1}), StatusCode::kCorruptFile, HasSubstr(tensor));
  }
}

// Small tensors of other formats are widened; matrices may have any.
TEST(WeightsTest, NormsOfHalfPrecision) {
  TinyModel tiny;
  const std::vector<Half> ones(32, FloatToHalf(1.5f));
  tiny.SetTensor("output_norm.weight", static_cast<std::uint32_t>(Format::kF16), {32},
                 {reinterpret_cast<const char*>(ones.data()), 64});
  const Model model = tiny.Open().value();
  EXPECT_EQ(Internal::Impl(model).weights.output_norm, Vector(32, 1.5f));
}

// Nothing says that floats in a file lie at multiples of four.
TEST(WeightsTest, UnalignedTensors) {
  const std::vector<Token> tokens = {3, 4, 5};
  for (const bool tied : {true, false}) {
    TinyModel tiny({.tied = tied});
    const std::vector<float> expected = AllLogits(tiny.Open().value(), {.threads = 1}, tokens);
    for (const std::uint32_t alignment : {1u, 2u}) {
      // A name of another length moves the data to another remainder.
      for (const char* name : {"a", "ab", "abc", "abcd"}) {
        tiny.SetAlignment(alignment).Set("general.name", name);
        for (const KernelSet* set : RunnableKernelSets()) {
          const Model model = tiny.Open({.kernels = set->name}).value();
          const Deviation deviation = Compare(AllLogits(model, {.threads = 2}, tokens), expected);
          EXPECT_LE(deviation.max_abs, 1e-5);
        }
      }
    }
  }
}

}  // namespace
}  // namespace slm::test
