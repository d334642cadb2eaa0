#include "jinja/evaluator.h"

#include <algorithm>

#include "base/format.h"
#include "jinja/operations.h"

namespace slm::jinja {
namespace {

// Puts a value back when the block ends, also by a failure.
template <typename T>
class Restore {
 public:
  Restore(T& variable, T value) : variable_(variable), old_(std::exchange(variable, std::move(value))) {}
  ~Restore() { variable_ = std::move(old_); }
  Restore(const Restore&) = delete;
  Restore& operator=(const Restore&) = delete;

 private:
  T& variable_;
  T old_;
};

}  // namespace

Evaluator::Evaluator(const Value& context, const RenderOptions& options)
    : options_(options), budget_(options.max_steps, options.max_output_bytes, options.max_depth) {
  auto globals = Make<Scope>(nullptr);
  for (const Function& function : GlobalFunctions()) {
    globals->Set(function.name, Value(Make<BoundFunction>(function, Value())));
  }
  for (const auto& [name, value] : context.dict().entries()) {
    if (name.is_string()) globals->Set(name.text().view(), value);
  }
  scope_ = Make<Scope>(std::move(globals));
}

Evaluator::~Evaluator() {
  for (const std::shared_ptr<Namespace>& each : namespaces_) each->Clear();
}

Value Evaluator::MakeNamespace(Dict values) {
  budget_.Charge(20 + values.size());  // it lives until the end
  namespaces_.push_back(Make<Namespace>(std::move(values)));
  return Value(std::shared_ptr<Object>(namespaces_.back()));
}

Text Evaluator::Run(const Block& block) {
  Text out;
  const Restore<Text*> restore(output_, &out);
  Execute(block);
  return out;
}

void Evaluator::Print(const Text& text) {
  budget_.ChargeText(text.size());
  budget_.CheckText(output_->size() + text.size());
  output_->Append(text);
}

Evaluator::Flow Evaluator::Execute(const Block& block) {
  const Budget::Level level(budget_);
  for (const StatementPtr& statement : block) {
    try {
      const Flow flow = Execute(*statement);
      if (flow != Flow::kNext) return flow;
    } catch (Failure& failure) {
      if (!failure.position) failure.position = statement->position;
      throw;
    }
  }
  return Flow::kNext;
}

Evaluator::Flow Evaluator::Execute(const Statement& statement) {
  budget_.Charge();
  switch (statement.kind) {
    case StatementKind::kText:
      Print(statement.text);
      break;
    case StatementKind::kPrint:
      Print(ToText(Evaluate(*statement.expression), budget_));
      break;
    case StatementKind::kIf:
      return ExecuteIf(statement);
    case StatementKind::kFor:
      ExecuteFor(statement, Evaluate(*statement.expression), 0);
      break;
    case StatementKind::kSet:
    case StatementKind::kSetBlock:
      ExecuteSet(statement);
      break;
    case StatementKind::kMacro:
      scope_->Set(statement.name, Value(Make<Macro>(statement, scope_)));
      break;
    case StatementKind::kCall:
      ExecuteCallBlock(statement);
      break;
    case StatementKind::kFilter: {
      const Value text(Capture(Make<Scope>(scope_), statement.body));
      const Value filtered = FilterBlock(*statement.expression, text);
      if (!filtered.is_string())
        throw Failure(Cat("the filter makes a ", filtered.TypeName(), " of the block, not a text"));
      Print(filtered.text());
      break;
    }
    case StatementKind::kWith:
      ExecuteWith(statement);
      break;
    case StatementKind::kScope:
      return ExecuteInside(Make<Scope>(scope_), statement.body);
    case StatementKind::kBreak:
      return Flow::kBreak;
    case StatementKind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNext;
}

Evaluator::Flow Evaluator::ExecuteIf(const Statement& statement) {
  for (const Branch& branch : statement.branches) {
    if (branch.condition == nullptr || Truth(Evaluate(*branch.condition))) return Execute(branch.body);
  }
  return Flow::kNext;
}

// The elements that the loop's condition lets through.
List Evaluator::Selected(const Statement& statement, const Value& elements) {
  List all = Elements(elements, budget_);
  if (statement.condition == nullptr) return all;
  List selected;
  for (const Value& element : all) {
    const Restore<std::shared_ptr<Scope>> restore(scope_, Make<Scope>(scope_));
    Assign(statement.target, element, *scope_);
    if (Truth(Evaluate(*statement.condition))) selected.push_back(element);
  }
  return selected;
}

void Evaluator::ExecuteFor(const Statement& statement, const Value& elements, int level) {
  const auto loop = Make<Loop>(statement, scope_, Selected(statement, elements), level);
  const struct AtEnd {
    ~AtEnd() { loop.End(); }
    Loop& loop;
  } at_end{*loop};
  bool completed = false;
  for (std::size_t i = 0; i < loop->elements().size(); ++i) {
    budget_.Charge();
    loop->MoveTo(i);
    auto scope = Make<Scope>(scope_);
    scope->Set("loop", Value(std::shared_ptr<Object>(loop)));
    Assign(statement.target, loop->elements()[i], *scope);
    const Flow flow = ExecuteInside(std::move(scope), statement.body);
    completed |= flow == Flow::kNext;
    if (flow == Flow::kBreak) break;
  }
  // As in Jinja, a loop all of whose rounds end by break or continue counts as empty.
  if (!completed) ExecuteInside(Make<Scope>(scope_), statement.otherwise);
}

Value Evaluator::RunLoopAgain(const Statement& statement, const std::shared_ptr<Scope>& outer, const Value& elements,
                              int level) {
  Text out;
  const Restore<Text*> restore_output(output_, &out);
  const Restore<std::shared_ptr<Scope>> restore_scope(scope_, outer);
  ExecuteFor(statement, elements, level);
  return Value(std::move(out));
}

void Evaluator::ExecuteSet(const Statement& statement) {
  if (statement.kind == StatementKind::kSet) {
    Assign(statement.target, Evaluate(*statement.expression), *scope_);
    return;
  }
  Value value(Capture(Make<Scope>(scope_), statement.body));
  if (statement.expression != nullptr) value = FilterBlock(*statement.expression, value);
  Assign(statement.target, value, *scope_);
}

void Evaluator::ExecuteCallBlock(const Statement& statement) {
  const Expression& call = *statement.expression;
  const Value callee = Evaluate(*call.operands[0]);
  Args args = EvaluateArguments(call.arguments);
  args.named.emplace_back("caller", Value(Make<Macro>(statement, scope_)));
  Print(ToText(Call(callee, args), budget_));
}

void Evaluator::ExecuteWith(const Statement& statement) {
  auto scope = Make<Scope>(scope_);
  for (const auto& [target, expression] : statement.assignments) Assign(target, Evaluate(*expression), *scope);
  ExecuteInside(std::move(scope), statement.body);
}

Evaluator::Flow Evaluator::ExecuteInside(std::shared_ptr<Scope> scope, const Block& block) {
  const Restore<std::shared_ptr<Scope>> restore(scope_, std::move(scope));
  return Execute(block);
}

Text Evaluator::Capture(std::shared_ptr<Scope> scope, const Block& block) {
  Text out;
  const Restore<Text*> restore(output_, &out);
  ExecuteInside(std::move(scope), block);
  return out;
}

void Evaluator::Assign(const Target& target, const Value& value, Scope& scope) {
  if (!target.several.empty()) {
    const List values = Elements(value, budget_);
    if (values.size() != target.several.size()) {
      throw Failure(Cat("expected ", target.several.size(), " values to unpack, found ", values.size()));
    }
    for (std::size_t i = 0; i < values.size(); ++i) Assign(target.several[i], values[i], scope);
  } else if (target.attribute.empty()) {
    scope.Set(target.name, value);
  } else {
    const Value* object = scope.Find(target.name);
    const auto space = object != nullptr && object->is(Value::Type::kObject)
                           ? std::dynamic_pointer_cast<Namespace>(object->object())
                           : nullptr;
    if (space == nullptr) throw Failure(Cat("'", target.name, "' is no namespace, so its attributes cannot be set"));
    space->Set(target.attribute, value);
  }
}

Value Evaluator::RunMacro(const Statement& statement, const std::shared_ptr<Scope>& outer, const Args& args) {
  const Restore<std::shared_ptr<Scope>> restore(scope_, Make<Scope>(outer));
  BindParameters(statement, args, *scope_);
  return Value(Capture(scope_, statement.body));
}

void Evaluator::BindParameters(const Statement& macro, const Args& args, Scope& scope) {
  const std::size_t count = macro.parameters.size();
  if (args.positional.size() > count && !macro.uses_varargs) {
    throw Failure(Cat("macro '", macro.name, "' takes at most ", count, " arguments, found ", args.positional.size()));
  }
  List varargs;
  for (std::size_t i = count; i < args.positional.size(); ++i) varargs.push_back(args.positional[i]);
  Dict kwargs;
  for (const auto& [name, value] : args.named) {
    const bool parameter = std::any_of(macro.parameters.begin(), macro.parameters.end(),
                                       [&name = name](const Parameter& p) { return p.name == name; });
    if (parameter) continue;
    if (name == "caller" && macro.uses_caller) {
      scope.Set("caller", value);
    } else if (macro.uses_kwargs) {
      kwargs.Set(name, true, value);
    } else {
      throw Failure(Cat("macro '", macro.name, "' has no parameter '", name, "'"));
    }
  }
  if (macro.uses_varargs) scope.Set("varargs", Value::Tuple(std::move(varargs)));
  if (macro.uses_kwargs) scope.Set("kwargs", Value(std::move(kwargs)));
  for (std::size_t i = 0; i < count; ++i) {
    const Parameter& parameter = macro.parameters[i];
    if (const Value* given = args.Find(i, parameter.name)) {
      scope.Set(parameter.name, *given);
    } else if (parameter.otherwise != nullptr) {
      scope.Set(parameter.name, Evaluate(*parameter.otherwise));
    } else {
      scope.Set(parameter.name, Value::Undefined(Cat("parameter '", parameter.name, "' was not provided")));
    }
  }
}

}  // namespace slm::jinja
