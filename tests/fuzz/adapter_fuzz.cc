// LoRA adapters' bytes, for models with dense layers, with experts and with several streams.

#include <array>
#include <cstddef>

#include "file/model_file_impl.h"
#include "fuzz/fuzz_models.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/gguf_mutator.h"
#include "slm/adapter.h"
#include "slm/session.h"
#include "tiny_gguf.h"

namespace slm::test {

namespace {

// Whose bytes stay where they are.
const std::vector<Model>& Models() {
  static const std::vector<std::string> bytes = {SmallModel("phi3"), SmallModel("qwen3moe"), SmallModel("gemma3n")};
  static const std::vector<Model> models = [] {
    std::vector<Model> opened;
    for (const std::string& file : bytes)
      opened.push_back(*Model::Open(*ModelFile::FromMemory(std::as_bytes(std::span(file)), "model")));
    return opened;
  }();
  return models;
}

// Of rank 2 for all that has rows and columns.
std::string AdapterFor(const Model& model) {
  constexpr std::uint64_t kRank = 2;
  TinyGguf file;
  file.Set("general.architecture", model.architecture()).Set("general.type", "adapter");
  file.Set("adapter.type", "lora").Set("adapter.lora.alpha", 4.0f);
  for (const TensorInfo& tensor : model.file().tensors()) {
    std::vector<std::uint64_t> shape = tensor.shape;
    if (shape.size() < 2 || tensor.name.find("altup_") != tensor.name.npos || tensor.name.starts_with("per_layer_tok"))
      continue;
    const bool embedding = tensor.name == "token_embd.weight";
    std::vector<std::uint64_t> a = shape, b = shape;
    a[1] = kRank, b[0] = kRank;
    if (embedding) a = {kRank, shape[1]}, b = {kRank, shape[0]};
    const auto numbers = [](const std::vector<std::uint64_t>& extents) {
      std::uint64_t count = 1;
      for (const std::uint64_t extent : extents) count *= extent;
      return std::vector<float>(count, 0.01f);
    };
    file.AddF32(std::string(tensor.name) + ".lora_a", a, numbers(a));
    file.AddF32(std::string(tensor.name) + ".lora_b", b, numbers(b));
  }
  return file.Build();
}

}  // namespace

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (const Model& model : Models()) seeds.push_back(AdapterFor(model));
  return seeds;
}

void Fuzz(std::string_view input) {
  const auto file = ModelFile::FromMemory(std::as_bytes(std::span(input)), "input");
  if (!file.ok()) return;
  for (const Model& model : Models()) {
    const Result<Adapter> adapter = Adapter::Open(model, *file);
    if (!adapter.ok()) {
      Require(!adapter.status().message().empty(), "errors say something");
      continue;
    }
    Result<Session> session =
        Session::Create(model, {.context_length = 8, .threads = 1, .adapters = {{*adapter, 0.5f}, {*adapter, 2}}});
    if (session.ok()) static_cast<void>(session->Append(std::array<Token, 3>{1, 2, 3}));
  }
}

}  // namespace slm::test

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t capacity,
                                               unsigned seed) {
  return slm::test::MutateGguf(data, size, capacity, seed);
}
