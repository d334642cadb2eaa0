// The row-wise operations on vectors of floats. See KernelSet for what each does.

#ifndef SLM_KERNELS_SIMD_OPS_INL_H_
#define SLM_KERNELS_SIMD_OPS_INL_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <xsimd/xsimd.hpp>

#include "kernels.h"
#include "simd/sum-inl.h"

namespace slm {
namespace {

// Applies f to 0..n in whole vectors, then to the rest through a padded copy, so that an element's result does not
// depend on where in the row it stands. f takes batches of the inputs and returns one for `out`, which may be one of
// the inputs.
template <class Batch, class F, class... Inputs>
inline void MapRows(std::int64_t n, float* out, const F& f, const Inputs*... inputs) {
  constexpr std::int64_t kWidth = static_cast<std::int64_t>(Batch::size);
  std::int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) f(Batch::load_unaligned(inputs + i)...).store_unaligned(out + i);
  if (i == n) return;
  const auto padded = [&](const float* from) {
    float values[kWidth] = {};
    for (std::int64_t j = 0; j < n - i; ++j) values[j] = from[i + j];
    return Batch::load_unaligned(values);
  };
  float results[kWidth];
  f(padded(inputs)...).store_unaligned(results);
  for (std::int64_t j = 0; j < n - i; ++j) out[i + j] = results[j];
}

template <class Widen>
struct Ops {
  using Batch = typename Widen::Batch;
  static constexpr std::int64_t kWidth = static_cast<std::int64_t>(Batch::size);

  static void RmsNorm(const float* x, const float* weight, std::int64_t n, float eps, float* out) {
    Batch sums[2] = {Batch(0.0f), Batch(0.0f)};
    std::int64_t i = 0;
    for (; i + 2 * kWidth <= n; i += 2 * kWidth) {
      for (int part = 0; part < 2; ++part) {
        const Batch values = Batch::load_unaligned(x + i + part * kWidth);
        sums[part] = Widen::MulAdd(values, values, sums[part]);
      }
    }
    float sum = Sum(sums[0] + sums[1]);
    for (; i < n; ++i) sum += x[i] * x[i];
    const Batch inverse(std::isfinite(sum) ? 1 / std::sqrt(sum / static_cast<float>(n) + eps) : InverseRms(x, n, eps));
    if (weight != nullptr) {
      MapRows<Batch>(
          n, out, [&](Batch a, Batch w) { return a * inverse * w; }, x, weight);
    } else {
      MapRows<Batch>(
          n, out, [&](Batch a) { return a * inverse; }, x);
    }
  }

  static void Add(float* x, const float* y, std::int64_t n) {
    MapRows<Batch>(
        n, x, [](Batch a, Batch b) { return a + b; }, x, y);
  }

  template <typename Number>
  static void AddLowRank(float* x, const Number* panels, const float* factors, std::int64_t rank, std::int64_t n) {
    for (std::int64_t i = 0; i < n; i += kLowRankPanel, panels += rank * kLowRankPanel) {
      if (n - i >= kLowRankPanel) {
        AddLowRankPanel(x + i, panels, factors, rank);
        continue;
      }
      float last[kLowRankPanel] = {};
      std::copy_n(x + i, n - i, last);
      AddLowRankPanel(last, panels, factors, rank);
      std::copy_n(last, n - i, x + i);
    }
  }

  static void Scale(float* x, float factor, std::int64_t n) {
    MapRows<Batch>(
        n, x, [&](Batch a) { return a * Batch(factor); }, x);
  }

  static void SiluMul(const float* gate, const float* up, std::int64_t n, float* out) {
    MapRows<Batch>(
        n, out, [](Batch g, Batch u) { return g / (Batch(1.0f) + xsimd::exp(-g)) * u; }, gate, up);
  }

  static void GeluMul(const float* gate, const float* up, std::int64_t n, float* out) {
    // 0.5 (1 + tanh(y)) = 1 / (1 + exp(-2y)), y = sqrt(2/pi) (x + 0.044715 x^3)
    constexpr float kTwoSqrt2OverPi = 1.59576912f;
    MapRows<Batch>(
        n, out,
        [](Batch g, Batch u) {
          const Batch y = g * Widen::MulAdd(g * g, Batch(0.044715f), Batch(1.0f));
          return g / (Batch(1.0f) + xsimd::exp(y * Batch(-kTwoSqrt2OverPi))) * u;
        },
        gate, up);
  }

  static void Softcap(float* x, float cap, std::int64_t n) {
    MapRows<Batch>(
        n, x, [&](Batch a) { return Batch(cap) * xsimd::tanh(a / Batch(cap)); }, x);
  }

  static void Rope(float* head, const float* cos, const float* sin, std::int64_t n, RopePairs pairs) {
    const std::int64_t half = n / 2;
    if (pairs == RopePairs::kInterleaved) {
      for (std::int64_t i = 0; i < half; ++i) Rotate(head[2 * i], head[2 * i + 1], cos[i], sin[i]);
      return;
    }
    std::int64_t i = 0;
    for (; i + kWidth <= half; i += kWidth) {
      const Batch x = Batch::load_unaligned(head + i), y = Batch::load_unaligned(head + half + i);
      const Batch c = Batch::load_unaligned(cos + i), s = Batch::load_unaligned(sin + i);
      (x * c - y * s).store_unaligned(head + i);
      (x * s + y * c).store_unaligned(head + half + i);
    }
    for (; i < half; ++i) Rotate(head[i], head[half + i], cos[i], sin[i]);
  }

  static void ToHalf(const float* x, std::int64_t n, Half* out) {
    std::int64_t i = 0;
    for (; i + kWidth <= n; i += kWidth) Widen::StoreHalf(out + i, Batch::load_unaligned(x + i));
    if (i == n) return;
    float values[kWidth] = {};
    Half halves[kWidth];
    for (std::int64_t j = 0; j < n - i; ++j) values[j] = x[i + j];
    Widen::StoreHalf(halves, Batch::load_unaligned(values));
    for (std::int64_t j = 0; j < n - i; ++j) out[i + j] = halves[j];
  }

 private:
  static Batch Load(const float* from) { return Batch::load_unaligned(from); }
  static Batch Load(const Half* from) { return Widen::LoadHalf(from); }

  template <typename Number>
  static void AddLowRankPanel(float* x, const Number* panel, const float* factors, std::int64_t rank) {
    constexpr int kBatches = kLowRankPanel / kWidth;
    Batch sums[kBatches];
    for (int b = 0; b < kBatches; ++b) sums[b] = Batch::load_unaligned(x + b * kWidth);
    for (std::int64_t k = 0; k < rank; ++k, panel += kLowRankPanel) {
      const Batch factor(factors[k]);
      for (int b = 0; b < kBatches; ++b) sums[b] = Widen::MulAdd(factor, Load(panel + b * kWidth), sums[b]);
    }
    for (int b = 0; b < kBatches; ++b) sums[b].store_unaligned(x + b * kWidth);
  }

  // For values whose squares overflow.
  static float InverseRms(const float* x, std::int64_t n, float eps) {
    double sum = 0;
    for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    return static_cast<float>(1 / std::sqrt(sum / static_cast<double>(n) + static_cast<double>(eps)));
  }

  static void Rotate(float& x, float& y, float c, float s) {
    const float rotated = x * c - y * s;
    y = x * s + y * c;
    x = rotated;
  }
};

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_OPS_INL_H_
