#include "model/rope_config.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <optional>
#include <string_view>

#include "base/format.h"
#include "base/status_macros.h"

namespace slm {

namespace {

constexpr const char* kFactor = "rope.scaling.factor";
constexpr const char* kType = "rope.scaling.type";
constexpr const char* kOriginal = "rope.scaling.original_context_length";

// What stands for a key, unless the file must have it.
std::optional<double> Unless(bool in_file, double number) { return in_file ? std::nullopt : std::optional(number); }

// A head of each kind of layer, and how much of it turns.
Status ReadDimensions(const ConfigReader& reader, ModelConfig& config) {
  const auto key_length = [&](bool sliding) {
    const auto layer = std::ranges::find(config.layers, sliding, &LayerConfig::sliding);
    return layer != config.layers.end() ? layer->key_length : config.layers.front().key_length;
  };
  const std::int32_t global = key_length(false), sliding = key_length(true);
  SLM_ASSIGN_OR_RETURN(config.rope_global.dimensions, reader.Int("rope.dimension_count", 2, global, global));
  // A sliding head turns as much as a global one of its length, or all of it.
  const std::int32_t same = sliding == global ? config.rope_global.dimensions : sliding;
  SLM_ASSIGN_OR_RETURN(config.rope_sliding.dimensions, reader.Int("rope.dimension_count_swa", 2, sliding, same));
  return {};
}

Status ReadBases(const ConfigReader& reader, ModelConfig& config) {
  const Architecture& row = *config.architecture;
  const bool in_file = row.rope_base == kInFile || config.expert_count != 0;
  SLM_ASSIGN_OR_RETURN(config.rope_global.base, reader.Number("rope.freq_base", Unless(in_file, row.rope_base)));
  const double sliding = row.rope_base_sliding != 0 ? row.rope_base_sliding : config.rope_global.base;
  SLM_ASSIGN_OR_RETURN(config.rope_sliding.base, reader.Number("rope.freq_base_swa", sliding));
  return {};
}

// By how much YaRN makes rotated vectors longer at a factor; `multiplier` is 1 or the file's yarn_log_multiplier.
double YarnMagnitude(double factor, double multiplier) {
  return factor <= 1 ? 1 : 0.1 * multiplier * std::log(factor) + 1;
}

// The pair that turns `beta` times over the original context.
double PairOfTurns(const RopeConfig& rope, double beta, double original_context) {
  return rope.dimensions * std::log(original_context / (2 * std::numbers::pi * beta)) / (2 * std::log(rope.base));
}

Status ReadYarn(const ConfigReader& reader, const ModelConfig& config, double factor, RopeConfig& rope) {
  SLM_ASSIGN_OR_RETURN(const double beta_fast, reader.Number("rope.scaling.yarn_beta_fast", 32.0));
  SLM_ASSIGN_OR_RETURN(const double beta_slow, reader.Number("rope.scaling.yarn_beta_slow", 1.0));
  SLM_ASSIGN_OR_RETURN(const double multiplier, reader.Number("rope.scaling.yarn_log_multiplier",
                                                              Unless(config.architecture->yarn_queries_grow, 0),
                                                              /*zero_allowed=*/true));
  if (rope.base == 1) {
    return Status(StatusCode::kCorruptFile,
                  Cat(reader.Key("rope.freq_base"), " is 1, with which YaRN can't tell fast pairs from slow ones"));
  }
  const double length = config.original_context_length;
  rope.yarn = YarnRamp{.first = std::max(0.0, std::floor(PairOfTurns(rope, beta_fast, length))),
                       .last = std::min(rope.dimensions - 1.0, std::ceil(PairOfTurns(rope, beta_slow, length)))};
  rope.magnitude *= YarnMagnitude(factor, 1);
  if (multiplier != 0) rope.magnitude /= YarnMagnitude(factor, multiplier);
  return {};
}

Status ReadScaling(const ConfigReader& reader, const ModelConfig& config, RopeConfig& rope) {
  SLM_ASSIGN_OR_RETURN(rope.magnitude, reader.Number("rope.scaling.attn_factor", Unless(config.long_rope, 1)));
  const GgufValue* type = reader.Find(kType);
  const std::optional<std::string_view> name = type != nullptr ? type->AsString() : std::string_view("linear");
  // The factors of longrope are tensors.
  if (name == "none" || name == "longrope") return {};
  if (name != "linear" && name != "yarn") {
    return Status(StatusCode::kUnsupported,
                  Cat(reader.Key(kType), " is ", type->ToString(40), "; supported: none, linear, yarn, longrope"));
  }
  const bool yarn = name == "yarn";
  const char* key = reader.Has(kFactor) ? kFactor : "rope.scale_linear";
  if (type != nullptr && !reader.Has(key)) return reader.Missing(kFactor);
  // A factor alone is linear; with an original length it may as well be YaRN's.
  if (type == nullptr && reader.Has(kFactor) && reader.Has(kOriginal)) return reader.Missing(kType);
  SLM_ASSIGN_OR_RETURN(const double factor, reader.Number(key, 0.0, /*zero_allowed=*/!yarn));
  if (factor == 0) return {};
  rope.position_scale = 1 / factor;
  if (yarn) return ReadYarn(reader, config, factor, rope);
  return {};
}

}  // namespace

Status ReadRope(const ConfigReader& reader, ModelConfig& config) {
  SLM_RETURN_IF_ERROR(ReadDimensions(reader, config));
  SLM_RETURN_IF_ERROR(ReadBases(reader, config));
  const GgufValue* type = reader.Find(kType);
  config.long_rope = (type != nullptr && type->AsString() == "longrope") ||
                     reader.file().FindTensor("rope_factors_long.weight") != nullptr ||
                     reader.file().FindTensor("rope_factors_short.weight") != nullptr;
  const bool yarn = type != nullptr && type->AsString() == "yarn";
  SLM_ASSIGN_OR_RETURN(config.temperature_scale,
                       reader.Number("attention.temperature_scale",
                                     Unless(yarn && config.architecture->yarn_queries_grow, 0), /*zero_allowed=*/true));
  // Which factors hold, and where queries begin to grow, is not for us to guess.
  const bool in_file = config.long_rope || config.temperature_scale != 0;
  SLM_ASSIGN_OR_RETURN(config.original_context_length,
                       reader.Int(kOriginal, 1, std::numeric_limits<std::int32_t>::max(),
                                  in_file ? std::nullopt : std::optional(config.context_length)));
  SLM_RETURN_IF_ERROR(ReadScaling(reader, config, config.rope_global));
  if (config.architecture->rope_scaling_global_only) return {};
  return ReadScaling(reader, config, config.rope_sliding);
}

}  // namespace slm
