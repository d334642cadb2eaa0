// The row-wise operations against double, for rows of every length up to some vectors and at the ends of the range.

#include <gtest/gtest.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <functional>
#include <vector>

#include "kernels/kernel_test.h"

namespace slm::test {
namespace {

constexpr std::int64_t kLongest = 40;

// Two behind the end of what is computed must stay.
std::vector<float> WithCanaries(std::vector<float> x) {
  x.insert(x.end(), 2, Canary());
  return x;
}

void ExpectCanaries(const std::vector<float>& x) {
  EXPECT_TRUE(IsCanary(x[x.size() - 2]) && IsCanary(x.back())) << "wrote behind the end";
}

class OpsTest : public KernelSetTest {
 protected:
  using GatedFn = void (*)(const float* gate, const float* up, std::int64_t n, float* out);

  // out = act(gate) * up, also where out is gate or up.
  static void CheckGated(GatedFn gated, const std::function<double(double)>& act, std::vector<float> gate,
                         std::vector<float> up) {
    const std::size_t n = gate.size();
    std::vector<float> out = WithCanaries(std::vector<float>(n));
    gated(gate.data(), up.data(), static_cast<std::int64_t>(n), out.data());
    ExpectCanaries(out);
    for (std::size_t i = 0; i < n; ++i) {
      const double expected = act(gate[i]) * up[i];
      // Where exp overflows, what is below the normal floats may become zero.
      const double bound = 16 * kRounding * std::abs(static_cast<double>(gate[i]) * up[i]) + 1e-36 * std::abs(up[i]);
      ASSERT_NEAR(out[i], expected, bound)
          << "gate " << gate[i] << ", up " << up[i] << ", element " << i << " of " << n;
    }
    const std::vector<float> result(out.begin(), out.end() - 2);
    for (const bool into_gate : {true, false}) {
      std::vector<float> copies[2] = {gate, up};
      std::vector<float>& target = copies[into_gate ? 0 : 1];
      gated(copies[0].data(), copies[1].data(), static_cast<std::int64_t>(n), target.data());
      EXPECT_EQ(target, result) << "in place of " << (into_gate ? "gate" : "up");
    }
  }

