// Rows as blocks of Q8_0, by the steps of scalar/quantize.cc. Plain loops, which compilers make vectors of.

#ifndef SLM_KERNELS_SIMD_STORE_Q8_0_INL_H_
#define SLM_KERNELS_SIMD_STORE_Q8_0_INL_H_

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels.h"

namespace slm {
namespace {

inline void StoreQ8_0(const float* x, std::int64_t n, BlockQ8_0* out) {
  // Added and taken away again, it leaves a small float rounded to an integer, half to even.
  constexpr float kRound = 0x1.8p23f;
  for (const float* end = x + n; x != end; x += 32, ++out) {
    std::uint32_t magnitude = 0;
    for (int i = 0; i < 32; ++i) magnitude = std::max(magnitude, std::bit_cast<std::uint32_t>(x[i]) & 0x7FFFFFFFu);
    out->d = FloatToHalf(std::bit_cast<float>(magnitude) / 127);
    const float d = HalfToFloat(out->d);
    if (!(d > 0 && std::isfinite(d))) {
      std::fill_n(out->qs, 32, std::int8_t{0});
      continue;
    }
    const float inverse = 1 / d;
    for (int i = 0; i < 32; ++i) {
      const float q = std::min(std::max(x[i] * inverse, -127.0f), 127.0f) + kRound - kRound;
      out->qs[i] = static_cast<std::int8_t>(static_cast<std::int32_t>(q));
    }
  }
}

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_STORE_Q8_0_INL_H_
