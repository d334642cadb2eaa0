// Steps that several rows share: of one text, as guesses are evaluated, and of several conversations.

#ifndef SLM_TOOLS_BENCH_SHARED_H_
#define SLM_TOOLS_BENCH_SHARED_H_

#include <cstdint>
#include <string>
#include <vector>

#include "bench_run.h"
#include "slm/status.h"

namespace slm::tools {

// BenchOptions::generate tokens in all, or as many for each conversation; medians of all repetitions.
struct SharedRate {
  std::int32_t count = 0;  // rows of a step, or conversations at a time
  double seconds = 0;      // of a step
  double tokens_per_second = 0;
};

struct SharedReport {
  std::string name;
  std::string kernels;
  std::int32_t threads = 0;
  std::vector<SharedRate> rows;
  std::vector<SharedRate> conversations;
};

// `rows`: steps of so many tokens of one text, with the logits of each. `conversations`: so many at a time.
Result<SharedReport> MeasureShared(const BenchOptions& options, const std::vector<std::int32_t>& rows,
                                   const std::vector<std::int32_t>& conversations);

std::string SharedText(const SharedReport& report);
std::string SharedJson(const SharedReport& report);

}  // namespace slm::tools

#endif  // SLM_TOOLS_BENCH_SHARED_H_
