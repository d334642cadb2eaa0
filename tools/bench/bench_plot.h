// A picture of tokens/s over context depth.

#ifndef SLM_TOOLS_BENCH_PLOT_H_
#define SLM_TOOLS_BENCH_PLOT_H_

#include <string>

#include "bench_result.h"

namespace slm::tools {

// An SVG document: a panel for prompts and one for generation, each with its own scale from 0, medians joined by a line
// and a bar from the slowest to the fastest run. Colours are of middle brightness and the background is left out, so
// that it reads on light and dark pages. The report has at least two depths.
std::string PlotSvg(const BenchReport& report);

}  // namespace slm::tools

#endif  // SLM_TOOLS_BENCH_PLOT_H_
