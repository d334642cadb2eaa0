// Numbers to the blocks of a weight format: what FormatInfo::to_float reads back.

#ifndef SLM_QUANTIZE_QUANTIZER_H_
#define SLM_QUANTIZE_QUANTIZER_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "formats.h"

namespace slm {

// Whether numbers can be written in this format; those of the codebooks (IQ1 to IQ3) and TQ are only read.
bool CanQuantize(Format format);

// One row of finite numbers, whole blocks of the format, to out [RowBytes]. `importance` has a weight >= 0 for each
// column, by which its squared error counts (the mean square of the activations that it meets), or is empty: then the
// format's own rule chooses. The bytes depend on nothing else. Thread-safe.
void QuantizeRow(Format format, std::span<const float> row, std::span<const float> importance, std::byte* out);

}  // namespace slm

#endif  // SLM_QUANTIZE_QUANTIZER_H_
