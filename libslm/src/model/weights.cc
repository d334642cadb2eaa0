#include "model/weights.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>

#include "base/format.h"
#include "base/keyed_hash.h"
#include "base/status_macros.h"
#include "file/escape.h"

namespace slm {

namespace {

enum class Need : std::uint8_t {
  kRequired,
  kOptional,
  kUnread,   // may be in the file, of the right shape; nothing is done with it
  kForeign,  // not part of the architecture
};
Need RequiredIf(bool condition) { return condition ? Need::kRequired : Need::kForeign; }

// One line of the list of tensors: what it is called (without "blk.N."), how large it must be, where it goes.
struct MatrixSpec {
  const char* name;
  Matrix* matrix;
  std::int64_t columns;
  std::int64_t rows;
  Need need = Need::kRequired;
};
struct VectorSpec {
  const char* name;
  Vector* vector;
  std::int64_t columns;
  Need need = Need::kRequired;
  std::int64_t rows = 1;
};

constexpr std::size_t kShownName = 80;  // of a tensor, in messages

// Encoders of pictures and sounds, and what projects their output to the text model's width, by the names of GGUF
// writers and of the checkpoints themselves.
bool IsOfOtherModality(std::string_view tensor) {
  constexpr std::string_view kPrefixes[] = {"v.",
                                            "a.",
                                            "mm.",
                                            "resampler.",
                                            "vision_tower.",
                                            "vision_model.",
                                            "audio_tower.",
                                            "multi_modal_projector.",
                                            "embed_vision.",
                                            "embed_audio."};
  return std::ranges::any_of(kPrefixes, [&](std::string_view prefix) { return tensor.starts_with(prefix); });
}

std::string SupportedFormats() {
  std::string names;
  for (const FormatInfo& format : AllFormats()) names += Cat(names.empty() ? "" : ", ", format.name);
  return names;
}

std::string ShapeOf(const GgufTensor& tensor) {
  std::string text = "[";
  for (int i = 0; i < tensor.dimensions; ++i)
    text += Cat(i == 0 ? "" : ", ", tensor.shape[static_cast<std::size_t>(i)]);
  return text + "]";
}

// Matrix `index` of those that a tensor holds one after the other.
Matrix MatrixOf(const GgufTensor& tensor, std::int64_t columns, std::int64_t rows, std::int64_t index = 0) {
  const std::size_t row_bytes = RowBytes(*tensor.format, columns);
  return {.format = tensor.format,
          .data = tensor.data.data() + static_cast<std::size_t>(index * rows) * row_bytes,
          .columns = columns,
          .rows = rows,
          .row_bytes = row_bytes};
}

// Takes tensors out of the file, each once, and remembers which. Nothing else makes a Matrix or a Vector, so that what
// is counted here counts all of them.
class Binder {
 public:
  Binder(const GgufFile& file, Weights& weights) : file_(file), weights_(weights) {}

  // The tensor, or nullptr if it is absent and not required, or not to be read.
  Result<const GgufTensor*> Take(const std::string& name, Need need, std::int64_t columns, std::int64_t rows,
                                 std::int64_t depth = 1) {
    if (need == Need::kForeign) return nullptr;
    const GgufTensor* tensor = file_.FindTensor(name);
    if (tensor == nullptr) {
      if (need != Need::kRequired) return nullptr;
      return Status(StatusCode::kCorruptFile, Cat("tensor ", name, " is missing"));
    }
    taken_.insert(tensor->name);
    if (tensor->format == nullptr) {
      const char* known = UnsupportedFormatName(tensor->type);
      return Status(StatusCode::kUnsupported,
                    Cat("tensor ", name, " has format ", known != nullptr ? known : "(never defined)", " (id ",
                        tensor->type, "), which is not supported; supported: ", SupportedFormats()));
    }
    const auto is = [](std::uint64_t found, std::int64_t wanted) {
      return found == static_cast<std::uint64_t>(wanted);
    };
    if (!is(tensor->shape[0], columns) || !is(tensor->shape[1], rows) || !is(tensor->shape[2], depth) ||
        tensor->shape[3] != 1) {
      const std::string wanted = depth > 1  ? Cat(columns, ", ", rows, ", ", depth)
                                 : rows > 1 ? Cat(columns, ", ", rows)
                                            : Cat(columns);
      return Status(StatusCode::kCorruptFile,
                    Cat("tensor ", name, " has shape ", ShapeOf(*tensor), ", expected [", wanted, "]"));
    }
    if (need == Need::kUnread) return nullptr;
    weights_.most_columns = std::max(weights_.most_columns, columns);
    weights_.bytes_per_token += tensor->data.size();
    return tensor;
  }

