// The exponential of numbers that are not positive, for softmax.

#ifndef SLM_KERNELS_SIMD_EXP_INL_H_
#define SLM_KERNELS_SIMD_EXP_INL_H_

#include <xsimd/xsimd.hpp>

namespace slm {
namespace {

// e^x for x <= 0, within 1.5 * 2^-24 of it; 0 below -87, where it is under 2^-125; NaN for NaN.
//
// With n the integer nearest to x / ln 2 and r = x - n ln 2, e^x = 2^n e^r, and e^r = 1 + r + r^2 p(r) with a
// polynomial fitted for the smallest relative error over |r| <= ln 2 / 2.
template <class Widen>
inline typename Widen::Batch ExpNotPositive(typename Widen::Batch x) {
  using Batch = typename Widen::Batch;
  constexpr float kInverseLn2 = 1.44269504f;
  constexpr float kLn2High = 0.693147182f, kLn2Low = -1.90465421e-9f;  // their sum is ln 2 to 48 bits
  // Added to a number it leaves the nearest integer, plus a float's exponent bias, in the lowest bits.
  constexpr float kRound = 0x1.8p23f + 127;
  const Batch biased = Widen::MulAdd(x, Batch(kInverseLn2), Batch(kRound));
  const Batch n = biased - Batch(kRound);
  const Batch r = Widen::MulAdd(n, Batch(-kLn2Low), Widen::MulAdd(n, Batch(-kLn2High), x));
  Batch p(0.0013814445f);
  for (const float coefficient : {0.0083687808f, 0.041668393f, 0.16666520f, 0.49999994f})
    p = Widen::MulAdd(p, r, Batch(coefficient));
  const Batch exp_r = Widen::MulAdd(p, r * r, r) + Batch(1.0f);
  return xsimd::select(x < Batch(-87.0f), Batch(0.0f), exp_r * Widen::LowBitsAsExponent(biased));
}

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_EXP_INL_H_
