#include <algorithm>
#include <cmath>

#include "scalar/scalar.h"

namespace slm::scalar {

// The mean is taken in double: no square of a float overflows there.
void RmsNorm(const float* x, const float* weight, std::int64_t n, float eps, float* out) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * x[i];
  const float inverse = static_cast<float>(1 / std::sqrt(sum / static_cast<double>(n) + eps));
  for (std::int64_t i = 0; i < n; ++i) out[i] = x[i] * inverse * (weight != nullptr ? weight[i] : 1.0f);
}

void Add(float* x, const float* y, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) x[i] += y[i];
}

namespace {

template <typename Number, typename ToFloat>
void AddPanels(float* x, const Number* panels, const float* factors, std::int64_t rank, std::int64_t n,
               const ToFloat& to_float) {
  for (std::int64_t i = 0; i < n; ++i) {
    const Number* const b = panels + i / kLowRankPanel * rank * kLowRankPanel + i % kLowRankPanel;
    for (std::int64_t k = 0; k < rank; ++k) x[i] += factors[k] * to_float(b[k * kLowRankPanel]);
  }
}

}  // namespace

void AddLowRank(float* x, const float* panels, const float* factors, std::int64_t rank, std::int64_t n) {
  AddPanels(x, panels, factors, rank, n, [](float number) { return number; });
}

void AddLowRankF16(float* x, const Half* panels, const float* factors, std::int64_t rank, std::int64_t n) {
  AddPanels(x, panels, factors, rank, n, HalfToFloat);
}

void Scale(float* x, float factor, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) x[i] *= factor;
}

void SiluMul(const float* gate, const float* up, std::int64_t n, float* out) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
}

void GeluMul(const float* gate, const float* up, std::int64_t n, float* out) {
  constexpr float kSqrt2OverPi = 0.797884561f;
  for (std::int64_t i = 0; i < n; ++i) {
    const float x = gate[i];
    out[i] = 0.5f * x * (1 + std::tanh(kSqrt2OverPi * (x + 0.044715f * x * x * x))) * up[i];
  }
}

void Softcap(float* x, float cap, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) x[i] = cap * std::tanh(x[i] / cap);
}

void Rope(float* head, const float* cos, const float* sin, std::int64_t n, RopePairs pairs) {
  const std::int64_t half = n / 2;
  for (std::int64_t i = 0; i < half; ++i) {
    float& x = pairs == RopePairs::kInterleaved ? head[2 * i] : head[i];
    float& y = pairs == RopePairs::kInterleaved ? head[2 * i + 1] : head[i + half];
    const float rotated_x = x * cos[i] - y * sin[i];
    y = x * sin[i] + y * cos[i];
    x = rotated_x;
  }
}

void ToHalf(const float* x, std::int64_t n, Half* out) { std::transform(x, x + n, out, FloatToHalf); }

// One multiply-add at a time; the empty assembly keeps the compiler from working the sum out beforehand.
std::uint64_t Int8Peak(std::uint64_t rounds) {
  std::int8_t a = 3, b = 5;
  std::int32_t sum = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    asm volatile("" : "+r"(a), "+r"(b), "+r"(sum));
    sum += a * b;
  }
  return rounds;
}

}  // namespace slm::scalar
