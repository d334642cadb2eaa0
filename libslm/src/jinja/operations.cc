#include "jinja/operations.h"

#include <algorithm>
#include <cmath>

#include "base/format.h"
#include "base/utf8.h"
#include "jinja/python_format.h"

namespace slm::jinja {
namespace {

using Type = Value::Type;

[[noreturn]] void FailUndefined(const Value& value) { throw Failure(value.why_undefined()); }

void RequireDefined(const Value& a, const Value& b) {
  if (a.is_undefined()) FailUndefined(a);
  if (b.is_undefined()) FailUndefined(b);
}

std::string_view Symbol(Arithmetic op) {
  switch (op) {
    case Arithmetic::kAdd:
      return "+";
    case Arithmetic::kSubtract:
      return "-";
    case Arithmetic::kMultiply:
      return "*";
    case Arithmetic::kDivide:
      return "/";
    case Arithmetic::kFloorDivide:
      return "//";
    case Arithmetic::kModulo:
      return "%";
    case Arithmetic::kPower:
      return "**";
  }
  return "";
}

std::int64_t IntegerPower(std::int64_t base, std::int64_t exponent) {
  std::int64_t power = 1;
  for (; exponent > 0; --exponent) {
    if (__builtin_mul_overflow(power, base, &power)) throw Failure("the result does not fit in 64 bits");
    if (power == 0 || (power == 1 && base == 1)) break;
    if (base == -1) return exponent % 2 == 1 ? -1 : 1;
  }
  return power;
}

Value IntegerArithmetic(Arithmetic op, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  bool overflow = false;
  switch (op) {
    case Arithmetic::kAdd:
      overflow = __builtin_add_overflow(a, b, &result);
      break;
    case Arithmetic::kSubtract:
      overflow = __builtin_sub_overflow(a, b, &result);
      break;
    case Arithmetic::kMultiply:
      overflow = __builtin_mul_overflow(a, b, &result);
      break;
    case Arithmetic::kDivide:
      return Value(static_cast<double>(a) / static_cast<double>(b));
    case Arithmetic::kPower:
      if (b < 0) return Value(std::pow(static_cast<double>(a), static_cast<double>(b)));
      return Value(IntegerPower(a, b));
    case Arithmetic::kFloorDivide:
    case Arithmetic::kModulo: {
      if (b == -1) {  // the one divisor that can overflow
        if (op == Arithmetic::kModulo) return Value(std::int64_t{0});
        overflow = __builtin_sub_overflow(std::int64_t{0}, a, &result);
        break;
      }
      const std::int64_t remainder = a % b;
      const bool rounds_up = remainder != 0 && (remainder < 0) != (b < 0);
      result = op == Arithmetic::kModulo ? (rounds_up ? remainder + b : remainder) : a / b - (rounds_up ? 1 : 0);
    }
  }
  if (overflow) throw Failure("the result does not fit in 64 bits");
  return Value(result);
}

double RealArithmetic(Arithmetic op, double a, double b) {
  switch (op) {
    case Arithmetic::kAdd:
      return a + b;
    case Arithmetic::kSubtract:
      return a - b;
    case Arithmetic::kMultiply:
      return a * b;
    case Arithmetic::kDivide:
      return a / b;
    case Arithmetic::kFloorDivide: {  // of the exact numbers: 1 // 0.1 is 9, as 0.1 is a little more than a tenth
      const double remainder = std::fmod(a, b);
      const bool rounds_up = remainder != 0 && (remainder < 0) != (b < 0);
      return std::nearbyint((a - remainder) / b) - (rounds_up ? 1 : 0);
    }
    case Arithmetic::kModulo: {
      const double remainder = std::fmod(a, b);
      if (remainder == 0) return std::copysign(0.0, b);
      return (remainder < 0) != (b < 0) ? remainder + b : remainder;
    }
    case Arithmetic::kPower: {
      const double power = std::pow(a, b);
      if (!std::isfinite(power) && std::isfinite(a) && std::isfinite(b))
        throw Failure("the power is no number that fits");
      return power;
    }
  }
  return 0;
}

Value NumberArithmetic(Arithmetic op, const Value& a, const Value& b) {
  const bool divides = op == Arithmetic::kDivide || op == Arithmetic::kFloorDivide || op == Arithmetic::kModulo;
  if (divides && b.real() == 0) throw Failure("division by zero");
  if (op == Arithmetic::kPower && a.real() == 0 && b.real() < 0) throw Failure("zero to a negative power");
  if (a.is_integral() && b.is_integral()) return IntegerArithmetic(op, a.integer(), b.integer());
  return Value(RealArithmetic(op, a.real(), b.real()));
}

Value Repeat(const Value& value, std::int64_t times, Budget& budget) {
  const auto count = static_cast<std::size_t>(std::max<std::int64_t>(times, 0));
  if (value.is_string()) {
    budget.ChargeCopies(value.text().size(), count);
    Text text;
    if (!value.text().empty()) {
      for (std::size_t i = 0; i < count; ++i) text.Append(value.text());
    }
    return Value(std::move(text));
  }
  List items;
  if (!value.items().empty()) {
    for (std::size_t i = 0; i < count; ++i) {
      budget.Charge(value.items().size());
      items.insert(items.end(), value.items().begin(), value.items().end());
    }
  }
  return value.is(Type::kTuple) ? Value::Tuple(std::move(items)) : Value(std::move(items));
}

Value Concatenate(const Value& a, const Value& b, Budget& budget) {
  if (a.is_string()) {
    budget.ChargeText(a.text().size() + b.text().size());
    // Text that is marked as safe makes its neighbour safe too, in Python as here.
    const bool markup = a.text().markup || b.text().markup;
    Text text = markup ? EscapeHtml(a.text(), budget) : a.text();
    text.Append(markup ? EscapeHtml(b.text(), budget) : b.text());
    return Value(std::move(text));
  }
  budget.Charge(a.items().size() + b.items().size());
  List items = a.items();
  items.insert(items.end(), b.items().begin(), b.items().end());
  return a.is(Type::kTuple) ? Value::Tuple(std::move(items)) : Value(std::move(items));
}

bool EqualItems(const List& a, const List& b, Budget& budget) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!Equal(a[i], b[i], budget)) return false;
  }
  return true;
}

