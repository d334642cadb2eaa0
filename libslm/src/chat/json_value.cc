#include "chat/json_value.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "base/format.h"

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

jinja::Value ToList(const Json& json) {
  jinja::List items;
  items.reserve(json.size());
  for (const Json& item : json) items.push_back(ToTemplateValue(item));
  return jinja::Value(std::move(items));
}

jinja::Value ToDict(const Json& json) {
  jinja::Dict dict;
  for (const auto& [key, item] : json.items()) {
    dict.Set(
        key, false,
        IsRole(key, item) ? jinja::Value::String(item.get_ref<const std::string&>(), true) : ToTemplateValue(item));
  }
  return jinja::Value(std::move(dict));
}

// Thrown by ParseJson to itself.
struct TooDeep {};

}  // namespace

Result<Json> ParseJson(std::string_view text, std::string_view what) {
  try {
    return Json::parse(text, [](int depth, Json::parse_event_t, Json&) {
      if (depth > kMaxDepth) throw TooDeep();
      return true;
    });
  } catch (const TooDeep&) {
    return Status(StatusCode::kInvalidArgument, Cat(what, " is nested deeper than ", kMaxDepth, " levels."));
  } catch (const Json::parse_error& error) {
    return Status(StatusCode::kInvalidArgument,
                  Cat(what, " is not valid JSON: the error is at byte ", error.byte, "."));
  } catch (const Json::exception&) {
    return Status(StatusCode::kInvalidArgument, Cat(what, " holds a number that is out of range."));
  }
}

jinja::Value ToTemplateValue(const Json& json) {
  if (json.is_array()) return ToList(json);
  if (json.is_object()) return ToDict(json);
  if (json.is_string()) return jinja::Value::String(json.get_ref<const std::string&>(), false);
  if (json.is_boolean()) return jinja::Value(json.get<bool>());
  if (json.is_number()) return ToNumber(json);
  return jinja::Value();
}

}  // namespace slm
