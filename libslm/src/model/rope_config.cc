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

// A head of each kind of layer, and how much of it turns.
Status ReadDimensions(const ConfigReader& reader, ModelConfig& config) {
  const auto key_length = [&](bool sliding) {
    const auto layer = std::ranges::find(config.layers, sliding, &LayerConfig::sliding);
    return layer != config.layers.end() ? layer->key_length : config.layers.front().key_length;
  };
  const std::int32_t global = key_length(false), sliding = key_length(true);
  SLM_ASSIGN_OR_RETURN(config.rope_global.dimensions, reader.Int("rope.dimension_count", 2, global, global));
  const std::int32_t same = reader.Has("rope.dimension_count") ? config.rope_global.dimensions : sliding;
  SLM_ASSIGN_OR_RETURN(config.rope_sliding.dimensions, reader.Int("rope.dimension_count_swa", 2, sliding, same));
  for (const std::int32_t dimensions : {config.rope_global.dimensions, config.rope_sliding.dimensions}) {
    if (dimensions % 2 == 0) continue;
    return Status(StatusCode::kCorruptFile, Cat("RoPE rotates pairs, but ", reader.Key("rope.dimension_count"),
                                                " (or the head) has ", dimensions, " dimensions"));
  }
  return {};
}

Status ReadBases(const ConfigReader& reader, ModelConfig& config) {
  SLM_ASSIGN_OR_RETURN(config.rope_global.base, reader.Number("rope.freq_base", 10000.0));
  const double of_architecture = config.architecture->rope_base_sliding;
  const double fallback = of_architecture != 0 ? of_architecture : config.rope_global.base;
  SLM_ASSIGN_OR_RETURN(config.rope_sliding.base, reader.Number("rope.freq_base_swa", fallback));
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

Status ReadYarn(const ConfigReader& reader, double factor, std::int32_t original_context, RopeConfig& rope) {
  SLM_ASSIGN_OR_RETURN(const double beta_fast, reader.Number("rope.scaling.yarn_beta_fast", 32.0));
  SLM_ASSIGN_OR_RETURN(const double beta_slow, reader.Number("rope.scaling.yarn_beta_slow", 1.0));
  SLM_ASSIGN_OR_RETURN(const double multiplier,
                       reader.Number("rope.scaling.yarn_log_multiplier", 0.0, /*zero_allowed=*/true));
  if (rope.base == 1) {
    return Status(StatusCode::kCorruptFile,
                  Cat(reader.Key("rope.freq_base"), " is 1, with which YaRN can't tell fast pairs from slow ones"));
  }
  rope.yarn =
      YarnRamp{.first = std::max(0.0, std::floor(PairOfTurns(rope, beta_fast, original_context))),
               .last = std::min(rope.dimensions - 1.0, std::ceil(PairOfTurns(rope, beta_slow, original_context)))};
  rope.magnitude *= YarnMagnitude(factor, 1);
  if (multiplier != 0) rope.magnitude /= YarnMagnitude(factor, multiplier);
  return {};
}

Status ReadScaling(const ConfigReader& reader, std::int32_t original_context, RopeConfig& rope) {
  SLM_ASSIGN_OR_RETURN(rope.magnitude, reader.Number("rope.scaling.attn_factor", 1.0));
  const GgufValue* type = reader.Find("rope.scaling.type");
  const std::optional<std::string_view> name = type != nullptr ? type->AsString() : std::string_view("linear");
  // The factors of longrope are tensors.
  if (name == "none" || name == "longrope") return {};
  if (name != "linear" && name != "yarn") {
    return Status(StatusCode::kUnsupported, Cat(reader.Key("rope.scaling.type"), " is ", type->ToString(40),
                                                "; supported: none, linear, yarn, longrope"));
  }
  const bool yarn = name == "yarn";
  const char* key = reader.Has("rope.scaling.factor") ? "rope.scaling.factor" : "rope.scale_linear";
  if (yarn && !reader.Has(key)) return reader.Missing("rope.scaling.factor");
  SLM_ASSIGN_OR_RETURN(const double factor, reader.Number(key, 0.0, /*zero_allowed=*/!yarn));
  if (factor == 0) return {};
  rope.position_scale = 1 / factor;
  if (yarn) return ReadYarn(reader, factor, original_context, rope);
  return {};
}

Status ReadTemperature(const ConfigReader& reader, ModelConfig& config) {
  SLM_ASSIGN_OR_RETURN(config.temperature_scale,
                       reader.Number("attention.temperature_scale", 0.0, /*zero_allowed=*/true));
  constexpr const char* kLength = "rope.scaling.original_context_length";
  // Where queries begin to grow is not for us to guess.
  if (config.temperature_scale != 0 && !reader.Has(kLength)) return reader.Missing(kLength);
  return {};
}

}  // namespace

Status ReadRope(const ConfigReader& reader, ModelConfig& config) {
  SLM_RETURN_IF_ERROR(ReadDimensions(reader, config));
  SLM_RETURN_IF_ERROR(ReadBases(reader, config));
  SLM_ASSIGN_OR_RETURN(config.original_context_length,
                       reader.Int("rope.scaling.original_context_length", 1, std::numeric_limits<std::int32_t>::max(),
                                  config.context_length));
  SLM_RETURN_IF_ERROR(ReadScaling(reader, config.original_context_length, config.rope_global));
  if (!config.architecture->rope_scaling_global_only)
    SLM_RETURN_IF_ERROR(ReadScaling(reader, config.original_context_length, config.rope_sliding));
  const GgufValue* type = reader.Find("rope.scaling.type");
  config.long_rope = type != nullptr && type->AsString() == "longrope";
  return ReadTemperature(reader, config);
}

}  // namespace slm
