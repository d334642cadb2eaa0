// The functions that every template can call.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>

#include "base/format.h"
#include "jinja/builtins.h"
#include "jinja/evaluator.h"
#include "jinja/objects.h"
#include "jinja/operations.h"

namespace slm::jinja {
namespace {

constexpr std::int64_t kMaxRange = 100'000;  // as in Jinja's sandbox

Value RaiseException(Evaluator& e, const Value&, const Args& args) {
  const Value* message = args.Find(0, "message");
  throw Failure(Cat("the template refuses the conversation: ", message != nullptr ? TextOf(e, *message).view() : ""));
}

Value Range(Evaluator& e, const Value&, const Args& args) {
  const bool one = args.positional.size() == 1;
  const std::int64_t start = one ? 0 : args.Integer(0, "start", 0);
  const std::int64_t stop = args.Integer(one ? 0 : 1, "stop", 0);
  const std::int64_t step = args.Integer(2, "step", 1);
  if (args.positional.empty()) throw Failure("range needs a number");
  if (step == 0) throw Failure("the step of a range is 0");
  List numbers;
  for (std::int64_t i = start; step > 0 ? i < stop : i > stop;) {
    if (static_cast<std::int64_t>(numbers.size()) == kMaxRange) {
      throw Failure(Cat("a range has at most ", kMaxRange, " elements"));
    }
    numbers.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  e.budget().Charge(numbers.size());
  return Value(std::move(numbers));
}

// What dict() and namespace() make of their arguments: a dict or a list of pairs, and arguments with names.
Dict DictOf(const Args& args, Budget& budget) {
  if (args.positional.size() > 1) throw Failure("a dict is made of at most one argument without a name");
  Dict dict;
  if (!args.positional.empty()) {
    const Value& first = args.positional[0];
    if (first.is(Value::Type::kDict)) {
      dict = first.dict();
    } else {
      for (const Value& pair : Elements(first, budget)) {
        List both = Elements(pair, budget);
        if (both.size() != 2) throw Failure("a dict is made of pairs of key and value");
        budget.Charge(dict.SearchCost(both[0]));
        dict.Set(std::move(both[0]), std::move(both[1]));
      }
    }
  }
  for (const auto& [name, value] : args.named) dict.Set(name, true, value);
  return dict;
}

Value MakeDict(Evaluator& e, const Value&, const Args& args) {
  Dict dict = DictOf(args, e.budget());
  e.budget().Charge(dict.size());
  return Value(std::move(dict));
}

Value MakeNamespace(Evaluator& e, const Value&, const Args& args) { return e.MakeNamespace(DictOf(args, e.budget())); }

Value MakeCycler(Evaluator&, const Value&, const Args& args) {
  if (args.positional.empty()) throw Failure("cycler needs values");
  return Value(std::make_shared<Cycler>(args.positional));
}

Value MakeJoiner(Evaluator&, const Value&, const Args& args) {
  const Value* separator = args.Find(0, "sep");
  return Value(std::make_shared<Joiner>(separator != nullptr ? *separator : Value::String(", ", true)));
}

constexpr std::array<const char*, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                              "Thursday", "Friday", "Saturday"};
constexpr std::array<const char*, 12> kMonths = {"January", "February", "March",     "April",   "May",      "June",
                                                 "July",    "August",   "September", "October", "November", "December"};

// One moment, taken apart. Names are English, whatever the host program's locale is.
struct Moment {
  explicit Moment(std::chrono::sys_seconds now)
      : day(std::chrono::floor<std::chrono::days>(now)), date(day), time(now - day), weekday(day) {}

