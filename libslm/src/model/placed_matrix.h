// Where in its file each matrix of a model lies.

#ifndef SLM_MODEL_PLACED_MATRIX_H_
#define SLM_MODEL_PLACED_MATRIX_H_

#include <cstdint>
#include <vector>

#include "file/gguf.h"
#include "model/weights.h"

namespace slm {

// A matrix that rows of activations are multiplied with, and where it lies.
struct PlacedMatrix {
  const Matrix* matrix = nullptr;
  const GgufTensor* tensor = nullptr;
  std::int64_t first_row = 0;  // of the tensor, its further dimensions counted through
};
// Each of them once. `weights` must be bound to the file, and both must outlive the result.
std::vector<PlacedMatrix> PlaceMatrices(const GgufFile& file, const Weights& weights);

}  // namespace slm

#endif  // SLM_MODEL_PLACED_MATRIX_H_
