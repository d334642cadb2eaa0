// What stands for a metadata key that a file leaves out, for every key and architecture: nothing, so that the file is
// refused, or the number that HF transformers' configuration class has. A key that is read without a row here fails.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numbers>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/format.h"
#include "model/model_impl.h"
#include "support/fixture.h"
#include "support/test_data.h"
#include "support/tiny_architecture.h"
#include "support/tiny_model.h"

namespace slm::test {
namespace {

// Keys that are read only of some files.
enum class Kind : std::uint8_t { kPlain, kWindow, kExperts, kYarn, kLongRope };
constexpr Kind kKinds[] = {Kind::kPlain, Kind::kWindow, Kind::kExperts, Kind::kYarn, Kind::kLongRope};

using Config = const ModelConfig&;
using Number = double (*)(Config);

template <int kNumber>
double Is(Config) {
  return kNumber;
}
constexpr Number kRequired = nullptr;

double Heads(Config c) { return c.layers[0].heads; }
double KvHeads(Config c) { return c.layers[0].kv_heads; }
double Share(Config c) { return c.embedding_length / c.layers[0].heads; }
// Of the first layer of a kind, or of the first where there is none of this kind.
const LayerConfig& Layer(Config c, bool sliding) {
  const auto found = std::ranges::find(c.layers, sliding, &LayerConfig::sliding);
  return found != c.layers.end() ? *found : c.layers[0];
}
double KeyLength(Config c) { return Layer(c, false).key_length; }
double ValueLength(Config c) { return Layer(c, false).value_length; }
double SlidingKeyLength(Config c) { return Layer(c, true).key_length; }
double SlidingValueLength(Config c) { return Layer(c, true).value_length; }
double Window(Config c) { return c.window; }
// One more than the first global layer; 0: all slide.
double Group(Config c) {
  const auto found = std::ranges::find(c.layers, false, &LayerConfig::sliding);
  return found != c.layers.end() ? static_cast<double>(found - c.layers.begin() + 1) : 0;
}
double Scale(Config c) { return static_cast<double>(Layer(c, false).attention_scale); }
double RootOfKeyLength(Config c) { return static_cast<double>(1 / std::sqrt(static_cast<float>(KeyLength(c)))); }
double Shared(Config c) {
  double shared = 0;
  for (std::size_t i = 0; i < c.layers.size(); ++i) shared += c.owns_kv(i) ? 0 : 1;
  return shared;
}
double EmbeddingScale(Config c) { return static_cast<double>(c.embedding_scale); }
double ResidualScale(Config c) { return static_cast<double>(c.residual_scale); }
double LogitScale(Config c) { return static_cast<double>(c.logit_scale); }
double AttentionCap(Config c) { return static_cast<double>(c.attention_softcap); }
double FinalCap(Config c) { return static_cast<double>(c.final_softcap); }
double InputWidth(Config c) { return c.per_layer_width; }
double Streams(Config c) { return c.altup_streams; }
double Experts(Config c) { return c.expert_count; }
double ExpertsUsed(Config c) { return c.expert_used_count; }
double ExpertWidth(Config c) { return c.layers[0].expert_feed_forward_length; }
double DenseWidth(Config) { return 64; }
double DenseWidthOverUsed(Config c) { return 64 / c.expert_used_count; }
double Dimensions(Config c) { return c.rope_global.dimensions; }
double SlidingDimensions(Config c) { return c.rope_sliding.dimensions; }
double Base(Config c) { return c.rope_global.base; }
double SlidingBase(Config c) { return c.rope_sliding.base; }
double Factor(Config c) { return 1 / c.rope_global.position_scale; }
double Magnitude(Config c) { return c.rope_global.magnitude; }
double OriginalLength(Config c) { return c.original_context_length; }
double ContextLength(Config c) { return c.context_length; }
// YaRN's ramp begins and ends at pairs that turn so often over the original context, if these are 32 and 1.
double PairOfTurns(Config c, double turns) {
  const double dimensions = c.rope_global.dimensions;
  return dimensions * std::log(c.original_context_length / (2 * std::numbers::pi * turns)) /
         (2 * std::log(c.rope_global.base));
}
double BetaFast(Config c) {
  return c.rope_global.yarn->first == std::max(0.0, std::floor(PairOfTurns(c, 32))) ? 32 : 0;
}
double BetaSlow(Config c) {
  return c.rope_global.yarn->last == std::min(c.rope_global.dimensions - 1.0, std::ceil(PairOfTurns(c, 1))) ? 1 : 0;
}
double MagnitudeOverYarns(Config c) { return Magnitude(c) / (0.1 * std::log(Factor(c)) + 1); }
double Temperature(Config c) { return c.temperature_scale; }

struct Row {
  const char* key;
  const char* architectures;  // names; "*": all that no row before has
  Kind kind;                  // kPlain: files of all kinds that no row before has
  Number number;              // what the key became
  Number absent;              // what it is where the key is absent
  const char* source;
};

// Numbers of transformers 5.24, read off the classes in models/*/configuration_*.py and, where a class does not say,
// modeling_rope_utils.py. What llama.cpp's converter writes into every file may be required, and is
// where the class has another number than the models that were released, or depends on more than the class.
constexpr Row kRows[] = {
    {"attention.head_count_kv", "*", Kind::kPlain, KvHeads, Heads,
     "LlamaConfig, Phi3Config: num_key_value_heads = None, the heads. For others attn_k.weight has no other shape"},
    {"attention.key_length", "*", Kind::kPlain, KeyLength, Share,
     "LlamaConfig.head_dim = None, hidden_size // num_attention_heads. For others attn_q.weight has no other shape"},
    {"attention.value_length", "*", Kind::kPlain, ValueLength, Share, "as key_length; attn_output.weight"},
    {"attention.key_length_swa", "*", Kind::kPlain, SlidingKeyLength, KeyLength,
     "one head_dim for all layers; Gemma4TextConfig has two, and attn_q.weight no other shape"},
    {"attention.value_length_swa", "*", Kind::kPlain, SlidingValueLength, ValueLength, "as key_length_swa"},
    {"attention.scale", "gemma3n gemma4", Kind::kPlain, Scale, Is<1>, "Gemma3nTextAttention, Gemma4TextAttention"},
    {"attention.scale", "granite", Kind::kPlain, Scale, kRequired,
     "GraniteConfig.attention_multiplier is 1, but 1 / head_dim in the models that were released; always written"},
    {"attention.scale", "*", Kind::kPlain, Scale, RootOfKeyLength,
     "head_dim^-0.5; query_pre_attn_scalar of Gemma 2 and 3 is head_dim but for the 27B models, which the table knows"},

    {"attention.sliding_window", "gemma2", Kind::kPlain, Window, Is<4096>, "Gemma2Config.sliding_window"},
    {"attention.sliding_window", "gemma3 gemma3n gemma4", Kind::kPlain, Window, kRequired,
     "Gemma3TextConfig has 4096, but no model that was released"},
    {"attention.sliding_window", "*", Kind::kPlain, Window, Is<0>,
     "LlamaConfig has none; Phi3Config, MixtralConfig, Ministral3Config: None; Qwen*Config, SmolLM3Config: unused. "
     "MistralConfig has 4096, which no converter writes"},
    {"attention.sliding_window_pattern", "gemma2", Kind::kPlain, Group, Is<2>, "Gemma2Config.layer_types"},
    {"attention.sliding_window_pattern", "gemma3", Kind::kPlain, Group, Is<6>, "Gemma3TextConfig.layer_types"},
    {"attention.sliding_window_pattern", "gemma3n", Kind::kPlain, Group, Is<5>, "Gemma3nTextConfig.layer_types"},
    {"attention.sliding_window_pattern", "gemma4", Kind::kPlain, Group, kRequired, "always written"},
    {"attention.sliding_window_pattern", "qwen2 qwen3 smollm3", Kind::kWindow, Group, kRequired,
     "Qwen2Config, Qwen3Config: by max_window_layers; SmolLM3Config: by no_rope_layers"},
    {"attention.sliding_window_pattern", "*", Kind::kPlain, Group, Is<0>, "MistralConfig, Phi3Config: every layer"},
    {"attention.shared_kv_layers", "gemma3n", Kind::kPlain, Shared, kRequired,
     "Gemma3nTextConfig.num_kv_shared_layers is 15, that of E2B 10"},
    {"attention.shared_kv_layers", "*", Kind::kPlain, Shared, Is<0>, "Gemma4TextConfig.num_kv_shared_layers"},

    {"attn_logit_softcapping", "gemma2", Kind::kPlain, AttentionCap, Is<50>, "Gemma2Config.attn_logit_softcapping"},
    {"attn_logit_softcapping", "*", Kind::kPlain, AttentionCap, Is<0>, "Gemma3TextConfig: None; others have none"},
    {"final_logit_softcapping", "gemma2 gemma3n", Kind::kPlain, FinalCap, Is<30>,
     "Gemma2Config.final_logit_softcapping, Gemma3nTextConfig.final_logit_softcapping"},
    {"final_logit_softcapping", "*", Kind::kPlain, FinalCap, Is<0>,
     "Gemma3TextConfig, Gemma4TextConfig: None; others have none"},
    {"embedding_scale", "granite", Kind::kPlain, EmbeddingScale, kRequired,
     "GraniteConfig.embedding_multiplier is 1, but 12 in the models that were released; always written"},
    {"residual_scale", "granite", Kind::kPlain, ResidualScale, kRequired,
     "GraniteConfig.residual_multiplier is 1, but 0.22 in the models that were released; always written"},
    {"logit_scale", "granite", Kind::kPlain, LogitScale, kRequired,
     "GraniteConfig.logits_scaling is 1, but 8 or 16 in the models that were released; always written"},
    {"embedding_length_per_layer_input", "gemma3n gemma4", Kind::kPlain, InputWidth, kRequired, "256 or 0"},
    {"embedding_length_per_layer_input", "*", Kind::kPlain, InputWidth, Is<0>, "others have none"},
    {"altup.num_inputs", "gemma3n", Kind::kPlain, Streams, kRequired, "always written"},
    {"altup.active_idx", "gemma3n", Kind::kPlain, Is<0>, kRequired, "always written"},
    {"activation_sparsity_scale", "gemma3n", Kind::kPlain, Is<0>, kRequired, "depends on the number of layers"},

    {"expert_count", "qwen3moe", Kind::kPlain, Experts, kRequired, "Qwen3MoeConfig.num_experts is 128, of one model"},
    {"expert_count", "*", Kind::kPlain, Experts, Is<0>, "LlamaConfig has none; Gemma4TextConfig.num_experts = None"},
    {"expert_used_count", "llama gemma4 qwen3moe", Kind::kPlain, ExpertsUsed, kRequired, "always written"},
    {"expert_feed_forward_length", "llama", Kind::kPlain, ExpertWidth, DenseWidth, "MixtralConfig.intermediate_size"},
    {"expert_feed_forward_length", "gemma4", Kind::kPlain, ExpertWidth, kRequired,
     "Gemma4TextConfig.moe_intermediate_size = None"},
    {"expert_feed_forward_length", "qwen3moe", Kind::kPlain, ExpertWidth, DenseWidthOverUsed,
     "llama.cpp's; the tensors have no other shape"},
    // The three have one value that is computed, and others are refused.
    {"expert_gating_func", "llama gemma4 qwen3moe", Kind::kPlain, Is<1>, Is<1>, "softmax in all three"},
    {"expert_weights_norm", "llama gemma4 qwen3moe", Kind::kPlain, Is<1>, Is<1>,
     "Mixtral and Gemma 4 know nothing else. Qwen3MoeConfig.norm_topk_prob is false, but true in all models that were "
     "released; no converter writes it"},
    {"expert_weights_scale", "llama gemma4 qwen3moe", Kind::kPlain, Is<1>, Is<1>, "none of the three has a scale"},

    {"rope.freq_base", "llama", Kind::kExperts, Base, kRequired,
     "MixtralConfig.default_theta = 1e6, where LlamaConfig has 10000"},
    {"rope.freq_base", "gemma gemma2 llama phi3", Kind::kPlain, Base, Is<10000>,
     "GemmaConfig, Gemma2Config (which the converter relies on), LlamaConfig, MistralConfig, Phi3Config: "
     "default_theta"},
    {"rope.freq_base", "gemma3", Kind::kPlain, Base, Is<1000000>, "Gemma3TextConfig.default_theta[\"global\"]"},
    {"rope.freq_base", "*", Kind::kPlain, Base, kRequired,
     "Qwen*Config have 10000 and SmolLM3Config 2e6, but the models that were released 1e6 and 5e6; always written"},
    {"rope.freq_base_swa", "gemma3 gemma3n gemma4", Kind::kPlain, SlidingBase, Is<10000>,
     "Gemma3TextConfig, Gemma3nTextConfig: default_theta[\"local\"]; Gemma4TextConfig.rope_parameters"},
    {"rope.freq_base_swa", "*", Kind::kPlain, SlidingBase, Base, "one rope_theta for all layers"},
    {"rope.dimension_count", "*", Kind::kPlain, Dimensions, KeyLength, "partial_rotary_factor = 1"},
    {"rope.dimension_count_swa", "*", Kind::kPlain, SlidingDimensions, SlidingKeyLength, "partial_rotary_factor = 1"},

    {"rope.scaling.type", "*", Kind::kPlain, Factor, Is<1>, "rope_parameters without a type: \"default\""},
    {"rope.scaling.factor", "*", Kind::kYarn, Factor, kRequired, "rope_parameters[\"factor\"]"},
    {"rope.scaling.factor", "*", Kind::kPlain, Factor, Is<1>, "no scaling"},
    {"rope.scale_linear", "*", Kind::kPlain, Factor, Factor, "the factor in old files"},
    {"rope.scaling.attn_factor", "*", Kind::kLongRope, Magnitude, kRequired, "depends on both lengths"},
    {"rope.scaling.attn_factor", "mistral3", Kind::kYarn, Magnitude, Is<1>, "mscale and mscale_all_dim are one"},
    {"rope.scaling.attn_factor", "*", Kind::kYarn, MagnitudeOverYarns, Is<1>, "_compute_yarn_parameters: get_mscale"},
    {"rope.scaling.attn_factor", "*", Kind::kPlain, Magnitude, Is<1>, "no scaling"},
    {"rope.scaling.original_context_length", "*", Kind::kLongRope, OriginalLength, kRequired,
     "Phi3Config.original_max_position_embeddings = 4096, of some"},
    {"rope.scaling.original_context_length", "mistral3", Kind::kYarn, OriginalLength, kRequired, "always written"},
    {"rope.scaling.original_context_length", "*", Kind::kPlain, OriginalLength, ContextLength,
     "standardize_rope_params: max_position_embeddings"},
    {"rope.scaling.yarn_beta_fast", "*", Kind::kYarn, BetaFast, Is<32>, "_compute_yarn_parameters: 32"},
    {"rope.scaling.yarn_beta_slow", "*", Kind::kYarn, BetaSlow, Is<1>, "_compute_yarn_parameters: 1"},
    {"rope.scaling.yarn_log_multiplier", "mistral3", Kind::kYarn, Magnitude, kRequired,
     "Ministral3Config.rope_parameters[\"mscale_all_dim\"] is 1, but nothing is taken for one of several"},
    {"rope.scaling.yarn_log_multiplier", "*", Kind::kYarn, MagnitudeOverYarns, Is<1>,
     "_compute_yarn_parameters: mscale_all_dim does not count where it is absent"},
    {"attention.temperature_scale", "mistral3", Kind::kYarn, Temperature, kRequired,
     "Ministral3Config.rope_parameters[\"llama_4_scaling_beta\"] is 0.1, but nothing is taken for one of several"},
    {"attention.temperature_scale", "*", Kind::kPlain, Temperature, Is<0>, "others have none"},
};

bool Names(const Row& row, std::string_view architecture) {
  if (std::string_view(row.architectures) == "*") return true;
  return Cat(" ", row.architectures, " ").find(Cat(" ", architecture, " ")) != std::string::npos;
}

const Row* FindKeyRow(std::string_view key, std::string_view architecture, Kind kind) {
  for (const Row& row : kRows) {
    if (row.key == key && (row.kind == Kind::kPlain || row.kind == kind) && Names(row, architecture)) return &row;
  }
  return nullptr;
}

// Where the value of a key begins in a GGUF file: its type, then what it is.
std::optional<std::size_t> FindValue(const std::string& bytes, std::string_view key) {
  const std::uint64_t length = key.size();
  std::string entry(sizeof(length), '\0');
  std::memcpy(entry.data(), &length, sizeof(length));
  const std::size_t found = bytes.find(entry.append(key));
  return found != std::string::npos ? std::optional(found + entry.size()) : std::nullopt;
}

// The file with another name for the key, if it has it.
std::string Without(std::string bytes, std::string_view key) {
  if (const auto value = FindValue(bytes, key)) bytes[*value - 1] = '!';
  return bytes;
}

Result<ModelConfig> Read(const std::string& bytes, std::set<std::string>* absent = nullptr) {
  const GgufFile file = GgufFile::Parse(std::as_bytes(std::span(bytes)), "tiny").value();
  return ReadModelConfig(file, AllArchitectures(), absent);
}

// What makes a file one of its kind.
constexpr std::string_view kOfKinds[] = {"attention.sliding_window", "expert_count", "rope.scaling.type",
                                         "rope.scaling.original_context_length"};

// A file of the architecture and kind without the keys that something stands for.
std::string FileOf(const Architecture& architecture, Kind kind) {
  const bool experts = kind == Kind::kExperts && architecture.experts != slm::Experts::kNone;
  TinyModel tiny = TinyArchitecture(architecture, {.layers = kTinyLayers, .experts = experts ? 4u : 0u});
  const std::string prefix = std::string(architecture.name) + ".";
  const auto set = [&](const char* key, auto value) { tiny.Set(prefix + key, value); };
  if (architecture.shared_kv_layers == kInFile) set("attention.shared_kv_layers", 0u);
  if (kind == Kind::kWindow) set("attention.sliding_window", 4u);
  if (kind == Kind::kLongRope) set("rope.scaling.attn_factor", 1.25f);
  if (kind == Kind::kYarn) {
    set("rope.freq_base", 10000.0f);
    set("rope.scaling.factor", 4.0f);
    set("rope.scaling.yarn_log_multiplier", 1.0f);
    set("attention.temperature_scale", 0.1f);
  }
  if (kind == Kind::kYarn || kind == Kind::kLongRope) {
    set("rope.scaling.type", kind == Kind::kYarn ? "yarn" : "longrope");
    set("rope.scaling.original_context_length", 8192u);
  }
  std::string bytes = tiny.Build();
  for (const Row& row : kRows) {
    const Row* holds = FindKeyRow(row.key, architecture.name, kind);
    const bool stays = kind != Kind::kPlain && std::ranges::find(kOfKinds, row.key) != std::end(kOfKinds);
    if (holds == &row && row.absent != kRequired && !stays) bytes = Without(std::move(bytes), prefix + row.key);
  }
  return bytes;
}

TEST(OptionalKeysTest, EveryKeyOfEveryArchitecture) {
  std::set<const Row*> tried;
  for (const Architecture& architecture : AllArchitectures()) {
    for (const Kind kind : kKinds) {
      SCOPED_TRACE(std::string(architecture.name) + ", kind " + std::to_string(static_cast<int>(kind)));
      const std::string bytes = FileOf(architecture, kind);
      std::set<std::string> absent;
      const Result<ModelConfig> config = Read(bytes, &absent);
      ASSERT_TRUE(config.ok()) << config.status().message();
      for (const std::string& key : absent) {
        const Row* row = FindKeyRow(key, architecture.name, kind);
        ASSERT_TRUE(row != nullptr && row->absent != kRequired) << key << " is read, but has no row that says what "
                                                                << "stands for it";
        EXPECT_FLOAT_EQ(static_cast<float>(row->number(*config)), static_cast<float>(row->absent(*config))) << key;
        tried.insert(row);
      }
      for (const Row& row : kRows) {
        const std::string key = std::string(architecture.name) + "." + row.key;
        if (FindKeyRow(row.key, architecture.name, kind) != &row || row.absent != kRequired || !FindValue(bytes, key))
          continue;
        EXPECT_EQ(Read(Without(bytes, key)).status().message(), "metadata key " + key + " is missing");
        tried.insert(&row);
      }
    }
  }
  for (const Row& row : kRows) EXPECT_TRUE(tried.contains(&row)) << row.key << " of " << row.architectures;
}

// Writes `number` over a value of the file, of each layer where it is an array.
std::string With(std::string bytes, const std::string& key, double number) {
  std::size_t at = *FindValue(bytes, key);
  const auto read = [&] {
    std::uint32_t value = 0;
    std::memcpy(&value, &bytes[at], sizeof(value));
    at += sizeof(value);
    return value;
  };
  GgufType type{read()};
  const bool array = type == GgufType::kArray;
  if (array) type = GgufType{read()};
  const std::size_t count = array ? read() : 1;
  if (array) at += sizeof(std::uint32_t);  // a count has 64 bits
  for (std::size_t i = 0; i < count; ++i) {
    if (type == GgufType::kString) continue;
    if (type == GgufType::kBool) {  // which layers slide, in groups of which the last does not
      bytes[at++] = number == 0 || (i + 1) % static_cast<std::size_t>(number) != 0;
      continue;
    }
    const auto integer = static_cast<std::uint32_t>(number);
    const auto real = static_cast<float>(number);
    std::memcpy(&bytes[at], type == GgufType::kF32 ? static_cast<const void*>(&real) : &integer, sizeof(integer));
    at += sizeof(integer);
  }
  return bytes;
}

Result<Model> Open(const std::string& bytes) {
  const auto path = std::filesystem::path(testing::TempDir()) / Cat("optional_keys_", getpid(), ".gguf");
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  Result<Model> model = Model::Open(path);
  std::filesystem::remove(path);
  return model;
}

Kind KindOf(const ModelConfig& config) {
  if (config.expert_count != 0) return Kind::kExperts;
  if (config.rope_global.yarn) return Kind::kYarn;
  return config.long_rope ? Kind::kLongRope : Kind::kPlain;
}

// Each fixture without each key: refused, or the same as with HF's number written out. A scaling's type alone has no
// number: a factor without it is linear, as the file then says, or the file is refused.
TEST(OptionalKeysTest, FixturesWithoutAKeyAreRefusedOrRight) {
  const auto root = SharedFixture(".");
  std::vector<std::filesystem::path> roots = {DataPath("models")};
  if (root) roots.push_back(*root);
  int refused = 0;
  int right = 0;
  for (const auto& folder : roots) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      const Fixture fixture = {.name = entry.path().filename().string(), .folder = entry.path()};
      if (!std::filesystem::exists(fixture.model())) continue;
      const std::string bytes = ReadFile(fixture.model());
      const Model whole = OpenOrThrow(fixture.model());
      const std::string architecture(whole.architecture());
      std::set<std::string> keys;
      for (const Row& row : kRows) keys.insert(row.key);
      for (const std::string& name : keys) {
        const std::string key = architecture + "." + name;
        if (!FindValue(bytes, key)) continue;
        SCOPED_TRACE(fixture.name + " without " + name);
        const Result<Model> without = Open(Without(bytes, key));
        const Row* row = FindKeyRow(name, architecture, KindOf(Internal::Impl(whole).config));
        ASSERT_NE(row, nullptr);
        if (!without.ok()) {
          ++refused;
          continue;
        }
        ASSERT_NE(row->absent, kRequired);
        const Result<Model> with = Open(With(bytes, key, row->absent(Internal::Impl(*without).config)));
        ASSERT_TRUE(with.ok()) << with.status().message();
        const SessionOptions options = {.kv_type = KvType::kF32, .threads = 1};
        const std::vector<Token> prompt = fixture.Prompt();
        EXPECT_TRUE(SameBits(AllLogits(*without, options, prompt), AllLogits(*with, options, prompt)));
        ++right;
      }
    }
  }
  EXPECT_GT(refused, 50);
  EXPECT_GT(right, 50);
}

// GemmaConfig's and GemmaTokenizer's ids, of all versions.
TEST(OptionalKeysTest, GemmaFilesWithoutIdsOfSpecialTokens) {
  for (const char* name : {"gemma", "gemma2", "gemma3", "gemma3n", "gemma4_dense"}) {
    std::string bytes = ReadFile(DataPath("models") / name / "model.gguf");
    for (const char* key : {"bos", "eos", "unknown"}) {
      const std::string whole = Cat("tokenizer.ggml.", key, "_token_id");
      if (FindValue(bytes, whole)) bytes = Without(bytes, whole);
    }
    const Result<Model> model = Open(bytes);
    ASSERT_TRUE(model.ok()) << model.status().message();
    const Tokenizer& tokenizer = model->tokenizer();
    EXPECT_EQ(tokenizer.bos(), 2) << name;
    EXPECT_EQ(tokenizer.eos(), 1) << name;
    EXPECT_EQ(tokenizer.Encode("a", {.add_special = true})->front(), 2) << name;
  }
}

}  // namespace
}  // namespace slm::test
