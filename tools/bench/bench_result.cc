#include "bench_result.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace slm::tools {

double Samples::Median() const {
  std::vector<double> sorted = values_;
  std::sort(sorted.begin(), sorted.end());
  const std::size_t middle = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

double Samples::Min() const { return *std::min_element(values_.begin(), values_.end()); }
double Samples::Max() const { return *std::max_element(values_.begin(), values_.end()); }

double Samples::StandardDeviation() const {
  if (values_.size() < 2) return 0;
  double mean = 0, squares = 0;
  for (const double value : values_) mean += value / static_cast<double>(values_.size());
  for (const double value : values_) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(values_.size() - 1));
}

double ProfiledRun::multiply_adds() const {
  double sum = 0;
  for (const ProfileEntry& entry : entries) sum += entry.multiply_adds;
  return sum;
}

double ProfiledRun::bytes() const {
  double sum = 0;
  for (const ProfileEntry& entry : entries) sum += entry.bytes;
  return sum;
}

std::string_view BenchTestName(BenchTest test) { return test == BenchTest::kPrompt ? "prompt" : "generate"; }

std::optional<double> Measurement::MultiplyAddsPerSecond() const {
  if (!profile) return std::nullopt;
  return profile->multiply_adds() * rates.Median() / tokens;
}

std::optional<double> Measurement::BytesPerSecond() const {
  if (!profile) return std::nullopt;
  return profile->bytes() * rates.Median() / tokens;
}

MachinePeaks PeakPair::Reference() const {
  return {.read_bytes_per_second = std::max(before.read_bytes_per_second, after.read_bytes_per_second),
          .multiply_adds_per_second = std::max(before.multiply_adds_per_second, after.multiply_adds_per_second)};
}

double PeakPair::Change() const {
  const auto change = [](double a, double b) { return std::max(a, b) > 0 ? std::abs(a - b) / std::max(a, b) : 0; };
  return std::max(change(before.read_bytes_per_second, after.read_bytes_per_second),
                  change(before.multiply_adds_per_second, after.multiply_adds_per_second));
}

std::optional<double> BenchReport::Int8Share(const Measurement& measurement) const {
  const std::optional<double> rate = measurement.MultiplyAddsPerSecond();
  if (!rate || !peaks) return std::nullopt;
  return *rate / peaks->Reference().multiply_adds_per_second;
}

std::optional<double> BenchReport::ReadShare(const Measurement& measurement) const {
  const std::optional<double> rate = measurement.BytesPerSecond();
  if (!rate || !peaks) return std::nullopt;
  return *rate / peaks->Reference().read_bytes_per_second;
}

std::optional<double> Speculation::Acceptance() const {
  if (guessed.Median() == 0) return std::nullopt;
  return accepted.Median() / guessed.Median();
}

}  // namespace slm::tools