  static void CheckGatedEverywhere(GatedFn gated, const std::function<double(double)>& act) {
    Random random(1);
    for (std::int64_t n = 0; n <= kLongest; ++n) {
      const std::vector<float> gate = RandomFloats(static_cast<std::size_t>(n), random);
      CheckGated(gated, act, gate, RandomFloats(static_cast<std::size_t>(n), random));
    }
    std::vector<float> gate;
    for (float x = -120; x <= 120; x += 0.0625f) gate.push_back(x);
    for (const float x : {0.0f, FLT_TRUE_MIN, FLT_MIN, 1e-20f, 1e-6f, 1e4f, 1e13f, 1e20f, 1e30f, FLT_MAX}) {
      gate.push_back(x);
      gate.push_back(-x);
    }
    CheckGated(gated, act, gate, std::vector<float>(gate.size(), 1.0f));
    CheckGated(gated, act, gate, std::vector<float>(gate.size(), -0.75f));
    for (std::size_t where = 0; where < 19; ++where) {
      for (const bool in_gate : {true, false}) {
        std::vector<float> inputs[2] = {std::vector<float>(19, 1.0f), std::vector<float>(19, 2.0f)};
        inputs[in_gate ? 0 : 1][where] = NAN;
        std::vector<float> out(19);
        gated(inputs[0].data(), inputs[1].data(), 19, out.data());
        for (std::size_t i = 0; i < 19; ++i) EXPECT_EQ(std::isnan(out[i]), i == where);
      }
    }
  }
};
INSTANTIATE_TEST_SUITE_P(, OpsTest, EverySet(), InstanceName());

TEST_P(OpsTest, SiluMul) {
  CheckGatedEverywhere(kernels().silu_mul, [](double x) { return x / (1 + std::exp(-x)); });
}

TEST_P(OpsTest, GeluMul) {
  CheckGatedEverywhere(kernels().gelu_mul, [](double x) {
    const double y = std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x);
    return 0.5 * x * (1 + std::tanh(y));
  });
}

TEST_P(OpsTest, RmsNorm) {
  Random random(2);
  constexpr float kEps = 1e-5f;
  for (std::int64_t n = 1; n <= 200; n += n < kLongest ? 1 : 23) {
    for (const float magnitude : {1.0f, 1e-12f, 1e-3f, 1e6f, 1e15f}) {
      std::vector<float> x = RandomFloats(static_cast<std::size_t>(n), random);
      for (float& value : x) value *= magnitude;
      const std::vector<float> weight = RandomFloats(static_cast<std::size_t>(n), random);
      double sum = 0;
      for (const float value : x) sum += static_cast<double>(value) * value;
      const double inverse = 1 / std::sqrt(sum / static_cast<double>(n) + kEps);
      for (const bool weighted : {true, false}) {
        std::vector<float> out = WithCanaries(std::vector<float>(x.size()));
        kernels().rms_norm(x.data(), weighted ? weight.data() : nullptr, n, kEps, out.data());
        ExpectCanaries(out);
        for (std::size_t i = 0; i < x.size(); ++i) {
          const double expected = x[i] * inverse * (weighted ? weight[i] : 1.0);
          ASSERT_NEAR(out[i], expected, (static_cast<double>(n) / 2 + 8) * kRounding * std::abs(expected)) << n;
        }
        std::vector<float> in_place = x;
        kernels().rms_norm(in_place.data(), weighted ? weight.data() : nullptr, n, kEps, in_place.data());
        EXPECT_TRUE(std::equal(in_place.begin(), in_place.end(), out.begin())) << "in place";
      }
    }
  }
}

TEST_P(OpsTest, RmsNormOfZerosIsZeroAndOfNanIsNan) {
  std::vector<float> x(19, 0.0f);
  std::vector<float> out(19, 1.0f);
  kernels().rms_norm(x.data(), nullptr, 19, 1e-6f, out.data());
  EXPECT_EQ(out, x);
  for (std::size_t where = 0; where < 19; ++where) {
    x.assign(19, 1.0f);
    x[where] = NAN;
    kernels().rms_norm(x.data(), nullptr, 19, 1e-6f, out.data());
    for (const float value : out) EXPECT_TRUE(std::isnan(value));
  }
}

TEST_P(OpsTest, AddAndScaleAreExact) {
  Random random(3);
  for (std::int64_t n = 0; n <= kLongest; ++n) {
    const auto size = static_cast<std::size_t>(n);
    const std::vector<float> x = RandomFloats(size, random);
    const std::vector<float> y = RandomFloats(size, random);
    std::vector<float> sum = WithCanaries(x);
    std::vector<float> scaled = WithCanaries(x);
    kernels().add(sum.data(), y.data(), n);
    kernels().scale(scaled.data(), 25.3f, n);
    ExpectCanaries(sum);
    ExpectCanaries(scaled);
    for (std::size_t i = 0; i < size; ++i) {
      EXPECT_EQ(sum[i], x[i] + y[i]);
      EXPECT_EQ(scaled[i], x[i] * 25.3f);
    }
  }
}

TEST_P(OpsTest, AddLowRank) {
  Random random(4);
  for (std::int64_t n = 0; n <= kLongest; ++n) {
    for (const std::int64_t rank : {1, 2, 17}) {
      const std::int64_t panels = (n + kLowRankPanel - 1) / kLowRankPanel;
      const std::vector<float> x = RandomFloats(static_cast<std::size_t>(n), random);
      const std::vector<float> b = RandomFloats(static_cast<std::size_t>(panels * kLowRankPanel * rank), random);
      const std::vector<float> factors = RandomFloats(static_cast<std::size_t>(rank), random);
      std::vector<Half> halves(b.size());
      std::ranges::transform(b, halves.begin(), FloatToHalf);
      std::vector<float> sum = WithCanaries(x);
      kernels().add_low_rank_f16(sum.data(), halves.data(), factors.data(), rank, n);
      ExpectCanaries(sum);
      std::vector<float> floats(b.size());
      std::ranges::transform(halves, floats.begin(), HalfToFloat);
      std::vector<float> of_floats = WithCanaries(x);
      kernels().add_low_rank(of_floats.data(), floats.data(), factors.data(), rank, n);
      ExpectCanaries(of_floats);
      EXPECT_TRUE(std::equal(sum.begin(), sum.begin() + n, of_floats.begin()));
      for (std::int64_t i = 0; i < n; ++i) {
        const auto at = static_cast<std::size_t>(i);
        double expected = x[at], magnitude = std::abs(x[at]);
        for (std::int64_t k = 0; k < rank; ++k) {
          const std::int64_t place = (i / kLowRankPanel * rank + k) * kLowRankPanel + i % kLowRankPanel;
          const double term = static_cast<double>(factors[static_cast<std::size_t>(k)]) *
                              static_cast<double>(HalfToFloat(halves[static_cast<std::size_t>(place)]));
          expected += term;
          magnitude += std::abs(term);
        }
        ASSERT_NEAR(sum[at], expected, static_cast<double>(2 * rank) * kRounding * magnitude) << n << " " << rank;
      }
    }
  }
}

TEST_P(OpsTest, Softcap) {
  for (const float cap : {1.0f, 30.0f, 50.0f}) {
    std::vector<float> inputs = {0.0f, 1e-30f, 1e-6f, 1e-3f, 0.1f, 1e4f, 1e30f, FLT_MAX, INFINITY};
    for (float x = 0.25f; x < 200; x += 0.3f) inputs.push_back(x);
    for (const float sign : {1.0f, -1.0f}) {
      for (std::size_t n = 0; n <= inputs.size(); n += n < kLongest ? 1 : 97) {
        std::vector<float> x = WithCanaries({inputs.begin(), inputs.begin() + static_cast<std::ptrdiff_t>(n)});
        for (std::size_t i = 0; i < n; ++i) x[i] *= sign;
        kernels().softcap(x.data(), cap, static_cast<std::int64_t>(n));
        ExpectCanaries(x);
        for (std::size_t i = 0; i < n; ++i) {
          const double expected = cap * std::tanh(static_cast<double>(sign * inputs[i]) / cap);
          ASSERT_NEAR(x[i], expected, 8 * kRounding * std::abs(expected)) << inputs[i] << " capped at " << cap;
          ASSERT_LE(std::abs(x[i]), cap);
        }
      }
    }
  }
  for (std::size_t where = 0; where < 19; ++where) {
    std::vector<float> x(19, 1.0f);
    x[where] = NAN;
    kernels().softcap(x.data(), 30, 19);
    for (std::size_t i = 0; i < 19; ++i) EXPECT_EQ(std::isnan(x[i]), i == where);
  }
}

TEST_P(OpsTest, Rope) {
  Random random(4);
  for (const RopePairs pairs : {RopePairs::kInterleaved, RopePairs::kHalves}) {
    for (std::int64_t n = 0; n <= 80; n += 2) {
      const std::int64_t half = n / 2;
      const std::vector<float> head = RandomFloats(static_cast<std::size_t>(n), random);
      std::vector<float> cos, sin;
      for (const float angle : RandomFloats(static_cast<std::size_t>(half), random)) {
        cos.push_back(std::cos(angle));
        sin.push_back(std::sin(angle));
      }
      std::vector<float> out = WithCanaries(head);
      kernels().rope(out.data(), cos.data(), sin.data(), n, pairs);
      ExpectCanaries(out);
      for (std::int64_t i = 0; i < half; ++i) {
        const auto at = static_cast<std::size_t>(i);
        const auto first = static_cast<std::size_t>(pairs == RopePairs::kInterleaved ? 2 * i : i);
        const auto second = static_cast<std::size_t>(pairs == RopePairs::kInterleaved ? 2 * i + 1 : i + half);
        const double x = head[first], y = head[second];
        const double bound = 2 * kRounding * (std::abs(x) + std::abs(y));
        EXPECT_NEAR(out[first], x * cos[at] - y * sin[at], bound);
        EXPECT_NEAR(out[second], x * sin[at] + y * cos[at], bound);
      }
    }
  }
}

// The pair (1, 0) at a quarter turn, so that a swap of the pairs' places or of the sign shows.
TEST_P(OpsTest, RopeTurnsTheRightPairs) {
  const std::vector<float> cos = {0, 1}, sin = {1, 0};
  std::vector<float> head = {1, 2, 3, 4};
  kernels().rope(head.data(), cos.data(), sin.data(), 4, RopePairs::kInterleaved);
  EXPECT_EQ(head, (std::vector<float>{-2, 1, 3, 4}));
  head = {1, 2, 3, 4};
  kernels().rope(head.data(), cos.data(), sin.data(), 4, RopePairs::kHalves);
  EXPECT_EQ(head, (std::vector<float>{-3, 2, 1, 4}));
}

TEST_P(OpsTest, ToHalfIsFloatToHalf) {
  Random random(5);
  std::vector<float> x;
  for (std::uint32_t bits = 0; bits < 0x7C00; bits += 7) {
    const float low = HalfToFloat(static_cast<Half>(bits));
    const float high = HalfToFloat(static_cast<Half>(bits + 1));
    const float middle = bits + 1 < 0x7C00 ? (low + high) / 2 : 65520.0f;
    for (const float value : {low, middle, std::nextafter(middle, 0.0f), std::nextafter(middle, INFINITY)}) {
      x.push_back(value);
      x.push_back(-value);
    }
  }
  for (int i = 0; i < 20000; ++i) x.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(random())));
  std::vector<Half> halves(x.size());
  kernels().to_half(x.data(), static_cast<std::int64_t>(x.size()), halves.data());
  for (std::size_t i = 0; i < x.size(); ++i) ASSERT_EQ(halves[i], FloatToHalf(x[i])) << x[i];

  for (std::size_t n = 0; n <= kLongest; ++n) {
    std::vector<Half> some(n + 1, 0x1234);
    kernels().to_half(x.data(), static_cast<std::int64_t>(n), some.data());
    EXPECT_TRUE(std::equal(some.begin(), some.end() - 1, halves.begin())) << n;
    EXPECT_EQ(some.back(), 0x1234) << n;
  }
}

}  // namespace
}  // namespace slm::test
