#include "forward/rope_table.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace slm {

namespace {

// How much of a pair's angle is left unscaled.
double UnscaledShare(const RopeConfig& rope, int pair) {
  if (!rope.yarn) return 0;
  constexpr double kNarrowest = 0.001;  // of a ramp, which a file may make a step
  const double width = std::max(kNarrowest, rope.yarn->last - rope.yarn->first);
  return 1 - std::clamp((pair - rope.yarn->first) / width, 0.0, 1.0);
}

std::vector<double> Frequencies(const RopeConfig& rope, const Vector& divisors) {
  std::vector<double> frequencies;
  for (int i = 0; i < rope.dimensions / 2; ++i) {
    const double divisor = divisors.empty() ? 1.0 : static_cast<double>(divisors[static_cast<std::size_t>(i)]);
    const double unscaled = UnscaledShare(rope, i);
    const double scale = rope.position_scale * (1 - unscaled) + unscaled;
    frequencies.push_back(std::pow(rope.base, -2.0 * i / rope.dimensions) * scale / divisor);
  }
  return frequencies;
}

}  // namespace

bool RopeTable::Plan(const RopeConfig& rope, const RopeDivisors& divisors, std::int64_t max_rows,
                     WorkingMemory& memory) {
  short_frequencies_ = Frequencies(rope, divisors.short_context);
  long_frequencies_ = Frequencies(rope, divisors.long_context);
  magnitude_ = rope.magnitude;
  const auto size = static_cast<std::size_t>(max_rows * pairs());
  return memory.Allocate(cos_, size) && memory.Allocate(sin_, size);
}

void RopeTable::Fill(std::int64_t row, std::int64_t position, bool long_context) {
  FillAngles(row, position, magnitude_, long_context);
}

// Turns add up, but the magnitude is applied only once.
void RopeTable::FillTurn(std::int64_t row, std::int64_t positions, bool long_context) {
  FillAngles(row, positions, 1, long_context);
}

void RopeTable::FillAngles(std::int64_t row, std::int64_t positions, double magnitude, bool long_context) {
  const std::vector<double>& frequencies = long_context ? long_frequencies_ : short_frequencies_;
  float* cos = cos_.data() + row * pairs();
  float* sin = sin_.data() + row * pairs();
  for (std::size_t pair = 0; pair < frequencies.size(); ++pair) {
    const double angle = static_cast<double>(positions) * frequencies[pair];
    cos[pair] = static_cast<float>(magnitude * std::cos(angle));
    sin[pair] = static_cast<float>(magnitude * std::sin(angle));
  }
}

}  // namespace slm
