// Blocks whose products are integers.

#ifndef SLM_TESTS_KERNELS_UNIT_BLOCKS_H_
#define SLM_TESTS_KERNELS_UNIT_BLOCKS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "formats.h"

namespace slm::test {

// Blocks of a quantized format with all scales and minimums 1, whose codes are the bits of two bytes in turn.
std::vector<std::byte> UnitBlocks(Format format, std::size_t n, std::uint8_t even, std::uint8_t odd);

}  // namespace slm::test

#endif  // SLM_TESTS_KERNELS_UNIT_BLOCKS_H_
