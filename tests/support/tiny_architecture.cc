#include "support/tiny_architecture.h"

#include <cmath>
#include <stdexcept>
#include <vector>

namespace slm::test {

namespace {

constexpr std::uint32_t kInputWidth = 8;
constexpr std::uint32_t kStreams = 3;
constexpr std::uint32_t kRank = 4;

std::string Prefix(std::uint32_t layer) { return "blk." + std::to_string(layer) + "."; }

void AddKeys(const Architecture& row, std::uint32_t layers, TinyModel& tiny) {
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
  if (row.shared_kv_layers == kInFile)
    tiny.Set(arch + "attention.shared_kv_layers", layers == kTinyLayers ? kTinySharedLayers : 0);
  if (row.per_layer_width == kInFile) tiny.Set(arch + "embedding_length_per_layer_input", kInputWidth);
  if (row.wiring != ResidualWiring::kAltUp) return;
  tiny.Set(arch + "altup.num_inputs", kStreams).Set(arch + "altup.active_idx", 0u);
  tiny.Set(arch + "activation_sparsity_scale", sparsity);
}

void AddAttentionTensors(const Architecture& row, const TinyShape& shape, const std::string& prefix, TinyModel& tiny) {
  const std::uint64_t d = shape.width;
  const std::uint64_t q = std::uint64_t{shape.heads} * shape.head_dim,
                      kv = std::uint64_t{shape.kv_heads} * shape.head_dim;
  if (row.query_key_norm) {
    tiny.AddTensor(prefix + "attn_q_norm.weight", {shape.head_dim});
    tiny.AddTensor(prefix + "attn_k_norm.weight", {shape.head_dim});
  }
  if (row.query_key_value_bias) {
    tiny.AddTensor(prefix + "attn_q.bias", {q});
    tiny.AddTensor(prefix + "attn_k.bias", {kv});
    tiny.AddTensor(prefix + "attn_v.bias", {kv});
  }
  if (!row.fused_projections) return;
  for (const char* name : {"attn_q.weight", "attn_k.weight", "attn_v.weight", "ffn_gate.weight"})
    tiny.EraseTensor(prefix + name);
  tiny.AddTensor(prefix + "attn_qkv.weight", {d, q + 2 * kv});
  tiny.AddTensor(prefix + "ffn_up.weight", {d, 2 * std::uint64_t{shape.ffn_width}});
}

void AddStreamTensors(const Architecture& row, std::uint64_t d, const std::string& prefix, TinyModel& tiny) {
  if (row.post_norms) {
    tiny.AddTensor(prefix + "post_attention_norm.weight", {d});
    tiny.AddTensor(prefix + "post_ffw_norm.weight", {d});
  }
  if (row.layer_output_scale) tiny.AddTensor(prefix + "layer_output_scale.weight", {1});
  if (row.per_layer_width == kInFile) {
    tiny.AddTensor(prefix + "inp_gate.weight", {d, kInputWidth});
    tiny.AddTensor(prefix + "proj.weight", {kInputWidth, d});
    tiny.AddTensor(prefix + "post_norm.weight", {d});
  }
  if (row.wiring != ResidualWiring::kAltUp) return;
  tiny.AddTensor(prefix + "altup_router_norm.weight", {d});
  tiny.AddTensor(prefix + "altup_router.weight", {d, kStreams});
  tiny.AddTensor(prefix + "altup_predict_coef.weight", {kStreams, kStreams * kStreams});
  tiny.AddTensor(prefix + "altup_correct_coef.weight", {kStreams, kStreams});
  tiny.AddTensor(prefix + "altup_correct_scale.weight", {d});
  tiny.AddTensor(prefix + "laurel_l.weight", {d, kRank});
  tiny.AddTensor(prefix + "laurel_r.weight", {kRank, d});
  tiny.AddTensor(prefix + "laurel_post_norm.weight", {d});
}

void AddModelTensors(const Architecture& row, const TinyShape& shape, TinyModel& tiny) {
  const std::uint64_t d = shape.width;
  if (row.rope_divisors_in_file) tiny.AddTensor("rope_freqs.weight", {shape.head_dim / 2});
  if (row.per_layer_width == kInFile) {
    tiny.AddTensor("per_layer_token_embd.weight", {kInputWidth * shape.layers, shape.vocab});
    tiny.AddTensor("per_layer_model_proj.weight", {d, kInputWidth * shape.layers});
    tiny.AddTensor("per_layer_proj_norm.weight", {kInputWidth});
  }
  if (row.wiring != ResidualWiring::kAltUp) return;
  tiny.AddTensor("altup_proj.weight", {d, d, kStreams - 1});
  tiny.AddTensor("altup_unembd_proj.weight", {d, d, kStreams - 1});
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
  if (row.experts == Experts::kAlways) {
    shape.experts = 3;
    shape.experts_used = 2;
  }
  TinyModel tiny(shape);
  AddKeys(row, shape.layers, tiny);
  AddModelTensors(row, shape, tiny);
  for (std::uint32_t layer = 0; layer < shape.layers; ++layer) {
    AddAttentionTensors(row, shape, Prefix(layer), tiny);
    AddStreamTensors(row, shape.width, Prefix(layer), tiny);
  }
  return tiny;
}

}  // namespace slm::test
