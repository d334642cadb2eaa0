#include "chat/json_value.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/keyed_hash.h"
#include "base/status_macros.h"

namespace slm {

namespace {

// Less than jinja::kMaxValueDepth, because messages put JSON into lists and dicts of their own.
constexpr std::size_t kMaxDepth = 100;

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

struct Origin {
  bool from_template;
  bool roles_from_template;
};

jinja::Value Convert(const Json& json, const Origin& origin);

jinja::Value ToList(const Json& json, const Origin& origin) {
  jinja::List items;
  items.reserve(json.size());
  for (const Json& item : json) items.push_back(Convert(item, origin));
  return jinja::Value(std::move(items));
}

jinja::Value ToDict(const Json& json, const Origin& origin) {
  jinja::Dict dict;
  for (const auto& [key, item] : json.items()) {
    const bool role = origin.roles_from_template && IsRole(key, item);
    dict.Set(key, origin.from_template,
             role ? jinja::Value::String(item.get_ref<const std::string&>(), true) : Convert(item, origin));
  }
  return jinja::Value(std::move(dict));
}

jinja::Value Convert(const Json& json, const Origin& origin) {
  if (json.is_array()) return ToList(json, origin);
  if (json.is_object()) return ToDict(json, origin);
  if (json.is_string()) return jinja::Value::String(json.get_ref<const std::string&>(), origin.from_template);
  if (json.is_boolean()) return jinja::Value(json.get<bool>());
  if (json.is_number()) return ToNumber(json);
  return jinja::Value();
}

// Of a name that occurs again the last value counts, at the place of the first.
void DropRepeated(Json::object_t& object) {
  std::unordered_map<std::string_view, std::size_t, KeyedHasher> places;
  Json::object_t kept;
  for (auto& [key, item] : object) {
    const auto [place, added] = places.emplace(key, kept.size());
    if (added) {
      kept.emplace_back(key, std::move(item));
    } else {
      kept.begin()[static_cast<std::ptrdiff_t>(place->second)].second = std::move(item);
    }
  }
  object = std::move(kept);
}

// Builds what the parser reads. The library's own builder looks every name up among those before it, and every closed
// list or object among its neighbours.
class JsonBuilder : public nlohmann::json_sax<Json> {
 public:
  // Of a text that was parsed as a whole.
  Json Take() { return std::move(whole_); }
  bool too_deep() const { return open_.size() > kMaxDepth; }
  // Why and where parsing ended.
  bool out_of_range() const { return out_of_range_; }
  std::size_t error_byte() const { return error_byte_; }

  bool null() override { return Put(nullptr); }
  bool boolean(bool value) override { return Put(value); }
  bool number_integer(std::int64_t value) override { return Put(value); }
  bool number_unsigned(std::uint64_t value) override { return Put(value); }
  bool number_float(double value, const std::string&) override { return Put(value); }
  bool string(std::string& value) override { return Put(std::move(value)); }
  bool binary(Json::binary_t&) override { return false; }
  bool start_object(std::size_t) override { return Open(Json::object()); }
  bool start_array(std::size_t) override { return Open(Json::array()); }
  bool end_array() override { return Close(); }
  bool key(std::string& name) override {
    open_.back().key = std::move(name);
    return true;
  }
  bool end_object() override {
    DropRepeated(open_.back().json.get_ref<Json::object_t&>());
    return Close();
  }
  bool parse_error(std::size_t byte, const std::string&, const Json::exception& error) override {
    out_of_range_ = dynamic_cast<const Json::parse_error*>(&error) == nullptr;
    error_byte_ = byte;
    return false;
  }

 private:
  struct Part {
    Json json;
    std::string key;  // in an object: of what comes next
  };

  bool Put(Json json) {
    if (open_.empty()) {
      whole_ = std::move(json);
    } else if (Part& part = open_.back(); part.json.is_array()) {
      part.json.get_ref<Json::array_t&>().push_back(std::move(json));
    } else {
      part.json.get_ref<Json::object_t&>().emplace_back(std::move(part.key), std::move(json));
    }
    return true;
  }
  bool Open(Json json) {
    open_.push_back({std::move(json), {}});
    return !too_deep();
  }
  bool Close() {
    Json json = std::move(open_.back().json);
    open_.pop_back();
    return Put(std::move(json));
  }

  Json whole_;
  std::vector<Part> open_;
  bool out_of_range_ = false;
  std::size_t error_byte_ = 0;
};

}  // namespace

Result<Json> ParseJson(std::string_view text, std::string_view what) {
  JsonBuilder builder;
  if (Json::sax_parse(text, &builder)) return builder.Take();
  if (builder.too_deep()) {
    return Status(StatusCode::kInvalidArgument, Cat(what, " is nested deeper than ", kMaxDepth, " levels."));
  }
  if (builder.out_of_range())
    return Status(StatusCode::kInvalidArgument, Cat(what, " holds a number that is out of range."));
  return Status(StatusCode::kInvalidArgument,
                Cat(what, " is not valid JSON: the error is at byte ", builder.error_byte(), "."));
}

jinja::Value ToTemplateValue(const Json& json) {
  return Convert(json, {.from_template = false, .roles_from_template = true});
}

Result<jinja::Value> ParseJsonInTemplate(std::string_view text, bool from_template) {
  SLM_ASSIGN_OR_RETURN(const Json json, ParseJson(text, "the text for from_json"));
  return Convert(json, {.from_template = from_template, .roles_from_template = false});
}

}  // namespace slm