bool EqualDicts(const Dict& a, const Dict& b, Budget& budget) {
  if (a.size() != b.size()) return false;
  for (const auto& [key, value] : a.entries()) {
    budget.Charge(b.SearchCost(key));
    const Value* other = b.Find(key);
    if (other == nullptr || !Equal(value, *other, budget)) return false;
  }
  return true;
}

}  // namespace

bool Truth(const Value& value) {
  switch (value.type()) {
    case Type::kUndefined:
    case Type::kNull:
      return false;
    case Type::kBool:
    case Type::kInt:
      return value.integer() != 0;
    case Type::kFloat:
      return value.real() != 0;
    case Type::kString:
      return !value.text().empty();
    case Type::kList:
    case Type::kTuple:
      return !value.items().empty();
    case Type::kDict:
      return value.dict().size() != 0;
    case Type::kObject:
      return true;
  }
  return false;
}

bool Equal(const Value& a, const Value& b, Budget& budget) {
  budget.Charge();
  if (a.is_number() && b.is_number()) {
    return a.is_integral() && b.is_integral() ? a.integer() == b.integer() : a.real() == b.real();
  }
  if (a.type() != b.type()) return false;
  switch (a.type()) {
    case Type::kList:
    case Type::kTuple:
      return EqualItems(a.items(), b.items(), budget);
    case Type::kDict:
      return EqualDicts(a.dict(), b.dict(), budget);
    case Type::kUndefined:
      return true;
    case Type::kString:
      if (a.text().size() != b.text().size()) return false;
      budget.Charge(a.text().size() / 256);
      return a.Same(b);
    default:
      return a.Same(b);
  }
}

bool Less(const Value& a, const Value& b, Budget& budget) {
  RequireDefined(a, b);
  budget.Charge();
  if (a.is_number() && b.is_number()) {
    return a.is_integral() && b.is_integral() ? a.integer() < b.integer() : a.real() < b.real();
  }
  if (a.is_string() && b.is_string()) {
    budget.Charge(std::min(a.text().size(), b.text().size()) / 256);
    return a.text().view() < b.text().view();  // UTF-8 sorts as its code points do
  }
  if (!a.is_sequence() || a.type() != b.type()) {
    throw Failure(Cat("a ", a.TypeName(), " and a ", b.TypeName(), " have no order"));
  }
  const List& left = a.items();
  const List& right = b.items();
  for (std::size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
    if (!Equal(left[i], right[i], budget)) return Less(left[i], right[i], budget);
  }
  return left.size() < right.size();
}

