#include "model/model_config.h"

#include <cmath>
#include <limits>
#include <optional>
#include <string>

#include "base/format.h"
#include "base/status_macros.h"

namespace slm {

namespace {

constexpr std::int32_t kMaxLayers = 512;
constexpr std::int32_t kMaxDimension = 1 << 20;
constexpr std::int32_t kMaxExperts = 1024;

std::string Known() {
  std::string names;
  for (const Architecture& architecture : AllArchitectures()) {
    if (!names.empty()) names += ", ";
    names += architecture.name;
  }
  return names;
}

Result<const Architecture*> FindArchitecture(const GgufFile& file) {
  const GgufValue* value = file.Find("general.architecture");
  if (value == nullptr)
    return Status(StatusCode::kCorruptFile,
                  "general.architecture is missing: the file does not say what model it holds");
  const std::optional<std::string_view> name = value->AsString();
  if (!name)
    return Status(StatusCode::kCorruptFile, Cat("general.architecture: expected a string, found ", value->TypeName()));
  for (const Architecture& architecture : AllArchitectures()) {
    if (architecture.name == *name) return &architecture;
  }
  return Status(StatusCode::kUnsupported,
                Cat("architecture \"", value->ToString(80), "\" is not supported; known: ", Known()));
}

// Reads the keys below one architecture's prefix.
class Reader {
 public:
  Reader(const GgufFile& file, std::string_view prefix) : file_(file), prefix_(prefix) {}

  std::string Key(std::string_view name) const { return Cat(prefix_, ".", name); }
  const GgufValue* Find(std::string_view name) const { return file_.Find(Key(name)); }

  // An integer in [low, high]; `fallback` if the key is absent, an error if there is none.
  Result<std::int32_t> Int(std::string_view name, std::int32_t low, std::int32_t high,
                           std::optional<std::int32_t> fallback) const {
    const GgufValue* value = Find(name);
    if (value == nullptr) {
      if (fallback) return *fallback;
      return Missing(name);
    }
    const std::optional<std::int64_t> number = value->AsInt();
    if (!number || *number < low || *number > high)
      return Bad(name, *value, Cat("an integer from ", low, " to ", high));
    return static_cast<std::int32_t>(*number);
  }

  // A finite number above 0, or also 0 itself.
  Result<double> Number(std::string_view name, std::optional<double> fallback, bool zero_allowed = false) const {
    const GgufValue* value = Find(name);
    if (value == nullptr) {
      if (fallback) return *fallback;
      return Missing(name);
    }
    const std::optional<double> number = value->AsDouble();
    const bool valid = number && std::isfinite(*number) && (*number > 0 || (zero_allowed && *number == 0));
    if (!valid) return Bad(name, *value, zero_allowed ? "a finite number of at least 0" : "a finite number above 0");
    return *number;
  }

  // One integer for all layers, or an array with one for each.
  Result<std::vector<std::int32_t>> PerLayer(std::string_view name, std::int32_t layers, std::int32_t low,
                                             std::int32_t high, const std::vector<std::int32_t>* fallback) const {
    const GgufValue* value = Find(name);
    if (value == nullptr) {
      if (fallback != nullptr) return *fallback;
      return Missing(name);
    }
    if (value->type() != GgufType::kArray) {
      SLM_ASSIGN_OR_RETURN(const std::int32_t number, Int(name, low, high, std::nullopt));
      return std::vector<std::int32_t>(static_cast<std::size_t>(layers), number);
    }
    const std::optional<std::vector<std::int64_t>> numbers = value->AsInts();
    if (!numbers || numbers->size() != static_cast<std::size_t>(layers))
      return Bad(name, *value, Cat(layers, " integers, one for each layer"));
    std::vector<std::int32_t> result;
    result.reserve(numbers->size());
    for (const std::int64_t number : *numbers) {
      if (number < low || number > high) return Bad(name, *value, Cat("integers from ", low, " to ", high));
      result.push_back(static_cast<std::int32_t>(number));
    }
    return result;
  }

  Status Missing(std::string_view name) const {
    return Status(StatusCode::kCorruptFile, Cat("metadata key ", Key(name), " is missing"));
  }
  Status Bad(std::string_view name, const GgufValue& value, std::string_view expected) const {
    return Status(StatusCode::kCorruptFile, Cat("metadata key ", Key(name), ": expected ", expected, ", found ",
                                                value.ToString(60), " (", value.TypeName(), ")"));
  }

