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

}  // namespace

Status SetVariable(std::string_view assignment, std::string* variables) {
  constexpr std::array<std::string_view, 5> kOurs = {"messages", "tools", "bos_token", "eos_token",
                                                     "add_generation_prompt"};
  const auto invalid = [](const std::string& message) { return Status(StatusCode::kInvalidArgument, message); };
  const std::size_t equals = assignment.find('=');
  const std::string name(assignment.substr(0, equals));
  if (equals == std::string_view::npos || !IsName(name)) {
    return invalid('"' + std::string(assignment) + "\" is no NAME=JSON, such as enable_thinking=false.");
  }
  if (std::ranges::count(kOurs, name) > 0) {
    return invalid("The variable " + name + " can't be set: slm-chat gives it to the template itself.");
  }
  const Result<Json> value = ParseJson(assignment.substr(equals + 1), "The value of the variable " + name);
  if (!value.ok()) {
    return invalid(value.status().message() + " A text needs quotes, also for the shell: '" + name + "=\"text\"'.");
  }
  Json all = variables->empty() ? Json::object() : *ParseJson(*variables, "the variables");
  all[name] = *value;
  *variables = DumpJson(all);
  return {};
}

}  // namespace slm::tools
