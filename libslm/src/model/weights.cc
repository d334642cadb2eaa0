#include "model/weights.h"

#include <cmath>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>

#include "base/format.h"
#include "base/status_macros.h"

namespace slm {

namespace {

// One line of the list of tensors: what it is called, how large it must be, where it goes.
struct MatrixSpec {
  const char* name;  // without "blk.N." and ".weight"
  Matrix LayerWeights::*member;
  std::int64_t columns;
  std::int64_t rows;
};
struct VectorSpec {
  const char* name;  // without "blk.N."
  Vector LayerWeights::*member;
  std::int64_t size;
  bool required;
};

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

// Takes tensors out of the file, each once, and remembers which.
class Binder {
 public:
  explicit Binder(const GgufFile& file) : file_(file) {}

  bool Has(const std::string& name) const { return file_.FindTensor(name) != nullptr; }

  // The tensor, or nullptr if it is absent and not required.
  Result<const GgufTensor*> Take(const std::string& name, bool required, std::int64_t columns, std::int64_t rows,
                                 std::int64_t matrices = 1) {
    const GgufTensor* tensor = file_.FindTensor(name);
    if (tensor == nullptr) {
      if (!required) return nullptr;
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
    if (!is(tensor->shape[0], columns) || !is(tensor->shape[1], rows) || !is(tensor->shape[2], matrices) ||
        tensor->shape[3] != 1) {
      std::string wanted = Cat("[", columns);
      if (rows != 1 || matrices != 1) wanted += Cat(", ", rows);
      if (matrices != 1) wanted += Cat(", ", matrices);
      return Status(StatusCode::kCorruptFile,
                    Cat("tensor ", name, " has shape ", ShapeOf(*tensor), ", expected ", wanted, "]"));
    }
    return tensor;
  }

  Status Bind(const std::string& name, bool required, std::int64_t columns, std::int64_t rows, Matrix& matrix) {
    SLM_ASSIGN_OR_RETURN(const GgufTensor* tensor, Take(name, required, columns, rows));
    if (tensor == nullptr) return {};
    matrix = {.format = tensor->format,
              .data = tensor->data.data(),
              .columns = columns,
              .rows = rows,
              .row_bytes = RowBytes(*tensor->format, columns)};
    return {};
  }

  // A tensor of as many matrices as there are experts: matrix i is what `member` of expert i views.
  Status BindStacked(const std::string& name, std::int64_t columns, std::int64_t rows, Matrix Expert::*member,
                     std::vector<Expert>& experts) {
    const auto count = static_cast<std::int64_t>(experts.size());
    SLM_ASSIGN_OR_RETURN(const GgufTensor* tensor, Take(name, true, columns, rows, count));
    Matrix matrix = {.format = tensor->format,
                     .data = tensor->data.data(),
                     .columns = columns,
                     .rows = rows,
                     .row_bytes = RowBytes(*tensor->format, columns)};
    for (Expert& expert : experts) {
      expert.*member = matrix;
      matrix.data += static_cast<std::size_t>(rows) * matrix.row_bytes;
    }
    return {};
  }

  Status Bind(const std::string& name, bool required, std::int64_t size, Vector& vector) {
    SLM_ASSIGN_OR_RETURN(const GgufTensor* tensor, Take(name, required, size, 1));
    if (tensor == nullptr) return {};
    vector.resize(static_cast<std::size_t>(size));
    tensor->format->to_float(tensor->data.data(), size, vector.data());
    return {};
  }

  // A tensor nobody took belongs to a graph this library doesn't compute: running without it would give wrong numbers.
  Status RefuseRest(std::string_view architecture) const {
    for (const GgufTensor& tensor : file_.tensors()) {
      if (taken_.contains(tensor.name)) continue;
      return Status(StatusCode::kUnsupported, Cat("tensor ", tensor.name, " is not part of architecture ", architecture,
                                                  " as this library computes it"));
    }
    return {};
  }

 private:
  const GgufFile& file_;
  std::unordered_set<std::string_view> taken_;
};

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
    SLM_RETURN_IF_ERROR(binder.BindStacked(fused, gate.columns, 2 * gate.rows, &Expert::gate, experts));
    for (Expert& expert : experts) {
      expert.gate.rows = gate.rows;
      expert.up = expert.gate;
      expert.up.data += expert.gate.bytes();
    }
    parts = parts.last(1);
  }
  for (const ExpertPart& part : parts)
    SLM_RETURN_IF_ERROR(binder.BindStacked(part.Stacked(prefix), part.columns, part.rows, part.member, experts));
  return {};
}

// Each part of each expert in a tensor of its own (ffn_up.0, ffn_up.1, ...), as in files from before April 2024.
Status BindSingleExperts(Binder& binder, const std::string& prefix, std::span<const ExpertPart> parts,
                         std::vector<Expert>& experts) {
  for (const ExpertPart& part : parts) {
    for (std::size_t i = 0; i < experts.size(); ++i) {
      SLM_RETURN_IF_ERROR(binder.Bind(part.Single(prefix, i), true, part.columns, part.rows, experts[i].*part.member));
    }
  }
  return {};
}

// What experts beside a dense feed-forward have besides. The router divides its input by sqrt(d), which its norm's
// weights can do.
Status BindBesideDense(Binder& binder, const std::string& prefix, std::int64_t d, ExpertWeights& weights) {
  if (weights.router.format->activation != Activation::kFloat) {
    return Status(StatusCode::kUnsupported, Cat("tensor ", prefix, "ffn_gate_inp.weight has format ",
                                                weights.router.format->name, "; supported here: F32, F16, BF16"));
  }
  SLM_RETURN_IF_ERROR(binder.Bind(prefix + "ffn_gate_inp.scale", true, d, weights.router_norm));
  for (float& weight : weights.router_norm) weight /= std::sqrt(static_cast<float>(d));
  SLM_RETURN_IF_ERROR(binder.Bind(prefix + "pre_ffw_norm_2.weight", true, d, weights.input_norm));
  SLM_RETURN_IF_ERROR(binder.Bind(prefix + "post_ffw_norm_1.weight", true, d, weights.dense_post_norm));
  SLM_RETURN_IF_ERROR(binder.Bind(prefix + "post_ffw_norm_2.weight", true, d, weights.post_norm));
  Vector scales;
  SLM_RETURN_IF_ERROR(binder.Bind(prefix + "ffn_down_exps.scale", true, std::ssize(weights.experts), scales));
  for (std::size_t i = 0; i < scales.size(); ++i) weights.experts[i].scale = scales[i];
  return {};
}

Status BindExperts(Binder& binder, const ModelConfig& config, std::size_t index, ExpertWeights& weights) {
  const std::int64_t d = config.embedding_length;
  const std::int64_t ff = config.layers[index].expert_feed_forward_length;
  const ExpertPart parts[] = {
      {"ffn_gate", &Expert::gate, d, ff}, {"ffn_up", &Expert::up, d, ff}, {"ffn_down", &Expert::down, ff, d}};
  const std::string prefix = Cat("blk.", index, ".");
  SLM_RETURN_IF_ERROR(binder.Bind(prefix + "ffn_gate_inp.weight", true, d, config.expert_count, weights.router));
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
  return single.empty() ? BindStackedExperts(binder, prefix, parts, weights.experts)
                        : BindSingleExperts(binder, prefix, parts, weights.experts);
}

Status BindLayer(Binder& binder, const ModelConfig& config, std::size_t index, LayerWeights& layer) {
  const LayerConfig& shape = config.layers[index];
  const std::int64_t d = config.embedding_length;
  const std::int64_t q = std::int64_t{shape.heads} * config.key_length;
  const std::int64_t k = std::int64_t{shape.kv_heads} * config.key_length;
  const std::int64_t v = std::int64_t{shape.kv_heads} * config.value_length;
  const std::int64_t o = std::int64_t{shape.heads} * config.value_length;
  const std::int64_t ff = shape.feed_forward_length;
  const MatrixSpec matrices[] = {
      {"attn_q", &LayerWeights::attn_q, d, q},      {"attn_k", &LayerWeights::attn_k, d, k},
      {"attn_v", &LayerWeights::attn_v, d, v},      {"attn_output", &LayerWeights::attn_output, o, d},
      {"ffn_gate", &LayerWeights::ffn_gate, d, ff}, {"ffn_up", &LayerWeights::ffn_up, d, ff},
      {"ffn_down", &LayerWeights::ffn_down, ff, d},
  };
  const bool query_key_norm = config.architecture->query_key_norm;
  const bool post_norms = config.architecture->post_norms;
  const VectorSpec vectors[] = {
      {"attn_norm.weight", &LayerWeights::attn_norm, d, true},
      {"ffn_norm.weight", &LayerWeights::ffn_norm, d, true},
      {"attn_q.bias", &LayerWeights::attn_q_bias, q, false},
      {"attn_k.bias", &LayerWeights::attn_k_bias, k, false},
      {"attn_v.bias", &LayerWeights::attn_v_bias, v, false},
      {"attn_output.bias", &LayerWeights::attn_output_bias, d, false},
  };
  const VectorSpec extra_norms[] = {
      {"attn_q_norm.weight", &LayerWeights::attn_q_norm, query_key_norm ? config.key_length : 0, true},
      {"attn_k_norm.weight", &LayerWeights::attn_k_norm, query_key_norm ? config.key_length : 0, true},
      {"post_attention_norm.weight", &LayerWeights::post_attention_norm, post_norms ? d : 0, true},
      {"post_ffw_norm.weight", &LayerWeights::post_ffw_norm, post_norms ? d : 0, true},
  };
  const std::string prefix = Cat("blk.", index, ".");
  for (const MatrixSpec& spec : matrices) {
    if (spec.columns == 0 || spec.rows == 0) continue;  // not part of this layer
    SLM_RETURN_IF_ERROR(binder.Bind(prefix + spec.name + ".weight", true, spec.columns, spec.rows, layer.*spec.member));
  }
  for (const VectorSpec& spec : vectors) {
    SLM_RETURN_IF_ERROR(binder.Bind(prefix + spec.name, spec.required, spec.size, layer.*spec.member));
  }
  for (const VectorSpec& spec : extra_norms) {
    if (spec.size == 0) continue;  // not part of this architecture
    SLM_RETURN_IF_ERROR(binder.Bind(prefix + spec.name, spec.required, spec.size, layer.*spec.member));
  }
  if (shape.expert_feed_forward_length != 0) SLM_RETURN_IF_ERROR(BindExperts(binder, config, index, layer.ffn_experts));
  return {};
}

}  // namespace

Result<Weights> BindWeights(const GgufFile& file, const ModelConfig& config) {
  Weights weights;
  Binder binder(file);
  const std::int64_t d = config.embedding_length;
  SLM_RETURN_IF_ERROR(binder.Bind("token_embd.weight", true, d, config.vocab_size, weights.token_embd));
  SLM_RETURN_IF_ERROR(binder.Bind("output.weight", false, d, config.vocab_size, weights.output));
  SLM_RETURN_IF_ERROR(binder.Bind("output_norm.weight", true, d, weights.output_norm));
  SLM_RETURN_IF_ERROR(binder.Bind("rope_freqs.weight", false, config.rope_dimensions / 2, weights.rope_freqs));
  if (!weights.output.present()) weights.output = weights.token_embd;
  weights.layers.resize(config.layers.size());
  for (std::size_t i = 0; i < weights.layers.size(); ++i)
    SLM_RETURN_IF_ERROR(BindLayer(binder, config, i, weights.layers[i]));
  SLM_RETURN_IF_ERROR(binder.RefuseRest(config.architecture->name));
  return weights;
}

}  // namespace slm
