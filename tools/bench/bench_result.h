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

// Figures of the counted repetitions: tokens a second, unless said otherwise. At least one.
class Samples {
 public:
  void Add(double value) { values_.push_back(value); }
  std::span<const double> all() const { return values_; }

  double Median() const;
  double Min() const;
  double Max() const;
  double StandardDeviation() const;  // of a sample; 0 for a single repetition

 private:
  std::vector<double> values_;
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
  Samples rates;
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

// What was run, and where.
struct BenchConditions {
  std::string model;  // as given
  std::string name, architecture, kernels, kv;
  std::uint64_t file_size = 0;
  std::uint64_t bytes_per_token = 0;  // of weights
  Machine machine;
  std::int32_t threads = 0;
  std::int32_t prompt_threads = 0;
  std::int32_t repetitions = 0;
};

struct BenchReport {
  BenchConditions conditions;
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

// Steps of several rows.
struct SharedRate {
  std::int32_t count = 0;  // rows of a step, or conversations at a time
  Samples rates;           // of all of them together

  double StepSeconds() const { return count / rates.Median(); }
};

// Plain generation beside that with guesses, in pairs.
struct Speculation {
  double temperature = 0;
  std::int32_t tokens = 0;  // of the text that was generated
  Samples plain, guessing;
  Samples gain;               // of each pair: how many times as fast
  Samples guessed, accepted;  // tokens
  std::uint64_t text_hash = 0;

  std::optional<double> Acceptance() const;  // 0 to 1; none where nothing was guessed
  double Steps() const { return tokens - accepted.Median(); }
};

struct SharedReport {
  BenchConditions conditions;
  std::vector<SharedRate> rows, conversations;
  std::int32_t prompt_tokens = 0;  // of the speculation
  std::string draft;               // its model, as given; empty: none
  std::vector<Speculation> speculation;
};

}  // namespace slm::tools

#endif  // SLM_TOOLS_BENCH_RESULT_H_
