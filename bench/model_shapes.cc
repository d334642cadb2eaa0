#include "model_shapes.h"

#include <array>
#include <utility>

namespace slm::bench {

namespace {

constexpr std::array kShapes = {
    ModelShape{
        .name = "gemma3-1b",
        .title = "Gemma 3 1B shape",
        .family = Family::kGemma3,
        .layers = 26,
        .embedding_length = 1152,
        .feed_forward_length = 6912,
        .heads = 4,
        .kv_heads = 1,
        .head_length = 256,
        .experts = 0,
        .experts_used = 0,
        .vocabulary = VocabularyKind::kGemma3,
        .vocab_size = 262144,
        .context_length = 32768,
        .norm_epsilon = 1e-6f,
        .rope_base = 1e6f,
        .rope_scaling = RopeScaling::kNone,
        .rope_factor = 1,
        .window = 512,
    },
    ModelShape{
        .name = "gemma3-4b",
        .title = "Gemma 3 4B shape",  // the text part
        .family = Family::kGemma3,
        .layers = 34,
        .embedding_length = 2560,
        .feed_forward_length = 10240,
        .heads = 8,
        .kv_heads = 4,
        .head_length = 256,
        .experts = 0,
        .experts_used = 0,
        .vocabulary = VocabularyKind::kGemma3,
        .vocab_size = 262144,
        .context_length = 131072,
        .norm_epsilon = 1e-6f,
        .rope_base = 1e6f,
        .rope_scaling = RopeScaling::kLinear,
        .rope_factor = 8,
        .window = 1024,
    },
    ModelShape{
        .name = "llama3.1-8b",
        .title = "Llama 3.1 8B shape",
        .family = Family::kLlama,
        .layers = 32,
        .embedding_length = 4096,
        .feed_forward_length = 14336,
        .heads = 32,
        .kv_heads = 8,
        .head_length = 128,
        .experts = 0,
        .experts_used = 0,
        .vocabulary = VocabularyKind::kLlama3,
        .vocab_size = 128256,
        .context_length = 131072,
        .norm_epsilon = 1e-5f,
        .rope_base = 5e5f,
        .rope_scaling = RopeScaling::kLlama3,
        .rope_factor = 8,
        .window = 0,
    },
    ModelShape{
        .name = "mistral-7b",
        .title = "Mistral 7B shape",  // v0.1; its window of 4096 is not in published files
        .family = Family::kLlama,
        .layers = 32,
        .embedding_length = 4096,
        .feed_forward_length = 14336,
        .heads = 32,
        .kv_heads = 8,
        .head_length = 128,
        .experts = 0,
        .experts_used = 0,
        .vocabulary = VocabularyKind::kLlama2,
        .vocab_size = 32000,
        .context_length = 32768,
        .norm_epsilon = 1e-5f,
        .rope_base = 1e4f,
        .rope_scaling = RopeScaling::kNone,
        .rope_factor = 1,
        .window = 0,
    },
    ModelShape{
        .name = "llama2-70b",
        .title = "Llama 2 70B shape",
        .family = Family::kLlama,
        .layers = 80,
        .embedding_length = 8192,
        .feed_forward_length = 28672,
        .heads = 64,
        .kv_heads = 8,
        .head_length = 128,
        .experts = 0,
        .experts_used = 0,
        .vocabulary = VocabularyKind::kLlama2,
        .vocab_size = 32000,
        .context_length = 4096,
        .norm_epsilon = 1e-5f,
        .rope_base = 1e4f,
        .rope_scaling = RopeScaling::kNone,
        .rope_factor = 1,
        .window = 0,
    },
    ModelShape{
        .name = "mixtral-8x7b",
        .title = "Mixtral 8x7B shape",
        .family = Family::kLlama,
        .layers = 32,
        .embedding_length = 4096,
        .feed_forward_length = 14336,
        .heads = 32,
        .kv_heads = 8,
        .head_length = 128,
        .experts = 8,
        .experts_used = 2,
        .vocabulary = VocabularyKind::kLlama2,
        .vocab_size = 32000,
        .context_length = 32768,
        .norm_epsilon = 1e-5f,
        .rope_base = 1e6f,
        .rope_scaling = RopeScaling::kNone,
        .rope_factor = 1,
        .window = 0,
    },
};

// The mixture: which format the quantizer gives a matrix, by its name without "blk.N." and ".weight".

// Half of the layers: the first and last eighth, and every third between them.
bool HasMoreBits(std::int32_t layer, std::int32_t layers) {
  return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

Format Q4KMFormat(const ModelShape& shape, std::int32_t layers, std::string_view matrix, std::int32_t layer) {
  // The quantizer knows it by the number of its layers. It stays the same model when fewer of them are made.
  const bool is_70b = shape.layers == 80 && shape.heads != shape.kv_heads;
  if (matrix == "attn_output" && shape.experts == 8) return Format::kQ5_K;
  if (matrix == "attn_v" && !HasMoreBits(layer, layers)) return is_70b ? Format::kQ5_K : Format::kQ4_K;
  const bool sensitive = matrix == "attn_v" || matrix.starts_with("ffn_down");
  return sensitive && HasMoreBits(layer, layers) ? Format::kQ6_K : Format::kQ4_K;
}

// What is used instead where rows are no multiple of 256 long.
Format WithoutSuperBlocks(Format format) {
  switch (format) {
    case Format::kQ4_K:
      return Format::kQ5_0;
    case Format::kQ5_K:
      return Format::kQ5_1;
    case Format::kQ6_K:
      return Format::kQ8_0;
    default:
      return format;
  }
}

// The file's tensors as they are added.
class TensorList {
 public:
  TensorList(const ModelShape& shape, std::int32_t layers, Mixture mixture)
      : shape_(shape), layers_(layers), mixture_(mixture) {}

  void AddOutside(std::string_view matrix, bool is_head) {
    const Format chosen = is_head ? Format::kQ6_K : mixture_ == Mixture::kQ4_0 ? Format::kQ4_0 : Format::kQ4_K;
    Add(std::string(matrix), Fit(chosen, shape_.embedding_length),
        {Size(shape_.embedding_length), Size(shape_.vocab_size)}, Content::kWeights);
  }
  void AddVector(std::string name, std::int32_t size, Content content) {
    Add(std::move(name), Format::kF32, {Size(size)}, content);
  }

  void AddLayer(std::int32_t layer) {
    layer_ = layer;
    const std::int32_t d = shape_.embedding_length;
    const std::int32_t queries = shape_.heads * shape_.head_length;
    const std::int32_t keys = shape_.kv_heads * shape_.head_length;
    const bool gemma = shape_.family == Family::kGemma3;
    Norm("attn_norm", d);
    Matrix("attn_q", d, queries);
    Matrix("attn_k", d, keys);
    Matrix("attn_v", d, keys);
    if (gemma) Norm("attn_q_norm", shape_.head_length);
    if (gemma) Norm("attn_k_norm", shape_.head_length);
    Matrix("attn_output", queries, d);
    if (gemma) Norm("post_attention_norm", d);
    Norm("ffn_norm", d);
    if (shape_.experts > 0) {
      Add(Name("ffn_gate_inp"), Format::kF32, {Size(d), Size(shape_.experts)}, Content::kWeights);
      Experts("ffn_gate_exps", d, shape_.feed_forward_length);
      Experts("ffn_up_exps", d, shape_.feed_forward_length);
      Experts("ffn_down_exps", shape_.feed_forward_length, d);
    } else {
      Matrix("ffn_gate", d, shape_.feed_forward_length);
      Matrix("ffn_up", d, shape_.feed_forward_length);
      Matrix("ffn_down", shape_.feed_forward_length, d);
    }
    if (gemma) Norm("post_ffw_norm", d);
  }

  std::vector<MadeTensor> Take() { return std::move(tensors_); }

 private:
  static std::uint64_t Size(std::int32_t size) { return static_cast<std::uint64_t>(size); }
  static Format Fit(Format format, std::int32_t columns) {
    return columns % 256 == 0 ? format : WithoutSuperBlocks(format);
  }

  std::string Name(std::string_view part) const {
    return "blk." + std::to_string(layer_) + "." + std::string(part) + ".weight";
  }
  Format LayerFormat(std::string_view matrix, std::int32_t columns) const {
    const bool is_key_or_value = matrix == "attn_k" || matrix == "attn_v";
    if (is_key_or_value && shape_.experts == 8) return Format::kQ8_0;
    if (mixture_ == Mixture::kQ4_0) return Format::kQ4_0;
    return Fit(Q4KMFormat(shape_, layers_, matrix, layer_), columns);
  }

  void Add(std::string name, Format format, std::vector<std::uint64_t> shape, Content content) {
    tensors_.push_back({std::move(name), format, std::move(shape), content});
  }
  void Norm(std::string_view part, std::int32_t size) { AddVector(Name(part), size, Content::kNorm); }
  void Matrix(std::string_view part, std::int32_t columns, std::int32_t rows) {
    Add(Name(part), LayerFormat(part, columns), {Size(columns), Size(rows)}, Content::kWeights);
  }
  void Experts(std::string_view part, std::int32_t columns, std::int32_t rows) {
    Add(Name(part), LayerFormat(part, columns), {Size(columns), Size(rows), Size(shape_.experts)}, Content::kWeights);
  }

  const ModelShape& shape_;
  std::int32_t layers_;
  Mixture mixture_;
  std::int32_t layer_ = 0;
  std::vector<MadeTensor> tensors_;
};

}  // namespace

std::span<const ModelShape> AllShapes() { return kShapes; }

const ModelShape* FindShape(std::string_view name) {
  for (const ModelShape& shape : kShapes) {
    if (shape.name == name) return &shape;
  }
  return nullptr;
}

std::uint64_t MadeTensor::elements() const {
  std::uint64_t product = 1;
  for (const std::uint64_t extent : shape) product *= extent;
  return product;
}

std::uint64_t MadeTensor::bytes() const {
  const FormatInfo& info = *FindFormat(static_cast<std::uint32_t>(format));
  return elements() / info.block_elements * info.block_bytes;
}

std::vector<MadeTensor> TensorsOf(const ModelShape& shape, std::int32_t layers, Mixture mixture) {
  TensorList list(shape, layers, mixture);
  const bool tied = shape.family == Family::kGemma3;  // the embedding table is the output head as well
  list.AddOutside("token_embd.weight", tied);
  if (shape.rope_scaling == RopeScaling::kLlama3) {
    list.AddVector("rope_freqs.weight", shape.head_length / 2, Content::kRopeFactors);
  }
  for (std::int32_t layer = 0; layer < layers; ++layer) list.AddLayer(layer);
  list.AddVector("output_norm.weight", shape.embedding_length, Content::kNorm);
  if (!tied) list.AddOutside("output.weight", true);
  return list.Take();
}

}  // namespace slm::bench
