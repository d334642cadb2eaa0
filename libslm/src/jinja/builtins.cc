#include "jinja/builtins.h"

#include <algorithm>
#include <array>

#include "base/format.h"
#include "jinja/evaluator.h"
#include "jinja/operations.h"

namespace slm::jinja {
namespace {

const Function* FindIn(std::span<const Function> functions, std::string_view name) {
  const auto found =
      std::find_if(functions.begin(), functions.end(), [&](const Function& f) { return f.name == name; });
  return found == functions.end() ? nullptr : &*found;
}

Value Entries(const Dict& dict, Budget& budget) {
  budget.Charge(dict.size());
  List items;
  for (const auto& [key, value] : dict.entries()) items.push_back(Value::Tuple({key, value}));
  return Value(std::move(items));
}

Value DictItems(Evaluator& e, const Value& self, const Args&) { return Entries(self.dict(), e.budget()); }
Value DictKeys(Evaluator& e, const Value& self, const Args&) { return Value(Elements(self, e.budget())); }

Value DictValues(Evaluator& e, const Value& self, const Args&) {
  e.budget().Charge(self.dict().size());
  List values;
  for (const auto& entry : self.dict().entries()) values.push_back(entry.second);
  return Value(std::move(values));
}

Value DictGet(Evaluator& e, const Value& self, const Args& args) {
  e.budget().Charge(self.dict().SearchCost(args.Required(0, "key")));
  if (const Value* found = self.dict().Find(args.Required(0, "key"))) return *found;
  const Value* otherwise = args.Find(1, "default");
  return otherwise != nullptr ? *otherwise : Value();
}

Value Copy(Evaluator&, const Value& self, const Args&) { return self; }

Value ListCount(Evaluator& e, const Value& self, const Args& args) {
  const Value& wanted = args.Required(0, "value");
  return Value(static_cast<std::int64_t>(std::count_if(self.items().begin(), self.items().end(),
                                                       [&](const Value& v) { return Equal(v, wanted, e.budget()); })));
}

Value ListIndex(Evaluator& e, const Value& self, const Args& args) {
  for (std::size_t i = 0; i < self.items().size(); ++i) {
    if (Equal(self.items()[i], args.Required(0, "value"), e.budget())) return Value(static_cast<std::int64_t>(i));
  }
  throw Failure("the value is not in the list");
}

constexpr std::array<Function, 5> kDictMethods = {{
    {"items", DictItems, ""},
    {"keys", DictKeys, ""},
    {"values", DictValues, ""},
    {"get", DictGet, "key default"},
    {"copy", Copy, ""},
}};

constexpr std::array<Function, 3> kListMethods = {{
    {"count", ListCount, "value"},
    {"index", ListIndex, "value"},
    {"copy", Copy, ""},
}};

}  // namespace

const Function* FindFilter(std::string_view name) {
  for (const std::span<const Function> group : {TextFilters(), ListFilters(), SelectionFilters()}) {
    if (const Function* found = FindIn(group, name)) return found;
  }
  return nullptr;
}

const Function* FindMethod(const Value& object, std::string_view name) {
  if (object.is_string()) return FindIn(StringMethods(), name);
  if (object.is(Value::Type::kDict)) return FindIn(kDictMethods, name);
  return object.is_sequence() ? FindIn(kListMethods, name) : nullptr;
}

bool IsForbiddenMethod(const Value& object, std::string_view name) {
  static constexpr std::array<std::string_view, 9> kList = {"append", "clear",   "extend", "insert", "pop",
                                                            "remove", "reverse", "sort",   "update"};
  static constexpr std::array<std::string_view, 5> kDict = {"clear", "pop", "popitem", "setdefault", "update"};
  if (object.is(Value::Type::kDict)) return std::find(kDict.begin(), kDict.end(), name) != kDict.end();
  return object.is(Value::Type::kList) && std::find(kList.begin(), kList.end(), name) != kList.end();
}

Text TextOf(Evaluator& evaluator, const Value& value) { return ToText(value, evaluator.budget()); }

const Text& TextArgument(const Args& args, std::size_t index, std::string_view name) {
  const Value& value = args.Required(index, name);
  if (!value.is_string()) throw Failure(Cat("the argument '", name, "' is a ", value.TypeName(), ", not a string"));
  return value.text();
}

}  // namespace slm::jinja
