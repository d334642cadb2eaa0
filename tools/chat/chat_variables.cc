#include "chat_variables.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "json_text.h"

namespace slm::tools {

namespace {

bool IsName(std::string_view text) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const auto is_part = [is_letter](char c) { return is_letter(c) || (c >= '0' && c <= '9'); };
  return !text.empty() && is_letter(text.front()) && std::ranges::all_of(text, is_part);
}

Status Invalid(const std::string& message) { return {StatusCode::kInvalidArgument, message}; }

Status SetVariable(std::string_view assignment, Json& variables) {
  constexpr std::array<std::string_view, 5> kOurs = {"messages", "tools", "bos_token", "eos_token",
                                                     "add_generation_prompt"};
  constexpr std::size_t kDeepest = 100, kMost = 1000;
  const std::size_t equals = assignment.find('=');
  const std::string name(assignment.substr(0, equals));
  if (equals == std::string_view::npos || !IsName(name)) {
    return Invalid('"' + std::string(assignment) + "\" is no NAME=JSON, such as enable_thinking=false.");
  }
  if (std::ranges::count(kOurs, name) > 0) {
    return Invalid("The variable " + name + " can't be set: slm-chat gives it to the template itself.");
  }
  const std::string_view text = assignment.substr(equals + 1);
  const Result<JsonValue> value = ParseJson(text, "The value of the variable " + name);
  if (!value.ok()) {
    return Invalid(value.status().message() + " A text needs quotes, also for the shell: '" + name + "=\"text\"'.");
  }
  if (value->depth > kDeepest) {
    return Invalid("The value of the variable " + name + " is nested more than " + std::to_string(kDeepest) + " deep.");
  }
  variables[name] = Json::parse(text);
  if (variables.size() <= kMost) return {};
  return Invalid("There are more than " + std::to_string(kMost) + " variables.");
}

}  // namespace

Result<std::string> SetVariables(std::string_view variables, std::span<const std::string> assignments) {
  if (assignments.empty()) return std::string(variables);
  Json all = variables.empty() ? Json::object() : Json::parse(variables, nullptr, /*allow_exceptions=*/false);
  if (!all.is_object()) return Invalid("The template's variables are no JSON object.");
  for (const std::string& assignment : assignments) {
    if (Status status = SetVariable(assignment, all); !status.ok()) return status;
  }
  return DumpJson(all);
}

}  // namespace slm::tools
