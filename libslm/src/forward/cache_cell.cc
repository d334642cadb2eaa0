#include "forward/cache_cell.h"

#include <algorithm>

namespace slm {

namespace {

Format ToFormat(CacheFormat format) {
  switch (format) {
    case CacheFormat::kF32:
      return Format::kF32;
    case CacheFormat::kQ8_0:
      return Format::kQ8_0;
    case CacheFormat::kF16:
      break;
  }
  return Format::kF16;
}

}  // namespace

const FormatInfo& FormatOf(CacheFormat format) { return *FindFormat(static_cast<std::uint32_t>(ToFormat(format))); }

void StoreCell(const KernelSet& kernels, CacheFormat format, const float* from, std::int64_t n, std::byte* to) {
  switch (format) {
    case CacheFormat::kF32:
      std::copy_n(from, n, reinterpret_cast<float*>(to));
      break;
    case CacheFormat::kF16:
      kernels.to_half(from, n, reinterpret_cast<Half*>(to));
      break;
    case CacheFormat::kQ8_0:
      kernels.to_q8_0(from, n, reinterpret_cast<BlockQ8_0*>(to));
      break;
  }
}

void LoadCell(CacheFormat format, const std::byte* from, std::int64_t n, float* to) {
  FormatOf(format).to_float(from, n, to);
}

}  // namespace slm
