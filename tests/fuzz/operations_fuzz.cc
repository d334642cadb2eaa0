// Norms, activation functions, RoPE and quantization, each kernel set against scalar.

#include <cstring>

#include "fuzz/fuzz_target.h"
#include "fuzz/kernel_input.h"

namespace slm::test {

namespace {

using Floats = std::vector<float>;

template <typename T>
bool SameBytes(const std::vector<T>& a, const std::vector<T>& b) {
  return std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

void CompareQuantized(const KernelSet& set, const Floats& x) {
  const std::int64_t n = std::ssize(x);
  std::vector<ActivationBlock> blocks[2];
  std::vector<BlockQ8_0> q8_0[2];
  std::vector<Half> halves[2];
  for (const int i : {0, 1}) {
    const KernelSet& chosen = i == 0 ? ScalarSet() : set;
    blocks[i].resize(x.size() / 32);
    q8_0[i].resize(x.size() / 32);
    halves[i].resize(x.size());
    chosen.quantize(x.data(), n, blocks[i].data());
    chosen.to_q8_0(x.data(), n, q8_0[i].data());
    chosen.to_half(x.data(), n, halves[i].data());
  }
  Require(SameBytes(q8_0[0], q8_0[1]), "a cache of q8_0 is the same in every set");
  for (std::size_t i = 0; i < blocks[0].size(); ++i) {
    if (std::isnan(blocks[0][i].scale) && std::isnan(blocks[1][i].scale)) blocks[0][i].scale = blocks[1][i].scale = 0;
  }
  Require(SameBytes(blocks[0], blocks[1]), "activations are quantized the same in every set");
  for (std::size_t i = 0; i < x.size(); ++i)
    Require(std::isnan(x[i]) || halves[0][i] == halves[1][i], "halves are rounded the same in every set");
}

struct Outcome {
  Floats norm, sum, scaled, silu, gelu, capped, turned;
};

Outcome Run(const KernelSet& set, const Floats& x, const Floats& y, float number) {
  const std::int64_t n = std::ssize(x);
  Outcome out{.norm = x, .sum = x, .scaled = x, .silu = x, .gelu = x, .capped = x, .turned = x};
  set.rms_norm(x.data(), y.data(), n, 1e-5f, out.norm.data());
  set.add(out.sum.data(), y.data(), n);
  set.scale(out.scaled.data(), number, n);
  set.silu_mul(x.data(), y.data(), n, out.silu.data());
  set.gelu_mul(x.data(), y.data(), n, out.gelu.data());
  set.softcap(out.capped.data(), std::abs(number) + 1, n);
  set.rope(out.turned.data(), y.data(), y.data() + n / 2, n / 2 * 2,
           number < 0 ? RopePairs::kHalves : RopePairs::kInterleaved);
  return out;
}

void Compare(const KernelSet& set, const Floats& x, const Floats& y, float number) {
  const Outcome actual = Run(set, x, y, number), expected = Run(ScalarSet(), x, y, number);
  const auto own = [](const Floats& values) {
    return [&](std::size_t i) { return std::abs(static_cast<double>(values[i])); };
  };
  const double n = static_cast<double>(x.size());
  RequireNear(actual.norm, expected.norm, n + 16, own(expected.norm));
  RequireNear(actual.sum, expected.sum, 2, own(expected.sum));
  RequireNear(actual.scaled, expected.scaled, 2, own(expected.scaled));
  RequireNear(actual.capped, expected.capped, 16, own(expected.capped));
  const auto gated = [&](std::size_t i) { return std::abs(static_cast<double>(x[i]) * y[i]) + 1e-28 * std::abs(y[i]); };
  RequireNear(actual.silu, expected.silu, 32, gated);
  RequireNear(actual.gelu, expected.gelu, 32, gated);
  double largest = 0;
  for (const float a : x) largest = std::max(largest, std::abs(static_cast<double>(a)));
  double turn = 0;
  for (const float b : y) turn = std::max(turn, std::abs(static_cast<double>(b)));
  RequireNear(actual.turned, expected.turned, 8, [&](std::size_t) { return largest * turn; });
}

}  // namespace

std::vector<std::string> Seeds() { return RandomSeeds(30, 24); }

void Fuzz(std::string_view bytes) {
  KernelInput input(bytes);
  const std::int64_t n = 32 * input.Int(1, 12);
  const Floats quantized = input.Floats(n, true);
  const std::int64_t some = input.Int(1, 200);
  const Floats x = input.Floats(some), y = input.Floats(some);
  const float number = input.Floats(1)[0];
  for (const KernelSet* set : OtherSets()) {
    CompareQuantized(*set, quantized);
    Compare(*set, x, y, number);
  }
}

}  // namespace slm::test