  // `depth` matrices in one tensor.
  Status BindStack(const std::string& name, std::int64_t columns, std::int64_t rows, std::int64_t depth,
                   std::vector<Matrix>& matrices) {
    SLM_ASSIGN_OR_RETURN(const GgufTensor* tensor, Take(name, Need::kRequired, columns, rows, depth));
    for (std::int64_t i = 0; i < depth; ++i) matrices.push_back(MatrixOf(*tensor, columns, rows, i));
    return {};
  }

  // A tensor of as many matrices as there are experts: matrix i is what `member` of expert i views.
  Status BindExperts(const std::string& name, std::int64_t columns, std::int64_t rows, Matrix Expert::*member,
                     std::vector<Expert>& experts) {
    const auto count = static_cast<std::int64_t>(experts.size());
    SLM_ASSIGN_OR_RETURN(const GgufTensor* tensor, Take(name, Need::kRequired, columns, rows, count));
    for (std::int64_t i = 0; i < count; ++i)
      experts[static_cast<std::size_t>(i)].*member = MatrixOf(*tensor, columns, rows, i);
    return {};
  }

  Status Bind(const std::string& prefix, const MatrixSpec& spec) {
    SLM_ASSIGN_OR_RETURN(const GgufTensor* tensor, Take(prefix + spec.name, spec.need, spec.columns, spec.rows));
    if (tensor == nullptr) return {};
    *spec.matrix = MatrixOf(*tensor, spec.columns, spec.rows);
    return {};
  }

  Status Bind(const std::string& prefix, const VectorSpec& spec) {
    SLM_ASSIGN_OR_RETURN(const GgufTensor* tensor, Take(prefix + spec.name, spec.need, spec.columns, spec.rows));
    if (tensor == nullptr) return {};
    // Rows are whole blocks, so that all are one long row.
    const std::int64_t size = spec.columns * spec.rows;
    spec.vector->resize(static_cast<std::size_t>(size));
    tensor->format->to_float(tensor->data.data(), size, spec.vector->data());
    return {};
  }

  template <typename Specs>
  Status BindAll(const std::string& prefix, const Specs& specs) {
    for (const auto& spec : specs) SLM_RETURN_IF_ERROR(Bind(prefix, spec));
    return {};
  }

  const GgufTensor* Find(const std::string& name) const { return file_.FindTensor(name); }
  bool Has(const std::string& name) const { return Find(name) != nullptr; }
  // Of a tensor that was taken, a token reads less.
  void Spare(std::uint64_t bytes) { weights_.bytes_per_token -= bytes; }

  // A tensor nobody took belongs to a graph this library doesn't compute: running without it would give wrong numbers.
  // Text is computed without the encoders of other modalities, though.
  Status RefuseRest(std::string_view architecture, const LogCallback& log) const {
    std::size_t others = 0;
    for (const GgufTensor& tensor : file_.tensors()) {
      if (taken_.contains(tensor.name)) continue;
      if (!IsOfOtherModality(tensor.name)) {
        return Status(StatusCode::kUnsupported,
                      Cat("tensor ", Escaped(tensor.name, kShownName), " is not part of architecture ", architecture,
                          " as this library computes it"));
      }
      ++others;
    }
    if (others > 0 && log) {
      log(LogLevel::kWarning,
          Cat("The model file holds ", others,
              " tensors for vision or audio, which are left aside; only text is read and written."));
    }
    return {};
  }

