// Filters that apply a filter or test to every element, group elements, or read and write JSON.

#include <algorithm>
#include <array>
#include <charconv>

#include "base/format.h"
#include "jinja/builtins.h"
#include "jinja/evaluator.h"
#include "jinja/list_filters.h"
#include "jinja/operations.h"

namespace slm::jinja {

Value AtPath(Evaluator& e, const Value& item, const Value& path) {
  if (!path.is_string()) return e.Subscript(item, path);
  Value value = item;
  const Value parts = FindMethod(path, "split")->call(e, path, Args{{Value::String(".", true)}, {}});
  for (const Value& part : parts.items()) {
    const std::string_view name = part.text().view();
    std::int64_t index = 0;
    const auto read = std::from_chars(name.data(), name.data() + name.size(), index);
    const bool number = !name.empty() && read.ec == std::errc() && read.ptr == name.data() + name.size();
    value = e.Subscript(value, number ? Value(index) : part);
  }
  return value;
}

namespace {

// Unlike other filters, these take None and other empty values for no elements.
List ElementsOrNone(Evaluator& e, const Value& input) { return Truth(input) ? Elements(input, e.budget()) : List(); }

Value Map(Evaluator& e, const Value& input, const Args& args) {
  List mapped;
  const bool by_attribute = args.positional.empty();
  const Value* attribute = by_attribute ? args.Find(0, "attribute") : nullptr;
  const Value* otherwise = by_attribute ? args.Find(1, "default") : nullptr;
  if (by_attribute && attribute == nullptr) throw Failure("map needs a filter or an attribute");
  const Args rest = args.Behind(1);
  for (const Value& item : ElementsOrNone(e, input)) {
    if (by_attribute) {
      Value value = AtPath(e, item, *attribute);
      mapped.push_back(value.is_undefined() && otherwise != nullptr ? *otherwise : value);
    } else {
      mapped.push_back(e.CallFilter(TextArgument(args, 0, "name").view(), item, rest));
    }
  }
  return Value(std::move(mapped));
}

// The elements for which a test holds, or does not; without a test, whether they count as true.
template <bool kByAttribute, bool kWanted>
Value Select(Evaluator& e, const Value& input, const Args& args) {
  const std::size_t name = kByAttribute ? 1 : 0;
  List selected;
  const Args rest = args.Behind(name + 1);
  for (const Value& item : ElementsOrNone(e, input)) {
    const Value value = kByAttribute ? AtPath(e, item, args.Required(0, "attribute")) : item;
    const bool holds =
        args.positional.size() > name ? e.CallTest(TextArgument(args, name, "test").view(), value, rest) : Truth(value);
    if (holds == kWanted) selected.push_back(item);
  }
  return Value(std::move(selected));
}

// A pair whose elements have names.
class Group : public Object {
 public:
  explicit Group(Value pair) : Object(pair.depth() + 1), pair_(std::move(pair)) {}
  std::string_view TypeName() const override { return "tuple"; }
  Value Attribute(std::string_view name) const override {
    if (name == "grouper") return pair_.items()[0];
    return name == "list" ? pair_.items()[1] : Object::Attribute(name);
  }
  const Value* tuple() const override { return &pair_; }

 private:
  Value pair_;
};

Value Groupby(Evaluator& e, const Value& input, const Args& args) {
  const Value& attribute = args.Required(0, "attribute");
  const Value* otherwise = args.Find(1, "default");
  const bool case_sensitive = args.Flag(2, "case_sensitive", false);
  List groups, members;
  Value key, grouper;
  const auto flush = [&] {
    if (members.empty()) return;
    Value pair = Value::Tuple({grouper, Value(std::exchange(members, {}))});
    groups.emplace_back(Make<Group>(std::move(pair)));
  };
  const auto group_of = [&](const Value& item) {
    Value found = AtPath(e, item, attribute);
    return found.is_undefined() && otherwise != nullptr ? *otherwise : found;
  };
  const List items = Elements(input, e.budget());
  Array<List> keys;
  for (const Value& item : items) keys.push_back({SortKey(e, group_of(item), case_sensitive)});
  for (const Value& item : SortBy(e, items, keys, false)) {
    Value group = group_of(item);
    Value next = SortKey(e, group, case_sensitive);
    if (!members.empty() && !Equal(next, key, e.budget())) flush();
    if (members.empty()) grouper = std::move(group);
    key = std::move(next);
    members.push_back(item);
  }
  flush();
  return Value(std::move(groups));
}

// Jinja has it not; transformers and widespread templates do.
Value FromJson(Evaluator& e, const Value& input, const Args&) {
  constexpr std::size_t kMaxBytes = 1u << 20;  // a parsed text takes some thirty times its size
  if (input.is_undefined()) throw Failure(input.why_undefined());
  if (!input.is_string()) throw Failure(Cat("from_json needs a string, found a ", input.TypeName()));
  if (e.options().parse_json == nullptr) throw Failure("from_json is not available here");
  const Text& text = input.text();
  if (text.size() > kMaxBytes) throw Failure(Cat("from_json takes at most ", kMaxBytes, " bytes"));
  e.budget().Charge(text.size());
  Result<Value> value = e.options().parse_json(text.view(), text.AllFromTemplate());
  if (!value.ok()) throw Failure(value.status().message());
  return *std::move(value);
}

constexpr std::array<Function, 9> kFilters = {{
    {"map", Map, "*"},
    {"select", Select<false, true>, "*"},
    {"reject", Select<false, false>, "*"},
    {"selectattr", Select<true, true>, "*"},
    {"rejectattr", Select<true, false>, "*"},
    {"groupby", Groupby, "attribute default case_sensitive"},
    {"tojson", ToJson, "ensure_ascii indent separators sort_keys"},
    {"from_json", FromJson, ""},
    {"fromjson", FromJson, ""},
}};

}  // namespace

std::span<const Function> SelectionFilters() { return kFilters; }

}  // namespace slm::jinja
