#include "jinja/python_format.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <optional>

#include "base/format.h"
#include "base/utf8.h"
#include "jinja/operations.h"

namespace slm::jinja {
namespace {

constexpr int kMaxPrecision = 100;

// What both syntaxes say about one field.
struct FieldSpec {
  Text fill{" ", true};
  std::optional<char> align;  // < > ^ =
  bool plus = false;
  std::string separator;  // between groups of three digits
  std::int64_t width = 0;
  std::optional<int> precision;
  char type = 's';
};

std::int64_t ReadNumber(std::string_view text, std::size_t& at) {
  std::int64_t number = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
    number = std::min<std::int64_t>(number * 10 + (text[at] - '0'), 1'000'000'000);
  }
  return number;
}

std::string RealDigits(double value, char type, int precision) {
  char buffer[512];
  const char format[] = {'%', '.', '*', type, '\0'};
  const int size = std::snprintf(buffer, sizeof(buffer), format, std::min(precision, kMaxPrecision), value);
  return std::string(buffer, static_cast<std::size_t>(std::clamp<int>(size, 0, sizeof(buffer) - 1)));
}

std::string IntegerDigits(std::int64_t value, char type) {
  const unsigned base = type == 'x' || type == 'X' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
  std::uint64_t rest = value < 0 ? -static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
  const std::string_view symbols = type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
  std::string digits;
  do {
    digits += symbols[rest % base];
    rest /= base;
  } while (rest != 0);
  if (value < 0) digits += '-';
  std::reverse(digits.begin(), digits.end());
  return digits;
}

std::string NumberDigits(const Value& value, const FieldSpec& spec) {
  if (!value.is_number()) throw Failure(Cat("a ", value.TypeName(), " cannot be formatted as a number"));
  if (spec.type == '%') return RealDigits(value.real() * 100, 'f', spec.precision.value_or(6)) + "%";
  if (std::string_view("feEgGF").find(spec.type) != std::string_view::npos) {
    return RealDigits(value.real(), spec.type, spec.precision.value_or(6));
  }
  if (value.is_integral()) return IntegerDigits(value.integer(), spec.type);
  if (!(std::abs(value.real()) < 9e18)) throw Failure("the number does not fit in 64 bits");
  return IntegerDigits(static_cast<std::int64_t>(value.real()), spec.type);
}

void SeparateThousands(std::string& digits, const std::string& separator) {
  const std::size_t sign = digits[0] == '-' ? 1 : 0;
  const std::size_t whole = std::min(digits.find_first_not_of("0123456789", sign), digits.size());
  for (std::size_t at = whole; at > sign + 3; at -= 3) digits.insert(at - 3, separator);
}

Text FormatField(const Value& value, const FieldSpec& spec, Budget& budget) {
  Text body;
  const bool number = spec.type != 's' && spec.type != 'r';
  if (number) {
    budget.Charge(100);  // a long number takes its time
    std::string digits = NumberDigits(value, spec);
    if (!spec.separator.empty()) SeparateThousands(digits, spec.separator);
    if (spec.plus && digits[0] != '-') digits.insert(0, 1, '+');
    if (spec.align.value_or('>') == '=' && static_cast<std::int64_t>(digits.size()) < spec.width) {
      budget.ChargeText(static_cast<std::size_t>(spec.width));
      const std::size_t sign = digits[0] == '-' || digits[0] == '+' ? 1 : 0;
      digits.insert(sign, static_cast<std::size_t>(spec.width) - digits.size(), '0');
    }
    body.Append(digits, true);
  } else {
    body = spec.type == 'r' ? Repr(value, budget) : ToText(value, budget);
    if (spec.precision) {
      body = body.Part(0, CharacterOffset(body.view(), static_cast<std::size_t>(*spec.precision)));
    }
  }
  const char align = spec.align.value_or(number || value.is_number() ? '>' : '<');
  const Alignment side = align == '<' ? Alignment::kLeft : align == '^' ? Alignment::kCenter : Alignment::kRight;
  return Pad(body, spec.width, side, spec.fill, budget);
}

// %[(name)][flags][width][.precision]type
class PercentFormatter {
 public:
  PercentFormatter(const Text& format, const Value& values, Budget& budget)
      : text_(format), format_(format.view()), values_(values), budget_(budget) {}

  Text Run() {
    Text out;
    std::size_t at = 0;
    while (at < format_.size()) {
      const std::size_t percent = std::min(format_.find('%', at), format_.size());
      out.AppendPart(text_, at, percent - at);
      if (percent == format_.size()) break;
      at = percent + 1;
      if (at < format_.size() && format_[at] == '%') {
        out.AppendPart(text_, at++, 1);
        continue;
      }
      const Text field = Field(at);
      budget_.CheckText(out.size() + field.size());
      out.Append(field);
    }
    const bool single = !values_.is(Value::Type::kTuple);
    const std::size_t given = single ? (values_.is(Value::Type::kDict) || values_.is(Value::Type::kList) ? next_ : 1)
                                     : values_.items().size();
    if (next_ < given) throw Failure("there are more values than fields in the format");
    return out;
  }

