#include "model/model_config.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>

#include "base/format.h"
#include "base/status_macros.h"
#include "model/config_reader.h"
#include "model/rope_config.h"

namespace slm {

namespace {

constexpr std::int32_t kMaxLayers = 512;
constexpr std::int32_t kMaxDimension = 1 << 20;
constexpr std::int32_t kMaxHeadLength = 4096;
constexpr std::int32_t kMaxExperts = 1024;

std::string Names(std::span<const Architecture> table) {
  std::string names;
  for (const Architecture& architecture : table) {
    if (!names.empty()) names += ", ";
    names += architecture.name;
  }
  return names;
}

Status ReadSizes(const ConfigReader& reader, ModelConfig& config) {
  SLM_ASSIGN_OR_RETURN(config.embedding_length, reader.Int("embedding_length", 1, kMaxDimension, std::nullopt));
  SLM_ASSIGN_OR_RETURN(config.context_length,
                       reader.Int("context_length", 1, std::numeric_limits<std::int32_t>::max(), std::nullopt));
  SLM_ASSIGN_OR_RETURN(const double epsilon, reader.Number("attention.layer_norm_rms_epsilon", std::nullopt));
  config.norm_epsilon = static_cast<float>(epsilon);
  const GgufTensor* embedding = reader.file().FindTensor("token_embd.weight");
  if (embedding == nullptr) return Status(StatusCode::kCorruptFile, "tensor token_embd.weight is missing");
  if (embedding->shape[1] > static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max())) {
    return Status(StatusCode::kCorruptFile,
                  Cat("tensor token_embd.weight has ", embedding->shape[1], " rows, more than token ids can number"));
  }
  config.vocab_size = static_cast<std::int32_t>(embedding->shape[1]);
  return {};
}

Status ReadLayers(const ConfigReader& reader, ModelConfig& config) {
  SLM_ASSIGN_OR_RETURN(const std::int32_t count, reader.Int("block_count", 1, kMaxLayers, std::nullopt));
  SLM_ASSIGN_OR_RETURN(const std::vector<std::int32_t> heads,
                       reader.PerLayer("attention.head_count", count, 1, 1024, nullptr));
  SLM_ASSIGN_OR_RETURN(const std::vector<std::int32_t> kv_heads,
                       reader.PerLayer("attention.head_count_kv", count, 1, 1024, &heads));
  SLM_ASSIGN_OR_RETURN(const std::vector<std::int32_t> widths,
                       reader.PerLayer("feed_forward_length", count, 1, kMaxDimension, nullptr));
  config.layers.resize(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < config.layers.size(); ++i) {
    LayerConfig& layer = config.layers[i];
    layer.heads = heads[i];
    layer.kv_heads = kv_heads[i];
    layer.feed_forward_length = widths[i];
    layer.kv_layer = static_cast<std::int32_t>(i);
    const std::int32_t interval = config.architecture->no_rope_interval;
    layer.rotates = interval == 0 || (static_cast<std::int32_t>(i) + 1) % interval != 0;
  }
  return {};
}

// A value of the architecture's row that stands in for a key, if the row has one.
std::optional<std::int32_t> Fallback(std::int32_t of_row) {
  return of_row == kInFile ? std::nullopt : std::optional(of_row);
}

Status ReadWindow(const ConfigReader& reader, ModelConfig& config) {
  const Architecture& architecture = *config.architecture;
  SLM_ASSIGN_OR_RETURN(config.window,
                       reader.Int("attention.sliding_window", 0, std::numeric_limits<std::int32_t>::max(),
                                  Fallback(architecture.window)));
  if (config.window == 0) return {};
  const std::int32_t count = static_cast<std::int32_t>(config.layers.size());
  const GgufValue* pattern = reader.Find("attention.sliding_window_pattern");
  if (pattern != nullptr && pattern->type() == GgufType::kArray) {
    const std::optional<std::vector<std::int64_t>> sliding = pattern->AsInts();
    if (!sliding || sliding->size() != config.layers.size()) {
      return reader.Bad("attention.sliding_window_pattern", pattern, Cat(count, " booleans, one for each layer"));
    }
    for (std::size_t i = 0; i < config.layers.size(); ++i) config.layers[i].sliding = (*sliding)[i] != 0;
    return {};
  }
  SLM_ASSIGN_OR_RETURN(const std::int32_t group, reader.Int("attention.sliding_window_pattern", 0, kMaxLayers,
                                                            Fallback(architecture.window_pattern)));
  for (std::int32_t i = 0; i < count; ++i)
    config.layers[static_cast<std::size_t>(i)].sliding = group == 0 || i % group < group - 1;
  return {};
}

// How long heads are, which may differ between global and sliding layers, and how their scores are scaled.
Status ReadHeads(const ConfigReader& reader, ModelConfig& config) {
  const std::int32_t heads = config.layers.front().heads;
  const std::int32_t share = config.embedding_length / heads;
  const auto fallback = config.embedding_length % heads == 0 ? std::optional(share) : std::nullopt;
  SLM_ASSIGN_OR_RETURN(const std::int32_t key, reader.Int("attention.key_length", 2, kMaxHeadLength, fallback));
  SLM_ASSIGN_OR_RETURN(const std::int32_t value, reader.Int("attention.value_length", 1, kMaxHeadLength, fallback));
  SLM_ASSIGN_OR_RETURN(const std::int32_t key_sliding, reader.Int("attention.key_length_swa", 2, kMaxHeadLength, key));
  SLM_ASSIGN_OR_RETURN(const std::int32_t value_sliding,
                       reader.Int("attention.value_length_swa", 1, kMaxHeadLength, value));
  const Architecture& architecture = *config.architecture;
  const bool by_width = architecture.layers_scaling_by_width != 0 &&
                        config.layers.size() == static_cast<std::size_t>(architecture.layers_scaling_by_width);
  for (LayerConfig& layer : config.layers) {
    layer.key_length = layer.sliding ? key_sliding : key;
    layer.value_length = layer.sliding ? value_sliding : value;
    const double by_length = 1 / std::sqrt(static_cast<double>(by_width ? share : layer.key_length));
    const double of_row = architecture.attention_scale != 0 ? architecture.attention_scale : by_length;
    SLM_ASSIGN_OR_RETURN(
        const double scale,
        reader.Number("attention.scale", architecture.scales_in_file ? std::nullopt : std::optional(of_row)));
    layer.attention_scale = static_cast<float>(scale);
  }
  return {};
}

// The last layers may read the keys and values of the last layer of their kind that has some of its own.
Status ReadSharing(const ConfigReader& reader, ModelConfig& config) {
  const std::int32_t count = static_cast<std::int32_t>(config.layers.size());
  SLM_ASSIGN_OR_RETURN(const std::int32_t shared, reader.Int("attention.shared_kv_layers", 0, count - 1,
                                                             Fallback(config.architecture->shared_kv_layers)));
  const auto owners = std::span(config.layers).first(static_cast<std::size_t>(count - shared));
  for (std::size_t i = owners.size(); i < config.layers.size(); ++i) {
    LayerConfig& layer = config.layers[i];
    std::size_t owner = owners.size();
    while (owner > 0 && owners[owner - 1].sliding != layer.sliding) --owner;
    if (owner == 0 || owners[owner - 1].kv_heads != layer.kv_heads) {
      return Status(StatusCode::kCorruptFile,
                    Cat(reader.Key("attention.shared_kv_layers"), " is ", shared, ", but none of the layers before ",
                        owners.size(), " has the ", layer.kv_heads, layer.sliding ? " sliding" : " global",
                        " key/value heads that layer ", i, " is to read"));
    }
    layer.kv_layer = static_cast<std::int32_t>(owner - 1);
  }
  return {};
}

// What happens to the numbers on their way: scales, caps, and inputs beside the stream.
Status ReadStream(const ConfigReader& reader, ModelConfig& config) {
  const Architecture& architecture = *config.architecture;
  if (architecture.scales_embedding) config.embedding_scale = std::sqrt(static_cast<float>(config.embedding_length));
  if (architecture.scales_in_file) {
    SLM_ASSIGN_OR_RETURN(const double embedding, reader.Number("embedding_scale", std::nullopt));
    SLM_ASSIGN_OR_RETURN(const double residual, reader.Number("residual_scale", std::nullopt));
    SLM_ASSIGN_OR_RETURN(const double divisor, reader.Number("logit_scale", std::nullopt));
    config.embedding_scale = static_cast<float>(embedding);
    config.residual_scale = static_cast<float>(residual);
    config.logit_scale = static_cast<float>(1 / divisor);
  }
  SLM_ASSIGN_OR_RETURN(const double attention, reader.Number("attn_logit_softcapping", architecture.attention_softcap,
                                                             /*zero_allowed=*/true));
  SLM_ASSIGN_OR_RETURN(const double logits, reader.Number("final_logit_softcapping", architecture.final_softcap,
                                                          /*zero_allowed=*/true));
  config.attention_softcap = static_cast<float>(attention);
  config.final_softcap = static_cast<float>(logits);
  SLM_ASSIGN_OR_RETURN(config.per_layer_width, reader.Int("embedding_length_per_layer_input", 0, kMaxDimension,
                                                          Fallback(architecture.per_layer_width)));
  return {};
}

Status ReadAltUp(const ConfigReader& reader, ModelConfig& config) {
  if (config.architecture->wiring != ResidualWiring::kAltUp) return {};
  SLM_ASSIGN_OR_RETURN(config.altup_streams, reader.Int("altup.num_inputs", 2, kMaxAltUpStreams, std::nullopt));
  SLM_ASSIGN_OR_RETURN(const std::int32_t active,
                       reader.Int("altup.active_idx", 0, config.altup_streams - 1, std::nullopt));
  if (active != 0) {
    return Status(StatusCode::kUnsupported,
                  Cat(reader.Key("altup.active_idx"), " is ", active, "; supported: 0, the first stream"));
  }
  if (config.per_layer_width == 0) {
    return Status(StatusCode::kCorruptFile, Cat(reader.Key("embedding_length_per_layer_input"),
                                                " is 0, but the streams of this architecture are joined by it"));
  }
  constexpr const char* kSparsity = "activation_sparsity_scale";
  SLM_ASSIGN_OR_RETURN(const std::vector<float> sparsity, reader.FloatPerLayer(kSparsity, config.layers.size()));
  for (std::size_t i = 0; i < sparsity.size(); ++i) config.layers[i].gate_sparsity = std::max(0.0f, sparsity[i]);
  return {};
}

// What of a router this library does not compute is refused: it would change the numbers, and nothing would show it.
Status CheckRouter(const ConfigReader& reader) {
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

Status ReadExperts(const ConfigReader& reader, ModelConfig& config) {
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
    if (experts == Experts::kAlways) width = layer.feed_forward_length / config.expert_used_count;
    SLM_ASSIGN_OR_RETURN(layer.expert_feed_forward_length,
                         reader.Int("expert_feed_forward_length", 1, kMaxDimension, width));
    if (experts != Experts::kBesideDense) layer.feed_forward_length = 0;
  }
  return {};
}

// What the code behind this fence relies on, however the numbers came about.
Status CheckConfig(const ConfigReader& reader, const ModelConfig& config) {
  for (std::size_t i = 0; i < config.layers.size(); ++i) {
    const auto wrong = [&](std::string_view name, const auto&... found) {
      return Status(StatusCode::kCorruptFile, Cat("layer ", i, " (", reader.Key(name), "): ", found...));
    };
    const LayerConfig& layer = config.layers[i];
    const LayerConfig& owner = config.layers[static_cast<std::size_t>(layer.kv_layer)];
    const RopeConfig& rope = layer.sliding ? config.rope_sliding : config.rope_global;
    if (layer.heads % layer.kv_heads != 0)
      return wrong("attention.head_count", layer.heads, " heads are no multiple of ", layer.kv_heads,
                   " key/value heads");
    if (rope.dimensions % 2 != 0 || rope.dimensions > layer.key_length)
      return wrong("rope.dimension_count", "RoPE rotates pairs within a head of ", layer.key_length,
                   " dimensions, which ", rope.dimensions, " dimensions are not");
    if (owner.kv_layer != layer.kv_layer || owner.sliding != layer.sliding || owner.kv_heads != layer.kv_heads ||
        owner.key_length != layer.key_length || owner.value_length != layer.value_length)
      return wrong("attention.shared_kv_layers", "the keys and values of layer ", layer.kv_layer,
                   " are of another kind");
    if (layer.sliding && config.window == 0) return wrong("attention.sliding_window", "slides without a window");
    // As floats, or after a division, numbers of a file may be 0 or infinite.
    for (const double number :
         {rope.base, rope.position_scale, rope.magnitude, double{layer.attention_scale}, double{config.norm_epsilon},
          double{config.embedding_scale}, double{config.residual_scale}, double{config.logit_scale}}) {
      if (number > 0 && std::isfinite(number)) continue;
      return wrong("*", "RoPE's base ", rope.base, ", scale ", rope.position_scale, " and magnitude ", rope.magnitude,
                   ", the scales of scores ", layer.attention_scale, ", embeddings ", config.embedding_scale,
                   ", what joins the stream ", config.residual_scale, " and logits ", config.logit_scale,
                   " and the norms' epsilon ", config.norm_epsilon, " must be finite and above 0");
    }
  }
  return {};
}

}  // namespace