 private:
  const GgufFile& file_;
  Weights& weights_;
  std::unordered_set<std::string_view, KeyedHasher> taken_;
};

// Rows begin..begin + count - 1 of a matrix that stands for several.
Matrix RowsOf(const Matrix& fused, std::int64_t begin, std::int64_t count) {
  Matrix part = fused;
  part.data += static_cast<std::size_t>(begin) * fused.row_bytes;
  part.rows = count;
  return part;
}

Status BindAttention(Binder& binder, const ModelConfig& config, std::size_t index, LayerWeights& layer) {
  const Architecture& architecture = *config.architecture;
  const LayerConfig& shape = config.layers[index];
  const std::int64_t d = config.embedding_length;
  const std::int64_t q = std::int64_t{shape.heads} * shape.key_length;
  const std::int64_t k = std::int64_t{shape.kv_heads} * shape.key_length;
  const std::int64_t v = std::int64_t{shape.kv_heads} * shape.value_length;
  const std::int64_t o = std::int64_t{shape.heads} * shape.value_length;
  const std::string prefix = Cat("blk.", index, ".");

  const bool own = config.owns_kv(index);
  const bool fused = architecture.fused_projections;
  const bool keys_are_values = architecture.keys_as_values && !shape.sliding && shape.key_length == shape.value_length;
  const Need key = own ? RequiredIf(!fused) : Need::kUnread;
  const Need value = own && keys_are_values ? Need::kOptional : key;
  const Need bias = architecture.query_key_value_bias ? Need::kRequired : Need::kOptional;
  Matrix qkv;
  const MatrixSpec matrices[] = {
      {"attn_qkv.weight", &qkv, d, q + k + v, RequiredIf(fused)},
      {"attn_q.weight", &layer.attn_q, d, q, RequiredIf(!fused)},
      {"attn_k.weight", &layer.attn_k, d, k, key},
      {"attn_v.weight", &layer.attn_v, d, v, value},
      {"attn_output.weight", &layer.attn_output, o, d},
  };
  const Need head_norm = RequiredIf(architecture.query_key_norm);
  const VectorSpec vectors[] = {
      {"attn_norm.weight", &layer.attn_norm, d},
      {"attn_q.bias", &layer.attn_q_bias, q, bias},
      {"attn_k.bias", &layer.attn_k_bias, k, own ? bias : Need::kUnread},
      {"attn_v.bias", &layer.attn_v_bias, v, own ? bias : Need::kUnread},
      {"attn_output.bias", &layer.attn_output_bias, d, Need::kOptional},
      {"attn_q_norm.weight", &layer.attn_q_norm, shape.key_length, head_norm},
      {"attn_k_norm.weight", &layer.attn_k_norm, shape.key_length, own ? head_norm : Need::kUnread},
      {"post_attention_norm.weight", &layer.post_attention_norm, d, RequiredIf(architecture.post_norms)},
  };
  SLM_RETURN_IF_ERROR(binder.BindAll(prefix, matrices));
  SLM_RETURN_IF_ERROR(binder.BindAll(prefix, vectors));
  if (fused) {
    layer.attn_q = RowsOf(qkv, 0, q);
    layer.attn_k = RowsOf(qkv, q, k);
    layer.attn_v = RowsOf(qkv, q + k, v);
  }
  return {};
}

Status BindFeedForward(Binder& binder, const ModelConfig& config, std::size_t index, LayerWeights& layer) {
  const std::int64_t d = config.embedding_length;
  const std::int64_t ff = config.layers[index].feed_forward_length;
  const bool dense = ff != 0;
  const bool fused = config.architecture->fused_projections;
  const std::string prefix = Cat("blk.", index, ".");
  const MatrixSpec matrices[] = {
      {"ffn_gate.weight", &layer.ffn_gate, d, ff, RequiredIf(dense && !fused)},
      {"ffn_up.weight", &layer.ffn_up, d, fused ? 2 * ff : ff, RequiredIf(dense)},
      {"ffn_down.weight", &layer.ffn_down, ff, d, RequiredIf(dense)},
  };
  const VectorSpec vectors[] = {
      {"ffn_norm.weight", &layer.ffn_norm, d},
      {"post_ffw_norm.weight", &layer.post_ffw_norm, d, RequiredIf(config.architecture->post_norms)},
  };
  SLM_RETURN_IF_ERROR(binder.BindAll(prefix, matrices));
  SLM_RETURN_IF_ERROR(binder.BindAll(prefix, vectors));
  if (fused) {
    layer.ffn_gate = RowsOf(layer.ffn_up, 0, ff);
    layer.ffn_up = RowsOf(layer.ffn_up, ff, ff);
  }
  return {};
}

struct ExpertPart {
  const char* name;
  Matrix Expert::*member;
  std::int64_t columns;
  std::int64_t rows;

