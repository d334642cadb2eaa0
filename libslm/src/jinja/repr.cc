// Values as Python prints them.

#include <charconv>
#include <cmath>
#include <cstdio>

#include "base/format.h"
#include "base/unicode.h"
#include "base/utf8.h"
#include "jinja/operations.h"

namespace slm::jinja {
namespace {

using Type = Value::Type;

// Python prefers single quotes, and escapes what cannot be printed.
void AppendQuoted(std::string_view text, Bytes& out) {
  const bool single = text.find('\'') == std::string_view::npos || text.find('"') != std::string_view::npos;
  const char quote = single ? '\'' : '"';
  out += quote;
  for (std::size_t i = 0; i < text.size();) {
    const Utf8Char c = DecodeUtf8(text, i);
    char escape[12];
    if (c.code_point == static_cast<char32_t>(quote) || c.code_point == '\\') {
      out += '\\';
      out += static_cast<char>(c.code_point);
    } else if (c.code_point == '\n') {
      out += "\\n";
    } else if (c.code_point == '\r') {
      out += "\\r";
    } else if (c.code_point == '\t') {
      out += "\\t";
    } else if (c.code_point < 32 || (c.code_point >= 0x7F && c.code_point <= 0xA0) || c.code_point == 0xAD) {
      std::snprintf(escape, sizeof(escape), "\\x%02x", static_cast<unsigned>(c.code_point));
      out += escape;
    } else if (ClassOf(c.code_point) == kSpace && c.code_point != ' ') {
      std::snprintf(escape, sizeof(escape), "\\u%04x", static_cast<unsigned>(c.code_point));
      out += escape;
    } else {
      out += text.substr(i, c.size);
    }
    i += c.size;
  }
  out += quote;
}

class ReprWriter {
 public:
  explicit ReprWriter(Budget& budget) : budget_(budget) {}

  void Write(const Value& value) {
    budget_.Charge();
    if (value.is_string()) {
      budget_.ChargeText(value.text().size());
      budget_.CheckText(out_.size() + value.text().size());
      AppendQuoted(value.text().view(), out_);
    } else if (value.is_sequence()) {
      const bool tuple = value.is(Type::kTuple);
      out_ += tuple ? '(' : '[';
      WriteItems(value.items());
      if (tuple && value.items().size() == 1) out_ += ',';
      out_ += tuple ? ')' : ']';
    } else if (value.is(Type::kDict)) {
      WriteDict(value.dict());
    } else {
      out_ += ToText(value, budget_).view();
    }
  }

  Bytes Take() { return std::move(out_); }

 private:
  void WriteItems(const List& items) {
    bool first = true;
    for (const Value& item : items) {
      if (!first) out_ += ", ";
      first = false;
      Write(item);
    }
  }

  void WriteDict(const Dict& dict) {
    out_ += '{';
    bool first = true;
    for (const auto& [key, value] : dict.entries()) {
      if (!first) out_ += ", ";
      first = false;
      Write(key);
      out_ += ": ";
      Write(value);
    }
    out_ += '}';
  }

  Budget& budget_;
  Bytes out_;
};

}  // namespace

std::string FloatText(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[40];
  // The fewest digits that read back as the same number.
  const auto written = std::to_chars(buffer, buffer + sizeof(buffer), std::fabs(value), std::chars_format::scientific);
  const std::string_view scientific(buffer, static_cast<std::size_t>(written.ptr - buffer));
  const std::size_t e = scientific.find('e');
  std::string digits(scientific.substr(0, e));
  std::erase(digits, '.');
  int exponent = 0;
  const std::size_t number = scientific[e + 1] == '+' ? e + 2 : e + 1;
  std::from_chars(buffer + number, written.ptr, exponent);
  std::string text = std::signbit(value) ? "-" : "";
  if (exponent < -4 || exponent >= 16) {
    text += digits.substr(0, 1);
    if (digits.size() > 1) text.append(1, '.').append(digits, 1);
    char tail[16];
    std::snprintf(tail, sizeof(tail), "e%c%02d", exponent < 0 ? '-' : '+', std::abs(exponent));
    return text + tail;
  }
  if (exponent < 0) return text + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() <= whole) return text + digits + std::string(whole - digits.size(), '0') + ".0";
  return text + digits.substr(0, whole) + "." + digits.substr(whole);
}

bool AllFromTemplate(const Value& value, Budget& budget) {
  budget.Charge();
  if (value.is_string()) return value.text().AllFromTemplate();
  if (value.is_sequence()) {
    for (const Value& item : value.items()) {
      if (!AllFromTemplate(item, budget)) return false;
    }
  } else if (value.is(Type::kDict)) {
    for (const auto& [key, item] : value.dict().entries()) {
      if (!AllFromTemplate(key, budget) || !AllFromTemplate(item, budget)) return false;
    }
  }
  return true;
}

Text EscapeHtml(const Text& text, Budget& budget) {
  if (text.markup) return text;
  budget.ChargeText(text.size());
  Text out;
  for (const Text::Piece& piece : text.Pieces()) {
    for (const char& c : piece.text) {
      const std::string_view escaped = c == '&'    ? "&amp;"
                                       : c == '<'  ? "&lt;"
                                       : c == '>'  ? "&gt;"
                                       : c == '"'  ? "&#34;"
                                       : c == '\'' ? "&#39;"
                                                   : std::string_view(&c, 1);
      out.Append(escaped, piece.from_template);
    }
  }
  budget.CheckText(out.size());
  out.markup = true;
  return out;
}

Text Repr(const Value& value, Budget& budget) {
  ReprWriter writer(budget);
  writer.Write(value);
  return Text(writer.Take(), AllFromTemplate(value, budget));
}

Text ToText(const Value& value, Budget& budget) {
  switch (value.type()) {
    case Type::kUndefined:
      return Text();
    case Type::kNull:
      return Text("None", true);
    case Type::kBool:
      return Text(value.boolean() ? "True" : "False", true);
    case Type::kInt:
      return Text(std::to_string(value.integer()), true);
    case Type::kFloat:
      return Text(FloatText(value.real()), true);
    case Type::kString:
      budget.ChargeReading(value.text().size());
      return value.text();
    case Type::kObject:
      if (const Value* tuple = value.object()->tuple()) return Repr(*tuple, budget);
      return Text(Cat("<", value.TypeName(), ">"), true);
    default:
      return Repr(value, budget);
  }
}

}  // namespace slm::jinja
