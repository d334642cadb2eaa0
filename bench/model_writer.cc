#include "model_writer.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "file/gguf_writer.h"
#include "made_vocabulary.h"
#include "random.h"
#include "random_weights.h"

namespace slm::bench {

namespace {

constexpr std::size_t kPieceBytes = 1 << 20;

void AddModelKeys(const ModelRecipe& recipe, GgufMetadata& file) {
  const ModelShape& shape = *recipe.shape;
  const bool gemma = shape.family == Family::kGemma3;
  const std::string prefix = gemma ? "gemma3." : "llama.";
  const auto set = [&](std::string_view name, auto value) { file.Set(prefix + std::string(name), value); };
  const auto set_count = [&](std::string_view name, std::int32_t n) { set(name, static_cast<std::uint32_t>(n)); };
  file.Set("general.architecture", gemma ? "gemma3" : "llama");
  file.Set("general.type", "model").Set("general.name", shape.title);
  file.Set("general.file_type", recipe.mixture == Mixture::kQ4_0 ? 2u : 15u).Set("general.quantization_version", 2u);
  set_count("context_length", shape.context_length);
  set_count("embedding_length", shape.embedding_length);
  set_count("block_count", recipe.layers);
  set_count("feed_forward_length", shape.feed_forward_length);
  set_count("attention.head_count", shape.heads);
  set_count("attention.head_count_kv", shape.kv_heads);
  set_count("attention.key_length", shape.head_length);
  set_count("attention.value_length", shape.head_length);
  set("attention.layer_norm_rms_epsilon", shape.norm_epsilon);
  set("rope.freq_base", shape.rope_base);
  if (!gemma) set_count("rope.dimension_count", shape.head_length);
  if (!gemma) set_count("vocab_size", shape.vocab_size);
  if (shape.window > 0) set_count("attention.sliding_window", shape.window);
  if (shape.rope_scaling == RopeScaling::kLinear) {
    set("rope.scaling.type", "linear");
    set("rope.scaling.factor", shape.rope_factor);
  }
  if (shape.experts > 0) {
    set_count("expert_count", shape.experts);
    set_count("expert_used_count", shape.experts_used);
  }
}

// Llama 3.1's way to longer contexts: slow angles are divided, fast ones not, those between by something between.
std::vector<float> Llama3RopeFactors(const ModelShape& shape) {
  constexpr double kLowFrequency = 1;
  constexpr double kHighFrequency = 4;
  constexpr double kOriginalContext = 8192;
  std::vector<float> factors;
  for (std::int32_t i = 0; i < shape.head_length / 2; ++i) {
    const double wavelength = 2 * std::numbers::pi * std::pow(shape.rope_base, 2.0 * i / shape.head_length);
    const double turns = kOriginalContext / wavelength;
    const double share = std::clamp((turns - kLowFrequency) / (kHighFrequency - kLowFrequency), 0.0, 1.0);
    factors.push_back(static_cast<float>(1 / ((1 - share) / shape.rope_factor + share)));
  }
  return factors;
}

std::vector<float> NormWeights(std::uint64_t count, Random& random) {
  std::vector<float> weights(count);
  for (float& weight : weights) weight = 0.9f + 0.2f * random.Uniform();
  return weights;
}

Status WriteFloats(const std::vector<float>& values, GgufWriter& file) {
  return file.Write(std::as_bytes(std::span(values)));
}

// `report` is told how many bytes more there are.
Status WriteWeights(const MadeTensor& tensor, Random& random, GgufWriter& file,
                    const std::function<void(std::uint64_t bytes)>& report) {
  const RandomWeights weights(tensor.format, 1 / std::sqrt(static_cast<float>(tensor.shape[0])));
  const std::size_t block_bytes = FindFormat(static_cast<std::uint32_t>(tensor.format))->block_bytes;
  std::vector<std::byte> piece(kPieceBytes / block_bytes * block_bytes);
  for (std::uint64_t left = tensor.bytes(); left > 0; left -= piece.size()) {
    piece.resize(static_cast<std::size_t>(std::min<std::uint64_t>(left, piece.size())));
    weights.Fill(random, piece);
    if (Status status = file.Write(piece); !status.ok()) return status;
    report(piece.size());
  }
  return {};
}

}  // namespace

std::uint64_t TensorBytes(const ModelRecipe& recipe) {
  std::uint64_t total = 0;
  for (const MadeTensor& tensor : TensorsOf(*recipe.shape, recipe.layers, recipe.mixture)) total += tensor.bytes();
  return total;
}

Result<WrittenModel> WriteModel(const ModelRecipe& recipe, const std::string& path, const WriteProgress& progress) {
  const std::vector<MadeTensor> tensors = TensorsOf(*recipe.shape, recipe.layers, recipe.mixture);
  GgufMetadata metadata;
  AddModelKeys(recipe, metadata);
  AddVocabulary(recipe.shape->vocabulary, recipe.shape->vocab_size, recipe.seed, metadata);
  std::vector<TensorHeader> headers;
  for (const MadeTensor& tensor : tensors) headers.push_back({tensor.name, tensor.format, tensor.shape});
  Result<GgufWriter> file = GgufWriter::Create(path, std::move(metadata), std::move(headers));
  if (!file.ok()) return file.status();
  std::uint64_t written = 0;
  for (const MadeTensor& tensor : tensors) {
    Random random(recipe.seed, tensor.name);
    Status status;
    switch (tensor.content) {
      case Content::kNorm:
        status = WriteFloats(NormWeights(tensor.elements(), random), *file);
        break;
      case Content::kRopeFactors:
        status = WriteFloats(Llama3RopeFactors(*recipe.shape), *file);
        break;
      case Content::kWeights:
        status = WriteWeights(tensor, random, *file,
                              [&](std::uint64_t bytes) { progress(written += bytes, file->total_bytes()); });
        break;
    }
    if (!status.ok()) return status;
  }
  if (Status status = file->Commit(); !status.ok()) return status;
  return WrittenModel{file->total_bytes(), tensors.size()};
}

}  // namespace slm::bench
