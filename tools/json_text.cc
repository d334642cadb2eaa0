#include "json_text.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <utility>

namespace slm::tools {

namespace {

class Reader : public nlohmann::json_sax<Json> {
 public:
  JsonValue& value() { return value_; }
  // Of a text that is no JSON.
  std::size_t error_byte() const { return error_byte_; }
  bool out_of_range() const { return out_of_range_; }

  bool null() override { return Add(JsonType::null); }
  bool boolean(bool) override { return Add(JsonType::boolean); }
  bool number_integer(std::int64_t number) override { return Add(JsonType::number_integer, std::to_string(number)); }
  bool number_unsigned(std::uint64_t number) override { return Add(JsonType::number_unsigned, std::to_string(number)); }
  bool number_float(double, const std::string& number) override { return Add(JsonType::number_float, number); }
  bool string(std::string& text) override { return Add(JsonType::string, std::move(text)); }
  bool binary(Json::binary_t&) override { return false; }  // other formats have it
  bool start_object(std::size_t) override { return Begin(JsonType::object); }
  bool start_array(std::size_t) override { return Begin(JsonType::array); }
  bool end_object() override { return End(); }
  bool end_array() override { return End(); }
  bool key(std::string& name) override {
    if (depth_ == 1) name_ = std::move(name);
    return true;
  }
  bool parse_error(std::size_t byte, const std::string&, const nlohmann::detail::exception& error) override {
    error_byte_ = byte;
    out_of_range_ = dynamic_cast<const Json::out_of_range*>(&error) != nullptr;
    return false;
  }

 private:
  bool Add(JsonType type, std::string text = {}) {
    if (depth_ == 0) {
      value_.type = type;
      value_.text = std::move(text);
    } else if (depth_ == 1) {
      value_.items.push_back({type, std::exchange(name_, {}), std::move(text)});
    }
    return true;
  }
  bool Begin(JsonType type) {
    Add(type);
    value_.depth = std::max(value_.depth, ++depth_);
    return true;
  }
  bool End() {
    --depth_;
    return true;
  }

  JsonValue value_;
  std::string name_;
  std::size_t depth_ = 0;
  std::size_t error_byte_ = 0;
  bool out_of_range_ = false;
};

}  // namespace

std::string TypeName(JsonType type) { return Json(type).type_name(); }

Result<JsonValue> ParseJson(std::string_view text, const std::string& source) {
  Reader reader;
  if (Json::sax_parse(text, &reader)) return std::move(reader.value());
  if (reader.out_of_range()) {
    return Status(StatusCode::kInvalidArgument, source + " holds a number that is out of range.");
  }
  return Status(StatusCode::kInvalidArgument,
                source + " is not valid JSON: the error is at byte " + std::to_string(reader.error_byte()) + ".");
}

std::string DumpJson(const Json& json, int indent) {
  const std::string text = json.dump(indent, ' ', false, Json::error_handler_t::replace);
  std::string shown;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
    const bool two_bytes = byte == 0xC2 && next >= 0x80 && next <= 0x9F;  // U+0080 to U+009F
    if (!two_bytes && byte != 0x7F) {
      shown += text[i];
      continue;
    }
    char escape[8];
    std::snprintf(escape, sizeof(escape), "\\u%04x", static_cast<unsigned>(two_bytes ? next : byte));
    shown += escape;
    if (two_bytes) ++i;
  }
  return shown;
}

}  // namespace slm::tools
