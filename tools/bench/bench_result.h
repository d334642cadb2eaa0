// What slm-bench measured, and the figures that follow from it.

#ifndef SLM_TOOLS_BENCH_RESULT_H_
#define SLM_TOOLS_BENCH_RESULT_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "slm/machine.h"
#include "slm/profile.h"

namespace slm::tools {

// Rates of the counted repetitions, in tokens a second. At least one, unless said otherwise.
class Rates {
 public:
  void Add(double rate) { rates_.push_back(rate); }
  std::span<const double> all() const { return rates_; }

  double Median() const;
  double Min() const;
  double Max() const;
  double StandardDeviation() const;  // of a sample; 0 for a single repetition

 private:
  std::vector<double> rates_;
};

// One run with Session::Profile.
struct ProfiledRun {
  double seconds = 0;  // wall clock
  std::vector<ProfileEntry> entries;

  double multiply_adds() const;
  double bytes() const;
};

enum class BenchTest { kPrompt, kGenerate };
std::string_view BenchTestName(BenchTest test);  // "prompt", "generate"

struct Measurement {
  BenchTest test = BenchTest::kPrompt;
  std::int32_t tokens = 0;
  std::int32_t depth = 0;
  Rates rates;
  std::optional<double> joules_per_token;
  std::optional<ProfiledRun> profile;

  // Work counted in the profiled run, done at the median rate.
  std::optional<double> MultiplyAddsPerSecond() const;
  std::optional<double> BytesPerSecond() const;
};

struct PeakPair {
  MachinePeaks before, after;
  // The higher of the two, each for itself: what rates are held against.
  MachinePeaks Reference() const;
  // The larger of the two differences, as a part of the higher figure.
  double Change() const;
};

struct BenchReport {
  std::string model;  // as given
  std::string name, architecture, kernels, kv;
  std::uint64_t file_size = 0;
  std::uint64_t bytes_per_token = 0;  // of weights
  Machine machine;
  std::int32_t threads = 0;
  std::int32_t prompt_threads = 0;
  std::int32_t repetitions = 0;
  double load_seconds = 0;
  std::uint64_t peak_resident_bytes = 0;  // up to the end of the timed runs
  std::uint64_t kv_bytes = 0;
  std::uint64_t scratch_bytes = 0;
  std::string no_energy_reason;  // empty if there are joules
  std::optional<PeakPair> peaks;
  std::vector<Measurement> measurements;     // by depth; prompt before generation
  std::vector<std::uint64_t> logits_hashes;  // one a depth: of the prompt's last logits, then of the generation's

  // 0 to 1, of the reference peaks.
  std::optional<double> Int8Share(const Measurement& measurement) const;
  std::optional<double> ReadShare(const Measurement& measurement) const;
};

}  // namespace slm::tools

#endif  // SLM_TOOLS_BENCH_RESULT_H_
