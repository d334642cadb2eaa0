// JSON, and its way into templates. The JSON library is used in this folder only.

#ifndef SLM_CHAT_JSON_VALUE_H_
#define SLM_CHAT_JSON_VALUE_H_

#include <nlohmann/json.hpp>
#include <string_view>

#include "jinja/value.h"
#include "slm/status.h"

namespace slm {

// Keeps the order of keys, which templates show.
using Json = nlohmann::ordered_json;

// kInvalidArgument at the byte where `text` is not JSON, or if it nests deeper than templates can follow: whoever walks
// through the result may recurse. Messages call it `what`.
Result<Json> ParseJson(std::string_view text, std::string_view what);

// All its strings come from the conversation, but for the names of roles. Integers beyond 64 bits become floating-point
// numbers. `json` comes from ParseJson.
jinja::Value ToTemplateValue(const Json& json);

// What a template's from_json gives: all strings, names of roles too, have the origin of the text.
Result<jinja::Value> ParseJsonInTemplate(std::string_view text, bool from_template);

}  // namespace slm

#endif  // SLM_CHAT_JSON_VALUE_H_
