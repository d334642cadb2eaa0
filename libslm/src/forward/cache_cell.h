// A key or value of one head, in and out of a cache.

#ifndef SLM_FORWARD_CACHE_CELL_H_
#define SLM_FORWARD_CACHE_CELL_H_

#include <cstddef>
#include <cstdint>

#include "formats.h"
#include "kernels.h"

namespace slm {

// What a cache's numbers are, among the formats of files.
const FormatInfo& FormatOf(CacheFormat format);

void StoreCell(const KernelSet& kernels, CacheFormat format, const float* from, std::int64_t n, std::byte* to);
void LoadCell(CacheFormat format, const std::byte* from, std::int64_t n, float* to);

}  // namespace slm

#endif  // SLM_FORWARD_CACHE_CELL_H_