bool Contains(const Value& container, const Value& item, Budget& budget) {
  switch (container.type()) {
    case Type::kUndefined:
      return false;
    case Type::kString:
      if (!item.is_string()) throw Failure(Cat("'in <string>' needs a string to its left, not a ", item.TypeName()));
      budget.ChargeReading(container.text().size() + item.text().size());
      return FindText(container.text().view(), item.text().view()) != std::string_view::npos;
    case Type::kDict:
      if (item.is(Type::kList) || item.is(Type::kDict)) {
        throw Failure(Cat("a ", item.TypeName(), " cannot be the key of a dict"));
      }
      budget.Charge(container.dict().SearchCost(item));
      return container.dict().Find(item) != nullptr;
    case Type::kList:
    case Type::kTuple:
      return std::any_of(container.items().begin(), container.items().end(),
                         [&](const Value& other) { return Equal(other, item, budget); });
    default:
      throw Failure(Cat("a ", container.TypeName(), " has no elements to look among"));
  }
}

Value Compute(Arithmetic op, const Value& a, const Value& b, Budget& budget) {
  RequireDefined(a, b);
  if (a.is_number() && b.is_number()) return NumberArithmetic(op, a, b);
  if (op == Arithmetic::kAdd && a.type() == b.type() && (a.is_string() || a.is_sequence())) {
    return Concatenate(a, b, budget);
  }
  if (op == Arithmetic::kMultiply && (a.is_string() || a.is_sequence()) && b.is_integral()) {
    return Repeat(a, b.integer(), budget);
  }
  if (op == Arithmetic::kMultiply && (b.is_string() || b.is_sequence()) && a.is_integral()) {
    return Repeat(b, a.integer(), budget);
  }
  if (op == Arithmetic::kModulo && a.is_string()) {
    budget.ChargeReading(a.text().size());
    return Value(FormatPercent(a.text(), b, budget));
  }
  throw Failure(Cat("'", Symbol(op), "' does not work on a ", a.TypeName(), " and a ", b.TypeName()));
}

Value Negate(const Value& value) {
  if (value.is_undefined()) FailUndefined(value);
  if (value.is(Type::kFloat)) return Value(-value.real());
  if (!value.is_integral()) throw Failure(Cat("'-' does not work on a ", value.TypeName()));
  return IntegerArithmetic(Arithmetic::kSubtract, 0, value.integer());
}

List Elements(const Value& value, Budget& budget) {
  List elements;
  switch (value.type()) {
    case Type::kUndefined:
      return elements;
    case Type::kList:
    case Type::kTuple:
      elements = value.items();
      break;
    case Type::kDict:
      for (const auto& entry : value.dict().entries()) elements.push_back(entry.first);
      break;
    case Type::kString: {
      budget.Charge(value.text().size());
      const Array<std::size_t> offsets = CharacterOffsets(value.text().view());
      for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
        elements.emplace_back(value.text().Part(offsets[i], offsets[i + 1] - offsets[i]));
      }
      return elements;
    }
    case Type::kObject:
      if (const Value* tuple = value.object()->tuple()) return Elements(*tuple, budget);
      [[fallthrough]];
    default:
      throw Failure(Cat("a ", value.TypeName(), " has no elements to go through"));
  }
  budget.Charge(elements.size());
  return elements;
}

std::int64_t Length(const Value& value) {
  std::size_t size = 0;
  switch (value.type()) {
    case Type::kUndefined:
      break;
    case Type::kString:
      size = CountCharacters(value.text().view());
      break;
    case Type::kList:
    case Type::kTuple:
      size = value.items().size();
      break;
    case Type::kObject:
      if (const Value* tuple = value.object()->tuple()) return Length(*tuple);
      throw Failure(Cat("a ", value.TypeName(), " has no length"));
    case Type::kDict:
      size = value.dict().size();
      break;
    default:
      throw Failure(Cat("a ", value.TypeName(), " has no length"));
  }
  return static_cast<std::int64_t>(size);
}

