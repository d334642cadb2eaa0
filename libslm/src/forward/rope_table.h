// Cosines and sines of rotary position embedding, for the rows of a forward pass.

#ifndef SLM_FORWARD_ROPE_TABLE_H_
#define SLM_FORWARD_ROPE_TABLE_H_

#include <cstdint>
#include <vector>

#include "base/aligned_buffer.h"
#include "forward/working_memory.h"
#include "model/model_config.h"
#include "model/weights.h"

namespace slm {

// What a model has besides RopeConfig: a divisor of the angle for each pair, empty: all 1. `long_context` holds for
// sequences whose context is longer than the model's original one.
struct RopeDivisors {
  const Vector& short_context;
  const Vector& long_context;
};

// The angles of one kind of layer.
class RopeTable {
 public:
  // False if there is no memory.
  [[nodiscard]] bool Plan(const RopeConfig& rope, const RopeDivisors& divisors, std::int64_t max_rows,
                          WorkingMemory& memory);

  void Fill(std::int64_t row, std::int64_t position, bool long_context);
  // For heads that were turned already, to turn them by so many positions more (or less, if negative).
  void FillTurn(std::int64_t row, std::int64_t positions, bool long_context);

  // The first `dimensions` of a head turn by cos and sin, [dimensions / 2] each.
  std::int64_t dimensions() const { return 2 * pairs(); }
  const float* cos(std::int64_t row) const { return cos_.data() + row * pairs(); }
  const float* sin(std::int64_t row) const { return sin_.data() + row * pairs(); }

 private:
  void FillAngles(std::int64_t row, std::int64_t positions, double magnitude, bool long_context);
  std::int64_t pairs() const { return static_cast<std::int64_t>(short_frequencies_.size()); }

  // [pairs] radians per position.
  std::vector<double> short_frequencies_;
  std::vector<double> long_frequencies_;
  double magnitude_ = 1;
  AlignedBuffer<float> cos_;  // [max_rows][pairs]
  AlignedBuffer<float> sin_;  // [max_rows][pairs]
};

}  // namespace slm

#endif  // SLM_FORWARD_ROPE_TABLE_H_
