// How slm-inspect writes sizes and counts.

#ifndef SLM_TOOLS_INSPECT_PRINT_H_
#define SLM_TOOLS_INSPECT_PRINT_H_

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <string>

#include "slm/model_file.h"

namespace slm::tools {

inline std::string Bytes(std::uint64_t bytes) {
  char text[64];
  std::snprintf(text, sizeof(text), "%" PRIu64 " (%.1f MB)", bytes, static_cast<double>(bytes) / 1e6);
  return text;
}

inline std::uint64_t Elements(const TensorInfo& tensor) {
  std::uint64_t elements = 1;
  for (const std::uint64_t n : tensor.shape) elements *= n;
  return elements;
}

}  // namespace slm::tools

#endif  // SLM_TOOLS_INSPECT_PRINT_H_
