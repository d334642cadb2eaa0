#include "support/random_model.h"

#include <array>
#include <cmath>
#include <utility>

#include "support/random_writer.h"

namespace slm::test {

namespace {

// A key or an optional part of a file is there with this probability.
constexpr double kOften = 0.5;
constexpr double kNowAndThen = 0.3;

void WriteRopeBase(RandomWriter& out, bool may_be_absent) {
  if (!may_be_absent || out.random().Chance(0.8)) out.Number("rope.freq_base", out.random().LogReal(30, 1e6));
}

struct Experts {
  std::uint32_t count = 0;  // 0: a dense model
  std::uint32_t used = 0;
  std::uint32_t width = 0;
};

// llama: a third of the models are Mixtrals, whose experts are as wide as feed_forward_length says, for all layers.
Experts DrawExperts(RandomWriter& out, RandomShape& shape) {
  Random& random = out.random();
  const bool has_width_key = out.architecture() == "qwen3moe";
  if (!has_width_key && (out.architecture() != "llama" || !random.Chance(0.4))) return {};
  Experts experts = {.count = random.Int(2, 6)};
  experts.used = random.Int(1, experts.count);
  experts.width = random.Int(9, 40);
  out.Key("expert_count", experts.count);
  out.Key("expert_used_count", experts.used);
  if (!has_width_key) {
    shape.ffn_width.assign(shape.layers, experts.width);
  } else if (random.Chance(0.8)) {
    out.Key("expert_feed_forward_length", experts.width);
  } else {
    shape.ffn_width.assign(shape.layers, experts.width * experts.used);  // the width then is a share of this
  }
  return experts;
}

void WriteExperts(RandomWriter& out, const RandomShape& shape, const Experts& experts, std::uint32_t layer,
                  bool legacy) {
  const std::string prefix = LayerPrefix(layer);
  out.Matrix(prefix + "ffn_gate_inp.weight", {shape.width, experts.count}, 2);
  const auto write = [&](const std::string& name, std::uint64_t in, std::uint64_t to) {
    if (!legacy) {
      out.Matrix(prefix + name + "_exps.weight", {in, to, experts.count});
      return;
    }
    for (std::uint32_t e = 0; e < experts.count; ++e) {
      out.Matrix(prefix + name + "." + std::to_string(e) + ".weight", {in, to});
    }
  };
  write("ffn_gate", shape.width, experts.width);
  write("ffn_up", shape.width, experts.width);
  write("ffn_down", experts.width, shape.width);
}

// Biases of the projections of attention: which of them an architecture can have.
struct Biases {
  bool query_key_value = false;
  bool output = false;
};

Biases DrawBiases(RandomWriter& out) {
  if (out.architecture() == "qwen2") return {.query_key_value = true, .output = false};
  return {};
}

void WriteAttention(RandomWriter& out, const RandomShape& shape, const Biases& biases, std::uint32_t layer) {
  const std::string prefix = LayerPrefix(layer);
  const std::uint64_t d = shape.width;
  const std::uint64_t q = std::uint64_t{shape.heads[layer]} * shape.key_length;
  const std::uint64_t k = std::uint64_t{shape.kv_heads[layer]} * shape.key_length;
  const std::uint64_t v = std::uint64_t{shape.kv_heads[layer]} * shape.value_length;
  const auto write = [&](const char* name, std::uint64_t rows, double gain) {
    out.Matrix(prefix + name + ".weight", {d, rows}, gain);
    if (biases.query_key_value) out.Bias(prefix + name + ".bias", rows);
  };
  out.Vector(prefix + "attn_norm.weight", d);
  if (out.architecture() == "phi3") {
    write("attn_qkv", q + k + v, 1.3);
  } else {
    write("attn_q", q, 1.3);
    write("attn_k", k, 1.3);
    write("attn_v", v, 1);
  }
  out.Matrix(prefix + "attn_output.weight", {std::uint64_t{shape.heads[layer]} * shape.value_length, d});
  if (biases.output) out.Bias(prefix + "attn_output.bias", d);
}

void WriteFeedForward(RandomWriter& out, const RandomShape& shape, std::uint32_t layer) {
  const std::string prefix = LayerPrefix(layer);
  const std::uint64_t width = shape.ffn_width[layer];
  if (out.architecture() == "phi3") {
    out.Matrix(prefix + "ffn_up.weight", {shape.width, 2 * width});
  } else {
    out.Matrix(prefix + "ffn_gate.weight", {shape.width, width});
    out.Matrix(prefix + "ffn_up.weight", {shape.width, width});
  }
  out.Matrix(prefix + "ffn_down.weight", {width, shape.width});
}

void WriteHeadNorms(RandomWriter& out, const RandomShape& shape, std::uint32_t layer) {
  out.Vector(LayerPrefix(layer) + "attn_q_norm.weight", shape.key_length);
  out.Vector(LayerPrefix(layer) + "attn_k_norm.weight", shape.key_length);
}

void WriteYarn(RandomWriter& out) {
  Random& random = out.random();
  out.Key("rope.scaling.type", "yarn");
  out.Number("rope.scaling.factor", random.Real(2, 8));
  if (random.Chance(kOften)) {
    out.Number("rope.scaling.yarn_beta_fast", random.Real(0.1, 0.6));
    out.Number("rope.scaling.yarn_beta_slow", random.Real(0.01, 0.08));
  }
  if (random.Chance(kNowAndThen)) out.Number("rope.scaling.attn_factor", random.Real(0.7, 1.4));
  if (out.architecture() == "mistral3") {
    out.Number("rope.scaling.yarn_log_multiplier", random.Real(0.3, 1.5));
  }
}

// Linear, yarn or no scaling, and for llama Llama 3's divisors.
void WriteRopeScaling(RandomWriter& out, std::uint32_t rope_dimensions) {
  Random& random = out.random();
  const std::uint32_t kind = random.Int(0, 4);
  const bool tempered = out.architecture() == "mistral3" && (kind == 0 || random.Chance(0.7));
  if (kind == 0) {
    WriteYarn(out);
  } else if (kind == 1) {
    if (tempered || random.Chance(kOften)) out.Key("rope.scaling.type", "linear");
    out.Number("rope.scaling.factor", random.Real(1.5, 8));
  } else if (kind == 2) {
    out.Number("rope.scale_linear", random.Real(1.5, 4));
  } else if (random.Chance(kNowAndThen)) {
    out.Key("rope.scaling.type", "none");
    out.Number("rope.scaling.factor", 3);  // means nothing
  }
  // Queries grow within the text only if it is longer than this; yarn's defaults tell pairs apart where it is not.
  if (kind == 0 || tempered) {
    out.Key("rope.scaling.original_context_length",
            static_cast<std::uint32_t>(random.LogReal(6, tempered ? 20 : 5000)));
  }
  if (tempered) out.Number("attention.temperature_scale", random.Real(0.1, 0.6));
  if (out.architecture() == "llama" && kind != 0 && random.Chance(kNowAndThen)) {
    out.Numbers("rope_freqs.weight", {rope_dimensions / 2}, 1, 8);
  }
}

// Two tables, of which the shorter is for contexts that end before the original length does.
void WriteLongRope(RandomWriter& out, std::uint32_t rope_dimensions, std::uint32_t original_length) {
  out.Key("rope.scaling.original_context_length", original_length);
  out.Number("rope.scaling.attn_factor", out.random().Real(1, 1.5));
  out.Numbers("rope_factors_long.weight", {rope_dimensions / 2}, 1, 8);
  out.Numbers("rope_factors_short.weight", {rope_dimensions / 2}, 1, 2);
}

// A window, and the layers that slide: as the architecture has it, in groups, or as an array says.
void WriteWindow(RandomWriter& out, std::uint32_t layers) {
  Random& random = out.random();
  out.Key("attention.sliding_window", random.Int(3, 12));
  const char* pattern = "attention.sliding_window_pattern";
  const std::uint32_t kind = random.Int(0, 2);
  if (kind == 1) out.Key(pattern, random.Int(2, 3));
  if (kind != 2) return;
  std::vector<bool> sliding(layers);
  for (std::uint32_t i = 0; i < layers; ++i) sliding[i] = random.Chance(kOften);
  out.Key(pattern, sliding);
}

}  // namespace

RandomModel RandomLlamaFamily(RandomWriter& out) {
  Random& random = out.random();
  const std::string& name = out.architecture();
  const bool is_phi = name == "phi3";
  const std::uint32_t layers = name == "smollm3" ? random.Int(4, 9) : random.Int(2, 5);
  RandomShape shape = out.DrawShape(layers, !is_phi);
  const Experts experts = DrawExperts(out, shape);
  out.WriteShape(shape);
  WriteRopeBase(out, is_phi || (name == "llama" && experts.count == 0));
  out.WriteTables(shape, 2, true);
  if (name == "granite") {
    out.Number("attention.scale", random.LogReal(0.1, 1));
    for (const char* key : {"embedding_scale", "residual_scale", "logit_scale"})
      out.Number(key, random.LogReal(0.1, 10));
  }

  std::uint32_t rope_dimensions = shape.key_length;
  const bool may_be_partial = is_phi || name.starts_with("qwen");
  if (may_be_partial && random.Chance(kOften)) rope_dimensions = random.Even(2, shape.key_length);
  if (may_be_partial || random.Chance(kOften)) out.Key("rope.dimension_count", rope_dimensions);
  // Twice the text or less: the session's context is above or below the original length.
  const std::uint32_t context_length = random.Int(kRandomTextLength, 2 * kRandomTextLength);
  if (!is_phi) {
    WriteRopeScaling(out, rope_dimensions);
  } else if (random.Chance(0.7)) {
    WriteLongRope(out, rope_dimensions, context_length + random.Int(0, 1) * 2 - 1);
  }
  if ((is_phi || name == "llama") && random.Chance(kNowAndThen)) WriteWindow(out, layers);

  const Biases biases = DrawBiases(out);
  const bool legacy = name == "llama" && random.Chance(kOften);
  for (std::uint32_t layer = 0; layer < layers; ++layer) {
    WriteAttention(out, shape, biases, layer);
    if (name.starts_with("qwen3")) WriteHeadNorms(out, shape, layer);
    out.Vector(LayerPrefix(layer) + "ffn_norm.weight", shape.width);
    if (experts.count == 0) {
      WriteFeedForward(out, shape, layer);
    } else {
      WriteExperts(out, shape, experts, layer, legacy);
    }
  }
  return out.Finish(shape, static_cast<std::int32_t>(context_length));
}

namespace {

void WriteGemma2Keys(RandomWriter& out, std::uint32_t layers) {
  Random& random = out.random();
  if (random.Chance(0.7)) out.Number("attn_logit_softcapping", random.Real(0.5, 3));
  if (random.Chance(0.7)) out.Number("final_logit_softcapping", random.Real(1, 4));
  if (random.Chance(kNowAndThen)) {
    WriteWindow(out, layers);
  } else if (random.Chance(0.8)) {
    out.Key("attention.sliding_window", random.Int(3, 12));
  }
}

void WriteGemma3Keys(RandomWriter& out, std::uint32_t layers) {
  Random& random = out.random();
  if (random.Chance(kNowAndThen)) out.Number("final_logit_softcapping", random.Real(1, 4));
  if (random.Chance(kOften)) out.Number("rope.freq_base_swa", random.LogReal(30, 1e5));
  if (random.Chance(kOften)) {
    out.Key("rope.scaling.type", "linear");
    out.Number("rope.scaling.factor", random.Real(1.5, 8));
  }
  if (random.Chance(kOften)) {
    WriteWindow(out, layers);
  } else {
    out.Key("attention.sliding_window", random.Chance(0.8) ? random.Int(3, 12) : 0);
  }
}

// The 27B models, known by their number of layers, scale queries by width / heads, here not the head's length.
constexpr std::uint32_t kGemma2LayersOf27B = 46;
constexpr std::uint32_t kGemma3LayersOf27B = 62;
constexpr std::uint32_t kSeedsPer27B = 8;

RandomShape DrawGemmaShape(RandomWriter& out) {
  Random& random = out.random();
  const bool is_27b = out.seed() % kSeedsPer27B == 0 && out.architecture() != "gemma";
  if (!is_27b) return out.DrawShape(random.Int(2, 8), false);
  RandomShape shape = out.DrawShape(out.architecture() == "gemma2" ? kGemma2LayersOf27B : kGemma3LayersOf27B, false);
  const std::uint32_t heads = random.Int(1, 3);
  shape.heads.assign(shape.layers, heads);
  shape.kv_heads.assign(shape.layers, 1);
  shape.width = heads * random.Int(10, 20);
  shape.key_length = shape.value_length = 6;
  shape.head_lengths_in_file = true;
  return shape;
}

}  // namespace

RandomModel RandomGemma(RandomWriter& out) {
  Random& random = out.random();
  const std::string& name = out.architecture();
  const RandomShape shape = DrawGemmaShape(out);
  out.WriteShape(shape);
  WriteRopeBase(out, true);
  if (name == "gemma2") WriteGemma2Keys(out, shape.layers);
  if (name == "gemma3") WriteGemma3Keys(out, shape.layers);
  if (name != "gemma" && random.Chance(0.2)) out.Number("attention.scale", random.Real(0.2, 1));
  out.WriteTables(shape, 1, name == "gemma3");
  for (std::uint32_t layer = 0; layer < shape.layers; ++layer) {
    const std::string prefix = LayerPrefix(layer);
    WriteAttention(out, shape, {}, layer);
    if (name == "gemma3") WriteHeadNorms(out, shape, layer);
    if (name != "gemma") out.Vector(prefix + "post_attention_norm.weight", shape.width);
    out.Vector(prefix + "ffn_norm.weight", shape.width);
    WriteFeedForward(out, shape, layer);
    if (name != "gemma") out.Vector(prefix + "post_ffw_norm.weight", shape.width);
  }
  return out.Finish(shape, kRandomContextLength);
}

std::optional<RandomModel> MakeRandomModel(std::string_view architecture, std::uint32_t seed) {
  using Family = RandomModel (*)(RandomWriter&);
  constexpr std::array kFamilies = {
      std::pair<std::string_view, Family>{"gemma", RandomGemma},
      std::pair<std::string_view, Family>{"gemma2", RandomGemma},
      std::pair<std::string_view, Family>{"gemma3", RandomGemma},
      std::pair<std::string_view, Family>{"gemma3n", RandomGemma3n},
      std::pair<std::string_view, Family>{"gemma4", RandomGemma4},
      std::pair<std::string_view, Family>{"granite", RandomLlamaFamily},
      std::pair<std::string_view, Family>{"llama", RandomLlamaFamily},
      std::pair<std::string_view, Family>{"mistral3", RandomLlamaFamily},
      std::pair<std::string_view, Family>{"phi3", RandomLlamaFamily},
      std::pair<std::string_view, Family>{"qwen2", RandomLlamaFamily},
      std::pair<std::string_view, Family>{"qwen3", RandomLlamaFamily},
      std::pair<std::string_view, Family>{"qwen3moe", RandomLlamaFamily},
      std::pair<std::string_view, Family>{"smollm3", RandomLlamaFamily},
  };
  for (const auto& [name, write] : kFamilies) {
    if (name != architecture) continue;
    RandomWriter out(architecture, seed);
    return write(out);
  }
  return std::nullopt;
}

}  // namespace slm::test
