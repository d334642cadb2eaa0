// The functions that every template can call.

#include <algorithm>
#include <array>
#include <ctime>
#include <iomanip>
#include <locale>
#include <sstream>

#include "base/format.h"
#include "jinja/builtins.h"
#include "jinja/evaluator.h"
#include "jinja/objects.h"
#include "jinja/operations.h"

namespace slm::jinja {
namespace {

constexpr std::int64_t kMaxRange = 100'000;  // as in Jinja's sandbox
constexpr std::size_t kMaxReason = 4000;     // bytes of a template's own words in a message

Value RaiseException(Evaluator& e, const Value&, const Args& args) {
  const Value* message = args.Find(0, "message");
  throw Failure(Cat("the template refuses the conversation: ",
                    message != nullptr ? TextOf(e, *message).view().substr(0, kMaxReason) : ""));
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
  return Value(Make<Cycler>(args.positional));
}

Value MakeJoiner(Evaluator&, const Value&, const Args& args) {
  const Value* separator = args.Find(0, "sep");
  return Value(Make<Joiner>(separator != nullptr ? *separator : Value::String(", ", true)));
}

// What %`code` stands for, in English whatever the host program's locale is; empty if Python does not know it.
std::string TimeField(const std::tm& time, char code) {
  if (code == 'f') return "000000";
  if (std::string_view("aAbBcCdDeFgGhHIjmMnprRStTuUVwWxXyY%").find(code) == std::string_view::npos) return "";
  std::ostringstream out;
  out.imbue(std::locale::classic());
  const char format[] = {'%', code, '\0'};
  out << std::put_time(&time, format);
  return out.str();
}

// The fields of strftime; '-' in one leaves out its leading zeros.
Value StrftimeNow(Evaluator& e, const Value&, const Args& args) {
  const std::string_view format = TextArgument(args, 0, "format").view();
  e.budget().ChargeCopies(format.size(), 12);
  const std::time_t now = e.options().now.time_since_epoch().count();
  std::tm time{};
  if (gmtime_r(&now, &time) == nullptr) throw Failure("the time is beyond the calendar");
  std::string out;
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out += format[i];
      continue;
    }
    const bool short_form = format[i + 1] == '-' && i + 2 < format.size();
    const std::size_t code = i + (short_form ? 2 : 1);
    std::string field = TimeField(time, format[code]);
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
