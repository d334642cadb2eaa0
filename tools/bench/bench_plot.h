// Pictures of tokens/s: over context depth, and over how many share a step.

#ifndef SLM_TOOLS_BENCH_PLOT_H_
#define SLM_TOOLS_BENCH_PLOT_H_

#include <string>

#include "bench_result.h"

namespace slm::tools {

// An SVG document: a panel for each test, with its own scale from 0, medians joined by a line and a bar from the
// slowest to the fastest run. Colours are of middle brightness and the background is left out, so that it reads on
// light and dark pages.
std::string PlotSvg(const BenchReport& report);
std::string PlotSvg(const SharedReport& report);

}  // namespace slm::tools

#endif  // SLM_TOOLS_BENCH_PLOT_H_
