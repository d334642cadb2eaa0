#include "chat/message_json.h"

#include <array>
#include <cstddef>
#include <string>
#include <utility>

#include "base/format.h"
#include "base/status_macros.h"
#include "file/escape.h"

namespace slm {

namespace {

using jinja::Value;

Status Wrong(std::string_view where, std::string_view expected, const Value& found) {
  return {StatusCode::kInvalidArgument, Cat(where, " must be ", expected, ", but is ", JsonTypeName(found), ".")};
}

Status UnknownKey(std::string_view where, std::string_view key) {
  return {StatusCode::kInvalidArgument,
          Cat(where, " has the key \"", key, "\", which this library does not know and would lose.")};
}

Result<Role> ParseRole(const Value& json, const std::string& where) {
  if (!json.is_string()) return Wrong(Cat(where, ".role"), "a string", json);
  const std::string_view name = json.text().view();
  if (name == "developer") return Role::kSystem;
  for (const Role role : {Role::kSystem, Role::kUser, Role::kAssistant, Role::kTool}) {
    if (name == RoleName(role)) return role;
  }
  return Status(StatusCode::kInvalidArgument,
                Cat(where, ".role is \"", name, "\"; expected system, user, assistant or tool."));
}

Result<std::string> ParseString(const Value& json, const std::string& where) {
  if (json.is_null()) return std::string();
  if (!json.is_string()) return Wrong(where, "a string", json);
  return std::string(json.text().view());
}

// A string, null, or a list of text parts.
Result<std::string> ParseContent(const Value& json, const std::string& where) {
  if (!json.is(Value::Type::kList)) return ParseString(json, where);
  std::string text;
  for (std::size_t i = 0; i < json.items().size(); ++i) {
    const std::string part = Cat(where, "[", i, "]");
    const Value& item = json.items()[i];
    if (!item.is(Value::Type::kDict)) return Wrong(part, "an object", item);
    const Value* const type = FindKey(item, "type");
    const Value* const words = FindKey(item, "text");
    const bool is_text = type != nullptr && type->is_string() && type->text().view() == "text";
    if (!is_text || words == nullptr || !words->is_string()) {
      return Status(
          StatusCode::kInvalidArgument,
          Cat(part, R"( must be a text part, {"type": "text", "text": ...}; other parts are not supported.)"));
    }
    text += i == 0 ? "" : "\n";
    text += words->text().view();
  }
  return text;
}

// Arguments are a JSON object, or a string that holds one; or no text, where there are none.
Result<std::string> ParseArguments(const Value& json, const std::string& where) {
  if (json.is(Value::Type::kDict)) return ToJson(json);
  if (!json.is_string()) return Wrong(where, "an object, or a string that holds one", json);
  if (json.text().view().empty()) return std::string();
  SLM_ASSIGN_OR_RETURN(const Value parsed, ParseJson(json.text().view(), where));
  if (!parsed.is(Value::Type::kDict)) return Wrong(where, "a string that holds an object", parsed);
  return std::string(json.text().view());
}

Result<ToolCall> ParseToolCall(const Value& json, const std::string& where) {
  if (!json.is(Value::Type::kDict)) return Wrong(where, "an object", json);
  ToolCall call;
  const Value* const nested = FindKey(json, "function");
  for (const auto& [name, value] : json.dict().entries()) {
    const std::string_view key = name.text().view();
    if (key != "id" && key != "type" && key != "function" &&
        (nested != nullptr || (key != "name" && key != "arguments"))) {
      return UnknownKey(where, key);
    }
  }
  const Value& function = nested != nullptr ? *nested : json;
  if (!function.is(Value::Type::kDict)) return Wrong(Cat(where, ".function"), "an object", function);
  if (const Value* const id = FindKey(json, "id")) {
    SLM_ASSIGN_OR_RETURN(call.id, ParseString(*id, Cat(where, ".id")));
  }
  const Value* const name = FindKey(function, "name");
  if (name == nullptr) {
    return Status(StatusCode::kInvalidArgument, Cat(where, " has no name of the function to call."));
  }
  SLM_ASSIGN_OR_RETURN(call.name, ParseString(*name, Cat(where, ".name")));
  if (const Value* const arguments = FindKey(function, "arguments")) {
    SLM_ASSIGN_OR_RETURN(call.arguments, ParseArguments(*arguments, Cat(where, ".arguments")));
  }
  return call;
}

Result<std::vector<ToolCall>> ParseToolCalls(const Value& json, const std::string& where) {
  std::vector<ToolCall> calls;
  if (json.is_null()) return calls;
  if (!json.is(Value::Type::kList)) return Wrong(where, "a list", json);
  for (std::size_t i = 0; i < json.items().size(); ++i) {
    SLM_ASSIGN_OR_RETURN(ToolCall call, ParseToolCall(json.items()[i], Cat(where, "[", i, "]")));
    calls.push_back(std::move(call));
  }
  return calls;
}

Result<Message> ParseMessage(const Value& json, const std::string& where) {
  if (!json.is(Value::Type::kDict)) return Wrong(where, "an object", json);
  if (FindKey(json, "role") == nullptr) return Status(StatusCode::kInvalidArgument, Cat(where, " has no role."));
  Message message;
  for (const auto& [name, value] : json.dict().entries()) {
    const std::string_view key = name.text().view();
    const std::string place = Cat(where, ".", key);
    if (key == "role") {
      SLM_ASSIGN_OR_RETURN(message.role, ParseRole(value, where));
    } else if (key == "content") {
      SLM_ASSIGN_OR_RETURN(message.content, ParseContent(value, place));
    } else if (key == "reasoning_content") {
      SLM_ASSIGN_OR_RETURN(message.reasoning, ParseString(value, place));
    } else if (key == "tool_calls") {
      SLM_ASSIGN_OR_RETURN(message.tool_calls, ParseToolCalls(value, place));
    } else if (key == "tool_call_id") {
      SLM_ASSIGN_OR_RETURN(message.tool_call_id, ParseString(value, place));
    } else if (key == "name") {
      SLM_ASSIGN_OR_RETURN(message.name, ParseString(value, place));
    } else {
      return UnknownKey(where, key);
    }
  }
  return message;
}

Value Words(std::string_view text) { return Value::String(text, false); }

Value ToolCallValue(const ToolCall& call) {
  jinja::Dict function;
  function.Set("name", true, Words(call.name));
  if (!call.arguments.empty()) function.Set("arguments", true, Words(call.arguments));
  jinja::Dict value;
  value.Set("id", true, Words(call.id));
  value.Set("type", true, Words("function"));
  value.Set("function", true, Value(std::move(function)));
  return Value(std::move(value));
}

Value MessageValue(const Message& message) {
  jinja::Dict value;
  value.Set("role", true, Words(RoleName(message.role)));
  value.Set("content", true, Words(message.content));
  if (!message.reasoning.empty()) value.Set("reasoning_content", true, Words(message.reasoning));
  if (!message.tool_calls.empty()) {
    jinja::List calls;
    for (const ToolCall& call : message.tool_calls) calls.push_back(ToolCallValue(call));
    value.Set("tool_calls", true, Value(std::move(calls)));
  }
  if (!message.tool_call_id.empty()) value.Set("tool_call_id", true, Words(message.tool_call_id));
  if (!message.name.empty()) value.Set("name", true, Words(message.name));
  return Value(std::move(value));
}

}  // namespace

Result<std::vector<Message>> MessagesFromJson(const Value& json, std::string_view what) {
  if (!json.is(Value::Type::kList)) return Wrong(what, "a list of messages", json);
  std::vector<Message> messages;
  for (std::size_t i = 0; i < json.items().size(); ++i) {
    SLM_ASSIGN_OR_RETURN(Message message, ParseMessage(json.items()[i], Cat(what, "[", i, "]")));
    messages.push_back(std::move(message));
  }
  return messages;
}

Value MessagesValue(const std::vector<Message>& messages) {
  jinja::List values;
  for (const Message& message : messages) values.push_back(MessageValue(message));
  return Value(std::move(values));
}

}  // namespace slm
