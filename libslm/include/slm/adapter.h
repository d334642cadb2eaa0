// A LoRA adapter: a small change of a model's matrices that is applied while the model runs. For each matrix W that it
// changes it has two thin ones, and W x becomes W x + weight * (alpha / rank) * B (A x).
//
//   slm::Result<slm::Adapter> adapter = slm::Adapter::Open(model, "letters.gguf");
//   slm::Result<slm::Session> session = slm::Session::Create(model, {.adapters = {{*adapter, 0.8f}}});
//
// Hu et al. 2021, https://arxiv.org/abs/2106.09685. Files are GGUF, as llama.cpp's convert_lora_to_gguf.py
// writes them.
//
// Thread-safety: immutable after opening. An Adapter is a cheap handle, which shares the file's mapping and keeps the
// model's.

#ifndef SLM_ADAPTER_H_
#define SLM_ADAPTER_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>
#include <utility>

#include "slm/model.h"
#include "slm/model_file.h"
#include "slm/status.h"

namespace slm {

class Adapter {
 public:
  // Fails as ModelFile::Open does, and as below.
  static Result<Adapter> Open(const Model& model, const std::filesystem::path& path);
  // Fails with kInvalidArgument (an adapter of another architecture; a tensor that changes one which the model does not
  // have, or of another shape: says both), kUnsupported (no LoRA adapter; what is not a product with a matrix or the
  // embedding) or kCorruptFile (halves of a pair).
  static Result<Adapter> Open(const Model& model, const ModelFile& file);

  std::string_view name() const;  // as ModelFile::name
  std::int32_t rank() const;      // the largest of any matrix
  std::uint64_t bytes() const;    // of its matrices: read for each token generated, but for experts that are not used

 private:
  friend struct Internal;
  struct Impl;
  explicit Adapter(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

struct WeightedAdapter {
  Adapter adapter;
  float weight = 1;  // finite; 0: as if it were not there, to the last bit
};

}  // namespace slm

#endif  // SLM_ADAPTER_H_
