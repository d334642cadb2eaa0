// Products of a model's matrices with rows of activations, and how their work is dealt out.

#ifndef SLM_FORWARD_PRODUCT_H_
#define SLM_FORWARD_PRODUCT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "forward/parallel.h"
#include "forward/profiler.h"
#include "kernels.h"
#include "model/weights.h"

namespace slm {

// Values of an ActivationBlock.
inline constexpr std::int64_t kActivationBlock = 32;

// Weight rows are dealt out in multiples of the first, so that kernels see whole panels and activations whole blocks,
// and not more than the second at once, so that workers finish at about the same time.
inline constexpr std::int64_t kRowGranule = 32;
static_assert(kRowGranule % kLowRankPanel == 0);
inline constexpr std::int64_t kMaxChunkRows = 512;
inline constexpr std::int64_t kChunksPerThread = 2;        // of few rows: a chunk begins with memory nobody asked for
inline constexpr std::int64_t kPromptChunksPerThread = 8;  // of many rows: threads finish together

inline constexpr std::int64_t kActivationRows = 8;  // rows of activations in a chunk of row-wise work

inline std::int64_t DivideUp(std::int64_t n, std::int64_t by) { return (n + by - 1) / by; }

inline Cost CostOf(const Matrix& matrix, std::int64_t tokens) {
  const auto weights = static_cast<double>(matrix.rows) * static_cast<double>(matrix.columns);
  return {weights * static_cast<double>(tokens), static_cast<double>(matrix.bytes())};
}

// begin <= row < end.
struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

// Weight rows in a chunk, when `weight_rows` meet `tokens` tokens.
inline std::int64_t ChunkRows(std::int64_t weight_rows, std::int64_t tokens, int threads) {
  const std::int64_t even =
      DivideUp(weight_rows, (tokens <= kFewTokens ? kChunksPerThread : kPromptChunksPerThread) * threads);
  return std::min(DivideUp(even, kRowGranule) * kRowGranule, kMaxChunkRows);
}

// A step of row-wise work: f(row) for each of `rows` rows.
template <class F>
void ForEachRow(Worker& worker, std::int64_t rows, const F& f) {
  worker.ForEach(DivideUp(rows, kActivationRows), [&](std::int64_t chunk) {
    const std::int64_t end = std::min(rows, (chunk + 1) * kActivationRows);
    for (std::int64_t row = chunk * kActivationRows; row < end; ++row) f(row);
  });
}

// The operand of a product: rows as floats and, where their length allows, as int8 blocks.
struct ActivationRows {
  const float* values = nullptr;
  std::int64_t stride = 0;  // floats from row to row
  const ActivationBlock* blocks = nullptr;
  std::int64_t block_stride = 0;  // blocks from row to row
  const float* narrow = nullptr;  // what adapters make of each row; nullptr: there are none
  std::int64_t narrow_stride = 0;

  ActivationRows From(std::int64_t row) const {
    ActivationRows from = *this;
    from.values += row * stride;
    from.blocks += row * block_stride;
    if (narrow != nullptr) from.narrow += row * narrow_stride;
    return from;
  }
};

// Where a product goes: the first weight row of token t to out[t * stride].
struct ProductOutput {
  float* out = nullptr;
  std::int64_t stride = 0;
};

// Weight rows `rows` times the first `tokens` rows of the input. `scratch` as in MatMulTask.
inline void Multiply(const KernelSet& kernels, const Matrix& matrix, const ActivationRows& input, Range rows,
                     std::int64_t tokens, const ProductOutput& output, std::byte* scratch) {
  const bool as_float = matrix.multiplies_floats();
  kernels.matmul[static_cast<std::size_t>(matrix.format->format)](
      {.weights = matrix.data + static_cast<std::size_t>(rows.begin) * matrix.row_bytes,
       .row_bytes = matrix.row_bytes,
       .columns = matrix.columns,
       .row_end = rows.end - rows.begin,
       .activations = as_float ? static_cast<const void*>(input.values) : static_cast<const void*>(input.blocks),
       .activation_stride = as_float ? input.stride : input.block_stride,
       .tokens = tokens,
       .out = output.out,
       .out_stride = output.stride,
       .scratch = scratch});
}

}  // namespace slm

#endif  // SLM_FORWARD_PRODUCT_H_
