#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/oracle_families.h"
#include "support/oracle_gemma_parts.h"
#include "support/oracle_parts.h"

namespace slm::test::oracle {

Index KeyValueSource(const OracleFile& file, Index layer, Index default_window_group) {
  const Index owners = file.layers() - file.Count("attention.shared_kv_layers", 0);
  if (layer < owners) return layer;
  const bool slides = Slides(file, layer, default_window_group);
  for (Index source = owners - 1; source >= 0; --source) {
    if (Slides(file, source, default_window_group) == slides) return source;
  }
  throw std::runtime_error("oracle: layer " + std::to_string(layer) + " has nothing to share keys and values with");
}

std::vector<Matrix> PerLayerInputs(const OracleFile& file, const Matrix& embedded, std::span<const Token> tokens,
                                   Index length, double epsilon) {
  const Matrix projected =
      Linear(file, embedded, "per_layer_model_proj") / std::sqrt(static_cast<double>(embedded.cols()));
  const Matrix looked_up = std::sqrt(static_cast<double>(length)) * file.Rows("per_layer_token_embd.weight", tokens);
  const Vector norm = file.Values("per_layer_proj_norm.weight");
  std::vector<Matrix> inputs;
  for (Index layer = 0; layer < file.layers(); ++layer) {
    const Matrix normed = RmsNorm(projected.middleCols(layer * length, length), norm, epsilon);
    inputs.push_back((normed + looked_up.middleCols(layer * length, length)) / std::numbers::sqrt2);
  }
  return inputs;
}

namespace {

// Gemma 4's files always have a pattern of their own; a group of 1 is all global.
constexpr Index kNoGroup = 1;

struct Layer {
  const OracleFile& file;
  Index index = 0;
  double epsilon = 0;

