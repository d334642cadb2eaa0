// What templates see as objects: namespaces, the variable `loop`, macros, functions and methods.

#ifndef SLM_JINJA_OBJECTS_H_
#define SLM_JINJA_OBJECTS_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "jinja/ast.h"
#include "jinja/builtins.h"
#include "jinja/scope.h"
#include "jinja/value.h"

namespace slm::jinja {

// The one thing a template can change. Its depth counts as 0: namespaces may hold each other in a circle, which the
// evaluator breaks.
class Namespace : public Object {
 public:
  explicit Namespace(Dict values) : values_(std::move(values)) {}
  std::string_view TypeName() const override { return "Namespace"; }
  Value Attribute(std::string_view name) const override;
  void Set(std::string_view name, Value value) { values_.Set(name, true, std::move(value)); }
  void Clear() { values_ = Dict(); }

 private:
  Dict values_;
};

class Loop : public Object, public std::enable_shared_from_this<Loop> {
 public:
  Loop(const Statement& statement, std::weak_ptr<Scope> outer, List elements, int level)
      : Object(DepthOf(elements) + 1),
        statement_(statement),
        outer_(std::move(outer)),
        elements_(std::move(elements)),
        level_(level) {}

  std::string_view TypeName() const override { return "LoopContext"; }
  Value Attribute(std::string_view name) const override;
  bool callable() const override { return true; }
  // loop(elements): the same loop over other elements.
  Value Call(Evaluator& evaluator, const Args& args) override;

  const List& elements() const { return elements_; }
  void MoveTo(std::size_t index) { index_ = index; }
  // Forgets what changed() saw, which may be this loop itself.
  void End() { last_.clear(); }
  Value Cycle(const Args& args) const;
  bool Changed(Evaluator& evaluator, const Args& args);

 private:
  const Statement& statement_;
  std::weak_ptr<Scope> outer_;
  List elements_;
  int level_;  // of a recursive loop, from 0
  std::size_t index_ = 0;
  List last_;  // what changed() saw last
  bool seen_ = false;
};

// A macro, or the body of a call block. It sees the variables of the place where it was written, as long as that
// exists: holding on to them would make a circle, as they hold the macro.
class Macro : public Object {
 public:
  Macro(const Statement& statement, std::weak_ptr<Scope> outer) : statement_(statement), outer_(std::move(outer)) {}
  std::string_view TypeName() const override { return "Macro"; }
  Value Attribute(std::string_view name) const override;
  bool callable() const override { return true; }
  Value Call(Evaluator& evaluator, const Args& args) override;

 private:
  const Statement& statement_;
  std::weak_ptr<Scope> outer_;
};

// A global function, or a method together with its object.
class BoundFunction : public Object {
 public:
  BoundFunction(const Function& function, Value self)
      : Object(self.depth() + 1), function_(function), self_(std::move(self)) {}
  std::string_view TypeName() const override { return "function"; }
  bool callable() const override { return true; }
  Value Call(Evaluator& evaluator, const Args& args) override;

 private:
  const Function& function_;
  Value self_;
};

// A method of an object, which it keeps alive.
class ObjectMethod : public Object {
 public:
  using Body = std::function<Value(Evaluator&, const Args&)>;
  // `depth`: of the object.
  ObjectMethod(int depth, Body body) : Object(depth + 1), body_(std::move(body)) {}
  std::string_view TypeName() const override { return "function"; }
  bool callable() const override { return true; }
  Value Call(Evaluator& evaluator, const Args& args) override { return body_(evaluator, args); }

 private:
  Body body_;
};

// cycler('a', 'b'): next() goes through the values, again and again.
class Cycler : public Object, public std::enable_shared_from_this<Cycler> {
 public:
  explicit Cycler(List values) : Object(DepthOf(values) + 1), values_(std::move(values)) {}
  std::string_view TypeName() const override { return "Cycler"; }
  Value Attribute(std::string_view name) const override;
  void Reset() { index_ = 0; }
  Value Next();

 private:
  List values_;
  std::size_t index_ = 0;
};

// joiner(', '): nothing at the first call, the separator from then on.
class Joiner : public Object {
 public:
  explicit Joiner(Value separator) : Object(separator.depth() + 1), separator_(std::move(separator)) {}
  std::string_view TypeName() const override { return "Joiner"; }
  bool callable() const override { return true; }
  Value Call(Evaluator&, const Args&) override { return std::exchange(used_, true) ? separator_ : Value(Text()); }

 private:
  Value separator_;
  bool used_ = false;
};

// Fails if there are arguments that the function has no parameters for.
void CheckArguments(const Function& function, const Args& args);

}  // namespace slm::jinja

#endif  // SLM_JINJA_OBJECTS_H_