  std::string Stacked(const std::string& prefix) const { return prefix + name + "_exps.weight"; }
  std::string Single(const std::string& prefix, std::size_t expert) const {
    return Cat(prefix, name, ".", expert, ".weight");
  }
};

// Each part of all experts in one tensor (ffn_up_exps); gate and up may share it, gate first.
Status BindStackedExperts(Binder& binder, const std::string& prefix, std::span<const ExpertPart> parts,
                          std::vector<Expert>& experts) {
  const std::string fused = prefix + "ffn_gate_up_exps.weight";
  if (binder.Has(fused)) {
    const ExpertPart& gate = parts[0];
    SLM_RETURN_IF_ERROR(binder.BindExperts(fused, gate.columns, 2 * gate.rows, &Expert::gate, experts));
    for (Expert& expert : experts) {
      expert.gate.rows = gate.rows;
      expert.up = expert.gate;
      expert.up.data += expert.gate.bytes();
    }
    parts = parts.last(1);
  }
  for (const ExpertPart& part : parts)
    SLM_RETURN_IF_ERROR(binder.BindExperts(part.Stacked(prefix), part.columns, part.rows, part.member, experts));
  return {};
}

// Each part of each expert in a tensor of its own (ffn_up.0, ffn_up.1, ...), as in files from before April 2024.
Status BindSingleExperts(Binder& binder, const std::string& prefix, std::span<const ExpertPart> parts,
                         std::vector<Expert>& experts) {
  for (const ExpertPart& part : parts) {
    for (std::size_t i = 0; i < experts.size(); ++i) {
      const std::string name = part.Single("", i);
      const MatrixSpec spec = {name.c_str(), &(experts[i].*part.member), part.columns, part.rows};
      SLM_RETURN_IF_ERROR(binder.Bind(prefix, spec));
    }
  }
  return {};
}

// What experts beside a dense feed-forward have besides. The router divides its input by sqrt(d), which its norm's
// weights can do.
Status BindBesideDense(Binder& binder, const std::string& prefix, std::int64_t d, ExpertWeights& weights) {
  Vector scales;
  const VectorSpec vectors[] = {
      {"ffn_gate_inp.scale", &weights.router_norm, d},
      {"pre_ffw_norm_2.weight", &weights.input_norm, d},
      {"post_ffw_norm_1.weight", &weights.dense_post_norm, d},
      {"post_ffw_norm_2.weight", &weights.post_norm, d},
      {"ffn_down_exps.scale", &scales, std::ssize(weights.experts)},
  };
  SLM_RETURN_IF_ERROR(binder.BindAll(prefix, vectors));
  for (float& weight : weights.router_norm) weight /= std::sqrt(static_cast<float>(d));
  for (std::size_t i = 0; i < scales.size(); ++i) weights.experts[i].scale = scales[i];
  return {};
}

Status BindExperts(Binder& binder, const ModelConfig& config, std::size_t index, ExpertWeights& weights) {
  if (config.layers[index].expert_feed_forward_length == 0) return {};
  const std::int64_t d = config.embedding_length;
  const std::int64_t ff = config.layers[index].expert_feed_forward_length;
  const ExpertPart parts[] = {
      {"ffn_gate", &Expert::gate, d, ff}, {"ffn_up", &Expert::up, d, ff}, {"ffn_down", &Expert::down, ff, d}};
  const std::string prefix = Cat("blk.", index, ".");
  const MatrixSpec router = {"ffn_gate_inp.weight", &weights.router, d, config.expert_count};
  SLM_RETURN_IF_ERROR(binder.Bind(prefix, router));
  weights.experts.resize(static_cast<std::size_t>(config.expert_count));
  if (config.architecture->experts == Experts::kBesideDense)
    SLM_RETURN_IF_ERROR(BindBesideDense(binder, prefix, d, weights));

  std::string stacked, single;  // the first tensor found of each layout
  for (const ExpertPart& part : parts) {
    if (stacked.empty() && binder.Has(part.Stacked(prefix))) stacked = part.Stacked(prefix);
    for (std::size_t i = 0; i < weights.experts.size() && single.empty(); ++i) {
      if (binder.Has(part.Single(prefix, i))) single = part.Single(prefix, i);
    }
  }
  if (!stacked.empty() && !single.empty()) {
    return Status(StatusCode::kCorruptFile,
                  Cat("layer ", index, " mixes two layouts of experts: tensor ", stacked, " holds all of them, tensor ",
                      single, " a single one; convert the model again"));
  }
  SLM_RETURN_IF_ERROR(single.empty() ? BindStackedExperts(binder, prefix, parts, weights.experts)
                                     : BindSingleExperts(binder, prefix, parts, weights.experts));
  std::uint64_t bytes = 0;
  for (const Expert& expert : weights.experts) bytes += expert.gate.bytes() + expert.up.bytes() + expert.down.bytes();
  const auto count = static_cast<std::uint64_t>(config.expert_count);
  binder.Spare(bytes / count * (count - static_cast<std::uint64_t>(config.expert_used_count)));
  return {};
}

// What joins the stream from beside it.
Status BindStreamParts(Binder& binder, const ModelConfig& config, std::size_t index, LayerWeights& layer) {
  const std::int64_t d = config.embedding_length;
  const std::int64_t width = config.per_layer_width;
  const Need inputs = RequiredIf(width != 0);
  const std::string prefix = Cat("blk.", index, ".");
  const MatrixSpec matrices[] = {
      {"inp_gate.weight", &layer.inp_gate, d, width, inputs},
      {"proj.weight", &layer.proj, width, d, inputs},
  };
  const VectorSpec vectors[] = {
      {"post_norm.weight", &layer.post_norm, d, inputs},
      {"layer_output_scale.weight", &layer.output_scale, 1, RequiredIf(config.architecture->layer_output_scale)},
  };
  SLM_RETURN_IF_ERROR(binder.BindAll(prefix, matrices));
  return binder.BindAll(prefix, vectors);
}

Status BindAltUp(Binder& binder, const ModelConfig& config, std::size_t index, AltUpWeights& altup) {
  if (config.architecture->wiring != ResidualWiring::kAltUp) return {};
  const std::int64_t d = config.embedding_length;
  const std::int64_t n = config.altup_streams;
  const std::string prefix = Cat("blk.", index, ".");
  const VectorSpec vectors[] = {
      {"altup_router_norm.weight", &altup.router_norm, d},
      {"altup_router.weight", &altup.router, d, Need::kRequired, n},
      {"altup_predict_coef.weight", &altup.predict_coef, n, Need::kRequired, n * n},
      {"altup_correct_coef.weight", &altup.correct_coef, n, Need::kRequired, n},
      {"altup_correct_scale.weight", &altup.correct_scale, d},
      {"laurel_post_norm.weight", &altup.laurel_post_norm, d},
  };
  SLM_RETURN_IF_ERROR(binder.BindAll(prefix, vectors));
  // No key says how narrow the layer's low-rank path is.
  const GgufTensor* left = binder.Find(prefix + "laurel_l.weight");
  const std::uint64_t rank = left != nullptr ? left->shape[1] : 1;
  if (rank > static_cast<std::uint64_t>(d)) {
    return Status(StatusCode::kCorruptFile,
                  Cat("tensor ", left->name, " has ", rank, " rows, more than the stream it is a narrow path of, ", d));
  }
  const auto narrow = static_cast<std::int64_t>(rank);
  const MatrixSpec matrices[] = {
      {"laurel_l.weight", &altup.laurel_l, d, narrow},
      {"laurel_r.weight", &altup.laurel_r, narrow, d},
  };
  return binder.BindAll(prefix, matrices);
}

Status BindModel(Binder& binder, const ModelConfig& config, Weights& weights) {
  const std::int64_t d = config.embedding_length;
  const std::int64_t vocab = config.vocab_size;
  const std::int64_t pairs = config.rope_global.dimensions / 2;
  const std::int64_t inputs = std::int64_t{config.per_layer_width} * static_cast<std::int64_t>(config.layers.size());
  const Need input = RequiredIf(inputs != 0);
  const Need factors = RequiredIf(config.long_rope);
  const Need divisors = config.architecture->rope_divisors_in_file ? Need::kRequired : Need::kOptional;
  const MatrixSpec matrices[] = {
      {"token_embd.weight", &weights.token_embd, d, vocab},
      {"output.weight", &weights.output, d, vocab, Need::kOptional},
      {"per_layer_token_embd.weight", &weights.per_layer_token_embd, inputs, vocab, input},
      {"per_layer_model_proj.weight", &weights.per_layer_model_proj, d, inputs, input},
  };
  const VectorSpec vectors[] = {
      {"output_norm.weight", &weights.output_norm, d},
      {"rope_freqs.weight", &weights.rope_freqs, pairs, divisors},
      {"rope_factors_long.weight", &weights.rope_factors_long, pairs, factors},
      {"rope_factors_short.weight", &weights.rope_factors_short, pairs, factors},
      {"per_layer_proj_norm.weight", &weights.per_layer_proj_norm, config.per_layer_width, input},
  };
  SLM_RETURN_IF_ERROR(binder.BindAll("", matrices));
  SLM_RETURN_IF_ERROR(binder.BindAll("", vectors));
  const bool divides = !weights.rope_freqs.empty() || !weights.rope_factors_long.empty();
  if (divides && !config.architecture->rope_scaling_global_only && config.rope_sliding.dimensions / 2 != pairs) {
    return Status(StatusCode::kUnsupported,
                  Cat("the file divides the RoPE angles of ", pairs, " pairs on all layers, but sliding layers have ",
                      config.rope_sliding.dimensions / 2));
  }
  // Of an embedding table one row is read, unless it is the output head too.
  const auto other_rows = [](const Matrix& table) { return table.bytes() - table.row_bytes; };
  binder.Spare(other_rows(weights.per_layer_token_embd));
  if (weights.output.present()) {
    binder.Spare(other_rows(weights.token_embd));
  } else {
    weights.output = weights.token_embd;
  }
  if (config.architecture->wiring != ResidualWiring::kAltUp) return {};
  const std::int64_t others = config.altup_streams - 1;
  SLM_RETURN_IF_ERROR(binder.BindStack("altup_proj.weight", d, d, others, weights.altup_proj));
  return binder.BindStack("altup_unembd_proj.weight", d, d, others, weights.altup_unembd_proj);
}

}  // namespace

Result<Weights> BindWeights(const GgufFile& file, const ModelConfig& config, const LogCallback& log) {
  Weights weights;
  Binder binder(file, weights);
  SLM_RETURN_IF_ERROR(BindModel(binder, config, weights));
  weights.layers.resize(config.layers.size());
  for (std::size_t i = 0; i < weights.layers.size(); ++i) {
    SLM_RETURN_IF_ERROR(BindAttention(binder, config, i, weights.layers[i]));
    SLM_RETURN_IF_ERROR(BindFeedForward(binder, config, i, weights.layers[i]));
    SLM_RETURN_IF_ERROR(BindExperts(binder, config, i, weights.layers[i].ffn_experts));
    SLM_RETURN_IF_ERROR(BindStreamParts(binder, config, i, weights.layers[i]));
    SLM_RETURN_IF_ERROR(BindAltUp(binder, config, i, weights.layers[i].altup));
  }
  SLM_RETURN_IF_ERROR(binder.RefuseRest(config.architecture->name, log));
  return weights;
}

}  // namespace slm
