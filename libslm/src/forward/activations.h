// A buffer of activations that products read.

#ifndef SLM_FORWARD_ACTIVATIONS_H_
#define SLM_FORWARD_ACTIVATIONS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/aligned_buffer.h"
#include "forward/product.h"
#include "forward/working_memory.h"
#include "kernels.h"

namespace slm {

// Rows as floats and, where their length allows, as int8 blocks. Whoever writes a row's floats calls Quantize.
class Activations {
 public:
  // False if there is no memory. Rows may be shorter than `columns`.
  [[nodiscard]] bool Allocate(WorkingMemory& memory, std::int64_t max_rows, std::int64_t columns) {
    stride_ = columns;
    block_stride_ = columns / kActivationBlock;
    return memory.Allocate(values_, static_cast<std::size_t>(max_rows * stride_)) &&
           memory.Allocate(blocks_, static_cast<std::size_t>(max_rows * block_stride_));
  }

  std::int64_t stride() const { return stride_; }
  float* Row(std::int64_t row) { return values_.data() + row * stride_; }
  ActivationRows rows() const { return {values_.data(), stride_, blocks_.data(), block_stride_}; }

  // The first row of others, of which products may need the blocks alone.
  void CopyRow(std::int64_t row, const ActivationRows& from, bool values) {
    if (values) std::copy_n(from.values, stride_, Row(row));
    std::copy_n(from.blocks, block_stride_, blocks_.data() + row * block_stride_);
  }

  // Makes the blocks of a row of `columns` values.
  void Quantize(const KernelSet& kernels, std::int64_t row, std::int64_t columns) {
    if (columns % kActivationBlock != 0) return;
    kernels.quantize(Row(row), columns, blocks_.data() + row * block_stride_);
  }

 private:
  AlignedBuffer<float> values_;
  AlignedBuffer<ActivationBlock> blocks_;
  std::int64_t stride_ = 0;        // floats from row to row
  std::int64_t block_stride_ = 0;  // blocks from row to row
};

}  // namespace slm

#endif  // SLM_FORWARD_ACTIVATIONS_H_
