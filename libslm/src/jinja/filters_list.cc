// Filters on lists: their elements, order and sums.

#include <algorithm>
#include <array>

#include "base/format.h"
#include "jinja/builtins.h"
#include "jinja/evaluator.h"
#include "jinja/list_filters.h"
#include "jinja/operations.h"

namespace slm::jinja {

Value SortKey(Evaluator& e, const Value& value, bool case_sensitive) {
  if (case_sensitive || !value.is_string()) return value;
  return FindMethod(value, "lower")->call(e, value, Args());
}

List SortBy(Evaluator& e, const List& items, const Array<List>& keys, bool reverse) {
  std::vector<std::size_t> order(items.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    for (std::size_t k = 0; k < keys[a].size(); ++k) {
      const Value& left = reverse ? keys[b][k] : keys[a][k];
      const Value& right = reverse ? keys[a][k] : keys[b][k];
      if (!Equal(left, right, e.budget())) return Less(left, right, e.budget());
    }
    return false;
  });
  List sorted;
  for (const std::size_t i : order) sorted.push_back(items[i]);
  return sorted;
}

namespace {

Value First(Evaluator& e, const Value& input, const Args&) {
  const List items = Elements(input, e.budget());
  return items.empty() ? Value::Undefined("the sequence is empty, so it has no first item") : items.front();
}

Value Last(Evaluator& e, const Value& input, const Args&) {
  const List items = Elements(input, e.budget());
  return items.empty() ? Value::Undefined("the sequence is empty, so it has no last item") : items.back();
}

Value AsList(Evaluator& e, const Value& input, const Args&) { return Value(Elements(input, e.budget())); }

Value JoinFilter(Evaluator& e, const Value& input, const Args& args) {
  const Value* given = args.Find(0, "d");
  const Text separator = given != nullptr ? TextOf(e, *given) : Text();
  const Value* attribute = args.Find(1, "attribute");
  Text out;
  bool first = true;
  for (const Value& item : Elements(input, e.budget())) {
    const Text text = TextOf(e, attribute != nullptr ? AtPath(e, item, *attribute) : item);
    if (!std::exchange(first, false)) out.Append(separator);
    e.budget().ChargeText(text.size() + separator.size());
    e.budget().CheckText(out.size() + text.size());
    out.Append(text);
  }
  return Value(std::move(out));
}

Value Items(Evaluator& e, const Value& input, const Args&) {
  if (input.is_undefined()) return Value(List());
  if (!input.is(Value::Type::kDict)) throw Failure(Cat("items needs a dict, found a ", input.TypeName()));
  return FindMethod(input, "items")->call(e, input, Args());
}

Value Sort(Evaluator& e, const Value& input, const Args& args) {
  const bool reverse = args.Flag(0, "reverse", false), case_sensitive = args.Flag(1, "case_sensitive", false);
  const Value* attribute = args.Find(2, "attribute");
  List paths;
  if (attribute != nullptr && attribute->is_string()) {
    const Value split = FindMethod(*attribute, "split")->call(e, *attribute, Args{{Value::String(",", true)}, {}});
    paths = split.items();
  } else if (attribute != nullptr && !attribute->is_null()) {
    paths.push_back(*attribute);
  }
  const List items = Elements(input, e.budget());
  Array<List> keys;
  for (const Value& item : items) {
    List key;
    for (const Value& path : paths) key.push_back(SortKey(e, AtPath(e, item, path), case_sensitive));
    if (paths.empty()) key.push_back(SortKey(e, item, case_sensitive));
    keys.push_back(std::move(key));
  }
  return Value(SortBy(e, items, keys, reverse));
}

Value Dictsort(Evaluator& e, const Value& input, const Args& args) {
  const bool case_sensitive = args.Flag(0, "case_sensitive", false), reverse = args.Flag(2, "reverse", false);
  const Value* by = args.Find(1, "by");
  const bool by_value = by != nullptr && by->is_string() && by->text().view() == "value";
  if (!by_value && by != nullptr && !(by->is_string() && by->text().view() == "key")) {
    throw Failure("dictsort sorts by 'key' or by 'value'");
  }
  if (input.is_undefined()) throw Failure(input.why_undefined());
  const List items = Items(e, input, Args()).items();
  Array<List> keys;
  for (const Value& item : items) keys.push_back({SortKey(e, item.items()[by_value ? 1 : 0], case_sensitive)});
  return Value(SortBy(e, items, keys, reverse));
}

Value Reverse(Evaluator& e, const Value& input, const Args&) {
  const SliceBounds backwards{std::nullopt, std::nullopt, -1};
  return Slice(input.is_string() ? input : Value(Elements(input, e.budget())), backwards, e.budget());
}

Value Unique(Evaluator& e, const Value& input, const Args& args) {
  const bool case_sensitive = args.Flag(0, "case_sensitive", false);
  const Value* attribute = args.Find(1, "attribute");
  Dict texts;  // that were seen; other values can't be looked up, and are compared
  List seen, unique;
  const auto is_new = [&](const Value& key) {
    if (key.is_string()) {
      if (texts.Find(key) != nullptr) return false;
      texts.Set(key, Value());
      return true;
    }
    if (std::any_of(seen.begin(), seen.end(), [&](const Value& other) { return Equal(other, key, e.budget()); }))
      return false;
    seen.push_back(key);
    return true;
  };
  for (const Value& item : Elements(input, e.budget())) {
    if (is_new(SortKey(e, attribute != nullptr ? AtPath(e, item, *attribute) : item, case_sensitive)))
      unique.push_back(item);
  }
  return Value(std::move(unique));
}

Value Sum(Evaluator& e, const Value& input, const Args& args) {
  const Value* attribute = args.Find(0, "attribute");
  const Value* start = args.Find(1, "start");
  Value sum = start != nullptr ? *start : Value(std::int64_t{0});
  for (const Value& item : Elements(input, e.budget())) {
    const bool whole = attribute == nullptr || attribute->is_null();
    sum = Compute(Arithmetic::kAdd, sum, whole ? item : AtPath(e, item, *attribute), e.budget());
  }
  return sum;
}

template <bool kLargest>
Value Extreme(Evaluator& e, const Value& input, const Args& args) {
  const bool case_sensitive = args.Flag(0, "case_sensitive", false);
  const Value* attribute = args.Find(1, "attribute");
  Value best = Value::Undefined("the sequence is empty, so it has no smallest or largest item");
  Value best_key;
  for (const Value& item : Elements(input, e.budget())) {
    const Value key = SortKey(e, attribute != nullptr ? AtPath(e, item, *attribute) : item, case_sensitive);
    const bool better =
        best.is_undefined() || (kLargest ? Less(best_key, key, e.budget()) : Less(key, best_key, e.budget()));
    if (!better) continue;
    best = item;
    best_key = key;
  }
  return best;
}

std::size_t PositiveArgument(const Args& args, std::string_view name) {
  const std::int64_t count = args.Integer(0, name, 0);
  if (count <= 0) throw Failure(Cat("the argument '", name, "' must be at least 1"));
  return static_cast<std::size_t>(count);
}

// Rows of `linecount` items.
Value Batch(Evaluator& e, const Value& input, const Args& args) {
  const std::size_t count = PositiveArgument(args, "linecount");
  const Value* fill = args.Find(1, "fill_with");
  const List items = Elements(input, e.budget());
  List rows;
  for (std::size_t i = 0; i < items.size(); i += count) {
    List row(items.begin() + i, items.begin() + i + std::min(count, items.size() - i));
    if (fill != nullptr && !fill->is_null() && row.size() < count) {
      e.budget().Charge(count);
      row.resize(count, *fill);
    }
    rows.emplace_back(std::move(row));
  }
  return Value(std::move(rows));
}

// `slices` columns, the first ones longer by one where it does not come out even. The others get the fill, as in Jinja
// even if none is longer.
Value Columns(Evaluator& e, const Value& input, const Args& args) {
  const std::size_t count = PositiveArgument(args, "slices");
  const Value* fill = args.Find(1, "fill_with");
  const List items = Elements(input, e.budget());
  e.budget().Charge(count);
  List columns;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const bool longer = i < items.size() % count;
    const std::size_t size = items.size() / count + (longer ? 1 : 0);
    List column(items.begin() + begin, items.begin() + begin + size);
    if (fill != nullptr && !fill->is_null() && !longer) column.push_back(*fill);
    columns.emplace_back(std::move(column));
    begin += size;
  }
  return Value(std::move(columns));
}

// Any item will do; the first keeps renderings repeatable.
Value Random(Evaluator& e, const Value& input, const Args& args) { return First(e, input, args); }

constexpr std::array<Function, 15> kFilters = {{
    {"first", First, ""},
    {"last", Last, ""},
    {"list", AsList, ""},
    {"join", JoinFilter, "d attribute"},
    {"items", Items, ""},
    {"sort", Sort, "reverse case_sensitive attribute"},
    {"dictsort", Dictsort, "case_sensitive by reverse"},
    {"reverse", Reverse, ""},
    {"unique", Unique, "case_sensitive attribute"},
    {"sum", Sum, "attribute start"},
    {"min", Extreme<false>, "case_sensitive attribute"},
    {"max", Extreme<true>, "case_sensitive attribute"},
    {"batch", Batch, "linecount fill_with"},
    {"slice", Columns, "slices fill_with"},
    {"random", Random, ""},
}};

}  // namespace

std::span<const Function> ListFilters() { return kFilters; }

}  // namespace slm::jinja
