// tojson as transformers defines it: json.dumps() without escapes of what is not ASCII, and without Jinja's HTML
// escapes.

#include <algorithm>
#include <cstdio>

#include "base/format.h"
#include "base/utf8.h"
#include "jinja/builtins.h"
#include "jinja/evaluator.h"
#include "jinja/operations.h"

namespace slm::jinja {
namespace {

struct JsonStyle {
  bool ascii = false;
  bool sort_keys = false;
  std::optional<std::string> indent;
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};

class JsonWriter {
 public:
  JsonWriter(const JsonStyle& style, Budget& budget) : style_(style), budget_(budget) {}

  void Write(const Value& value, int level) {
    budget_.Charge(1 + (style_.indent ? style_.indent->size() * static_cast<std::size_t>(level) / 16 : 0));
    budget_.CheckText(out_.size());
    switch (value.type()) {
      case Value::Type::kNull:
        out_ += "null";
        break;
      case Value::Type::kBool:
        out_ += value.boolean() ? "true" : "false";
        break;
      case Value::Type::kInt:
        out_ += std::to_string(value.integer());
        break;
      case Value::Type::kFloat:
        WriteFloat(value.real());
        break;
      case Value::Type::kString:
        WriteString(value.text().view());
        break;
      case Value::Type::kList:
      case Value::Type::kTuple:
        WriteList(value.items(), level);
        break;
      case Value::Type::kDict:
        WriteDict(value.dict(), level);
        break;
      default:
        throw Failure(Cat("a ", value.TypeName(), " cannot be written as JSON"));
    }
  }

  Bytes Take() { return std::move(out_); }

 private:
  void WriteFloat(double value) {
    const std::string text = FloatText(value);
    out_ += text == "nan" ? "NaN" : text == "inf" ? "Infinity" : text == "-inf" ? "-Infinity" : text;
  }

  void WriteEscape(unsigned code_unit) {
    char escape[8];
    std::snprintf(escape, sizeof(escape), "\\u%04x", code_unit & 0xFFFF);
    out_ += escape;
  }

  void WriteString(std::string_view text) {
    budget_.ChargeText(text.size());
    static constexpr std::string_view kSpecial = "\"\\\n\r\t\f\b", kLetters = "\"\\nrtfb";
    out_ += '"';
    for (std::size_t i = 0; i < text.size();) {
      const Utf8Char c = DecodeUtf8(text, i);
      const std::size_t special = kSpecial.find(text[i]);
      if (special != std::string_view::npos) {
        out_ += '\\';
        out_ += kLetters[special];
      } else if (c.code_point < 0x20 || (style_.ascii && c.code_point > 0x7E && c.code_point < 0x10000)) {
        WriteEscape(c.code_point);
      } else if (style_.ascii && c.code_point >= 0x10000) {
        WriteEscape(0xD800 + ((c.code_point - 0x10000) >> 10));
        WriteEscape(0xDC00 + ((c.code_point - 0x10000) & 0x3FF));
      } else {
        out_ += text.substr(i, c.size);
      }
      i += c.size;
    }
    out_ += '"';
  }

  void NewLine(int level) {
    if (!style_.indent) return;
    out_ += '\n';
    for (int i = 0; i < level; ++i) out_ += *style_.indent;
  }

  void WriteList(const List& items, int level) {
    out_ += '[';
    bool first = true;
    for (const Value& item : items) {
      if (!first) out_ += style_.item_separator;
      first = false;
      NewLine(level + 1);
      Write(item, level + 1);
    }
    if (!first) NewLine(level);
    out_ += ']';
  }

  void WriteKey(const Value& key) {
    if (key.is_string()) return WriteString(key.text().view());
    if (!key.is_number() && !key.is_null()) throw Failure(Cat("a ", key.TypeName(), " cannot be a key of JSON"));
    out_ += '"';
    Write(key, 0);
    out_ += '"';
  }

  void WriteDict(const Dict& dict, int level) {
    std::vector<const Dict::Entry*> entries;
    for (const Dict::Entry& entry : dict.entries()) entries.push_back(&entry);
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(),
                       [&](const auto* a, const auto* b) { return Less(a->first, b->first, budget_); });
    }
    out_ += '{';
    bool first = true;
    for (const Dict::Entry* entry : entries) {
      if (!first) out_ += style_.item_separator;
      first = false;
      NewLine(level + 1);
      WriteKey(entry->first);
      out_ += style_.key_separator;
      Write(entry->second, level + 1);
    }
    if (!first) NewLine(level);
    out_ += '}';
  }

  const JsonStyle& style_;
  Budget& budget_;
  Bytes out_;
};

}  // namespace

// tojson(ensure_ascii, indent, separators, sort_keys)
Value ToJson(Evaluator& e, const Value& value, const Args& args) {
  JsonStyle style;
  style.ascii = args.Flag(0, "ensure_ascii", false);
  style.sort_keys = args.Flag(3, "sort_keys", false);
  const Value* indent = args.Find(1, "indent");
  if (indent != nullptr && !indent->is_null()) {
    if (indent->is_string()) {
      style.indent.emplace(indent->text().view());
    } else {
      const std::int64_t width = std::clamp<std::int64_t>(args.Integer(1, "indent", 0), 0, 1000);
      style.indent.emplace(static_cast<std::size_t>(width), ' ');
    }
    style.item_separator.assign(1, ',');
  }
  const Value* separators = args.Find(2, "separators");
  if (separators != nullptr && !separators->is_null()) {
    if (!separators->is_sequence() || separators->items().size() != 2 || !separators->items()[0].is_string() ||
        !separators->items()[1].is_string()) {
      throw Failure("tojson's separators are two strings");
    }
    style.item_separator = separators->items()[0].text().view();
    style.key_separator = separators->items()[1].text().view();
  }
  JsonWriter writer(style, e.budget());
  writer.Write(value, 0);
  bool from_template = AllFromTemplate(value, e.budget());
  for (const Value& argument : args.positional) from_template &= AllFromTemplate(argument, e.budget());
  for (const auto& argument : args.named) from_template &= AllFromTemplate(argument.second, e.budget());
  return Value(Text(writer.Take(), from_template));
}

}  // namespace slm::jinja
