// Products of every format, each kernel set against scalar, in shapes the input chooses.

#include <algorithm>

#include "base/aligned_buffer.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/kernel_input.h"

namespace slm::test {

namespace {

struct Operands {
  MatMulTask task;
  std::vector<std::byte> weights;
  std::vector<float> floats;
  std::vector<ActivationBlock> blocks;
};

Operands Draw(KernelInput& input, const FormatInfo& format) {
  Operands operands;
  MatMulTask& task = operands.task;
  task.columns = input.Int(1, format.block_elements > 1 ? std::max(1u, 1024 / format.block_elements) : 200) *
                 format.block_elements;
  task.row_end = input.Int(1, 40);
  task.tokens = input.Int(1, 20);
  task.row_bytes = RowBytes(format, task.columns);
  operands.weights = RandomBlocks(format, static_cast<std::size_t>(task.row_end * task.columns / format.block_elements),
                                  input.random());
  task.weights = operands.weights.data();
  operands.floats = input.Floats(task.tokens * task.columns);
  task.activations = operands.floats.data();
  task.activation_stride = task.columns;
  if (format.activation == Activation::kInt8) {
    task.activation_stride = task.columns / 32;
    operands.blocks.resize(static_cast<std::size_t>(task.tokens * task.activation_stride));
    for (std::int64_t t = 0; t < task.tokens; ++t)
      ScalarSet().quantize(operands.floats.data() + t * task.columns, task.columns,
                           operands.blocks.data() + t * task.activation_stride);
    task.activations = operands.blocks.data();
  }
  task.out_stride = task.row_end;
  return operands;
}

std::vector<float> Multiply(const KernelSet& set, const FormatInfo& format, MatMulTask task) {
  std::vector<float> out(static_cast<std::size_t>(task.tokens * task.out_stride), Canary());
  AlignedBuffer<std::byte> scratch;
  Require(scratch.Allocate(MatMulScratchBytes(task.columns)), "memory");
  task.scratch = scratch.data();
  task.out = out.data();
  set.matmul[static_cast<std::size_t>(format.format)](task);
  return out;
}

// How far apart two ways to round the sum may be: see ExactProduct in tests/kernels/matmul_test.cc.
double Bound(const Operands& operands, const FormatInfo& format, std::int64_t row, std::int64_t token) {
  const MatMulTask& task = operands.task;
  std::vector<float> weights(static_cast<std::size_t>(task.columns));
  format.to_float(task.weights + static_cast<std::size_t>(row) * task.row_bytes, task.columns, weights.data());
  double largest = 0, sum = 0;
  for (std::int64_t i = 0; i < task.columns; ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(weights[static_cast<std::size_t>(i)])));
    sum += 1.01 * std::abs(operands.floats[static_cast<std::size_t>(token * task.columns + i)]);
  }
  return 2 * (static_cast<double>(task.columns) + 1) * kRounding * 4 * largest * sum;
}

}  // namespace

std::vector<std::string> Seeds() { return RandomSeeds(30, 24); }

void Fuzz(std::string_view bytes) {
  KernelInput input(bytes);
  const FormatInfo& format = AllFormats()[static_cast<std::size_t>(input.Int(0, std::ssize(AllFormats()) - 1))];
  const Operands operands = Draw(input, format);
  const MatMulTask& task = operands.task;
  const std::vector<float> expected = Multiply(ScalarSet(), format, task);
  MatMulTask part = task;
  part.row_begin = input.Int(0, task.row_end - 1);
  part.row_end = input.Int(part.row_begin, task.row_end);
  part.tokens = input.Int(1, task.tokens);
  for (const KernelSet* set : OtherSets()) {
    const std::vector<float> actual = Multiply(*set, format, task), some = Multiply(*set, format, part);
    for (std::int64_t token = 0; token < task.tokens; ++token) {
      for (std::int64_t row = 0; row < task.row_end; ++row) {
        const auto at = static_cast<std::size_t>(token * task.out_stride + row);
        Require(Near(actual[at], expected[at], Bound(operands, format, row, token)), "a set computes what scalar does");
        const bool wanted = part.row_begin <= row && row < part.row_end && token < part.tokens;
        if (token < part.tokens)
          Require(SameBits(some[at], wanted ? actual[at] : Canary()), "a part of a product is as in the whole");
      }
    }
  }
}

}  // namespace slm::test
