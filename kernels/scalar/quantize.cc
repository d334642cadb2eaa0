#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>

#include "scalar/scalar.h"

namespace slm::scalar {

// Every step rounds once, so that any set that takes the same steps gets the same bits:
//  - amax is the largest |x|. Where an x is infinite or NaN, q is 0 and scale and sums are NaN, which no product hides.
//  - inverse is 127 / amax. Where that is infinite (amax is 0 or below 2^-121), q, scale and sums are 0.
//  - q is x * inverse, rounded half to even. It is within -127..127: x * inverse exceeds 127 by rounding only.
//  - scale is amax / 127.
//  - sum is scale times the sum of the q, an integer; half_sum is the same for each half.
void Quantize(const float* x, std::int64_t n, ActivationBlock* out) {
  for (std::int64_t begin = 0; begin < n; begin += 32, x += 32, ++out) {
    *out = {};
    // As integers the magnitudes order as they do as floats, with infinity and NaN above all others.
    std::uint32_t magnitude = 0;
    for (int i = 0; i < 32; ++i) magnitude = std::max(magnitude, std::bit_cast<std::uint32_t>(x[i]) & 0x7FFFFFFFu);
    const float amax = std::bit_cast<float>(magnitude);
    if (!std::isfinite(amax)) {
      constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
      out->scale = out->sum = out->half_sum[0] = out->half_sum[1] = kNan;
      continue;
    }
    const float inverse = 127 / amax;
    if (!std::isfinite(inverse)) continue;

    out->scale = amax / 127;
    for (int i = 0; i < 32; ++i) out->q[i] = static_cast<std::int8_t>(std::nearbyint(x[i] * inverse));
    const int low = std::accumulate(out->q, out->q + 16, 0);
    const int high = std::accumulate(out->q + 16, out->q + 32, 0);
    out->sum = out->scale * static_cast<float>(low + high);
    out->half_sum[0] = out->scale * static_cast<float>(low);
    out->half_sum[1] = out->scale * static_cast<float>(high);
  }
}

}  // namespace slm::scalar
