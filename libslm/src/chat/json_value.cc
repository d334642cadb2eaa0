#include "chat/json_value.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/status_macros.h"

namespace slm {

namespace {

// Of single values only: destroying a list or object of the library's needs memory, and ends the program where there is
// none.
using Json = nlohmann::json;

// Less than jinja::kMaxValueDepth, because messages put JSON into lists and dicts of their own.
constexpr std::size_t kMaxDepth = 100;

// The name of a role can't be chosen by a user, and templates build control tokens with it: "<|" + role + "|>".
bool IsRole(std::string_view key, std::string_view name) {
  static constexpr std::array<std::string_view, 6> kRoles = {"system", "user",      "assistant",
                                                             "tool",   "developer", "model"};
  return key == "role" && std::ranges::count(kRoles, name) > 0;
}

struct Origin {
  bool from_template;
  bool roles_from_template;
};

// Builds what the parser reads. Of a name that occurs again the last value counts, at the place of the first.
class JsonBuilder : public nlohmann::json_sax<Json> {
 public:
  explicit JsonBuilder(Origin origin) : origin_(origin) {}

  // Of a text that was parsed as a whole.
  jinja::Value Take() { return std::move(whole_); }
  bool too_deep() const { return open_.size() > kMaxDepth; }
  // Why and where parsing ended.
  bool out_of_range() const { return out_of_range_; }
  std::size_t error_byte() const { return error_byte_; }

  bool null() override { return Put(jinja::Value()); }
  bool boolean(bool value) override { return Put(jinja::Value(value)); }
  bool number_integer(std::int64_t value) override { return Put(jinja::Value(value)); }
  bool number_unsigned(std::uint64_t value) override {
    const bool fits = std::cmp_less_equal(value, std::numeric_limits<std::int64_t>::max());
    return Put(fits ? jinja::Value(static_cast<std::int64_t>(value)) : jinja::Value(static_cast<double>(value)));
  }
  bool number_float(double value, const std::string&) override { return Put(jinja::Value(value)); }
  bool string(std::string& value) override {
    const bool role = origin_.roles_from_template && !open_.empty() && IsRole(open_.back().key, value);
    return Put(jinja::Value::String(value, origin_.from_template || role));
  }
  bool binary(Json::binary_t&) override { return false; }
  bool start_object(std::size_t) override { return Open(true); }
  bool start_array(std::size_t) override { return Open(false); }
  bool key(std::string& name) override {
    open_.back().key = std::move(name);
    return true;
  }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }
  bool parse_error(std::size_t byte, const std::string&, const Json::exception& error) override {
    out_of_range_ = dynamic_cast<const Json::parse_error*>(&error) == nullptr;
    error_byte_ = byte;
    return false;
  }

 private:
  struct Part {
    bool is_object;
    jinja::List items = {};
    jinja::Dict dict = {};
    std::string key = {};  // in an object: of what comes next
  };

  bool Put(jinja::Value value) {
    if (open_.empty()) {
      whole_ = std::move(value);
    } else if (Part& part = open_.back(); part.is_object) {
      part.dict.Set(part.key, origin_.from_template, std::move(value));
    } else {
      part.items.push_back(std::move(value));
    }
    return true;
  }
  bool Open(bool is_object) {
    open_.push_back({.is_object = is_object});
    return !too_deep();
  }
  bool Close() {
    Part part = std::move(open_.back());
    open_.pop_back();
    return Put(part.is_object ? jinja::Value(std::move(part.dict)) : jinja::Value(std::move(part.items)));
  }

  const Origin origin_;
  jinja::Value whole_;
  std::vector<Part> open_;
  bool out_of_range_ = false;
  std::size_t error_byte_ = 0;
};

Result<jinja::Value> Parse(std::string_view text, std::string_view what, Origin origin) {
  JsonBuilder builder(origin);
  if (Json::sax_parse(text, &builder)) return builder.Take();
  if (builder.too_deep()) {
    return Status(StatusCode::kInvalidArgument, Cat(what, " is nested deeper than ", kMaxDepth, " levels."));
  }
  if (builder.out_of_range())
    return Status(StatusCode::kInvalidArgument, Cat(what, " holds a number that is out of range."));
  return Status(StatusCode::kInvalidArgument,
                Cat(what, " is not valid JSON: the error is at byte ", builder.error_byte(), "."));
}

class JsonWriter {
 public:
  explicit JsonWriter(Json::error_handler_t bad_utf8) : bad_utf8_(bad_utf8) {}

  // Throws Json::exception for bytes that are no UTF-8, if that is what is to be done with them.
  void Write(const jinja::Value& value) {
    switch (value.type()) {
      case jinja::Value::Type::kBool:
        out_ += value.boolean() ? "true" : "false";
        break;
      case jinja::Value::Type::kInt:
        out_ += std::to_string(value.integer());
        break;
      case jinja::Value::Type::kFloat:
        out_ += Json(value.real()).dump();
        break;
      case jinja::Value::Type::kString:
        WriteString(value.text().view());
        break;
      case jinja::Value::Type::kList:
        WriteList(value.items());
        break;
      case jinja::Value::Type::kDict:
        WriteDict(value.dict());
        break;
      default:
        out_ += "null";
    }
  }

  std::string Take() { return std::move(out_); }

 private:
  void WriteString(std::string_view text) { out_ += Json(text).dump(-1, ' ', false, bad_utf8_); }
  void WriteList(const jinja::List& items) {
    out_ += '[';
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out_ += ',';
      Write(items[i]);
    }
    out_ += ']';
  }
  void WriteDict(const jinja::Dict& dict) {
    out_ += '{';
    for (std::size_t i = 0; i < dict.size(); ++i) {
      if (i > 0) out_ += ',';
      WriteString(dict.entries()[i].first.text().view());
      out_ += ':';
      Write(dict.entries()[i].second);
    }
    out_ += '}';
  }

  const Json::error_handler_t bad_utf8_;
  std::string out_;
};

}  // namespace

Result<jinja::Value> ParseJson(std::string_view text, std::string_view what) {
  return Parse(text, what, {.from_template = false, .roles_from_template = true});
}

Result<jinja::Value> ParseJsonInTemplate(std::string_view text, bool from_template) {
  return Parse(text, "the text for from_json", {.from_template = from_template, .roles_from_template = false});
}

std::string_view JsonTypeName(const jinja::Value& value) {
  switch (value.type()) {
    case jinja::Value::Type::kBool:
      return "boolean";
    case jinja::Value::Type::kInt:
    case jinja::Value::Type::kFloat:
      return "number";
    case jinja::Value::Type::kString:
      return "string";
    case jinja::Value::Type::kList:
      return "array";
    case jinja::Value::Type::kDict:
      return "object";
    default:
      return "null";
  }
}

const jinja::Value* FindKey(const jinja::Value& value, std::string_view key) {
  return value.is(jinja::Value::Type::kDict) ? value.dict().Find(key) : nullptr;
}

std::string ToJson(const jinja::Value& value) {
  JsonWriter writer(Json::error_handler_t::replace);
  writer.Write(value);
  return writer.Take();
}

Result<std::string> ToExactJson(const jinja::Value& value) {
  JsonWriter writer(Json::error_handler_t::strict);
  try {
    writer.Write(value);
  } catch (const Json::exception&) {
    return Status(StatusCode::kInvalidArgument, "a text is not valid UTF-8");
  }
  return writer.Take();
}

}  // namespace slm