  std::chrono::sys_days day;
  std::chrono::year_month_day date;
  std::chrono::hh_mm_ss<std::chrono::seconds> time;
  std::chrono::weekday weekday;
};

std::string Digits(long long number, int width) {
  char buffer[24];
  std::snprintf(buffer, sizeof(buffer), "%0*lld", width, number);
  return buffer;
}

std::string DayAndTime(const Moment& m, std::string_view codes);

// What %`code` stands for; empty if it is not known here.
std::string Field(const Moment& m, char code) {
  const int year = static_cast<int>(m.date.year());
  const unsigned month = static_cast<unsigned>(m.date.month());
  const long long hour = m.time.hours().count();
  const auto year_day = (m.day - std::chrono::sys_days(m.date.year() / 1 / 1)).count();
  switch (code) {
    case 'Y':
      return Digits(year, 4);
    case 'y':
      return Digits(year % 100, 2);
    case 'm':
      return Digits(month, 2);
    case 'd':
      return Digits(static_cast<unsigned>(m.date.day()), 2);
    case 'B':
      return kMonths[month - 1];
    case 'b':
    case 'h':
      return std::string(kMonths[month - 1]).substr(0, 3);
    case 'A':
      return kDays[m.weekday.c_encoding()];
    case 'a':
      return std::string(kDays[m.weekday.c_encoding()]).substr(0, 3);
    case 'w':
      return Digits(m.weekday.c_encoding(), 1);
    case 'u':
      return Digits(m.weekday.iso_encoding(), 1);
    case 'j':
      return Digits(year_day + 1, 3);
    case 'U':
      return Digits((year_day + 7 - m.weekday.c_encoding()) / 7, 2);
    case 'W':
      return Digits((year_day + 7 - (m.weekday.c_encoding() + 6) % 7) / 7, 2);
    case 'H':
      return Digits(hour, 2);
    case 'I':
      return Digits((hour + 11) % 12 + 1, 2);
    case 'p':
      return hour < 12 ? "AM" : "PM";
    case 'M':
      return Digits(m.time.minutes().count(), 2);
    case 'S':
      return Digits(m.time.seconds().count(), 2);
    case 'f':
      return "000000";
    case 'F':
      return DayAndTime(m, "Y-m-d");
    case 'T':
    case 'X':
      return DayAndTime(m, "H:M:S");
    case 'R':
      return DayAndTime(m, "H:M");
    case 'D':
    case 'x':
      return DayAndTime(m, "m/d/y");
    case 'c':
      return DayAndTime(m, "a b e H:M:S Y");
    case 'e':
      return Digits(static_cast<unsigned>(m.date.day()), 1).insert(0, m.date.day() < std::chrono::day(10), ' ');
    case 'n':
      return "\n";
    case 't':
      return "\t";
    case '%':
      return "%";
    default:
      return "";
  }
}

// Letters of `codes` are fields, other characters stay.
std::string DayAndTime(const Moment& m, std::string_view codes) {
  std::string out;
  for (const char c : codes) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    out += letter ? Field(m, c) : std::string(1, c);
  }
  return out;
}

// The fields of strftime; '-' in one leaves out its leading zeros.
Value StrftimeNow(Evaluator& e, const Value&, const Args& args) {
  const std::string_view format = TextArgument(args, 0, "format").view();
  e.budget().ChargeCopies(format.size(), 12);
  const Moment moment(e.options().now);
  std::string out;
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out += format[i];
      continue;
    }
    const bool short_form = format[i + 1] == '-' && i + 2 < format.size();
    const std::size_t code = i + (short_form ? 2 : 1);
    std::string field = Field(moment, format[code]);
    if (short_form) field.erase(0, std::min(field.find_first_not_of("0 "), field.size() - (field.empty() ? 0 : 1)));
    out += field.empty() ? std::string(format.substr(i, code - i + 1)) : field;
    i = code;
  }
  return Value(Text(out, TextArgument(args, 0, "format").AllFromTemplate()));
}

// Jinja has it, so templates may ask whether it is defined; text that changes at every call has no place in a prompt.
Value Lipsum(Evaluator&, const Value&, const Args&) { throw Failure("lipsum() is not available here"); }

constexpr std::array<Function, 8> kGlobals = {{
    {"raise_exception", RaiseException, "message"},
    {"strftime_now", StrftimeNow, "format"},
    {"range", Range, "start stop step"},
    {"dict", MakeDict, "*"},
    {"namespace", MakeNamespace, "*"},
    {"cycler", MakeCycler, "*"},
    {"joiner", MakeJoiner, "sep"},
    {"lipsum", Lipsum, "*"},
}};

}  // namespace

std::span<const Function> GlobalFunctions() { return kGlobals; }

}  // namespace slm::jinja
