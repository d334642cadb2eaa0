#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "scalar/scalar.h"

namespace slm::scalar {

namespace {

// As integers the magnitudes of floats order as they do as floats, with infinity and NaN above all others.
float LargestMagnitude(const float* x, int n) {
  std::uint32_t magnitude = 0;
  for (int i = 0; i < n; ++i) magnitude = std::max(magnitude, std::bit_cast<std::uint32_t>(x[i]) & 0x7FFFFFFFu);
  return std::bit_cast<float>(magnitude);
}

}  // namespace

// Every step rounds once, so that any set that takes the same steps gets the same bits. With amax the largest |x| of the
// block and amax_g of group g:
//  - Where an x is infinite or NaN, q and factors are 0 and scale and sums are NaN, which no product hides.
//  - inverse is 127 * 127 / amax. Where that is infinite (amax is 0 or tiny), everything is 0.
//  - factor_g is amax_g / amax * 127, rounded up, at least 1.
//  - q is x * (inverse / factor_g), rounded half to even. It is within -127..127: 127 is exceeded by rounding only.
//  - scale is amax / (127 * 127).
//  - half_sum is scale times the sum of factor_g * q over the half, an integer; sum is the same over the block.
void Quantize(const float* x, std::int64_t n, ActivationBlock* out) {
  constexpr float kSteps = 127;
  for (std::int64_t begin = 0; begin < n; begin += 32, x += 32, ++out) {
    *out = {};
    const float amax = LargestMagnitude(x, 32);
    if (!std::isfinite(amax)) {
      constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
      out->scale = out->sum = out->half_sum[0] = out->half_sum[1] = kNan;
      continue;
    }
    const float inverse = kSteps * kSteps / amax;
    if (!std::isfinite(inverse)) continue;

    int half_sum[2] = {};
    for (int group = 0; group < 4; ++group) {
      const float factor = std::max(1.0f, std::ceil(LargestMagnitude(x + 8 * group, 8) / amax * kSteps));
      const float group_inverse = inverse / factor;
      int sum = 0;
      for (int i = 8 * group; i < 8 * group + 8; ++i) {
        out->q[i] = static_cast<std::int8_t>(std::nearbyint(x[i] * group_inverse));
        sum += out->q[i];
      }
      out->factors[group][0] = out->factors[group][1] = static_cast<std::int16_t>(factor);
      half_sum[group / 2] += static_cast<int>(factor) * sum;
    }
    out->scale = amax / (kSteps * kSteps);
    out->sum = out->scale * static_cast<float>(half_sum[0] + half_sum[1]);
    out->half_sum[0] = out->scale * static_cast<float>(half_sum[0]);
    out->half_sum[1] = out->scale * static_cast<float>(half_sum[1]);
  }
}

}  // namespace slm::scalar
