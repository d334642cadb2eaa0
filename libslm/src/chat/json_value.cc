#include "chat/json_value.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "base/format.h"
#include "base/status_macros.h"

namespace slm {

namespace {

// Less than jinja::kMaxValueDepth, because messages put JSON into lists and dicts of their own.
constexpr int kMaxDepth = 100;

// The name of a role can't be chosen by a user, and templates build control tokens with it: "<|" + role + "|>".
bool IsRole(std::string_view key, const Json& item) {
  static constexpr std::array<std::string_view, 6> kRoles = {"system", "user",      "assistant",
                                                             "tool",   "developer", "model"};
  return key == "role" && item.is_string() && std::ranges::count(kRoles, item.get_ref<const std::string&>()) > 0;
}

jinja::Value ToNumber(const Json& json) {
  if (json.is_number_float()) return jinja::Value(json.get<double>());
  if (!json.is_number_unsigned()) return jinja::Value(json.get<std::int64_t>());
  const auto number = json.get<std::uint64_t>();
  if (std::cmp_greater(number, std::numeric_limits<std::int64_t>::max())) {
    return jinja::Value(static_cast<double>(number));
  }
  return jinja::Value(static_cast<std::int64_t>(number));
}

Result<jinja::Value> Convert(const Json& json, std::string_view what, int depth) {
  if (depth > kMaxDepth) {
    return Status(StatusCode::kInvalidArgument,
                  Cat(what, " is nested deeper than ", kMaxDepth, " levels, which chat templates can't follow."));
  }
  if (json.is_array()) {
    jinja::List items;
    items.reserve(json.size());
    for (const Json& item : json) {
      SLM_ASSIGN_OR_RETURN(jinja::Value value, Convert(item, what, depth + 1));
      items.push_back(std::move(value));
    }
    return jinja::Value(std::move(items));
  }
  if (json.is_object()) {
    jinja::Dict dict;
    for (const auto& [key, item] : json.items()) {
      if (IsRole(key, item)) {
        dict.Set(key, false, jinja::Value::String(item.get_ref<const std::string&>(), true));
        continue;
      }
      SLM_ASSIGN_OR_RETURN(jinja::Value value, Convert(item, what, depth + 1));
      dict.Set(key, false, std::move(value));
    }
    return jinja::Value(std::move(dict));
  }
  if (json.is_string()) return jinja::Value::String(json.get_ref<const std::string&>(), false);
  if (json.is_boolean()) return jinja::Value(json.get<bool>());
  if (json.is_number()) return ToNumber(json);
  return jinja::Value();
}

}  // namespace

Result<Json> ParseJson(std::string_view text, std::string_view what) {
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    return Status(StatusCode::kInvalidArgument,
                  Cat(what, " is not valid JSON: the error is at byte ", error.byte, "."));
  } catch (const Json::exception&) {
    return Status(StatusCode::kInvalidArgument, Cat(what, " holds a number that is out of range."));
  }
}

Result<jinja::Value> ToTemplateValue(const Json& json, std::string_view what) { return Convert(json, what, 0); }

}  // namespace slm
