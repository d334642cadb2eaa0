#include "jinja/template_test_util.h"

#include <cstdio>

namespace slm::test {

using jinja::Value;

Value ToValue(const nlohmann::ordered_json& json) {
  if (json.is_boolean()) return Value(json.get<bool>());
  if (json.is_number_integer()) return Value(json.get<std::int64_t>());
  if (json.is_number()) return Value(json.get<double>());
  if (json.is_string()) return Value::String(json.get<std::string>(), false);
  if (json.is_array()) {
    jinja::List items;
    for (const auto& item : json) items.push_back(ToValue(item));
    return Value(std::move(items));
  }
  if (json.is_object()) {
    jinja::Dict dict;
    for (const auto& [key, value] : json.items()) dict.Set(key, false, ToValue(value));
    return Value(std::move(dict));
  }
  return Value();
}

std::chrono::sys_seconds Midnight(const std::string& day) {
  int year = 0;
  unsigned month = 0, of_month = 0;
  std::sscanf(day.c_str(), "%d-%u-%u", &year, &month, &of_month);
  return std::chrono::sys_days(std::chrono::year(year) / static_cast<int>(month) / static_cast<int>(of_month));
}

Result<jinja::Text> Render(std::string_view source, const nlohmann::ordered_json& context,
                           const jinja::RenderOptions& options) {
  Result<jinja::Template> parsed = jinja::Template::Parse(source);
  if (!parsed.ok()) return parsed.status();
  return parsed->Render(ToValue(context), options);
}

}  // namespace slm::test
