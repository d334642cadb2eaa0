#include "quantize/quantizer.h"

#include <algorithm>

namespace slm {

bool CanQuantize(Format format) { return format == Format::kF32 || format == Format::kF16; }

void QuantizeRow(Format format, std::span<const float> row, std::span<const float> /*importance*/, std::byte* out) {
  if (format == Format::kF32) {
    std::ranges::copy(std::as_bytes(row), out);
  } else {
    std::ranges::transform(row, reinterpret_cast<Half*>(out), FloatToHalf);
  }
}

}  // namespace slm
