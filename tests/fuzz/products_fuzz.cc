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
  task.columns =
      input.Int(1, format.block_elements > 1 ? std::max(1u, 512 / format.block_elements) : 200) * format.block_elements;
  task.row_end = input.Int(1, 36);
  task.tokens = input.Int(1, 12);
  task.row_bytes = RowBytes(format, task.columns);
  operands.weights = RandomBlocks(format, static_cast<std::size_t>(task.row_end * task.columns / format.block_elements),
                                  input.random());
  task.weights = operands.weights.data();
  operands.floats = input.Floats(task.tokens * task.columns);
  task.activations = operands.floats.data();
  task.activation_stride = task.columns;
  if (format.activation == Activation::kInt8) {
    task.activation_stride = task.columns / 32;
    operands.blocks = Quantize(operands.floats, task.columns);
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

// How far apart two ways to round the sum of a row and a token may be, [rows] times [tokens]: see ExactProduct in
// tests/kernels/matmul_test.cc.
struct Bounds {
  std::vector<double> rows, tokens;

  Bounds(const Operands& operands, const FormatInfo& format) {
    const MatMulTask& task = operands.task;
    std::vector<float> weights(static_cast<std::size_t>(task.columns));
    const auto magnitude = [](float x) { return std::abs(static_cast<double>(x)); };
    for (std::int64_t row = 0; row < task.row_end; ++row) {
      format.to_float(task.weights + static_cast<std::size_t>(row) * task.row_bytes, task.columns, weights.data());
      rows.push_back(8 * (static_cast<double>(task.columns) + 1) * kRounding *
                     magnitude(*std::ranges::max_element(weights, {}, magnitude)));
    }
    for (std::int64_t token = 0; token < task.tokens; ++token) {
      double sum = 0;  // and what quantizing adds to it
      for (std::int64_t i = 0; i < task.columns; ++i)
        sum += 1.01 * magnitude(operands.floats[static_cast<std::size_t>(token * task.columns + i)]);
      tokens.push_back(sum);
    }
  }
};

}  // namespace

std::vector<std::string> Seeds() { return RandomSeeds(30, 24); }

void Fuzz(std::string_view bytes) {
  KernelInput input(bytes);
  const FormatInfo& format = AllFormats()[static_cast<std::size_t>(input.Int(0, std::ssize(AllFormats()) - 1))];
  const Operands operands = Draw(input, format);
  const MatMulTask& task = operands.task;
  const Bounds bounds(operands, format);
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
        Require(Near(actual[at], expected[at],
                     bounds.rows[static_cast<std::size_t>(row)] * bounds.tokens[static_cast<std::size_t>(token)]),
                "a set computes what scalar does");
        const bool wanted = part.row_begin <= row && row < part.row_end && token < part.tokens;
        if (token < part.tokens)
          Require(SameBits(some[at], wanted ? actual[at] : Canary()), "a part of a product is as in the whole");
      }
    }
  }
}

}  // namespace slm::test
