#include "jinja/value.h"

#include <algorithm>
#include <memory>

#include "base/format.h"
#include "jinja/failure.h"
#include "jinja/operations.h"

namespace slm::jinja {
namespace {

int CheckedDepth(int depth) {
  if (depth > kMaxValueDepth) throw Failure(Cat("values are nested more than ", kMaxValueDepth, " deep"));
  return depth;
}

}  // namespace

int DepthOf(const List& items) {
  int depth = 0;
  for (const Value& item : items) depth = std::max(depth, item.depth());
  return depth;
}

Value::Value(Text text) : data_(Make<const Text>(std::move(text))) {}
Value::Value(List items) : data_(MakeSequence(std::move(items), false)) {}
Value::Value(Dict dict) : data_(Make<const Dict>(std::move(dict))) {}

Value Value::Tuple(List items) {
  Value value;
  value.data_ = MakeSequence(std::move(items), true);
  return value;
}

Value Value::Undefined(std::string_view why) {
  Value value;
  value.data_ = Make<const Bytes>(why);
  return value;
}

std::shared_ptr<const Value::Sequence> Value::MakeSequence(List items, bool tuple) {
  const int depth = CheckedDepth(DepthOf(items) + 1);
  return Make<const Sequence>(Sequence{std::move(items), tuple, depth});
}

Value::Type Value::type() const {
  switch (data_.index()) {
    case 0:
      return Type::kNull;
    case 1:
      return Type::kBool;
    case 2:
      return Type::kInt;
    case 3:
      return Type::kFloat;
    case 4:
      return Type::kString;
    case 5:
      return std::get<std::shared_ptr<const Sequence>>(data_)->tuple ? Type::kTuple : Type::kList;
    case 6:
      return Type::kDict;
    case 7:
      return Type::kObject;
    default:
      return Type::kUndefined;
  }
}

std::int64_t Value::integer() const {
  return is(Type::kBool) ? static_cast<std::int64_t>(boolean()) : std::get<std::int64_t>(data_);
}

double Value::real() const { return is(Type::kFloat) ? std::get<double>(data_) : static_cast<double>(integer()); }

bool Value::Same(const Value& other) const {
  if (type() != other.type()) return false;
  return is_string() ? text().view() == other.text().view() : data_ == other.data_;
}

int Value::depth() const {
  if (is_sequence()) return std::get<std::shared_ptr<const Sequence>>(data_)->depth;
  if (is(Type::kObject)) return object()->depth();
  return is(Type::kDict) ? dict().depth() : 0;
}

std::string_view Value::TypeName() const {
  switch (type()) {
    case Type::kUndefined:
      return "undefined value";
    case Type::kNull:
      return "None";
    case Type::kBool:
      return "bool";
    case Type::kInt:
      return "int";
    case Type::kFloat:
      return "float";
    case Type::kString:
      return "str";
    case Type::kList:
      return "list";
    case Type::kTuple:
      return "tuple";
    case Type::kDict:
      return "dict";
    case Type::kObject:
      return object()->TypeName();
  }
  return "";
}

void Dict::Set(Value key, Value value) {
  if (key.is(Value::Type::kList) || key.is(Value::Type::kDict) || key.is_undefined()) {
    throw Failure(Cat("a ", key.TypeName(), " cannot be the key of a dict"));
  }
  depth_ = CheckedDepth(std::max({depth_, value.depth() + 1, key.depth() + 1}));
  if (const Value* found = Find(key)) {
    *const_cast<Value*>(found) = std::move(value);
    return;
  }
  entries_.emplace_back(std::move(key), std::move(value));
  const Value& stored = entries_.back().first;
  if (stored.is_string()) {
    by_name_.emplace(stored.text().view(), entries_.size() - 1);
  } else {
    other_keys_.push_back(entries_.size() - 1);
  }
}

const Value* Dict::Find(std::string_view key) const {
  const auto found = by_name_.find(key);
  return found == by_name_.end() ? nullptr : &entries_[found->second].second;
}

const Value* Dict::Find(const Value& key) const {
  if (key.is_string()) return Find(key.text().view());
  Budget unbounded(UINT64_MAX, SIZE_MAX, kMaxValueDepth + 1);  // keys are simple values or tuples of them
  for (std::size_t i : other_keys_) {
    if (Equal(entries_[i].first, key, unbounded)) return &entries_[i].second;
  }
  return nullptr;
}

const Value* Args::Find(std::size_t index, std::string_view name) const {
  if (index < positional.size()) return &positional[index];
  for (const auto& [key, value] : named) {
    if (key == name) return &value;
  }
  return nullptr;
}

const Value& Args::Required(std::size_t index, std::string_view name) const {
  const Value* value = Find(index, name);
  if (value == nullptr) throw Failure(Cat("the argument '", name, "' is missing"));
  return *value;
}

bool Args::Flag(std::size_t index, std::string_view name, bool otherwise) const {
  const Value* value = Find(index, name);
  return value == nullptr ? otherwise : Truth(*value);
}

std::int64_t Args::Integer(std::size_t index, std::string_view name, std::int64_t otherwise) const {
  const Value* value = Find(index, name);
  if (value == nullptr) return otherwise;
  if (!value->is_integral())
    throw Failure(Cat("the argument '", name, "' is a ", value->TypeName(), ", not an integer"));
  return value->integer();
}

Args Args::Behind(std::size_t count) const {
  Args rest;
  rest.named = named;
  if (count < positional.size()) rest.positional.assign(positional.begin() + count, positional.end());
  return rest;
}

Object::Object(int depth) : depth_(CheckedDepth(depth)) {}

Value Object::Attribute(std::string_view name) const {
  return Value::Undefined(Cat("'", TypeName(), " object' has no attribute '", Shortened(name), "'"));
}

Value Object::Call(Evaluator&, const Args&) { throw Failure(Cat("a ", TypeName(), " cannot be called")); }

}  // namespace slm::jinja
