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
#include "formats.h"
#include "kernels.h"
#include "model/weights.h"
#include "slm/adapter.h"
#include "slm/model.h"
#include "slm/model_file.h"

namespace slm {

// What is added to the product of a matrix W: scale * B (A x). Both are kept in memory of their own, as halves where
// the file has no more than those, divided by their largest number so that nothing is too large or small for a half.
struct LowRank {
  std::int64_t rank = 0;
  float scale = 0;  // alpha / rank, and what A and B were divided by
  // [rank, columns of W]. Of an embedding: [vocab, rank], of which a token's row stands for A x.
  Matrix a;
  AlignedBuffer<std::byte> a_data;
  AlignedBuffer<std::byte> b;  // [rows of W, rank] in panels, as KernelSet::add_low_rank reads them; in a's format

  // Where the panel of a row of W begins.
  const std::byte* Panel(std::int64_t row) const {
    return b.data() + static_cast<std::size_t>(row / kLowRankPanel * kLowRankPanel * rank) * a.format->block_bytes;
  }
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
