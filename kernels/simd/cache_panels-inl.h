// Keys and values of a cache, in any of its formats, as panels of floats.
//
// A panel is the right-hand side of a product with a tile of sums: for each term of a sum, kTileVectors vectors of
// floats, one float for each column. Keys are columns (and their elements terms), so they are turned on the way; the
// elements of values are columns (and the values terms).

#ifndef SLM_KERNELS_SIMD_CACHE_PANELS_INL_H_
#define SLM_KERNELS_SIMD_CACHE_PANELS_INL_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels.h"

namespace slm {
namespace {

// How a cache format is read: a vector from element i of a cell on. kSize bytes an element, or 0 where cells are whole
// blocks and every vector is.
template <class Widen>
struct F32Cells {
  static constexpr std::size_t kSize = sizeof(float);
  static typename Widen::Batch Load(const std::byte* cell, std::int64_t i) {
    return Widen::Batch::load_unaligned(reinterpret_cast<const float*>(cell) + i);
  }
};
template <class Widen>
struct F16Cells {
  static constexpr std::size_t kSize = sizeof(Half);
  static typename Widen::Batch Load(const std::byte* cell, std::int64_t i) {
    return Widen::LoadHalf(reinterpret_cast<const Half*>(cell) + i);
  }
};
template <class Widen>
struct Q8Cells {
  static constexpr std::size_t kSize = 0;
  static typename Widen::Batch Load(const std::byte* cell, std::int64_t i) {
    const BlockQ8_0& block = reinterpret_cast<const BlockQ8_0*>(cell)[i / 32];
    return typename Widen::Batch(Widen::ToFloat(block.d)) * Widen::LoadInt8(block.qs + i % 32);
  }
};

// Asks for memory a little at a time, while something else is computed.
class Prefetcher {
 public:
  Prefetcher(const std::byte* at, std::int64_t bytes, std::int64_t steps)
      : at_(at), lines_per_step_(bytes / 64 / std::max<std::int64_t>(1, steps)) {}
  void Step() {
    for (std::int64_t i = 0; i < lines_per_step_; ++i, at_ += 64) __builtin_prefetch(at_);
  }

 private:
  const std::byte* at_;
  std::int64_t lines_per_step_;
};

template <class Widen, template <class> class CellsOf>
struct CachePanels {
  using Batch = typename Widen::Batch;
  using Cells = CellsOf<Widen>;
  static constexpr std::int64_t kWidth = static_cast<std::int64_t>(Batch::size);
  static constexpr std::int64_t kColumns = Widen::kTileVectors * kWidth;

  // Elements i.. of a cell of n, with zeros behind the last.
  static Batch Load(const std::byte* cell, std::int64_t i, std::int64_t n) {
    if constexpr (Cells::kSize == 0) {
      return Cells::Load(cell, i);
    } else {
      if (i + kWidth <= n) return Cells::Load(cell, i);
      alignas(64) std::byte padded[kWidth * sizeof(float)] = {};
      if (i < n) std::memcpy(padded, cell + i * Cells::kSize, static_cast<std::size_t>(n - i) * Cells::kSize);
      return Cells::Load(padded, 0);
    }
  }

  // panel[i][j] = element i of keys[j], for kColumns keys; rows up to a multiple of kWidth are written.
  static void LoadKeys(const std::byte* const* keys, std::int64_t head_dim, float* panel, Prefetcher (&prefetch)[2]) {
    for (std::int64_t i = 0; i < head_dim; i += kWidth) {
      for (Prefetcher& p : prefetch) p.Step();
      for (std::int64_t first = 0; first < kColumns; first += kWidth) {
        Batch rows[kWidth];
        for (std::int64_t j = 0; j < kWidth; ++j) rows[j] = Load(keys[first + j], i, head_dim);
        Widen::Transpose(rows);
        for (std::int64_t j = 0; j < kWidth; ++j) rows[j].store_aligned(panel + (i + j) * kColumns + first);
      }
    }
  }

  // panel[j][i] = element first + i of values[j], for kColumns elements of `count` values.
  static void LoadValues(const std::byte* const* values, std::int64_t count, std::int64_t first, std::int64_t value_dim,
                         float* panel) {
    for (std::int64_t j = 0; j < count; ++j) {
      for (std::int64_t i = 0; i < kColumns; i += kWidth)
        Load(values[j], first + i, value_dim).store_aligned(panel + j * kColumns + i);
    }
  }
};

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_CACHE_PANELS_INL_H_
