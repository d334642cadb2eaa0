// The tests that stand behind "is".

#include <algorithm>
#include <array>

#include "base/format.h"
#include "jinja/builtins.h"
#include "jinja/evaluator.h"
#include "jinja/operations.h"

namespace slm::jinja {
namespace {

using Type = Value::Type;

template <Type kType>
bool Is(Evaluator&, const Value& v, const Args& args) {
  if (!args.positional.empty()) throw Failure("the test takes no argument");
  return v.is(kType);
}

bool Defined(Evaluator&, const Value& v, const Args& args) {
  if (!args.positional.empty()) throw Failure("'defined' takes no argument");
  return !v.is_undefined();
}

bool Number(Evaluator&, const Value& v, const Args&) { return v.is_number(); }
bool Iterable(Evaluator&, const Value& v, const Args&) {
  return v.is_undefined() || v.is_string() || v.is_sequence() || v.is(Type::kDict);
}
bool IsCallable(Evaluator&, const Value& v, const Args&) {
  return v.is_undefined() || (v.is(Type::kObject) && v.object()->callable());  // as in Jinja, odd as it is
}
template <bool kValue>
bool IsBool(Evaluator&, const Value& v, const Args&) {
  return v.is(Type::kBool) && v.boolean() == kValue;
}

// v % divisor == rest, for numbers of both kinds.
bool HasRest(Evaluator& e, const Value& v, const Value& divisor, std::int64_t rest) {
  if (v.is_string()) throw Failure("the test needs a number, found a str");  // where % would format it
  return Equal(Compute(Arithmetic::kModulo, v, divisor, e.budget()), Value(rest), e.budget());
}

bool Odd(Evaluator& e, const Value& v, const Args&) { return HasRest(e, v, Value(std::int64_t{2}), 1); }
bool Even(Evaluator& e, const Value& v, const Args&) { return HasRest(e, v, Value(std::int64_t{2}), 0); }
bool DivisibleBy(Evaluator& e, const Value& v, const Args& args) { return HasRest(e, v, args.Required(0, "num"), 0); }

const Value& Other(const Args& args) { return args.Required(0, "other"); }
bool Eq(Evaluator& e, const Value& v, const Args& args) { return Equal(v, Other(args), e.budget()); }
bool Ne(Evaluator& e, const Value& v, const Args& args) { return !Equal(v, Other(args), e.budget()); }
bool Lt(Evaluator& e, const Value& v, const Args& args) { return Less(v, Other(args), e.budget()); }
bool Gt(Evaluator& e, const Value& v, const Args& args) { return Less(Other(args), v, e.budget()); }
bool Le(Evaluator& e, const Value& v, const Args& args) { return Lt(e, v, args) || Eq(e, v, args); }
bool Ge(Evaluator& e, const Value& v, const Args& args) { return Gt(e, v, args) || Eq(e, v, args); }
bool In(Evaluator& e, const Value& v, const Args& args) { return Contains(Other(args), v, e.budget()); }
bool SameAs(Evaluator&, const Value& v, const Args& args) { return v.Same(Other(args)); }

bool HasMethodTrue(Evaluator& e, const Value& v, const char* method) {
  const Value text(TextOf(e, v));
  return Truth(FindMethod(text, method)->call(e, text, Args()));
}
bool IsLowerText(Evaluator& e, const Value& v, const Args&) { return HasMethodTrue(e, v, "islower"); }
bool IsUpperText(Evaluator& e, const Value& v, const Args&) { return HasMethodTrue(e, v, "isupper"); }
bool IsFilter(Evaluator&, const Value& v, const Args&) {
  return v.is_string() && FindFilter(v.text().view()) != nullptr;
}
bool IsTest(Evaluator&, const Value& v, const Args&) { return v.is_string() && FindTest(v.text().view()) != nullptr; }
bool Escaped(Evaluator&, const Value& v, const Args&) { return v.is_string() && v.text().markup; }
bool Undefined(Evaluator& e, const Value& v, const Args& args) { return !Defined(e, v, args); }
bool IsSequence(Evaluator& e, const Value& v, const Args& args) { return Iterable(e, v, args); }

constexpr std::array<Test, 39> kTests = {{
    {"defined", Defined},
    {"undefined", Undefined},
    {"none", Is<Type::kNull>},
    {"string", Is<Type::kString>},
    {"mapping", Is<Type::kDict>},
    {"boolean", Is<Type::kBool>},
    {"integer", Is<Type::kInt>},
    {"float", Is<Type::kFloat>},
    {"number", Number},
    {"iterable", Iterable},
    {"sequence", IsSequence},
    {"callable", IsCallable},
    {"true", IsBool<true>},
    {"false", IsBool<false>},
    {"odd", Odd},
    {"even", Even},
    {"divisibleby", DivisibleBy},
    {"equalto", Eq},
    {"eq", Eq},
    {"==", Eq},
    {"ne", Ne},
    {"!=", Ne},
    {"lt", Lt},
    {"lessthan", Lt},
    {"<", Lt},
    {"gt", Gt},
    {"greaterthan", Gt},
    {">", Gt},
    {"le", Le},
    {"<=", Le},
    {"ge", Ge},
    {">=", Ge},
    {"in", In},
    {"sameas", SameAs},
    {"lower", IsLowerText},
    {"upper", IsUpperText},
    {"filter", IsFilter},
    {"test", IsTest},
    {"escaped", Escaped},
}};

}  // namespace

const Test* FindTest(std::string_view name) {
  const auto found = std::find_if(kTests.begin(), kTests.end(), [&](const Test& test) { return test.name == name; });
  return found == kTests.end() ? nullptr : &*found;
}

}  // namespace slm::jinja
