#include "kernels.h"

namespace slm {
namespace {

std::size_t RoundUpToCacheLine(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace

// A panel of 16 weight rows, as floats (64 bytes a column) or as codes with a scale and an offset for each 16 of them
// (24 bytes a column).
std::size_t MatMulScratchBytes(std::int64_t columns) {
  return RoundUpToCacheLine(96 * static_cast<std::size_t>(columns) + 4096);
}

// A tile of 64 keys and 64 values and as many queries and accumulators as floats, and the tile's scores.
std::size_t AttentionScratchBytes(std::int64_t head_dim, std::int64_t value_dim) {
  const std::size_t tile = (64 + 64) * static_cast<std::size_t>(head_dim + value_dim) * sizeof(float);
  return RoundUpToCacheLine(tile + 65536);
}

}  // namespace slm
