// Random models of Gemma 3n and Gemma 4.

#include <cmath>
#include <limits>

#include "support/random_writer.h"

namespace slm::test {

namespace {

// Layers that own keys and values come first, both kinds among them, so that the sharing ones find theirs.
struct Layout {
  std::uint32_t shared = 0;
  std::vector<bool> sliding;
};

std::vector<bool> Groups(std::uint32_t layers, std::uint32_t group) {
  std::vector<bool> sliding(layers);
  for (std::uint32_t i = 0; i < layers; ++i) sliding[i] = i % group < group - 1;
  return sliding;
}

Layout DrawLayout(RandomWriter& out, std::uint32_t layers) {
  Random& random = out.random();
  Layout layout = {.shared = random.Int(0, 2), .sliding = std::vector<bool>(layers)};
  for (std::uint32_t i = 0; i < layers; ++i) layout.sliding[i] = random.Chance(0.5);
  const bool first = random.Chance(0.5);
  layout.sliding[0] = first;
  layout.sliding[1] = !first;
  return layout;
}

// Attention is not divided by the root of the head's length here, but queries and keys have norms to make up for it.
double HeadNorm(std::uint32_t head_length) { return std::sqrt(1.5 / std::sqrt(head_length)); }

struct LayerParts {
  std::uint32_t head_length = 0;
  bool has_keys = true;
  bool has_values = true;
};

void WriteAttentionAndNorms(RandomWriter& out, const RandomShape& shape, const LayerParts& parts, std::uint32_t layer) {
  const std::string prefix = LayerPrefix(layer);
  const std::uint64_t d = shape.width;
  const std::uint64_t q = std::uint64_t{shape.heads[layer]} * parts.head_length;
  const std::uint64_t kv = std::uint64_t{shape.kv_heads[layer]} * parts.head_length;
  for (const char* norm : {"attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"}) {
    out.Vector(prefix + norm + ".weight", d);
  }
  out.Matrix(prefix + "attn_q.weight", {d, q});
  out.Vector(prefix + "attn_q_norm.weight", parts.head_length, HeadNorm(parts.head_length));
  if (parts.has_keys) {
    out.Matrix(prefix + "attn_k.weight", {d, kv});
    out.Vector(prefix + "attn_k_norm.weight", parts.head_length, HeadNorm(parts.head_length));
  }
  if (parts.has_values) out.Matrix(prefix + "attn_v.weight", {d, kv});
  out.Matrix(prefix + "attn_output.weight", {q, d});
  out.Matrix(prefix + "ffn_gate.weight", {d, shape.ffn_width[layer]});
  out.Matrix(prefix + "ffn_up.weight", {d, shape.ffn_width[layer]});
  out.Matrix(prefix + "ffn_down.weight", {shape.ffn_width[layer], d});
}

// The second table of embeddings, its projection, and each layer's way from it to the residual stream.
void WritePerLayerInputs(RandomWriter& out, const RandomShape& shape, std::uint32_t length) {
  const std::uint64_t all = std::uint64_t{length} * shape.layers;
  out.Matrix("per_layer_token_embd.weight", {all, shape.vocab}, std::sqrt(shape.layers));
  out.Matrix("per_layer_model_proj.weight", {shape.width, all});
  out.Vector("per_layer_proj_norm.weight", length);
  for (std::uint32_t layer = 0; layer < shape.layers; ++layer) {
    const std::string prefix = LayerPrefix(layer);
    out.Matrix(prefix + "inp_gate.weight", {shape.width, length});
    out.Matrix(prefix + "proj.weight", {length, shape.width});
    out.Vector(prefix + "post_norm.weight", shape.width);
  }
}

constexpr std::uint32_t kStreams = 4;

void WriteAltUpAndLaurel(RandomWriter& out, std::uint64_t d, std::uint32_t rank, std::uint32_t layer) {
  const std::string prefix = LayerPrefix(layer);
  out.Matrix(prefix + "altup_router.weight", {d, kStreams}, static_cast<double>(d));  // of inputs divided by d
  out.Vector(prefix + "altup_router_norm.weight", d);
  out.Matrix(prefix + "altup_predict_coef.weight", {kStreams, kStreams * kStreams}, 0.4);
  out.Matrix(prefix + "altup_correct_coef.weight", {kStreams, kStreams});
  out.Vector(prefix + "altup_correct_scale.weight", d);
  out.Matrix(prefix + "laurel_l.weight", {d, rank});
  out.Matrix(prefix + "laurel_r.weight", {rank, d});
  out.Vector(prefix + "laurel_post_norm.weight", d);
}

// Some layers without sparsity, said in the two ways there are.
void WriteSparsity(RandomWriter& out, std::uint32_t layers) {
  Random& random = out.random();
  std::vector<float> multipliers(layers);
  for (float& multiplier : multipliers) {
    multiplier = random.Chance(0.6)   ? static_cast<float>(random.Real(0.3, 1.5))
                 : random.Chance(0.5) ? 0
                                      : -std::numeric_limits<float>::infinity();
  }
  out.Key("activation_sparsity_scale", multipliers);
}

// As an array, or as a group's length: a default group of 5 needs an owner of the fifth layer's kind.
void WritePattern(RandomWriter& out, Layout& layout, std::uint32_t layers) {
  Random& random = out.random();
  const char* key = "attention.sliding_window_pattern";
  const std::uint32_t kind = random.Int(0, 2);
  if (kind == 0 && layers - layout.shared >= 5) {
    layout.sliding = Groups(layers, 5);
  } else if (kind == 1) {
    layout.sliding = Groups(layers, 2);
    out.Key(key, 2u);
  } else {
    out.Key(key, layout.sliding);
  }
}

RandomShape DrawUniformHeads(RandomWriter& out, std::uint32_t layers) {
  RandomShape shape = out.DrawShape(layers, false);
  shape.heads.assign(layers, shape.heads[0]);
  shape.kv_heads.assign(layers, shape.kv_heads[0]);
  shape.head_lengths_in_file = true;
  return shape;
}

}  // namespace

// Readers differ in what they take for granted of Gemma 3n, so that these files say it all.
RandomModel RandomGemma3n(RandomWriter& out) {
  Random& random = out.random();
  const std::uint32_t layers = random.Int(5, 8);
  const RandomShape shape = DrawUniformHeads(out, layers);
  Layout layout = DrawLayout(out, layers);
  out.WriteShape(shape);
  out.Number("rope.freq_base", random.LogReal(30, 1e6));
  if (random.Chance(0.5)) out.Number("rope.freq_base_swa", random.LogReal(30, 1e5));
  out.Key("attention.sliding_window", random.Int(3, 12));
  WritePattern(out, layout, layers);
  out.Key("attention.shared_kv_layers", layout.shared);
  out.Key("altup.num_inputs", kStreams);
  out.Key("altup.active_idx", 0u);
  WriteSparsity(out, layers);
  out.Number("final_logit_softcapping", random.Real(1, 4));
  const std::uint32_t per_layer_length = random.Int(4, 12);
  out.Key("embedding_length_per_layer_input", per_layer_length);

  out.WriteTables(shape, 1, false);
  out.Matrix("altup_proj.weight", {shape.width, shape.width, kStreams - 1});
  out.Matrix("altup_unembd_proj.weight", {shape.width, shape.width, kStreams - 1});
  WritePerLayerInputs(out, shape, per_layer_length);
  const std::uint32_t rank = random.Int(3, 9);
  const bool sharing_layers_have_keys = random.Chance(0.5);  // which nobody uses
  for (std::uint32_t layer = 0; layer < layers; ++layer) {
    const bool has_keys = layer < layers - layout.shared || sharing_layers_have_keys;
    WriteAttentionAndNorms(out, shape, {.head_length = shape.key_length, .has_keys = has_keys, .has_values = has_keys},
                           layer);
    WriteAltUpAndLaurel(out, shape.width, rank, layer);
  }
  return out.Finish(shape, kRandomContextLength);
}

namespace {

struct Experts {
  std::uint32_t count = 0;  // 0: a dense model
  std::uint32_t width = 0;
  bool fused = false;  // gate and up in one tensor
};

Experts DrawExperts(RandomWriter& out) {
  Random& random = out.random();
  if (!random.Chance(0.4)) return {};
  const Experts experts = {.count = random.Int(2, 6), .width = random.Int(9, 40), .fused = random.Chance(0.5)};
  out.Key("expert_count", experts.count);
  out.Key("expert_used_count", random.Int(1, experts.count));
  out.Key("expert_feed_forward_length", experts.width);
  return experts;
}

void WriteExperts(RandomWriter& out, const RandomShape& shape, const Experts& experts, std::uint32_t layer) {
  const std::string prefix = LayerPrefix(layer);
  const std::uint64_t d = shape.width;
  out.Matrix(prefix + "ffn_gate_inp.weight", {d, experts.count}, 2);
  out.Vector(prefix + "ffn_gate_inp.scale", d, std::sqrt(d));  // what it scales is divided by the root of d
  for (const char* norm : {"pre_ffw_norm_2", "post_ffw_norm_1", "post_ffw_norm_2"}) {
    out.Vector(prefix + norm + ".weight", d);
  }
  if (experts.fused) {
    out.Matrix(prefix + "ffn_gate_up_exps.weight", {d, 2 * std::uint64_t{experts.width}, experts.count});
  } else {
    out.Matrix(prefix + "ffn_gate_exps.weight", {d, experts.width, experts.count});
    out.Matrix(prefix + "ffn_up_exps.weight", {d, experts.width, experts.count});
  }
  out.Matrix(prefix + "ffn_down_exps.weight", {experts.width, d, experts.count});
  out.Vector(prefix + "ffn_down_exps.scale", experts.count);
}

// Two kinds of layers with head lengths and counts of key/value heads of their own.
struct HeadLengths {
  std::uint32_t global = 0;
  std::uint32_t sliding = 0;
};

HeadLengths WriteGemma4Heads(RandomWriter& out, const Layout& layout, RandomShape& shape) {
  Random& random = out.random();
  const HeadLengths lengths = {.global = random.Even(4, 24), .sliding = random.Even(4, 16)};
  const std::uint32_t heads = shape.heads[0];
  const bool global_has_one = random.Chance(0.5);
  for (std::uint32_t i = 0; i < shape.layers; ++i) {
    if (!layout.sliding[i] && global_has_one) shape.kv_heads[i] = 1;
  }
  shape.heads.assign(shape.layers, heads);
  shape.key_length = shape.value_length = lengths.global;
  out.WriteShape(shape);
  out.Key("attention.key_length_swa", lengths.sliding);
  out.Key("attention.value_length_swa", lengths.sliding);
  if (random.Chance(0.5)) {
    out.Key("rope.dimension_count", lengths.global);
    out.Key("rope.dimension_count_swa", lengths.sliding);
  }
  return lengths;
}

// Divisors of the global layers' angles: pairs that turn, and pairs that stand still.
void WriteProportionalRope(RandomWriter& out, std::uint32_t head_length) {
  const std::uint32_t pairs = head_length / 2;
  const std::uint32_t turning = out.random().Int(1, pairs);
  std::vector<float> divisors(pairs, 1e30f);
  for (std::uint32_t i = 0; i < turning; ++i) divisors[i] = static_cast<float>(out.random().Real(1, 2));
  out.Exactly("rope_freqs.weight", divisors);
}

}  // namespace

RandomModel RandomGemma4(RandomWriter& out) {
  Random& random = out.random();
  const std::uint32_t layers = random.Int(3, 7);
  RandomShape shape = DrawUniformHeads(out, layers);
  Layout layout = DrawLayout(out, layers);
  if (layers - layout.shared < 2) layout.shared = 0;
  const HeadLengths lengths = WriteGemma4Heads(out, layout, shape);
  out.Number("rope.freq_base", random.LogReal(30, 1e6));
  if (random.Chance(0.5)) out.Number("rope.freq_base_swa", random.LogReal(30, 1e5));
  out.Key("attention.sliding_window", random.Int(3, 12));
  out.Key("attention.sliding_window_pattern", layout.sliding);
  out.Key("attention.shared_kv_layers", layout.shared);
  if (random.Chance(0.7)) out.Number("final_logit_softcapping", random.Real(1, 4));
  const std::uint32_t per_layer_length = random.Chance(0.5) ? random.Int(4, 12) : 0;
  out.Key("embedding_length_per_layer_input", per_layer_length);
  const Experts experts = DrawExperts(out);

  out.WriteTables(shape, 1, true);
  WriteProportionalRope(out, lengths.global);
  if (per_layer_length != 0) WritePerLayerInputs(out, shape, per_layer_length);
  const bool global_values_are_keys = random.Chance(0.5);
  for (std::uint32_t layer = 0; layer < layers; ++layer) {
    const bool sliding = layout.sliding[layer];
    const bool has_keys = layer < layers - layout.shared;
    WriteAttentionAndNorms(out, shape,
                           {.head_length = sliding ? lengths.sliding : lengths.global,
                            .has_keys = has_keys,
                            .has_values = has_keys && (sliding || !global_values_are_keys)},
                           layer);
    out.Vector(LayerPrefix(layer) + "layer_output_scale.weight", 1);
    if (experts.count != 0) WriteExperts(out, shape, experts, layer);
  }
  return out.Finish(shape, kRandomContextLength);
}

}  // namespace slm::test
