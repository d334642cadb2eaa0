// What slm-bench says to people.

#ifndef SLM_TOOLS_BENCH_REPORT_H_
#define SLM_TOOLS_BENCH_REPORT_H_

#include <optional>
#include <string>

#include "bench_profile.h"
#include "bench_result.h"
#include "bench_run.h"

namespace slm::tools {

// Conditions, results, and which rows of profiles are asked for, if any.
std::string ReportText(const BenchReport& report, std::optional<ProfileBy> profile, bool markdown);
std::string SharedText(const SharedReport& report, bool markdown);
std::string FirstTokenText(const FirstToken& measured);

// "AMD Ryzen 7 7840U, 16 processors on 8 cores"
std::string DescribeProcessor(const Machine& machine);

}  // namespace slm::tools

#endif  // SLM_TOOLS_BENCH_REPORT_H_
