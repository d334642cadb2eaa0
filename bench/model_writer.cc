#include "model_writer.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <numbers>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "made_vocabulary.h"
#include "random.h"
#include "random_weights.h"
#include "tiny_gguf.h"

namespace slm::bench {

namespace {

constexpr std::uint64_t kAlignment = 32;
constexpr std::array<std::byte, kAlignment> kZeros = {};
constexpr std::size_t kPieceBytes = 1 << 20;

std::uint64_t PaddedBytes(const MadeTensor& tensor) {
  return (tensor.bytes() + kAlignment - 1) / kAlignment * kAlignment;
}

void AddModelKeys(const ModelRecipe& recipe, TinyGguf& file) {
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

// Everything before the data of the first tensor.
std::string Header(const ModelRecipe& recipe, const std::vector<MadeTensor>& tensors) {
  TinyGguf file;
  file.set_alignment(kAlignment);
  AddModelKeys(recipe, file);
  AddVocabulary(recipe.shape->vocabulary, recipe.shape->vocab_size, recipe.seed, file);
  std::uint64_t offset = 0;
  for (const MadeTensor& tensor : tensors) {
    file.AddTensor(tensor.name, tensor.format, tensor.shape, "").set_offset(offset);
    offset += PaddedBytes(tensor);
  }
  return file.Build();
}

// A file that is removed again unless Finish() succeeds.
class OutputFile {
 public:
  explicit OutputFile(const std::string& path) : path_(path), file_(std::fopen(path.c_str(), "wb"), &std::fclose) {
    unfinished_ = file_ != nullptr;
    if (!unfinished_) Fail();
  }
  ~OutputFile() {
    if (!unfinished_) return;
    file_.reset();
    std::error_code ignored;  // what matters has been reported
    if (std::filesystem::is_regular_file(path_, ignored)) std::filesystem::remove(path_, ignored);
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  const Status& status() const { return status_; }
  std::uint64_t written() const { return written_; }

  void Write(std::span<const std::byte> bytes) {
    if (!status_.ok()) return;
    if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size()) return Fail();
    written_ += bytes.size();
  }
  void Write(const std::vector<float>& values) { Write(std::as_bytes(std::span(values))); }
  Status Finish() {
    if (status_.ok() && std::fclose(file_.release()) != 0) Fail();
    unfinished_ = !status_.ok();
    return status_;
  }

 private:
  void Fail() { status_ = Status(StatusCode::kIoError, "cannot write " + path_ + ": " + std::strerror(errno)); }

  std::string path_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  Status status_;
  std::uint64_t written_ = 0;
  bool unfinished_;  // and therefore to be removed
};

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

void WriteWeights(const MadeTensor& tensor, Random& random, OutputFile& file, const std::function<void()>& report) {
  const RandomWeights weights(tensor.format, 1 / std::sqrt(static_cast<float>(tensor.shape[0])));
  const std::size_t block_bytes = FindFormat(static_cast<std::uint32_t>(tensor.format))->block_bytes;
  std::vector<std::byte> piece(kPieceBytes / block_bytes * block_bytes);
  for (std::uint64_t left = tensor.bytes(); left > 0 && file.status().ok(); left -= piece.size()) {
    piece.resize(static_cast<std::size_t>(std::min<std::uint64_t>(left, piece.size())));
    weights.Fill(random, piece);
    file.Write(piece);
    report();
  }
}

}  // namespace

std::uint64_t TensorBytes(const ModelRecipe& recipe) {
  std::uint64_t total = 0;
  for (const MadeTensor& tensor : TensorsOf(*recipe.shape, recipe.layers, recipe.mixture)) total += PaddedBytes(tensor);
  return total;
}

Result<WrittenModel> WriteModel(const ModelRecipe& recipe, const std::string& path, const WriteProgress& progress) {
  const std::vector<MadeTensor> tensors = TensorsOf(*recipe.shape, recipe.layers, recipe.mixture);
  OutputFile file(path);
  if (!file.status().ok()) return file.status();
  const std::string header = Header(recipe, tensors);
  const std::uint64_t total = header.size() + TensorBytes(recipe);
  file.Write(std::as_bytes(std::span(header)));
  for (const MadeTensor& tensor : tensors) {
    Random random(recipe.seed, tensor.name);
    switch (tensor.content) {
      case Content::kNorm:
        file.Write(NormWeights(tensor.elements(), random));
        break;
      case Content::kRopeFactors:
        file.Write(Llama3RopeFactors(*recipe.shape));
        break;
      case Content::kWeights:
        WriteWeights(tensor, random, file, [&] { progress(file.written(), total); });
        break;
    }
    file.Write(std::span(kZeros).first(static_cast<std::size_t>(PaddedBytes(tensor) - tensor.bytes())));
  }
  if (const Status status = file.Finish(); !status.ok()) return status;
  return WrittenModel{file.written(), tensors.size()};
}

}  // namespace slm::bench
