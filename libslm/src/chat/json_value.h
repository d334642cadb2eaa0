// JSON, read into the values that templates compute with. The JSON library is used in this folder only.

#ifndef SLM_CHAT_JSON_VALUE_H_
#define SLM_CHAT_JSON_VALUE_H_

#include <string>
#include <string_view>

#include "jinja/value.h"
#include "slm/status.h"

namespace slm {

// kInvalidArgument at the byte where `text` is not JSON, or if it nests deeper than templates can follow: whoever walks
// through the result may recurse. Messages call it `what`. All strings come from the conversation, but for the names of
// roles. Integers beyond 64 bits become floating-point numbers.
Result<jinja::Value> ParseJson(std::string_view text, std::string_view what);

// What a template's from_json gives: all strings, names of roles too, have the origin of the text.
Result<jinja::Value> ParseJsonInTemplate(std::string_view text, bool from_template);

// As JSON calls it: "string", "object".
std::string_view JsonTypeName(const jinja::Value& value);

// The item of an object, or of what is none; nullptr if there is none.
const jinja::Value* FindKey(const jinja::Value& value, std::string_view key);

// A value of lists, dicts with strings as keys, and what they may hold in JSON. Bytes that are no UTF-8 are replaced by
// U+FFFD.
std::string ToJson(const jinja::Value& value);
// kInvalidArgument where there are such bytes.
Result<std::string> ToExactJson(const jinja::Value& value);

}  // namespace slm

#endif  // SLM_CHAT_JSON_VALUE_H_
