// How work on rows is dealt out to a team.

#ifndef SLM_INFER_ROWS_H_
#define SLM_INFER_ROWS_H_

#include <algorithm>
#include <cstdint>

#include "infer/parallel.h"

namespace slm {

// Weight rows are dealt out in multiples of this, so that kernels see whole panels and activations whole blocks.
inline constexpr std::int64_t kRowGranule = 32;
// And not more than this at once, so that workers finish at about the same time.
inline constexpr std::int64_t kMaxChunkRows = 512;

inline std::int64_t DivideUp(std::int64_t n, std::int64_t by) { return (n + by - 1) / by; }

// A step of row-wise work on activations: f(row) for each of `rows` rows.
template <class F>
void ForEachRow(Worker& worker, std::int64_t rows, const F& f) {
  constexpr std::int64_t kChunk = 8;
  worker.ForEach(DivideUp(rows, kChunk), [&](std::int64_t chunk) {
    const std::int64_t end = std::min(rows, (chunk + 1) * kChunk);
    for (std::int64_t row = chunk * kChunk; row < end; ++row) f(row);
  });
}

}  // namespace slm

#endif  // SLM_INFER_ROWS_H_
