// Products of weights and activations, and how their rows are dealt out to the team.

#include <algorithm>

#include "infer/forward.h"
#include "infer/rows.h"

namespace slm {

namespace {

constexpr std::int64_t kChunksPerThread = 2;        // of a single row: a chunk begins with memory nobody asked for
constexpr std::int64_t kPromptChunksPerThread = 8;  // of many rows: threads finish together

constexpr std::int64_t kBlock = 32;  // values of an ActivationBlock

}  // namespace

bool Forward::AllocateInput(Input& input, std::int64_t columns) {
  input.stride = columns;
  input.block_stride = columns / kBlock;
  return input.values.Allocate(static_cast<std::size_t>(max_rows_ * columns)) &&
         input.blocks.Allocate(static_cast<std::size_t>(max_rows_ * input.block_stride));
}

void Forward::Quantize(Input& input, std::int64_t row, std::int64_t columns) {
  if (columns % kBlock != 0) return;
  kernels_->quantize(input.values.data() + row * input.stride, columns, input.blocks.data() + row * input.block_stride);
}

void Forward::NormRow(const float* x, const Vector& weight, Input& input, std::int64_t row) {
  const std::int64_t d = config_->embedding_length;
  float* out = input.values.data() + row * input.stride;
  if (weight.empty()) {
    std::copy_n(x, d, out);
  } else {
    kernels_->rms_norm(x, weight.data(), d, config_->norm_epsilon, out);
  }
  Quantize(input, row, d);
}

std::byte* Forward::Scratch(const Worker& worker) {
  return scratch_.data() + scratch_bytes_ * static_cast<std::size_t>(worker.rank());
}

float* Forward::Temporary(const Worker& worker) {
  return temporary_.data() + temporary_floats_ * static_cast<std::size_t>(worker.rank());
}

std::int64_t Forward::ChunkRows(std::int64_t rows) const {
  const std::int64_t even = DivideUp(rows, (rows_ == 1 ? kChunksPerThread : kPromptChunksPerThread) * running_threads_);
  return std::min(DivideUp(even, kRowGranule) * kRowGranule, kMaxChunkRows);
}

std::int64_t Forward::Chunks(std::int64_t rows) const { return rows == 0 ? 0 : DivideUp(rows, ChunkRows(rows)); }

Forward::Range Forward::ChunkRange(std::int64_t rows, std::int64_t chunk) const {
  const std::int64_t size = ChunkRows(rows);
  return {chunk * size, std::min(rows, (chunk + 1) * size)};
}

// Weight rows `rows` times the first `tokens` rows of the input.
void Forward::MatMul(const Worker& worker, const Matrix& matrix, const Vector& bias, const Input& input, Range rows,
                     std::int64_t tokens, const Output& output) {
  const bool as_float = matrix.format->activation == Activation::kFloat;
  const std::int64_t count = rows.end - rows.begin;
  kernels_->matmul[static_cast<std::size_t>(matrix.format->format)](
      {.weights = matrix.data + static_cast<std::size_t>(rows.begin) * matrix.row_bytes,
       .row_bytes = matrix.row_bytes,
       .columns = matrix.columns,
       .row_end = count,
       .activations =
           as_float ? static_cast<const void*>(input.values.data()) : static_cast<const void*>(input.blocks.data()),
       .activation_stride = as_float ? input.stride : input.block_stride,
       .tokens = tokens,
       .out = output.out,
       .out_stride = output.stride,
       .scratch = Scratch(worker)});
  if (bias.empty()) return;
  for (std::int64_t row = 0; row < tokens; ++row)
    kernels_->add(output.out + row * output.stride, bias.data() + rows.begin, count);
}

void Forward::Product(Worker& worker, const Matrix& matrix, const Vector& bias, const Input& input, std::int64_t tokens,
                      const Output& output) {
  worker.ForEach(Chunks(matrix.rows), [&](std::int64_t chunk) {
    const Range range = ChunkRange(matrix.rows, chunk);
    MatMul(worker, matrix, bias, input, range, tokens, {output.out + range.begin, output.stride});
  });
}

ProfileScope Forward::Measure(const Worker& worker, Operation operation, std::size_t layer) const {
  return ProfileScope(worker.rank() == 0 ? profiler_ : nullptr, operation, layer);
}

Cost Forward::CostOf(const Matrix& matrix, std::int64_t tokens) const {
  const auto weights = static_cast<double>(matrix.rows) * static_cast<double>(matrix.columns);
  return {weights * static_cast<double>(tokens),
          static_cast<double>(matrix.rows) * static_cast<double>(matrix.row_bytes)};
}

}  // namespace slm
