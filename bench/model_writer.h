// Writes GGUF files of made-up models to disk, piece by piece: a model needs no more memory than its vocabulary.

#ifndef SLM_BENCH_MODEL_WRITER_H_
#define SLM_BENCH_MODEL_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "model_shapes.h"
#include "slm/status.h"

namespace slm::bench {

struct ModelRecipe {
  const ModelShape* shape;
  std::int32_t layers;
  Mixture mixture;
  std::uint64_t seed;
};

struct WrittenModel {
  std::uint64_t bytes;
  std::size_t tensors;
};

using WriteProgress = std::function<void(std::uint64_t written, std::uint64_t total)>;

// Writes the same bytes for the same recipe on every machine. On failure no unfinished file stays behind.
Result<WrittenModel> WriteModel(const ModelRecipe& recipe, const std::string& path, const WriteProgress& progress);

// The size of the tensors of a model: nearly that of the file.
std::uint64_t TensorBytes(const ModelRecipe& recipe);

}  // namespace slm::bench

#endif  // SLM_BENCH_MODEL_WRITER_H_
