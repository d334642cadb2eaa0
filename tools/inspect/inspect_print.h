// How slm-inspect writes texts of a file, JSON and sizes.

#ifndef SLM_TOOLS_INSPECT_PRINT_H_
#define SLM_TOOLS_INSPECT_PRINT_H_

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "slm/model_file.h"

namespace slm::tools {

using Json = nlohmann::ordered_json;

// Names and texts come from the file: bytes that are not UTF-8 become U+FFFD.
inline std::string Dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

// Text of the file in one line of printable characters; it must not be able to steer a terminal.
inline std::string Printable(std::string_view text) {
  const std::string quoted = Dump(Json(text), -1);
  return quoted.substr(1, quoted.size() - 2);
}

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
