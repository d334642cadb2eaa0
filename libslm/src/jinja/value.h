// The values that templates compute with: Python's, as far as templates see them.

#ifndef SLM_JINJA_VALUE_H_
#define SLM_JINJA_VALUE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/keyed_hash.h"
#include "jinja/memory.h"
#include "jinja/text.h"

namespace slm::jinja {

class Dict;
class Evaluator;
class Object;
class Value;
struct Args;

using List = Array<Value>;

// The depth of the deepest.
int DepthOf(const List& items);

// A small handle: copies share lists, dicts and strings, which never change. Lists and dicts nest at most
// kMaxValueDepth deep; making a deeper one fails.
class Value {
 public:
  enum class Type { kUndefined, kNull, kBool, kInt, kFloat, kString, kList, kTuple, kDict, kObject };

  Value() : data_(std::monostate()) {}  // null
  explicit Value(bool b) : data_(b) {}
  explicit Value(std::int64_t i) : data_(i) {}
  explicit Value(double d) : data_(d) {}
  explicit Value(Text text);
  explicit Value(List items);
  explicit Value(Dict dict);
  explicit Value(std::shared_ptr<Object> object) : data_(std::move(object)) {}

  static Value Tuple(List items);
  // `why` says what is missing: "'x' is undefined".
  static Value Undefined(std::string_view why);
  // A string of the conversation (from_template false), or one that the template or the model's files define, such as
  // the text of the BOS token.
  static Value String(std::string_view text, bool from_template) { return Value(Text(text, from_template)); }

  Type type() const;
  bool is(Type t) const { return type() == t; }
  bool is_undefined() const { return is(Type::kUndefined); }
  bool is_null() const { return is(Type::kNull); }
  bool is_string() const { return is(Type::kString); }
  bool is_sequence() const { return is(Type::kList) || is(Type::kTuple); }
  // bool, int or float
  bool is_number() const { return is(Type::kBool) || is(Type::kInt) || is(Type::kFloat); }
  bool is_integral() const { return is(Type::kBool) || is(Type::kInt); }

  // Each only for a value of its type; integer() also for bool, real() for every number.
  bool boolean() const { return std::get<bool>(data_); }
  std::int64_t integer() const;
  double real() const;
  const Text& text() const { return *std::get<std::shared_ptr<const Text>>(data_); }
  const List& items() const { return std::get<std::shared_ptr<const Sequence>>(data_)->items; }
  const Dict& dict() const { return *std::get<std::shared_ptr<const Dict>>(data_); }
  const std::shared_ptr<Object>& object() const { return std::get<std::shared_ptr<Object>>(data_); }
  std::string why_undefined() const { return std::string(*std::get<std::shared_ptr<const Bytes>>(data_)); }

  // True if both are one and the same list, dict or object, or equal simple values.
  bool Same(const Value& other) const;
  // Levels of lists, dicts and objects inside it, itself included; 0 for simple values.
  int depth() const;
  // As Python names it: "str", "dict".
  std::string_view TypeName() const;

 private:
  struct Sequence {
    List items;
    bool tuple;
    int depth;
  };
  static std::shared_ptr<const Sequence> MakeSequence(List items, bool tuple);

  std::variant<std::monostate, bool, std::int64_t, double, std::shared_ptr<const Text>, std::shared_ptr<const Sequence>,
               std::shared_ptr<const Dict>, std::shared_ptr<Object>, std::shared_ptr<const Bytes>>
      data_;
};

// Keeps the order in which keys were first set.
class Dict {
 public:
  using Entry = std::pair<Value, Value>;

  // The key must be hashable in Python: not a list, dict or undefined value.
  void Set(Value key, Value value);
  void Set(std::string_view key, bool from_template, Value value) {
    Set(Value::String(key, from_template), std::move(value));
  }
  // nullptr if there is none.
  const Value* Find(const Value& key) const;
  const Value* Find(std::string_view key) const;
  // Steps that finding `key` takes.
  std::size_t SearchCost(const Value& key) const {
    return key.is_string() ? 1 + key.text().size() / 64 : 1 + other_keys_.size();
  }

  const Array<Entry>& entries() const { return entries_; }
  std::size_t size() const { return entries_.size(); }
  int depth() const { return depth_; }

 private:
  Array<Entry> entries_;
  // Views into the texts of the keys, which live where they are as long as a copy of the dict does.
  std::unordered_map<std::string_view, std::size_t, KeyedHasher, std::equal_to<>,
                     Metered<std::pair<const std::string_view, std::size_t>>>
      by_name_;
  Array<std::size_t> other_keys_;  // entries whose key is not a string
  int depth_ = 1;
};

// The arguments of a call.
struct Args {
  List positional;
  std::vector<std::pair<std::string, Value>> named;

  // The argument at that place or of that name; nullptr if it is not given.
  const Value* Find(std::size_t index, std::string_view name) const;
  const Value& Required(std::size_t index, std::string_view name) const;
  bool Flag(std::size_t index, std::string_view name, bool otherwise) const;
  std::int64_t Integer(std::size_t index, std::string_view name, std::int64_t otherwise) const;
  // The arguments behind the first `count` positional ones.
  Args Behind(std::size_t count) const;
};

// What has attributes or can be called: loops, macros, namespaces, functions.
class Object {
 public:
  // `depth`: levels of the values that it holds and never lets go of; like lists, objects nest at most kMaxValueDepth
  // deep.
  explicit Object(int depth = 0);
  virtual ~Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  int depth() const { return depth_; }
  virtual std::string_view TypeName() const = 0;
  virtual Value Attribute(std::string_view name) const;
  // For objects that are tuples whose elements have names; null otherwise.
  virtual const Value* tuple() const { return nullptr; }
  virtual bool callable() const { return false; }
  virtual Value Call(Evaluator& evaluator, const Args& args);

 private:
  int depth_;
};

}  // namespace slm::jinja

#endif  // SLM_JINJA_VALUE_H_
