#include "support/tiny_model.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <random>
#include <stdexcept>

#include "dispatch.h"

namespace slm::test {

namespace {

// A path no other test uses, of this process or another.
std::filesystem::path TemporaryPath() {
  static std::atomic<int> count{0};
  return std::filesystem::path(testing::TempDir()) /
         ("tiny_model_" + std::to_string(getpid()) + "_" + std::to_string(count++) + ".gguf");
}

}  // namespace

TinyModel::TinyModel(const TinyShape& shape) {
  SetSizes(shape);
  SetVocabulary(shape.vocab);
  AddTensor("token_embd.weight", {shape.width, shape.vocab});
  AddTensor("output_norm.weight", {shape.width});
  if (!shape.tied) AddTensor("output.weight", {shape.width, shape.vocab});
  for (std::uint32_t i = 0; i < shape.layers; ++i) AddLayer(shape, i);
}

void TinyModel::SetSizes(const TinyShape& shape) {
  const std::string& arch = shape.architecture;
  Set("general.architecture", arch);
  Set(arch + ".block_count", shape.layers);
  Set(arch + ".context_length", shape.context);
  Set(arch + ".embedding_length", shape.width);
  Set(arch + ".feed_forward_length", shape.ffn_width);
  Set(arch + ".attention.head_count", shape.heads);
  Set(arch + ".attention.head_count_kv", shape.kv_heads);
  Set(arch + ".attention.key_length", shape.head_dim);
  Set(arch + ".attention.value_length", shape.value_length());
  Set(arch + ".attention.layer_norm_rms_epsilon", 1e-5f);
  Set(arch + ".rope.freq_base", 1000.0f);
  if (arch == "gemma3") Set(arch + ".attention.sliding_window", 0u);
  if (shape.experts == 0) return;
  Set(arch + ".expert_count", shape.experts);
  Set(arch + ".expert_used_count", shape.experts_used);
  Set(arch + ".expert_feed_forward_length", shape.expert_length());
}

void TinyModel::SetVocabulary(std::uint32_t size) {
  std::vector<std::string> texts = {"<unk>", "<s>", "</s>"};
  std::vector<std::int32_t> types = {2, 3, 3};
  std::vector<float> scores(size, 0.0f);
  for (std::uint32_t i = 3; i < size; ++i) {
    texts.push_back(std::to_string(i));
    types.push_back(1);
    scores[i] = -static_cast<float>(i);
  }
  Set("tokenizer.ggml.model", std::string("llama"));
  Set("tokenizer.ggml.tokens", texts);
  Set("tokenizer.ggml.scores", scores);
  Set("tokenizer.ggml.token_type", types);
}

void TinyModel::AddLayer(const TinyShape& shape, std::uint32_t index) {
  const std::string prefix = "blk." + std::to_string(index) + ".";
  const std::uint64_t d = shape.width;
  AddTensor(prefix + "attn_norm.weight", {d});
  AddTensor(prefix + "attn_q.weight", {d, shape.queries()});
  AddTensor(prefix + "attn_k.weight", {d, shape.keys()});
  AddTensor(prefix + "attn_v.weight", {d, shape.values()});
  AddTensor(prefix + "attn_output.weight", {shape.attended(), d});
  AddTensor(prefix + "ffn_norm.weight", {d});
  AddFeedForward(shape, prefix);
  if (shape.architecture == "gemma3" || shape.architecture == "qwen3moe") {
    AddTensor(prefix + "attn_q_norm.weight", {shape.head_dim});
    AddTensor(prefix + "attn_k_norm.weight", {shape.head_dim});
  }
  if (shape.architecture != "gemma3") return;
  AddTensor(prefix + "post_attention_norm.weight", {d});
  AddTensor(prefix + "post_ffw_norm.weight", {d});
}

void TinyModel::AddFeedForward(const TinyShape& shape, const std::string& prefix) {
  const std::uint64_t d = shape.width, experts = shape.experts;
  const bool dense = experts == 0 || shape.architecture == "gemma4";  // which has experts beside it
  const std::uint64_t ff = dense ? shape.ffn_width : shape.expert_length();
  if (dense) {
    AddTensor(prefix + "ffn_gate.weight", {d, ff});
    AddTensor(prefix + "ffn_up.weight", {d, ff});
    AddTensor(prefix + "ffn_down.weight", {ff, d});
    return;
  }
  AddTensor(prefix + "ffn_gate_inp.weight", {d, experts});
  AddTensor(prefix + "ffn_gate_exps.weight", {d, ff, experts});
  AddTensor(prefix + "ffn_up_exps.weight", {d, ff, experts});
  AddTensor(prefix + "ffn_down_exps.weight", {ff, d, experts});
}

std::function<void(TinyGguf&)>& TinyModel::Entry(const std::string& key) {
  for (auto& [name, set] : entries_) {
    if (name == key) return set;
  }
  return entries_.emplace_back(key, nullptr).second;
}

TinyModel& TinyModel::Erase(std::string_view key) {
  if (std::erase_if(entries_, [&](const auto& entry) { return entry.first == key; }) == 0) {
    throw std::invalid_argument("no key " + std::string(key));
  }
  return *this;
}

TinyModel::Tensor& TinyModel::Find(std::string_view name) {
  for (Tensor& tensor : tensors_) {
    if (tensor.name == name) return tensor;
  }
  throw std::invalid_argument("no tensor " + std::string(name));
}

TinyModel& TinyModel::SetTensor(std::string_view name, std::vector<std::uint64_t> shape,
                                std::span<const float> values) {
  return SetTensor(name, static_cast<std::uint32_t>(Format::kF32), std::move(shape),
                   {reinterpret_cast<const char*>(values.data()), values.size_bytes()});
}

TinyModel& TinyModel::SetTensor(std::string_view name, std::uint32_t type, std::vector<std::uint64_t> shape,
                                std::string data) {
  const auto found = std::ranges::find(tensors_, name, &Tensor::name);
  Tensor& tensor = found != tensors_.end() ? *found : tensors_.emplace_back();
  tensor = {std::string(name), type, std::move(shape), std::move(data)};
  return *this;
}

TinyModel& TinyModel::AddTensor(std::string_view name, std::vector<std::uint64_t> shape) {
  std::size_t count = 1;
  for (const std::uint64_t extent : shape) count *= extent;
  // Matrices that keep the size of what they multiply, norms near 1.
  const bool is_matrix = shape.size() > 1;
  std::mt19937 random(++seed_);
  std::normal_distribution<float> normal(is_matrix ? 0.0f : 1.0f,
                                         is_matrix ? 1 / std::sqrt(static_cast<float>(shape[0])) : 0.1f);
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return SetTensor(name, std::move(shape), values);
}

TinyModel& TinyModel::EraseTensor(std::string_view name) {
  (void)Find(name);
  std::erase_if(tensors_, [&](const Tensor& tensor) { return tensor.name == name; });
  return *this;
}

TinyModel& TinyModel::SetValue(std::string_view name, std::size_t index, float value) {
  std::memcpy(Find(name).data.data() + index * sizeof(float), &value, sizeof(float));
  return *this;
}

TinyModel& TinyModel::CopyTensor(std::string_view from, std::string_view to) {
  const Tensor tensor = Find(from);
  return SetTensor(to, tensor.type, tensor.shape, tensor.data);
}

TinyModel& TinyModel::SplitExperts(std::string_view name) {
  const Tensor stacked = Find(name);
  EraseTensor(name);
  const std::string part(name.substr(0, name.rfind("_exps")));
  const std::size_t size = stacked.data.size() / stacked.shape[2];
  for (std::size_t i = 0; i < stacked.shape[2]; ++i) {
    SetTensor(part + "." + std::to_string(i) + ".weight", stacked.type, {stacked.shape[0], stacked.shape[1]},
              stacked.data.substr(i * size, size));
  }
  return *this;
}

TinyModel& TinyModel::Quantize() {
  for (Tensor& tensor : tensors_) {
    if (tensor.shape.size() == 1 || tensor.shape[0] % 32 != 0) continue;
    const std::vector<float> values = Values(tensor.name);
    tensor.type = static_cast<std::uint32_t>(Format::kQ8_0);
    tensor.data.resize(values.size() / 32 * sizeof(BlockQ8_0));
    FindKernelSet("scalar")->to_q8_0(values.data(), std::ssize(values),
                                     reinterpret_cast<BlockQ8_0*>(tensor.data.data()));
  }
  return *this;
}

std::vector<float> TinyModel::Values(std::string_view name) const {
  for (const Tensor& tensor : tensors_) {
    if (tensor.name != name) continue;
    std::vector<float> values(tensor.data.size() / sizeof(float));
    std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
    return values;
  }
  throw std::invalid_argument("no tensor " + std::string(name));
}

TinyModel& TinyModel::SetAlignment(std::uint32_t alignment) {
  alignment_ = alignment;
  return Set("general.alignment", alignment);
}

TinyGguf TinyModel::File() const {
  TinyGguf file;
  file.set_alignment(alignment_);
  for (const auto& [key, set] : entries_) set(file);
  for (const Tensor& tensor : tensors_) file.AddTensor(tensor.name, tensor.type, tensor.shape, tensor.data);
  return file;
}

std::string TinyModel::Build() const { return File().Build(); }

std::vector<TinyGguf> TinyModel::Split(std::size_t parts) const {
  std::vector<TinyGguf> files(parts);
  for (const auto& [key, set] : entries_) set(files.front());
  for (std::size_t i = 0; i < parts; ++i) {
    files[i].set_alignment(alignment_);
    files[i].Set("split.no", static_cast<std::uint16_t>(i));
    files[i].Set("split.count", static_cast<std::uint16_t>(parts));
    files[i].Set("split.tensors.count", static_cast<std::int32_t>(tensors_.size()));
  }
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const Tensor& tensor = tensors_[i];
    files[i % parts].AddTensor(tensor.name, tensor.type, tensor.shape, tensor.data);
  }
  return files;
}

Result<Model> TinyModel::Open(const ModelOptions& options) const {
  const std::filesystem::path path = TemporaryPath();
  File().Write(path);
  Result<Model> model = Model::Open(path, options);
  std::filesystem::remove(path);
  return model;
}

}  // namespace slm::test
