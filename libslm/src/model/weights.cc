#include "model/weights.h"

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

  // The tensor, or nullptr if it is absent and not required.
  Result<const GgufTensor*> Take(const std::string& name, bool required, std::int64_t columns, std::int64_t rows) {
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
    if (!is(tensor->shape[0], columns) || !is(tensor->shape[1], rows) || tensor->shape[2] != 1 ||
        tensor->shape[3] != 1) {
      return Status(StatusCode::kCorruptFile, Cat("tensor ", name, " has shape ", ShapeOf(*tensor), ", expected [",
                                                  columns, rows == 1 ? "" : Cat(", ", rows), "]"));
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
    SLM_RETURN_IF_ERROR(binder.Bind(prefix + spec.name + ".weight", true, spec.columns, spec.rows, layer.*spec.member));
  }
  for (const VectorSpec& spec : vectors) {
    SLM_RETURN_IF_ERROR(binder.Bind(prefix + spec.name, spec.required, spec.size, layer.*spec.member));
  }
  for (const VectorSpec& spec : extra_norms) {
    if (spec.size == 0) continue;  // not part of this architecture
    SLM_RETURN_IF_ERROR(binder.Bind(prefix + spec.name, spec.required, spec.size, layer.*spec.member));
  }
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
