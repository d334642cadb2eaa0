// What slm-bench says to programs.

#ifndef SLM_TOOLS_BENCH_JSON_H_
#define SLM_TOOLS_BENCH_JSON_H_

#include <optional>
#include <string>

#include "bench_profile.h"
#include "bench_result.h"
#include "bench_run.h"

namespace slm::tools {

// What --help says about the keys of the JSON object and the columns of the CSV table.
extern const char kReportKeys[];

std::string ReportJson(const BenchReport& report, std::optional<ProfileBy> profile);
// With a profile, its rows take the place of the results.
std::string ReportCsv(const BenchReport& report, std::optional<ProfileBy> profile);
std::string SharedJson(const SharedReport& report);
std::string FirstTokenJson(const FirstToken& measured);

}  // namespace slm::tools

#endif  // SLM_TOOLS_BENCH_JSON_H_
