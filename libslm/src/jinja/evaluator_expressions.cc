#include "base/format.h"
#include "jinja/evaluator.h"
#include "jinja/operations.h"

namespace slm::jinja {

Value Evaluator::Evaluate(const Expression& expression) {
  const Budget::Level level(budget_);
  budget_.Charge();
  try {
    return EvaluateNode(expression);
  } catch (Failure& failure) {
    if (!failure.position) failure.position = expression.position;
    throw;
  }
}

Value Evaluator::EvaluateNode(const Expression& expression) {
  const auto operand = [&](std::size_t i) { return Evaluate(*expression.operands[i]); };
  switch (expression.kind) {
    case ExpressionKind::kLiteral:
      return expression.value;
    case ExpressionKind::kName:
      return EvaluateName(expression);
    case ExpressionKind::kList:
      return Value(EvaluateOperands(expression));
    case ExpressionKind::kTuple:
      return Value::Tuple(EvaluateOperands(expression));
    case ExpressionKind::kDict:
      return EvaluateDict(expression);
    case ExpressionKind::kNegate:
      return Negate(operand(0));
    case ExpressionKind::kNot:
      return Value(!Truth(operand(0)));
    case ExpressionKind::kAnd: {
      Value left = operand(0);
      return Truth(left) ? operand(1) : left;
    }
    case ExpressionKind::kOr: {
      Value left = operand(0);
      return Truth(left) ? left : operand(1);
    }
    case ExpressionKind::kArithmetic: {
      const Value left = operand(0);
      return Compute(expression.arithmetic, left, operand(1), budget_);
    }
    case ExpressionKind::kConcat:
      return EvaluateConcat(expression);
    case ExpressionKind::kCompare:
      return Value(EvaluateCompare(expression));
    case ExpressionKind::kConditional:
      return EvaluateConditional(expression);
    case ExpressionKind::kAttribute:
      return Attribute(operand(0), expression.name);
    case ExpressionKind::kItem: {
      const Value object = operand(0);
      return Subscript(object, operand(1));
    }
    case ExpressionKind::kSlice:
      return EvaluateSlice(expression);
    case ExpressionKind::kCall:
      return EvaluateCall(expression);
    case ExpressionKind::kFilter: {
      const Value input = operand(0);
      return CallFilter(expression.name, input, EvaluateArguments(expression.arguments));
    }
    case ExpressionKind::kTest: {
      const Value input = operand(0);
      return Value(CallTest(expression.name, input, EvaluateArguments(expression.arguments)));
    }
  }
  return Value();
}

Value Evaluator::EvaluateName(const Expression& expression) {
  budget_.Charge(scope_->depth() / 8);
  const Value* found = scope_->Find(expression.name);
  return found != nullptr ? *found : Value::Undefined(Cat("'", expression.name, "' is undefined"));
}

List Evaluator::EvaluateOperands(const Expression& expression) {
  List items;
  items.reserve(expression.operands.size());
  for (const ExpressionPtr& operand : expression.operands) items.push_back(Evaluate(*operand));
  return items;
}

Value Evaluator::EvaluateDict(const Expression& expression) {
  Dict dict;
  for (std::size_t i = 0; i + 1 < expression.operands.size(); i += 2) {
    Value key = Evaluate(*expression.operands[i]);
    budget_.Charge(dict.SearchCost(key));
    dict.Set(std::move(key), Evaluate(*expression.operands[i + 1]));
  }
  return Value(std::move(dict));
}

Value Evaluator::EvaluateConcat(const Expression& expression) {
  Text text;
  for (const ExpressionPtr& operand : expression.operands) {
    const Text part = ToText(Evaluate(*operand), budget_);
    budget_.ChargeText(part.size());
    budget_.CheckText(text.size() + part.size());
    text.Append(part);
  }
  return Value(std::move(text));
}

bool Evaluator::EvaluateCompare(const Expression& expression) {
  Value left = Evaluate(*expression.operands[0]);
  for (std::size_t i = 0; i < expression.comparisons.size(); ++i) {
    Value right = Evaluate(*expression.operands[i + 1]);
    bool holds = false;
    switch (expression.comparisons[i]) {
      case Comparison::kEqual:
        holds = Equal(left, right, budget_);
        break;
      case Comparison::kNotEqual:
        holds = !Equal(left, right, budget_);
        break;
      case Comparison::kLess:
        holds = Less(left, right, budget_);
        break;
      case Comparison::kLessEqual:
        holds = Less(left, right, budget_) || Equal(left, right, budget_);
        break;
      case Comparison::kGreater:
        holds = Less(right, left, budget_);
        break;
      case Comparison::kGreaterEqual:
        holds = Less(right, left, budget_) || Equal(left, right, budget_);
        break;
      case Comparison::kIn:
        holds = Contains(right, left, budget_);
        break;
      case Comparison::kNotIn:
        holds = !Contains(right, left, budget_);
        break;
    }
    if (!holds) return false;
    left = std::move(right);
  }
  return true;
}

Value Evaluator::EvaluateConditional(const Expression& expression) {
  if (Truth(Evaluate(*expression.operands[1]))) return Evaluate(*expression.operands[0]);
  if (expression.operands[2] != nullptr) return Evaluate(*expression.operands[2]);
  return Value::Undefined("the inline if is false and has no else");
}

Value Evaluator::EvaluateSlice(const Expression& expression) {
  const Value sequence = Evaluate(*expression.operands[0]);
  const auto bound = [&](std::size_t i) -> std::optional<std::int64_t> {
    if (expression.operands[i] == nullptr) return std::nullopt;
    const Value value = Evaluate(*expression.operands[i]);
    if (value.is_null()) return std::nullopt;
    if (!value.is_integral()) throw Failure(Cat("a slice needs integers, found a ", value.TypeName()));
    // Far outside is as good as any other place outside, and cannot overflow.
    return std::clamp<std::int64_t>(value.integer(), -(std::int64_t{1} << 60), std::int64_t{1} << 60);
  };
  const SliceBounds bounds{bound(1), bound(2), bound(3)};
  return Slice(sequence, bounds, budget_);
}

Args Evaluator::EvaluateArguments(const ArgumentList& list) {
  Args args;
  for (const ExpressionPtr& argument : list.positional) args.positional.push_back(Evaluate(*argument));
  for (const auto& [name, argument] : list.named) args.named.emplace_back(name, Evaluate(*argument));
  return args;
}

Value Evaluator::EvaluateCall(const Expression& expression) {
  const Value callee = Evaluate(*expression.operands[0]);
  return Call(callee, EvaluateArguments(expression.arguments));
}

Value Evaluator::Call(const Value& callee, const Args& args) {
  if (callee.is_undefined()) throw Failure(callee.why_undefined());
  if (!callee.is(Value::Type::kObject)) throw Failure(Cat("a ", callee.TypeName(), " cannot be called"));
  return callee.object()->Call(*this, args);
}

void Evaluator::ChargeInput(const Value& input, const Args& args) {
  const auto charge = [this](const Value& value) {
    if (value.is_string()) budget_.ChargeReading(value.text().size());
  };
  budget_.Charge(1 + args.positional.size() + args.named.size());
  charge(input);
  for (const Value& each : args.positional) charge(each);
  for (const auto& each : args.named) charge(each.second);
}

Value Evaluator::CallFilter(std::string_view name, const Value& input, const Args& args) {
  const Function* filter = FindFilter(name);
  if (filter == nullptr) throw Failure(Cat("there is no filter '", Shortened(name), "'"));
  CheckArguments(*filter, args);
  ChargeInput(input, args);
  return filter->call(*this, input, args);
}

bool Evaluator::CallTest(std::string_view name, const Value& input, const Args& args) {
  const Test* test = FindTest(name);
  if (test == nullptr) throw Failure(Cat("there is no test '", Shortened(name), "'"));
  ChargeInput(input, args);
  return test->check(*this, input, args);
}

Value Evaluator::FilterBlock(const Expression& filter, const Value& input) {
  const bool first = filter.operands[0] == nullptr;
  const Value text = first ? input : FilterBlock(*filter.operands[0], input);
  return CallFilter(filter.name, text, EvaluateArguments(filter.arguments));
}

Value Evaluator::Attribute(const Value& object, std::string_view name) const {
  if (object.is_undefined()) throw Failure(object.why_undefined());
  if (object.is(Value::Type::kObject)) return object.object()->Attribute(name);
  if (const Function* method = FindMethod(object, name)) return Value(Make<BoundFunction>(*method, object));
  if (IsForbiddenMethod(object, name)) {
    return Value::Undefined(Cat("'", name, "' would change a ", object.TypeName(), ", which a template must not"));
  }
  if (object.is(Value::Type::kDict)) {
    if (const Value* found = object.dict().Find(name)) return *found;
  }
  return Value::Undefined(Cat("'", object.TypeName(), " object' has no attribute '", Shortened(name), "'"));
}

Value Evaluator::Subscript(const Value& object, const Value& key) {
  Value item = Item(object, key, budget_);
  return item.is_undefined() && key.is_string() ? Attribute(object, key.text().view()) : item;
}

}  // namespace slm::jinja
