// What an Adapter handle shares: the thin matrices of a LoRA adapter, bound to the model's.

#ifndef SLM_MODEL_ADAPTER_IMPL_H_
#define SLM_MODEL_ADAPTER_IMPL_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/internal.h"  // IWYU pragma: export
#include "model/weights.h"
#include "slm/adapter.h"
#include "slm/model.h"
#include "slm/model_file.h"

namespace slm {

// What is added to the product of a matrix W: B (A x), alpha / rank included.
struct LowRank {
  // [rank, columns of W]. Of an embedding: [vocab, rank], of which a token's row stands for A x.
  Matrix a;
  AlignedBuffer<float> a_floats;  // a's data where the file has it in a format whose products round activations
  AlignedBuffer<float> b;         // [rank, rows of W]: turned, so that rows of W lie side by side
  std::int64_t rank = 0;
};

struct Adapter::Impl {
  Impl(Model of_model, ModelFile of_file) : model(std::move(of_model)), file(std::move(of_file)) {}

  const Model model;
  const ModelFile file;
  std::uint64_t fingerprint = 0;                           // of the file
  std::unordered_map<const std::byte*, LowRank> matrices;  // by where W lies
  std::optional<LowRank> embedding;
  std::int64_t largest_rank = 0;
  std::uint64_t bytes = 0;
};
using AdapterImpl = ImplOf<Adapter>;

}  // namespace slm

#endif  // SLM_MODEL_ADAPTER_IMPL_H_
