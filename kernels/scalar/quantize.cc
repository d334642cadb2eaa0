#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "scalar/scalar.h"

namespace slm::scalar {

namespace {

// As integers the magnitudes of floats order as they do as floats, with infinity and NaN above all others.
float LargestMagnitude(const float* x, std::int64_t n) {
  std::uint32_t magnitude = 0;
  for (std::int64_t i = 0; i < n; ++i)
    magnitude = std::max(magnitude, std::bit_cast<std::uint32_t>(x[i]) & 0x7FFFFFFFu);
  return std::bit_cast<float>(magnitude);
}

}  // namespace

// Every step rounds once, so that any set that takes the same steps gets the same bits. With amax the largest |x| of
// the row and amax_g of a group:
//  - Where an x is infinite or NaN, q, factors and sums are 0 and scale is NaN, which no product hides.
//  - inverse is 127 * 4095 / amax. Where that is infinite (amax is 0 or tiny), everything is 0.
//  - factor is amax_g / amax * 4095, rounded up, at least 1.
//  - q is x * (inverse / factor), rounded half to even. It is within -127..127: 127 is exceeded by rounding only.
//  - scale is amax / (127 * 4095).
void Quantize(const float* x, std::int64_t n, ActivationBlock* out) {
  constexpr float kSteps = 127;
  constexpr float kFactors = 4095;
  std::fill_n(out, n / 32, ActivationBlock{});
  const float amax = LargestMagnitude(x, n);
  const float inverse = kSteps * kFactors / amax;
  if (!std::isfinite(amax)) {
    for (std::int64_t block = 0; block < n / 32; ++block) out[block].scale = std::numeric_limits<float>::quiet_NaN();
  }
  if (!std::isfinite(amax) || !std::isfinite(inverse)) return;

  for (std::int64_t begin = 0; begin < n; begin += 32, x += 32, ++out) {
    out->scale = amax / (kSteps * kFactors);
    for (int group = 0; group < 4; ++group) {
      const float factor = std::max(1.0f, std::ceil(LargestMagnitude(x + 8 * group, 8) / amax * kFactors));
      const float group_inverse = inverse / factor;
      int sum = 0;
      for (int i = 8 * group; i < 8 * group + 8; ++i) {
        out->q[i] = static_cast<std::int8_t>(std::nearbyint(x[i] * group_inverse));
        sum += out->q[i];
      }
      out->factors[group][0] = out->factors[group][1] = static_cast<std::int16_t>(factor);
      out->half_sum[group / 2] += static_cast<int>(factor) * sum;
    }
    out->sum = out->half_sum[0] + out->half_sum[1];
  }
}

// With amax the largest |x| of a block:
//  - d is amax / 127, rounded to a half. It is infinite where amax is too large for a half, NaN where x has a NaN.
//  - inverse is 1 / d, or 0 where d is 0 or not finite.
//  - q is x * inverse, rounded half to even and clamped to -127..127 (a small d is not exact). It is 0 where inverse
//  is.
void ToQ8_0(const float* x, std::int64_t n, BlockQ8_0* out) {
  for (std::int64_t begin = 0; begin < n; begin += 32, x += 32, ++out) {
    out->d = FloatToHalf(LargestMagnitude(x, 32) / 127);
    const float d = HalfToFloat(out->d);
    const float inverse = d > 0 && std::isfinite(d) ? 1 / d : 0.0f;
    for (int i = 0; i < 32; ++i) {
      const float q = inverse == 0 ? 0.0f : std::nearbyint(x[i] * inverse);
      out->qs[i] = static_cast<std::int8_t>(std::clamp(q, -127.0f, 127.0f));
    }
  }
}

}  // namespace slm::scalar
