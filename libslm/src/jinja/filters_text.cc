// Filters that make one text or number of their input.

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "base/format.h"
#include "base/unicode.h"
#include "base/utf8.h"
#include "jinja/builtins.h"
#include "jinja/evaluator.h"
#include "jinja/operations.h"
#include "jinja/python_format.h"

namespace slm::jinja {
namespace {

// The method of strings of that name, on whatever the input is as text.
template <const char* kName>
Value AsMethod(Evaluator& e, const Value& input, const Args& args) {
  const Value text(TextOf(e, input));
  return FindMethod(text, kName)->call(e, text, args);
}
constexpr char kUpperName[] = "upper", kLowerName[] = "lower", kStripName[] = "strip", kCapitalizeName[] = "capitalize";

// Of the filters that take nothing else.
const Text& TextInput(const Value& input) {
  if (input.is_undefined()) throw Failure(input.why_undefined());
  if (!input.is_string()) throw Failure(Cat("the filter needs a string, found a ", input.TypeName()));
  return input.text();
}

Value Title(Evaluator& e, const Value& input, const Args&) {
  // A word begins behind white space or one of - ( { [ <; unlike str.title(), apostrophes do not begin one.
  const Text text = TextOf(e, input);
  e.budget().ChargeText(text.size());
  Text out;
  bool begins = true;
  for (const Text::Piece& piece : text.Pieces()) {
    for (std::size_t i = 0; i < piece.text.size();) {
      const Utf8Char c = DecodeUtf8(piece.text, i);
      std::string letter;
      if (begins)
        letter = UpperText(c.code_point);
      else
        AppendUtf8(ToLower(c.code_point), letter);
      out.Append(c.status == Utf8Status::kValid ? std::string_view(letter) : piece.text.substr(i, c.size),
                 piece.from_template);
      begins = IsSpace(c.code_point) || std::u32string_view(U"-({[<").find(c.code_point) != std::u32string_view::npos;
      i += c.size;
    }
  }
  return Value(std::move(out));
}

Value ReplaceFilter(Evaluator& e, const Value& input, const Args& args) {
  return Replace(e, TextOf(e, input), TextOf(e, args.Required(0, "old")), TextOf(e, args.Required(1, "new")),
                 args.Integer(2, "count", -1));
}

std::optional<double> ReadReal(std::string_view text) {
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  double value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::int64_t> ReadInteger(std::string_view text, int base) {
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  const std::string_view prefix = text.substr(0, 2);
  if ((base == 16 && (prefix == "0x" || prefix == "0X")) || (base == 8 && (prefix == "0o" || prefix == "0O")) ||
      (base == 2 && (prefix == "0b" || prefix == "0B"))) {
    text.remove_prefix(2);
  }
  std::int64_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

Value Int(Evaluator&, const Value& input, const Args& args) {
  const Value* given = args.Find(0, "default");
  Value otherwise = given != nullptr ? *given : Value(std::int64_t{0});
  if (input.is_undefined()) throw Failure(input.why_undefined());
  std::optional<double> real;
  if (input.is_integral()) return Value(input.integer());
  if (input.is(Value::Type::kFloat)) real = input.real();
  if (input.is_string()) {
    const Text text = Strip(input.text(), Ends::kBoth);
    const std::int64_t base = args.Integer(1, "base", 10);
    if (base < 2 || base > 36) throw Failure("the base of a number is between 2 and 36");
    if (const auto value = ReadInteger(text.view(), static_cast<int>(base))) return Value(*value);
    real = ReadReal(text.view());
  }
  if (!real || !(std::abs(*real) < 9e18)) return otherwise;
  return Value(static_cast<std::int64_t>(*real));
}

Value Float(Evaluator&, const Value& input, const Args& args) {
  const Value* given = args.Find(0, "default");
  Value otherwise = given != nullptr ? *given : Value(0.0);
  if (input.is_undefined()) throw Failure(input.why_undefined());
  if (input.is_number()) return Value(input.real());
  if (!input.is_string()) return otherwise;
  const std::optional<double> real = ReadReal(Strip(input.text(), Ends::kBoth).view());
  return real ? Value(*real) : otherwise;
}

Value String(Evaluator& e, const Value& input, const Args&) { return Value(TextOf(e, input)); }

Value Safe(Evaluator& e, const Value& input, const Args&) {
  Text text = TextOf(e, input);
  text.markup = true;
  return Value(std::move(text));
}

Value Escape(Evaluator& e, const Value& input, const Args&) { return Value(EscapeHtml(TextOf(e, input), e.budget())); }

Value Indent(Evaluator& e, const Value& input, const Args& args) {
  const Text& text = TextInput(input);
  const Value* width = args.Find(0, "width");
  Text margin;
  if (width != nullptr && width->is_string()) {
    margin = width->text();
  } else {
    margin = Pad(Text(), args.Integer(0, "width", 4), Alignment::kLeft, Text(" ", true), e.budget());
  }
  const bool first = args.Flag(1, "first", false), blank = args.Flag(2, "blank", false);
  const std::string_view view = text.view();
  const auto lines = static_cast<std::size_t>(std::count(view.begin(), view.end(), '\n')) + 1;
  e.budget().ChargeCopies(margin.size() + 1, lines);
  Text out;
  for (std::size_t begin = 0, line = 0; begin <= view.size(); ++line) {
    const std::size_t end = std::min(view.find('\n', begin), view.size());
    if (line == 0 ? first : blank || end > begin) out.Append(margin);
    out.AppendPart(text, begin, end - begin + 1);
    begin = end + 1;
  }
  e.budget().CheckText(out.size());
  return Value(std::move(out));
}

// Runs of letters, digits and underscores.
Value Wordcount(Evaluator& e, const Value& input, const Args&) {
  const Text text = TextOf(e, input);
  e.budget().ChargeText(text.size());
  std::int64_t words = 0;
  bool inside = false;
  for (std::size_t i = 0; i < text.size();) {
    const Utf8Char c = DecodeUtf8(text.view(), i);
    const bool word = (ClassOf(c.code_point) & (kLetter | kNumber)) != 0 || c.code_point == '_';
    if (word && !inside) ++words;
    inside = word;
    i += c.size;
  }
  return Value(words);
}

Value Center(Evaluator& e, const Value& input, const Args& args) {
  return Value(Pad(TextOf(e, input), args.Integer(0, "width", 80), Alignment::kCenter, Text(" ", true), e.budget()));
}

Value Format(Evaluator& e, const Value& input, const Args& args) {
  Value values = Value::Tuple(args.positional);
  if (!args.named.empty()) {
    Dict dict;
    for (const auto& [name, value] : args.named) dict.Set(name, true, value);
    values = Value(std::move(dict));
  }
  return Value(FormatPercent(TextOf(e, input), values, e.budget()));
}

// Up to `length` characters, cut between words unless `killwords`; a text that is only `leeway` longer stays whole.
Value Truncate(Evaluator& e, const Value& input, const Args& args) {
  constexpr std::int64_t kFar = std::int64_t{1} << 40;  // longer than any text
  const std::int64_t length = std::clamp(args.Integer(0, "length", 255), -kFar, kFar);
  const std::int64_t leeway = std::clamp(args.Integer(3, "leeway", 5), -kFar, kFar);
  if (!input.is_string() && Length(input) <= length + leeway) return input;
  const Text& text = TextInput(input);
  const Value* given = args.Find(2, "end");
  const Text end = given != nullptr ? TextOf(e, *given) : Text("...", true);
  const auto size = static_cast<std::int64_t>(CountCharacters(text.view()));
  const std::int64_t kept = length - static_cast<std::int64_t>(CountCharacters(end.view()));
  if (kept < 0) throw Failure("truncate needs a length of at least that of its end");
  if (size <= length + leeway) return Value(text);
  Text out = text.Part(0, CharacterOffset(text.view(), static_cast<std::size_t>(kept)));
  const std::size_t space = out.view().rfind(' ');
  if (!args.Flag(1, "killwords", false) && space != std::string_view::npos) out = out.Part(0, space);
  out.Append(end);
  return Value(std::move(out));
}

Value Urlencode(Evaluator& e, const Value& input, const Args&) {
  static constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-~/";
  const Text text = TextOf(e, input);
  e.budget().ChargeCopies(text.size(), 3);
  Text out;
  for (const Text::Piece& piece : text.Pieces()) {
    for (const char c : piece.text) {
      const auto byte = static_cast<unsigned char>(c);
      const char escaped[] = {'%', "0123456789ABCDEF"[byte >> 4], "0123456789ABCDEF"[byte & 15]};
      const bool plain = kPlain.find(c) != std::string_view::npos;
      out.Append(plain ? std::string_view(&c, 1) : std::string_view(escaped, 3), piece.from_template);
    }
  }
  return Value(std::move(out));
}

// Without <tags> and <!-- comments -->, and with single spaces.
Value Striptags(Evaluator& e, const Value& input, const Args&) {
  const Text text = TextOf(e, input);
  Text rest;
  const std::string_view view = text.view();
  for (std::size_t at = 0; at < view.size();) {
    const std::size_t tag = std::min(view.find('<', at), view.size());
    rest.AppendPart(text, at, tag - at);
    const bool comment = view.substr(tag, 4) == "<!--";
    const std::size_t close = comment ? view.find("-->", tag) : view.find('>', tag);
    if (close == std::string_view::npos) {
      rest.AppendPart(text, tag, view.size() - tag);
      break;
    }
    at = close + (comment ? 3 : 1);
  }
  const Value words(std::move(rest));
  const Value split = FindMethod(words, "split")->call(e, words, Args());
  return FindMethod(words, "join")->call(e, Value::String(" ", true), Args{{split}, {}});
}

// To the nearest decimal of that many digits, as the number's exact value has it; halves to even.
double RoundReal(double value, int digits) {
  if (digits < 0) {
    const double scale = std::pow(10.0, -digits);
    return std::nearbyint(value / scale) * scale;
  }
  char buffer[700];  // 309 digits before the point, 300 behind it
  const int size = std::snprintf(buffer, sizeof(buffer), "%.*f", digits, value);
  double rounded = value;
  std::from_chars(buffer, buffer + size, rounded);
  return rounded;
}

Value Round(Evaluator& e, const Value& input, const Args& args) {
  if (!input.is_number()) throw Failure(Cat("a ", input.TypeName(), " cannot be rounded"));
  const std::int64_t digits = args.Integer(0, "precision", 0);
  const Value* method = args.Find(1, "method");
  const std::string_view name = method != nullptr && method->is_string() ? method->text().view() : "common";
  if (name != "common" && name != "ceil" && name != "floor") throw Failure("round knows 'common', 'ceil' and 'floor'");
  if (digits < -300 || digits > 300) throw Failure("round's precision is out of range");
  if (input.is_integral() && name == "common") {
    if (digits >= 0) return Value(input.integer());
    const double rounded = RoundReal(input.real(), static_cast<int>(digits));
    if (!(std::abs(rounded) < 9e18)) throw Failure("the result does not fit in 64 bits");
    return Value(static_cast<std::int64_t>(rounded));
  }
  const double scale = std::pow(10.0, static_cast<double>(digits));
  e.budget().Charge(100);  // a long number takes its time
  if (name == "ceil") return Value(std::ceil(input.real() * scale) / scale);
  if (name == "floor") return Value(std::floor(input.real() * scale) / scale);
  return Value(RoundReal(input.real(), static_cast<int>(digits)));
}

Value Abs(Evaluator&, const Value& input, const Args&) {
  if (!input.is_number()) throw Failure(Cat("a ", input.TypeName(), " has no absolute value"));
  if (input.is(Value::Type::kFloat)) return Value(std::fabs(input.real()));
  return input.integer() < 0 ? Negate(input) : Value(input.integer());
}

Value LengthFilter(Evaluator& e, const Value& input, const Args&) {
  if (input.is_string()) e.budget().ChargeText(input.text().size());
  return Value(Length(input));
}

Value Default(Evaluator&, const Value& input, const Args& args) {
  const bool replace = input.is_undefined() || (args.Flag(1, "boolean", false) && !Truth(input));
  if (!replace) return input;
  const Value* given = args.Find(0, "default_value");
  return given != nullptr ? *given : Value(Text());
}

Value Attr(Evaluator&, const Value& input, const Args& args) {
  // Python's attributes, which dicts do not have for their keys.
  if (input.is(Value::Type::kObject)) return input.object()->Attribute(TextArgument(args, 0, "name").view());
  return Value::Undefined(
      Cat("'", input.TypeName(), " object' has no attribute '", Shortened(TextArgument(args, 0, "name").view()), "'"));
}

constexpr std::array<Function, 26> kFilters = {{
    {"upper", AsMethod<kUpperName>, ""},
    {"lower", AsMethod<kLowerName>, ""},
    {"trim", AsMethod<kStripName>, "chars"},
    {"capitalize", AsMethod<kCapitalizeName>, ""},
    {"title", Title, ""},
    {"replace", ReplaceFilter, "old new count"},
    {"int", Int, "default base"},
    {"float", Float, "default"},
    {"string", String, ""},
    {"safe", Safe, ""},
    {"escape", Escape, ""},
    {"e", Escape, ""},
    {"indent", Indent, "width first blank"},
    {"wordcount", Wordcount, ""},
    {"center", Center, "width"},
    {"format", Format, "*"},
    {"truncate", Truncate, "length killwords end leeway"},
    {"urlencode", Urlencode, ""},
    {"striptags", Striptags, ""},
    {"round", Round, "precision method"},
    {"abs", Abs, ""},
    {"length", LengthFilter, ""},
    {"count", LengthFilter, ""},
    {"default", Default, "default_value boolean"},
    {"d", Default, "default_value boolean"},
    {"attr", Attr, "name"},
}};

}  // namespace

std::span<const Function> TextFilters() { return kFilters; }

}  // namespace slm::jinja