  bool slides() const { return Slides(file, index, kNoGroup); }
  std::string Name(const char* name) const { return LayerTensor(index, name); }
  Matrix Norm(const Matrix& x, const char* name) const { return RmsNorm(x, file.Values(Name(name)), epsilon); }
  Matrix Linear(const Matrix& x, const char* name) const { return oracle::Linear(file, x, Name(name)); }
};

Index HeadLength(const Layer& layer) {
  const Index global = layer.file.Count("attention.key_length");
  return layer.slides() ? layer.file.Count("attention.key_length_swa", global) : global;
}

// Global layers divide their angles: pairs that are not to turn have an immense divisor.
Rope LayerRope(const Layer& layer, Index head_length) {
  const OracleFile& file = layer.file;
  if (layer.slides()) {
    const Index dimensions = file.Count("rope.dimension_count_swa", head_length);
    return {.pairs = Rope::kHalves, .angles = RopeAngles(file.Number("rope.freq_base_swa", 1e4), dimensions)};
  }
  const Index dimensions = file.Count("rope.dimension_count", head_length);
  Rope rope = {.pairs = Rope::kHalves, .angles = RopeAngles(file.Number("rope.freq_base"), dimensions)};
  if (file.HasTensor("rope_freqs.weight")) {
    rope.angles = rope.angles.cwiseQuotient(file.Values("rope_freqs.weight")).eval();
  }
  return rope;
}

// A layer without attn_v uses its keys, as they are before norm and rotation, as values.
KeysAndValues OwnKeysAndValues(const Layer& layer, const Matrix& n, Index head_length, const Rope& rope) {
  const Matrix raw_keys = layer.Linear(n, "attn_k");
  const Matrix raw_values = layer.file.HasTensor(layer.Name("attn_v.weight")) ? layer.Linear(n, "attn_v") : raw_keys;
  const Vector weight = layer.file.Values(layer.Name("attn_k_norm.weight"));
  return {Rotate(RmsNormHeads(raw_keys, weight, layer.epsilon), head_length, rope),
          RmsNormHeads(raw_values, Vector::Ones(head_length), layer.epsilon)};
}

Matrix SharedAttention(const Layer& layer, const Matrix& n, std::vector<KeysAndValues>& cache) {
  const OracleFile& file = layer.file;
  const Index head_length = HeadLength(layer);
  const Index heads = file.LayerCount("attention.head_count", layer.index);
  const AttentionShape shape = {.heads = heads,
                                .kv_heads = file.LayerCount("attention.head_count_kv", layer.index, heads),
                                .key_length = head_length,
                                .value_length = head_length};
  const Rope rope = LayerRope(layer, head_length);
  const Index source = KeyValueSource(file, layer.index, kNoGroup);
  if (source == layer.index) cache.push_back(OwnKeysAndValues(layer, n, head_length, rope));
  const KeysAndValues& kv = cache[static_cast<std::size_t>(source)];
  const Vector weight = file.Values(layer.Name("attn_q_norm.weight"));
  const Matrix queries = Rotate(RmsNormHeads(layer.Linear(n, "attn_q"), weight, layer.epsilon), head_length, rope);
  const AttentionRule rule = {.scale = 1, .window = layer.slides() ? file.Count("attention.sliding_window") : 0};
  return layer.Linear(Attention(queries, kv.keys, kv.values, shape, rule), "attn_output");
}

Matrix MixtureOfExperts(const Layer& layer, const Matrix& h) {
  const OracleFile& file = layer.file;
  const Matrix routed = RmsNorm(h, layer.epsilon) / std::sqrt(static_cast<double>(h.cols())) *
                        file.Values(layer.Name("ffn_gate_inp.scale")).asDiagonal();
  const Index used = file.LayerCount("expert_used_count", layer.index);
  Matrix weights = TopExperts(Softmax(layer.Linear(routed, "ffn_gate_inp")), used);
  weights = weights * file.Values(layer.Name("ffn_down_exps.scale")).asDiagonal();
  return Experts(file, layer.Norm(h, "pre_ffw_norm_2.weight"), weights, layer.index, GeluTanh);
}

Matrix DenseAndExperts(const Layer& layer, const Matrix& h) {
  const Matrix dense = FeedForward(layer.file, layer.Norm(h, "ffn_norm.weight"), layer.index, GeluTanh);
  if (layer.file.Count("expert_count", 0) == 0) return dense;
  return layer.Norm(dense, "post_ffw_norm_1.weight") + layer.Norm(MixtureOfExperts(layer, h), "post_ffw_norm_2.weight");
}

Matrix FromPerLayerInput(const Layer& layer, const Matrix& y, const Matrix& per_layer_input) {
  const Matrix gated = GeluTanh(layer.Linear(y, "inp_gate")).cwiseProduct(per_layer_input);
  return layer.Norm(layer.Linear(gated, "proj"), "post_norm.weight");
}

}  // namespace

Matrix Gemma4Logits(const OracleFile& file, std::span<const Token> tokens) {
  const double epsilon = file.Number("attention.layer_norm_rms_epsilon");
  const auto d = static_cast<double>(file.Count("embedding_length"));
  const Index per_layer_length = file.Count("embedding_length_per_layer_input");

  Matrix x = std::sqrt(d) * file.Rows("token_embd.weight", tokens);
  std::vector<Matrix> per_layer;
  if (per_layer_length != 0) per_layer = PerLayerInputs(file, x, tokens, per_layer_length, epsilon);
  std::vector<KeysAndValues> cache;
  for (Index index = 0; index < file.layers(); ++index) {
    const Layer layer = {.file = file, .index = index, .epsilon = epsilon};
    const Matrix attended = SharedAttention(layer, layer.Norm(x, "attn_norm.weight"), cache);
    const Matrix h = x + layer.Norm(attended, "post_attention_norm.weight");
    Matrix y = h + layer.Norm(DenseAndExperts(layer, h), "post_ffw_norm.weight");
    if (per_layer_length != 0) y += FromPerLayerInput(layer, y, per_layer[static_cast<std::size_t>(index)]);
    x = file.Values(layer.Name("layer_output_scale.weight"))[0] * y;
  }
  return OutputLogits(file, x, epsilon, file.Number("final_logit_softcapping", 0));
}

}  // namespace slm::test::oracle
