// JSON as the tools read and write it. Nothing here throws.

#ifndef SLM_TOOLS_JSON_TEXT_H_
#define SLM_TOOLS_JSON_TEXT_H_

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "slm/status.h"

namespace slm::tools {

using Json = nlohmann::ordered_json;

// kInvalidArgument where `text` is no JSON, or has a number that no machine number holds. Messages call it `source`.
Result<Json> ParseJson(std::string_view text, const std::string& source);

// One line for an indent of -1. Bytes that are not UTF-8, which names in files may have, become U+FFFD; control
// characters are escaped, also those that JSON lets stand as they are.
std::string DumpJson(const Json& json, int indent = -1);

}  // namespace slm::tools

#endif  // SLM_TOOLS_JSON_TEXT_H_
