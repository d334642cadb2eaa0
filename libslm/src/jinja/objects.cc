#include "jinja/objects.h"

#include <algorithm>
#include <vector>

#include "base/format.h"
#include "jinja/evaluator.h"
#include "jinja/operations.h"

namespace slm::jinja {
namespace {

Value Method(const Object& object, ObjectMethod::Body body) {
  return Value(Make<ObjectMethod>(object.depth(), std::move(body)));
}

std::shared_ptr<Scope> Outer(const std::weak_ptr<Scope>& outer, std::string_view what) {
  std::shared_ptr<Scope> scope = outer.lock();
  if (scope == nullptr) throw Failure(Cat(what, " is called outside the block that it was written in"));
  return scope;
}

}  // namespace

Value Namespace::Attribute(std::string_view name) const {
  const Value* found = values_.Find(name);
  return found != nullptr ? *found : Object::Attribute(name);
}

Value Loop::Attribute(std::string_view name) const {
  const auto index = static_cast<std::int64_t>(index_);
  const auto length = static_cast<std::int64_t>(elements_.size());
  if (name == "index") return Value(index + 1);
  if (name == "index0") return Value(index);
  if (name == "revindex") return Value(length - index);
  if (name == "revindex0") return Value(length - index - 1);
  if (name == "first") return Value(index == 0);
  if (name == "last") return Value(index + 1 == length);
  if (name == "length") return Value(length);
  if (name == "depth") return Value(std::int64_t{level_} + 1);
  if (name == "depth0") return Value(std::int64_t{level_});
  if (name == "previtem") return index > 0 ? elements_[index_ - 1] : Value::Undefined("there is no previous item");
  if (name == "nextitem") return index + 1 < length ? elements_[index_ + 1] : Value::Undefined("there is no next item");
  // A template cannot change the loop but through changed(), which is no change to what else it sees.
  const auto self = std::const_pointer_cast<Loop>(shared_from_this());
  if (name == "cycle") return Method(*this, [self](Evaluator&, const Args& args) { return self->Cycle(args); });
  if (name == "changed") {
    return Method(*this,
                  [self](Evaluator& evaluator, const Args& args) { return Value(self->Changed(evaluator, args)); });
  }
  return Object::Attribute(name);
}

Value Loop::Cycle(const Args& args) const {
  if (args.positional.empty()) throw Failure("loop.cycle() needs values");
  return args.positional[index_ % args.positional.size()];
}

bool Loop::Changed(Evaluator& evaluator, const Args& args) {
  const bool same = seen_ && Equal(Value(last_), Value(args.positional), evaluator.budget());
  seen_ = true;
  last_ = args.positional;
  return !same;
}

Value Loop::Call(Evaluator& evaluator, const Args& args) {
  if (!statement_.recursive) throw Failure("only a loop that is marked 'recursive' can be called");
  return evaluator.RunLoopAgain(statement_, Outer(outer_, "a loop"), args.Required(0, "iterable"), level_ + 1);
}

Value Macro::Attribute(std::string_view name) const {
  return name == "name" ? Value::String(statement_.name, true) : Object::Attribute(name);
}

Value Macro::Call(Evaluator& evaluator, const Args& args) {
  return evaluator.RunMacro(statement_, Outer(outer_, "a macro"), args);
}

void CheckArguments(const Function& function, const Args& args) {
  if (function.parameters == "*") return;
  std::vector<std::string_view> names;
  for (std::string_view rest = function.parameters; !rest.empty();) {
    names.push_back(rest.substr(0, rest.find(' ')));
    rest.remove_prefix(std::min(names.back().size() + 1, rest.size()));
  }
  if (args.positional.size() > names.size()) {
    throw Failure(
        Cat("'", function.name, "' takes at most ", names.size(), " arguments, found ", args.positional.size()));
  }
  for (const auto& argument : args.named) {
    const auto name = std::find(names.begin(), names.end(), argument.first);
    if (name == names.end()) throw Failure(Cat("'", function.name, "' has no argument '", argument.first, "'"));
    if (name < names.begin() + static_cast<std::ptrdiff_t>(args.positional.size())) {
      throw Failure(Cat("'", function.name, "' is given its argument '", argument.first, "' twice"));
    }
  }
}

Value BoundFunction::Call(Evaluator& evaluator, const Args& args) {
  CheckArguments(function_, args);
  evaluator.ChargeInput(self_, args);
  return function_.call(evaluator, self_, args);
}

Value Cycler::Attribute(std::string_view name) const {
  const auto self = std::const_pointer_cast<Cycler>(shared_from_this());
  if (name == "next") return Method(*this, [self](Evaluator&, const Args&) { return self->Next(); });
  if (name == "current") return values_[index_];
  if (name == "reset") {
    return Method(*this, [self](Evaluator&, const Args&) {
      self->Reset();
      return Value();
    });
  }
  return Object::Attribute(name);
}

Value Cycler::Next() {
  Value value = values_[index_];
  index_ = (index_ + 1) % values_.size();
  return value;
}

}  // namespace slm::jinja
