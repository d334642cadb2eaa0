#include "support/tiny_architecture.h"

#include <cmath>
#include <stdexcept>
#include <vector>

namespace slm::test {

namespace {

std::string Prefix(std::uint32_t layer) { return "blk." + std::to_string(layer) + "."; }

void AddKeys(const Architecture& row, const TinyShape& shape, TinyModel& tiny) {
  const std::uint32_t layers = shape.layers;
  const std::string arch = std::string(row.name) + ".";
  std::vector<std::uint32_t> slides;
  std::vector<float> sparsity;
  for (std::uint32_t i = 0; i < layers; ++i) {
    slides.push_back(i % 3 != 2);
    sparsity.push_back(i < 2 ? 1 : i < 4 ? 0 : -INFINITY);
  }
  if (row.window == kInFile) tiny.Set(arch + "attention.sliding_window", 4u);
  if (row.window_pattern == kInFile) {
    tiny.Set(arch + "attention.sliding_window_pattern", slides);
  } else if (row.window_pattern != 0) {
    tiny.Set(arch + "attention.sliding_window_pattern", 3u);
  }
  if (row.scales_in_file) {
    for (const char* key : {"embedding_scale", "residual_scale", "attention.scale", "logit_scale"})
      tiny.Set(arch + key, 2.5f);
  }
  if (row.shared_kv_layers == kInFile)
    tiny.Set(arch + "attention.shared_kv_layers", layers == kTinyLayers ? kTinySharedLayers : 0);
  if (row.per_layer_width == kInFile) tiny.Set(arch + "embedding_length_per_layer_input", shape.input_width);
  if (row.wiring != ResidualWiring::kAltUp) return;
  tiny.Set(arch + "altup.num_inputs", shape.streams).Set(arch + "altup.active_idx", 0u);
  tiny.Set(arch + "activation_sparsity_scale", sparsity);
}

void AddAttentionTensors(const Architecture& row, const TinyShape& shape, const std::string& prefix, TinyModel& tiny) {
  const std::uint64_t d = shape.width;
  const std::uint64_t q = shape.queries(), k = shape.keys(), v = shape.values();
  if (row.query_key_norm) {
    tiny.AddTensor(prefix + "attn_q_norm.weight", {shape.head_dim});
    tiny.AddTensor(prefix + "attn_k_norm.weight", {shape.head_dim});
  }
  if (row.query_key_value_bias) {
    tiny.AddTensor(prefix + "attn_q.bias", {q});
    tiny.AddTensor(prefix + "attn_k.bias", {k});
    tiny.AddTensor(prefix + "attn_v.bias", {v});
  }
  if (!row.fused_projections) return;
  for (const char* name : {"attn_q.weight", "attn_k.weight", "attn_v.weight", "ffn_gate.weight"})
    tiny.EraseTensor(prefix + name);
  tiny.AddTensor(prefix + "attn_qkv.weight", {d, q + k + v});
  tiny.AddTensor(prefix + "ffn_up.weight", {d, 2 * std::uint64_t{shape.ffn_width}});
}

void AddExpertsBesideDense(const TinyShape& shape, const std::string& prefix, TinyModel& tiny) {
  const std::uint64_t d = shape.width, ff = shape.expert_length(), experts = shape.experts;
  tiny.AddTensor(prefix + "ffn_gate_inp.weight", {d, experts}).AddTensor(prefix + "ffn_gate_inp.scale", {d});
  tiny.AddTensor(prefix + "ffn_gate_up_exps.weight", {d, 2 * ff, experts});
  tiny.AddTensor(prefix + "ffn_down_exps.weight", {ff, d, experts})
      .AddTensor(prefix + "ffn_down_exps.scale", {experts});
  for (const char* norm : {"pre_ffw_norm_2.weight", "post_ffw_norm_1.weight", "post_ffw_norm_2.weight"})
    tiny.AddTensor(prefix + norm, {d});
}

void AddStreamTensors(const Architecture& row, const TinyShape& shape, const std::string& prefix, TinyModel& tiny) {
  const std::uint64_t d = shape.width, n = shape.streams;
  if (row.post_norms) {
    tiny.AddTensor(prefix + "post_attention_norm.weight", {d});
    tiny.AddTensor(prefix + "post_ffw_norm.weight", {d});
  }
  if (row.layer_output_scale) tiny.AddTensor(prefix + "layer_output_scale.weight", {1});
  if (row.per_layer_width == kInFile) {
    tiny.AddTensor(prefix + "inp_gate.weight", {d, shape.input_width});
    tiny.AddTensor(prefix + "proj.weight", {shape.input_width, d});
    tiny.AddTensor(prefix + "post_norm.weight", {d});
  }
  if (row.wiring != ResidualWiring::kAltUp) return;
  tiny.AddTensor(prefix + "altup_router_norm.weight", {d});
  tiny.AddTensor(prefix + "altup_router.weight", {d, n});
  tiny.AddTensor(prefix + "altup_predict_coef.weight", {n, n * n});
  tiny.AddTensor(prefix + "altup_correct_coef.weight", {n, n});
  tiny.AddTensor(prefix + "altup_correct_scale.weight", {d});
  tiny.AddTensor(prefix + "laurel_l.weight", {d, shape.rank});
  tiny.AddTensor(prefix + "laurel_r.weight", {shape.rank, d});
  tiny.AddTensor(prefix + "laurel_post_norm.weight", {d});
}

void AddModelTensors(const Architecture& row, const TinyShape& shape, TinyModel& tiny) {
  const std::uint64_t d = shape.width, inputs = std::uint64_t{shape.input_width} * shape.layers;
  if (row.rope_divisors_in_file) tiny.AddTensor("rope_freqs.weight", {shape.head_dim / 2});
  if (row.per_layer_width == kInFile) {
    tiny.AddTensor("per_layer_token_embd.weight", {inputs, shape.vocab});
    tiny.AddTensor("per_layer_model_proj.weight", {d, inputs});
    tiny.AddTensor("per_layer_proj_norm.weight", {shape.input_width});
  }
  if (row.wiring != ResidualWiring::kAltUp) return;
  tiny.AddTensor("altup_proj.weight", {d, d, shape.streams - 1});
  tiny.AddTensor("altup_unembd_proj.weight", {d, d, shape.streams - 1});
}

}  // namespace

const Architecture& FindRow(std::string_view name) {
  for (const Architecture& row : AllArchitectures()) {
    if (row.name == name) return row;
  }
  throw std::invalid_argument("no architecture " + std::string(name));
}

TinyModel TinyArchitecture(const Architecture& row, TinyShape shape) {
  shape.architecture = row.name;
  if (row.experts == Experts::kAlways && shape.experts == 0) shape.experts = 3;
  TinyModel tiny(shape);
  AddKeys(row, shape, tiny);
  AddModelTensors(row, shape, tiny);
  for (std::uint32_t layer = 0; layer < shape.layers; ++layer) {
    AddAttentionTensors(row, shape, Prefix(layer), tiny);
    AddStreamTensors(row, shape, Prefix(layer), tiny);
    if (row.experts == Experts::kBesideDense && shape.experts != 0) AddExpertsBesideDense(shape, Prefix(layer), tiny);
  }
  return tiny;
}

}  // namespace slm::test
