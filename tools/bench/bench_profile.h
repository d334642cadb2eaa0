// Where the time of a run went: the library's profile, summed up for reading.

#ifndef SLM_TOOLS_BENCH_PROFILE_H_
#define SLM_TOOLS_BENCH_PROFILE_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench_result.h"
#include "bench_table.h"

namespace slm::tools {

enum class ProfileBy { kOperation, kLayer };

// Figures are of a whole prompt, or of one generated token.
struct ProfileRow {
  std::string name;  // an operation, or "layer 7"
  double calls = 0;
  double seconds = 0;
  double multiply_adds = 0;
  double bytes = 0;
};

// In the order of the forward pass. By layer, what is part of none keeps the operation's name. measurement.profile must
// be there.
std::vector<ProfileRow> SumProfile(const Measurement& measurement, ProfileBy by);

// What a row of a profile is of: "prompt of 512 tokens at depth 0", "generated token at depth 0".
std::string ProfileTitle(const Measurement& measurement);

// With a last row that says how much of the wall clock the others explain.
Table ProfileTable(const BenchReport& report, const Measurement& measurement, ProfileBy by);

// {"wall_ms", "explained", "rows": [{"name", "calls", "ms", "share", "gmacs", "int8_share", "gbps", "read_share"}]};
// figures of work that was not counted, or held against nothing, are null.
nlohmann::ordered_json ProfileJson(const BenchReport& report, const Measurement& measurement, ProfileBy by);

}  // namespace slm::tools

#endif  // SLM_TOOLS_BENCH_PROFILE_H_
