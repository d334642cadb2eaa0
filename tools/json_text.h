// JSON as the tools read and write it. Nothing here throws but for want of memory.

#ifndef SLM_TOOLS_JSON_TEXT_H_
#define SLM_TOOLS_JSON_TEXT_H_

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "slm/status.h"

namespace slm::tools {

// What is written.
using Json = nlohmann::ordered_json;
using JsonType = Json::value_t;

// "array", "string", "number", ...
std::string TypeName(JsonType type);

struct JsonItem {
  JsonType type = JsonType::null;
  std::string name = {};  // of a member of an object
  std::string text = {};  // of a string; of a number as JSON has it
};

// What is read: a value and, of an array or object, what lies directly in it. What lies deeper is checked and left out,
// so that neither depth nor the number of names is a danger.
struct JsonValue {
  JsonType type = JsonType::null;
  std::string text = {};  // as in JsonItem
  std::vector<JsonItem> items = {};
  std::size_t depth = 0;  // of arrays and objects
};

// kInvalidArgument where `text` is no JSON, or has a number that no machine number holds. Messages call it `source`.
Result<JsonValue> ParseJson(std::string_view text, const std::string& source);

// One line for an indent of -1. Bytes that are not UTF-8, which names in files may have, become U+FFFD; control
// characters are escaped, also those that JSON lets stand as they are.
std::string DumpJson(const Json& json, int indent = -1);

}  // namespace slm::tools

#endif  // SLM_TOOLS_JSON_TEXT_H_
