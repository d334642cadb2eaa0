// A row of activations to int8: what is the same for every instruction set. The steps are those of scalar/quantize.cc,
// bit for bit.

#ifndef SLM_KERNELS_SIMD_QUANTIZE_INL_H_
#define SLM_KERNELS_SIMD_QUANTIZE_INL_H_

#include <cstdint>
#include <limits>

#include "kernels.h"

namespace slm {
namespace {

constexpr float kQuantizeSteps = 127;
constexpr float kQuantizeFactors = 4095;

// Isa::LargestMagnitude(x, n): as integers magnitudes order as the floats do, with infinity and NaN above all others.
// Isa::QuantizeBlock(x, amax, inverse, out): a block of a row whose largest magnitude is amax.
template <class Isa>
void QuantizeRow(const float* x, std::int64_t n, ActivationBlock* out) {
  const auto finite = [](float magnitude) { return magnitude <= std::numeric_limits<float>::max(); };
  const float amax = Isa::LargestMagnitude(x, n);
  const float inverse = kQuantizeSteps * kQuantizeFactors / amax;
  if (!finite(amax) || !finite(inverse)) {
    for (std::int64_t block = 0; block < n / 32; ++block) {
      out[block] = {};
      if (!finite(amax)) out[block].scale = std::numeric_limits<float>::quiet_NaN();
    }
    return;
  }
  for (std::int64_t i = 0; i < n; i += 32) Isa::QuantizeBlock(x + i, amax, inverse, *out++);
}

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_QUANTIZE_INL_H_
