// What the columns of each matrix meet while rows are evaluated: the importance of weights to a quantizer.

#ifndef SLM_FORWARD_ACTIVATION_STATISTICS_H_
#define SLM_FORWARD_ACTIVATION_STATISTICS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "forward/product.h"
#include "model/placed_matrix.h"
#include "model/weights.h"

namespace slm {

class ActivationStatistics {
 public:
  struct Sums {
    std::vector<double> squares;  // [columns], of all rows so far
    std::int64_t rows = 0;
  };

  // Of these matrices; others are passed over. A router of experts must not be among them: several workers may multiply
  // it at once.
  explicit ActivationStatistics(std::span<const PlacedMatrix> matrices) {
    for (const PlacedMatrix& placed : matrices)
      sums_[placed.matrix->data].squares.resize(static_cast<std::size_t>(placed.matrix->columns));
  }

  // Called by one worker at a time for a matrix, with rows in the order in which they are evaluated.
  void Add(const Matrix& matrix, const ActivationRows& input, std::int64_t rows) {
    const auto found = sums_.find(matrix.data);
    if (found == sums_.end()) return;
    std::vector<double>& squares = found->second.squares;
    for (std::int64_t row = 0; row < rows; ++row) {
      const float* const x = input.From(row).values;
      for (std::size_t i = 0; i < squares.size(); ++i)
        squares[i] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    }
    found->second.rows += rows;
  }

  // nullptr: not one of them.
  const Sums* Find(const Matrix& matrix) const {
    const auto found = sums_.find(matrix.data);
    return found == sums_.end() ? nullptr : &found->second;
  }

 private:
  std::unordered_map<const std::byte*, Sums> sums_;  // by where the matrix lies
};

}  // namespace slm

#endif  // SLM_FORWARD_ACTIVATION_STATISTICS_H_
