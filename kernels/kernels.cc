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

std::size_t CacheBytes(CacheFormat format, std::int64_t n) {
  const auto elements = static_cast<std::size_t>(n);
  switch (format) {
    case CacheFormat::kF32:
      return elements * sizeof(float);
    case CacheFormat::kF16:
      return elements * sizeof(Half);
    case CacheFormat::kQ8_0:
      break;
  }
  return elements / 32 * sizeof(BlockQ8_0);
}

std::int64_t AttentionSumsFloats(std::int64_t value_dim) {
  return static_cast<std::int64_t>(sizeof(AttentionSums) / sizeof(float)) + (value_dim + 31) / 32 * 32;
}

// Queries (in whole tiles of up to 12) and a panel of 32 keys, a panel of 32 dimensions of a part's values, a part's
// weights and the sums of all queries; as floats.
std::size_t AttentionScratchBytes(std::int64_t head_dim, std::int64_t value_dim) {
  constexpr std::int64_t kQueries = kAttentionQueries + 12;
  const std::int64_t key_width = (head_dim + 31) / 32 * 32;
  const std::int64_t floats =
      (kQueries + 32) * key_width + kAttentionPart * 32 + kQueries * (kAttentionPart + AttentionSumsFloats(value_dim));
  return RoundUpToCacheLine(static_cast<std::size_t>(floats) * sizeof(float));
}

}  // namespace slm