Value Item(const Value& container, const Value& key, Budget& budget) {
  if (container.is_undefined()) FailUndefined(container);
  if (container.is(Type::kDict)) {
    budget.Charge(container.dict().SearchCost(key));
    if (const Value* found = container.dict().Find(key)) return *found;
  } else if (key.is_integral() && (container.is_sequence() || container.is_string())) {
    if (container.is_string()) budget.ChargeReading(2 * container.text().size());
    const std::int64_t length = Length(container);
    const std::int64_t index = key.integer() < 0 ? key.integer() + length : key.integer();
    if (index >= 0 && index < length) {
      if (container.is_sequence()) return container.items()[static_cast<std::size_t>(index)];
      const std::string_view text = container.text().view();
      const std::size_t begin = CharacterOffset(text, static_cast<std::size_t>(index));
      return Value(container.text().Part(begin, DecodeUtf8(text, begin).size));
    }
  } else if (container.is(Type::kObject)) {
    if (key.is_string()) return container.object()->Attribute(key.text().view());
    if (const Value* tuple = container.object()->tuple()) return Item(*tuple, key, budget);
  }
  const std::string name = key.is_string()     ? Cat("'", Shortened(key.text().view()), "'")
                           : key.is_integral() ? Cat(key.integer())
                                               : "it";
  return Value::Undefined(Cat("'", container.TypeName(), " object' has no element ", name));
}

namespace {

struct SliceRange {
  std::int64_t start, step, count;
};

// Python's rules for a sequence of `length` elements.
SliceRange Resolve(const SliceBounds& bounds, std::int64_t length) {
  const std::int64_t step = bounds.step.value_or(1);
  if (step == 0) throw Failure("the step of a slice is 0");
  const std::int64_t lowest = step < 0 ? -1 : 0;
  const std::int64_t highest = step < 0 ? length - 1 : length;
  const auto clamp = [&](std::optional<std::int64_t> bound, std::int64_t otherwise) {
    if (!bound) return otherwise;
    return std::clamp(*bound < 0 ? *bound + length : *bound, lowest, highest);
  };
  const std::int64_t start = clamp(bounds.start, step < 0 ? highest : lowest);
  const std::int64_t stop = clamp(bounds.stop, step < 0 ? lowest : highest);
  const std::int64_t distance = step < 0 ? start - stop : stop - start;
  if (distance <= 0) return {start, step, 0};
  const std::uint64_t stride = step < 0 ? -static_cast<std::uint64_t>(step) : static_cast<std::uint64_t>(step);
  return {start, step, static_cast<std::int64_t>((static_cast<std::uint64_t>(distance) - 1) / stride + 1)};
}

}  // namespace

Value Slice(const Value& sequence, const SliceBounds& bounds, Budget& budget) {
  if (sequence.is_undefined()) FailUndefined(sequence);
  if (!sequence.is_string() && !sequence.is_sequence()) {
    throw Failure(Cat("a ", sequence.TypeName(), " has no slices"));
  }
  if (sequence.is_string()) budget.ChargeReading(2 * sequence.text().size());
  const std::int64_t length = Length(sequence);
  const SliceRange range = Resolve(bounds, length);
  budget.Charge(static_cast<std::uint64_t>(range.count));
  if (sequence.is_string() && range.step == 1) {
    const std::string_view text = sequence.text().view();
    const std::size_t begin = CharacterOffset(text, static_cast<std::size_t>(range.start));
    return Value(
        sequence.text().Part(begin, CharacterOffset(text.substr(begin), static_cast<std::size_t>(range.count))));
  }
  if (sequence.is_string()) {
    const Array<std::size_t> offsets = CharacterOffsets(sequence.text().view());
    Text text;
    for (std::int64_t i = 0, at = range.start; i < range.count; ++i) {
      const auto index = static_cast<std::size_t>(at);
      text.AppendPart(sequence.text(), offsets[index], offsets[index + 1] - offsets[index]);
      if (i + 1 < range.count) at += range.step;
    }
    return Value(std::move(text));
  }
  List items;
  for (std::int64_t i = 0, at = range.start; i < range.count; ++i) {
    items.push_back(sequence.items()[static_cast<std::size_t>(at)]);
    if (i + 1 < range.count) at += range.step;
  }
  return sequence.is(Type::kTuple) ? Value::Tuple(std::move(items)) : Value(std::move(items));
}

}  // namespace slm::jinja
