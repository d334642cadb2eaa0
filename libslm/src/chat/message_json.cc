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

Status Wrong(std::string_view where, std::string_view expected, const Json& found) {
  return {StatusCode::kInvalidArgument, Cat(where, " must be ", expected, ", but is ", found.type_name(), ".")};
}

Status UnknownKey(std::string_view where, std::string_view key) {
  return {StatusCode::kInvalidArgument,
          Cat(where, " has the key ", Quoted(key), ", which this library does not know and would lose.")};
}

Result<Role> ParseRole(const Json& json, const std::string& where) {
  if (!json.is_string()) return Wrong(Cat(where, ".role"), "a string", json);
  const auto& name = json.get_ref<const std::string&>();
  if (name == "developer") return Role::kSystem;
  for (const Role role : {Role::kSystem, Role::kUser, Role::kAssistant, Role::kTool}) {
    if (name == RoleName(role)) return role;
  }
  return Status(StatusCode::kInvalidArgument,
                Cat(where, ".role is ", Quoted(name), "; expected system, user, assistant or tool."));
}

Result<std::string> ParseString(const Json& json, const std::string& where) {
  if (json.is_null()) return std::string();
  if (!json.is_string()) return Wrong(where, "a string", json);
  return json.get<std::string>();
}

// A string, null, or a list of text parts.
Result<std::string> ParseContent(const Json& json, const std::string& where) {
  if (!json.is_array()) return ParseString(json, where);
  std::string text;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const std::string part = Cat(where, "[", i, "]");
    const Json& item = json[i];
    if (!item.is_object()) return Wrong(part, "an object", item);
    if (!item.contains("type") || item["type"] != "text" || !item.contains("text") || !item["text"].is_string()) {
      return Status(
          StatusCode::kInvalidArgument,
          Cat(part, R"( must be a text part, {"type": "text", "text": ...}; other parts are not supported.)"));
    }
    text += i == 0 ? "" : "\n";
    text += item["text"].get_ref<const std::string&>();
  }
  return text;
}

// Arguments are a JSON object, or a string that holds one.
Result<std::string> ParseArguments(const Json& json, const std::string& where) {
  if (json.is_object()) return json.dump();
  if (!json.is_string()) return Wrong(where, "an object, or a string that holds one", json);
  SLM_ASSIGN_OR_RETURN(const Json parsed, ParseJson(json.get_ref<const std::string&>(), where));
  if (!parsed.is_object()) return Wrong(where, "a string that holds an object", parsed);
  return json.get<std::string>();
}

Result<ToolCall> ParseToolCall(const Json& json, const std::string& where) {
  if (!json.is_object()) return Wrong(where, "an object", json);
  ToolCall call;
  const bool nested = json.contains("function");
  for (const auto& [key, value] : json.items()) {
    if (key != "id" && key != "type" && key != "function" && (nested || (key != "name" && key != "arguments"))) {
      return UnknownKey(where, key);
    }
  }
  const Json& function = nested ? json["function"] : json;
  if (!function.is_object()) return Wrong(Cat(where, ".function"), "an object", function);
  if (json.contains("id")) {
    SLM_ASSIGN_OR_RETURN(call.id, ParseString(json["id"], Cat(where, ".id")));
  }
  if (!function.contains("name")) {
    return Status(StatusCode::kInvalidArgument, Cat(where, " has no name of the function to call."));
  }
  SLM_ASSIGN_OR_RETURN(call.name, ParseString(function["name"], Cat(where, ".name")));
  if (function.contains("arguments")) {
    SLM_ASSIGN_OR_RETURN(call.arguments, ParseArguments(function["arguments"], Cat(where, ".arguments")));
  }
  return call;
}

Result<std::vector<ToolCall>> ParseToolCalls(const Json& json, const std::string& where) {
  std::vector<ToolCall> calls;
  if (json.is_null()) return calls;
  if (!json.is_array()) return Wrong(where, "a list", json);
  for (std::size_t i = 0; i < json.size(); ++i) {
    SLM_ASSIGN_OR_RETURN(ToolCall call, ParseToolCall(json[i], Cat(where, "[", i, "]")));
    calls.push_back(std::move(call));
  }
  return calls;
}

Result<Message> ParseMessage(const Json& json, const std::string& where) {
  if (!json.is_object()) return Wrong(where, "an object", json);
  if (!json.contains("role")) return Status(StatusCode::kInvalidArgument, Cat(where, " has no role."));
  Message message;
  for (const auto& [key, value] : json.items()) {
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

Json MessageJson(const Message& message) {
  Json json = {{"role", RoleName(message.role)}, {"content", message.content}};
  if (!message.reasoning.empty()) json["reasoning_content"] = message.reasoning;
  for (const ToolCall& call : message.tool_calls) {
    json["tool_calls"].push_back(
        {{"id", call.id}, {"type", "function"}, {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
  }
  if (!message.tool_call_id.empty()) json["tool_call_id"] = message.tool_call_id;
  if (!message.name.empty()) json["name"] = message.name;
  return json;
}

}  // namespace

Result<std::vector<Message>> MessagesFromJson(const Json& json, std::string_view what) {
  if (!json.is_array()) return Wrong(what, "a list of messages", json);
  std::vector<Message> messages;
  for (std::size_t i = 0; i < json.size(); ++i) {
    SLM_ASSIGN_OR_RETURN(Message message, ParseMessage(json[i], Cat(what, "[", i, "]")));
    messages.push_back(std::move(message));
  }
  return messages;
}

Json MessagesJson(const std::vector<Message>& messages) {
  Json json = Json::array();
  for (const Message& message : messages) json.push_back(MessageJson(message));
  return json;
}

}  // namespace slm