 private:
  const GgufFile& file_;
  std::string_view prefix_;
};

Status ReadSizes(const GgufFile& file, const Reader& reader, ModelConfig& config) {
  SLM_ASSIGN_OR_RETURN(config.embedding_length, reader.Int("embedding_length", 1, kMaxDimension, std::nullopt));
  SLM_ASSIGN_OR_RETURN(config.context_length,
                       reader.Int("context_length", 1, std::numeric_limits<std::int32_t>::max(), std::nullopt));
  SLM_ASSIGN_OR_RETURN(const double epsilon, reader.Number("attention.layer_norm_rms_epsilon", std::nullopt));
  config.norm_epsilon = static_cast<float>(epsilon);
  const GgufTensor* embedding = file.FindTensor("token_embd.weight");
  if (embedding == nullptr) return Status(StatusCode::kCorruptFile, "tensor token_embd.weight is missing");
  if (embedding->shape[1] > static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max())) {
    return Status(StatusCode::kCorruptFile,
                  Cat("tensor token_embd.weight has ", embedding->shape[1], " rows, more than token ids can number"));
  }
  config.vocab_size = static_cast<std::int32_t>(embedding->shape[1]);
  return {};
}

Status ReadLayers(const Reader& reader, ModelConfig& config) {
  SLM_ASSIGN_OR_RETURN(const std::int32_t count, reader.Int("block_count", 1, kMaxLayers, std::nullopt));
  SLM_ASSIGN_OR_RETURN(const std::vector<std::int32_t> heads,
                       reader.PerLayer("attention.head_count", count, 1, 1024, nullptr));
  SLM_ASSIGN_OR_RETURN(const std::vector<std::int32_t> kv_heads,
                       reader.PerLayer("attention.head_count_kv", count, 1, 1024, &heads));
  SLM_ASSIGN_OR_RETURN(const std::vector<std::int32_t> widths,
                       reader.PerLayer("feed_forward_length", count, 1, kMaxDimension, nullptr));
  config.layers.resize(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < config.layers.size(); ++i) {
    if (heads[i] % kv_heads[i] != 0) {
      return Status(StatusCode::kCorruptFile, Cat(reader.Key("attention.head_count"), " of layer ", i, " is ", heads[i],
                                                  ", not a multiple of its ", kv_heads[i], " key/value heads"));
    }
    config.layers[i] = {.heads = heads[i], .kv_heads = kv_heads[i], .feed_forward_length = widths[i], .sliding = false};
  }
  return {};
}

Status ReadHeads(const Reader& reader, ModelConfig& config) {
  const std::int32_t heads = config.layers.front().heads;
  const std::int32_t share = config.embedding_length / heads;
  for (const char* name : {"attention.key_length", "attention.value_length"}) {
    if (config.embedding_length % heads != 0 && reader.Find(name) == nullptr) return reader.Missing(name);
  }
  SLM_ASSIGN_OR_RETURN(config.key_length, reader.Int("attention.key_length", 2, 4096, share));
  SLM_ASSIGN_OR_RETURN(config.value_length, reader.Int("attention.value_length", 1, 4096, share));
  SLM_ASSIGN_OR_RETURN(config.rope_dimensions,
                       reader.Int("rope.dimension_count", 2, config.key_length, config.key_length));
  if (config.rope_dimensions % 2 != 0) {
    return Status(StatusCode::kCorruptFile, Cat("RoPE rotates pairs, but ", reader.Key("rope.dimension_count"),
                                                " (or the head) has ", config.rope_dimensions, " dimensions"));
  }
  const Architecture& architecture = *config.architecture;
  const bool by_width = architecture.layers_scaling_by_width != 0 &&
                        config.layers.size() == static_cast<std::size_t>(architecture.layers_scaling_by_width);
  SLM_ASSIGN_OR_RETURN(
      const double scale,
      reader.Number("attention.scale", 1 / std::sqrt(static_cast<double>(by_width ? share : config.key_length))));
  config.attention_scale = static_cast<float>(scale);
  if (architecture.scales_embedding) config.embedding_scale = std::sqrt(static_cast<float>(config.embedding_length));
  if (reader.Find("final_logit_softcapping") != nullptr) {
    SLM_ASSIGN_OR_RETURN(const double cap, reader.Number("final_logit_softcapping", std::nullopt));
    config.final_softcap = static_cast<float>(cap);
  }
  return {};
}

Status ReadWindow(const Reader& reader, ModelConfig& config) {
  SLM_ASSIGN_OR_RETURN(config.window,
                       reader.Int("attention.sliding_window", 0, std::numeric_limits<std::int32_t>::max(), 0));
  if (config.window == 0) return {};
  const std::int32_t count = static_cast<std::int32_t>(config.layers.size());
  const GgufValue* pattern = reader.Find("attention.sliding_window_pattern");
  if (pattern != nullptr && pattern->type() == GgufType::kArray) {
    const std::optional<std::vector<std::int64_t>> sliding = pattern->AsInts();
    if (!sliding || sliding->size() != config.layers.size()) {
      return reader.Bad("attention.sliding_window_pattern", *pattern, Cat(count, " booleans, one for each layer"));
    }
    for (std::size_t i = 0; i < config.layers.size(); ++i) config.layers[i].sliding = (*sliding)[i] != 0;
    return {};
  }
  SLM_ASSIGN_OR_RETURN(const std::int32_t group, reader.Int("attention.sliding_window_pattern", 0, kMaxLayers,
                                                            config.architecture->window_pattern));
  for (std::int32_t i = 0; i < count; ++i)
    config.layers[static_cast<std::size_t>(i)].sliding = group == 0 || i % group < group - 1;
  return {};
}

Status ReadRope(const Reader& reader, ModelConfig& config) {
  const Architecture& architecture = *config.architecture;
  SLM_ASSIGN_OR_RETURN(config.rope_global.base, reader.Number("rope.freq_base", 10000.0));
  const double sliding_base =
      architecture.rope_base_sliding != 0 ? architecture.rope_base_sliding : config.rope_global.base;
  SLM_ASSIGN_OR_RETURN(config.rope_sliding.base, reader.Number("rope.freq_base_swa", sliding_base));
  const GgufValue* type = reader.Find("rope.scaling.type");
  const std::optional<std::string_view> name = type != nullptr ? type->AsString() : std::string_view("linear");
  if (!name || (*name != "none" && *name != "linear")) {
    return Status(StatusCode::kUnsupported,
                  Cat(reader.Key("rope.scaling.type"), " is ", type->ToString(40), "; supported: none, linear"));
  }
  if (*name == "none") return {};
  const char* key = reader.Find("rope.scaling.factor") != nullptr ? "rope.scaling.factor" : "rope.scale_linear";
  SLM_ASSIGN_OR_RETURN(const double factor, reader.Number(key, 0.0, /*zero_allowed=*/true));
  if (factor == 0) return {};
  config.rope_global.position_scale = 1 / factor;
  if (!architecture.rope_scaling_global_only) config.rope_sliding.position_scale = 1 / factor;
  return {};
}

// What of a router this library does not compute is refused: it would change the numbers, and nothing would show it.
Status CheckRouter(const Reader& reader) {
  constexpr std::int64_t kSoftmax = 1;
  const GgufValue* gating = reader.Find("expert_gating_func");
  if (gating != nullptr && gating->AsInt() != kSoftmax) {
    return Status(StatusCode::kUnsupported,
                  Cat(reader.Key("expert_gating_func"), " is ", gating->ToString(40), "; supported: 1 (softmax)"));
  }
  const GgufValue* normalised = reader.Find("expert_weights_norm");
  if (normalised != nullptr && normalised->AsBool() != true) {
    return Status(StatusCode::kUnsupported, Cat(reader.Key("expert_weights_norm"), " is ", normalised->ToString(40),
                                                "; supported: true (the weights of a row's experts add up to 1)"));
  }
  const GgufValue* scale = reader.Find("expert_weights_scale");
  if (scale != nullptr && scale->AsDouble() != 1.0) {
    return Status(StatusCode::kUnsupported,
                  Cat(reader.Key("expert_weights_scale"), " is ", scale->ToString(40), "; supported: 1"));
  }
  return {};
}

Status ReadExperts(const Reader& reader, ModelConfig& config) {
  const Experts experts = config.architecture->experts;
  const bool always = experts == Experts::kAlways;
  SLM_ASSIGN_OR_RETURN(config.expert_count, reader.Int("expert_count", always ? 1 : 0, kMaxExperts,
                                                       always ? std::nullopt : std::optional(0)));
  if (config.expert_count == 0) return {};
  if (experts == Experts::kNone) {
    return Status(StatusCode::kUnsupported,
                  Cat(reader.Key("expert_count"), " is ", config.expert_count, ", but architecture ",
                      config.architecture->name, " as this library computes it has no experts"));
  }
  SLM_ASSIGN_OR_RETURN(config.expert_used_count, reader.Int("expert_used_count", 1, config.expert_count, std::nullopt));
  SLM_RETURN_IF_ERROR(CheckRouter(reader));
  for (LayerConfig& layer : config.layers) {
    std::optional<std::int32_t> width;  // where the file says nothing
    if (experts == Experts::kOptional) width = layer.feed_forward_length;
    if (experts == Experts::kAlways && layer.feed_forward_length >= config.expert_used_count)
      width = layer.feed_forward_length / config.expert_used_count;
    SLM_ASSIGN_OR_RETURN(layer.expert_feed_forward_length,
                         reader.Int("expert_feed_forward_length", 1, kMaxDimension, width));
    if (experts != Experts::kBesideDense) layer.feed_forward_length = 0;
  }
  return {};
}

}  // namespace

Result<ModelConfig> ReadModelConfig(const GgufFile& file) {
  ModelConfig config;
  SLM_ASSIGN_OR_RETURN(config.architecture, FindArchitecture(file));
  const Reader reader(file, config.architecture->name);
  SLM_RETURN_IF_ERROR(ReadSizes(file, reader, config));
  SLM_RETURN_IF_ERROR(ReadLayers(reader, config));
  SLM_RETURN_IF_ERROR(ReadExperts(reader, config));
  SLM_RETURN_IF_ERROR(ReadHeads(reader, config));
  SLM_RETURN_IF_ERROR(ReadWindow(reader, config));
  SLM_RETURN_IF_ERROR(ReadRope(reader, config));
  return config;
}

}  // namespace slm