Result<const Architecture*> FindArchitecture(const GgufFile& file, std::span<const Architecture> table) {
  const GgufValue* value = file.Find("general.architecture");
  if (value == nullptr)
    return Status(StatusCode::kCorruptFile,
                  "general.architecture is missing: the file does not say what model it holds");
  const std::optional<std::string_view> name = value->AsString();
  if (!name)
    return Status(StatusCode::kCorruptFile, Cat("general.architecture: expected a string, found ", value->TypeName()));
  for (const Architecture& architecture : table) {
    if (architecture.name == *name) return &architecture;
  }
  return Status(StatusCode::kUnsupported,
                Cat("architecture \"", value->ToString(80), "\" is not supported; known: ", Names(table)));
}

Result<ModelConfig> ReadModelConfig(const GgufFile& file, std::span<const Architecture> table,
                                    std::set<std::string>* absent) {
  ModelConfig config;
  SLM_ASSIGN_OR_RETURN(config.architecture, FindArchitecture(file, table));
  const ConfigReader reader(file, config.architecture->name, absent);
  SLM_RETURN_IF_ERROR(ReadSizes(reader, config));
  SLM_RETURN_IF_ERROR(ReadLayers(reader, config));
  SLM_RETURN_IF_ERROR(ReadExperts(reader, config));
  SLM_RETURN_IF_ERROR(ReadWindow(reader, config));
  SLM_RETURN_IF_ERROR(ReadHeads(reader, config));
  SLM_RETURN_IF_ERROR(ReadSharing(reader, config));
  SLM_RETURN_IF_ERROR(ReadRope(reader, config));
  SLM_RETURN_IF_ERROR(ReadStream(reader, config));
  SLM_RETURN_IF_ERROR(ReadAltUp(reader, config));
  SLM_RETURN_IF_ERROR(CheckConfig(reader, config));
  return config;
}

}  // namespace slm