 private:
  Text Field(std::size_t& at) {
    std::optional<Value> named;
    if (at < format_.size() && format_[at] == '(') {
      const std::size_t close = std::min(format_.find(')', at), format_.size());
      if (!values_.is(Value::Type::kDict)) throw Failure("a format with names needs a dict");
      const Value* found = values_.dict().Find(format_.substr(at + 1, close - at - 1));
      if (found == nullptr) throw Failure("the dict lacks a name of the format");
      named = *found;
      at = std::min(close + 1, format_.size());
    }
    FieldSpec spec;
    spec.align = '>';
    for (; at < format_.size() && std::string_view("-+ #0").find(format_[at]) != std::string_view::npos; ++at) {
      if (format_[at] == '-') spec.align = '<';
      if (format_[at] == '0' && spec.align != '<') spec.align = '=';
      if (format_[at] == '+') spec.plus = true;
    }
    spec.width = ReadNumber(format_, at);
    if (at < format_.size() && format_[at] == '.') spec.precision = static_cast<int>(ReadNumber(format_, ++at));
    if (at == format_.size()) throw Failure("the format ends inside a field");
    spec.type = format_[at++];
    if (std::string_view("srdiufFeEgGxXo").find(spec.type) == std::string_view::npos) {
      throw Failure(Cat("the format has a field of the unknown type '", spec.type, "'"));
    }
    if (spec.type == 'i' || spec.type == 'u') spec.type = 'd';
    return FormatField(named ? *named : Next(), spec, budget_);
  }

  const Value& Next() {
    const std::size_t index = next_++;
    if (!values_.is(Value::Type::kTuple)) {
      if (index > 0) throw Failure("the format has more fields than values");
      return values_;
    }
    if (index >= values_.items().size()) throw Failure("the format has more fields than values");
    return values_.items()[index];
  }

  const Text& text_;
  std::string_view format_;
  const Value& values_;
  Budget& budget_;
  std::size_t next_ = 0;
};

FieldSpec ParseBraceSpec(std::string_view text, bool from_template) {
  FieldSpec spec;
  std::size_t at = 0;
  const auto is_align = [&](std::size_t i) {
    return i < text.size() && std::string_view("<>^=").find(text[i]) != std::string_view::npos;
  };
  const std::size_t first = text.empty() ? 0 : DecodeUtf8(text, 0).size;
  if (is_align(first) && first > 0) {
    spec.fill = Text(text.substr(0, first), from_template);
    spec.align = text[first];
    at = first + 1;
  } else if (is_align(0)) {
    spec.align = text[at++];
  }
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) spec.plus = text[at++] == '+';
  if (at < text.size() && text[at] == '0' && !spec.align) {
    spec.align = '=';
    ++at;
  }
  spec.width = ReadNumber(text, at);
  if (at < text.size() && (text[at] == ',' || text[at] == '_')) spec.separator = text[at++];
  if (at < text.size() && text[at] == '.') spec.precision = static_cast<int>(ReadNumber(text, ++at));
  if (at < text.size()) {
    spec.type = text[at++];
  } else if (!spec.separator.empty()) {
    spec.type = 'd';
  }
  if (at != text.size() || std::string_view("sdfFeEgGxXob%").find(spec.type) == std::string_view::npos) {
    throw Failure(Cat("'", Shortened(text), "' is not a format that is known here"));
  }
  return spec;
}

const Value& BraceArgument(std::string_view name, const Args& args, std::size_t& next) {
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) != 0) {
    std::size_t at = 0;
    const std::size_t index = name.empty() ? next++ : static_cast<std::size_t>(ReadNumber(name, at));
    if (index < args.positional.size()) return args.positional[index];
  } else {
    for (const auto& [key, value] : args.named) {
      if (key == name) return value;
    }
  }
  throw Failure(Cat("the format's field '", Shortened(name), "' has no value"));
}

}  // namespace

Text Pad(const Text& text, std::int64_t width, Alignment alignment, const Text& fill, Budget& budget) {
  const auto size = static_cast<std::int64_t>(CountCharacters(text.view()));
  if (width <= size) return text;
  const std::int64_t missing = width - size;
  // Python's str.center puts the odd one to the left if the width is odd.
  const std::int64_t center = missing / 2 + (missing & width & 1);
  const std::int64_t left = alignment == Alignment::kLeft ? 0 : alignment == Alignment::kRight ? missing : center;
  budget.ChargeCopies(fill.size(), static_cast<std::size_t>(missing));
  budget.CheckText(text.size() + fill.size() * static_cast<std::size_t>(missing));
  Text out;
  for (std::int64_t i = 0; i < left; ++i) out.Append(fill);
  out.Append(text);
  for (std::int64_t i = left; i < missing; ++i) out.Append(fill);
  return out;
}

Text FormatPercent(const Text& format, const Value& values, Budget& budget) {
  return PercentFormatter(format, values, budget).Run();
}

Text FormatBraces(const Text& format, const Args& args, Budget& budget) {
  const std::string_view view = format.view();
  Text out;
  std::size_t next = 0;
  for (std::size_t at = 0; at < view.size();) {
    const std::size_t brace = std::min(view.find_first_of("{}", at), view.size());
    out.AppendPart(format, at, brace - at);
    if (brace == view.size()) break;
    if (brace + 1 < view.size() && view[brace + 1] == view[brace]) {
      out.AppendPart(format, brace, 1);
      at = brace + 2;
      continue;
    }
    const std::size_t close = view.find('}', brace);
    if (view[brace] == '}' || close == std::string_view::npos) throw Failure("the format has a single brace");
    const std::string_view field = view.substr(brace + 1, close - brace - 1);
    const std::size_t colon = std::min(field.find(':'), field.size());
    std::string_view name = field.substr(0, colon), spec_text = field.substr(colon);
    if (!spec_text.empty()) spec_text.remove_prefix(1);
    FieldSpec spec = ParseBraceSpec(spec_text, format.AllFromTemplate());
    if (name.ends_with("!r") || name.ends_with("!s")) {
      if (spec.type == 's') spec.type = name.back();
      name.remove_suffix(2);
    }
    const Text piece = FormatField(BraceArgument(name, args, next), spec, budget);
    budget.CheckText(out.size() + piece.size());
    out.Append(piece);
    at = close + 1;
  }
  return out;
}

}  // namespace slm::jinja
