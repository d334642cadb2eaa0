#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/format.h"
#include "jinja/builtins.h"
#include "jinja/parser.h"

namespace slm::jinja {

void Parser::AddOperand(Expression& parent, ExpressionPtr operand) const {
  if (operand != nullptr) parent.depth = std::max(parent.depth, operand->depth + 1);
  parent.operands.push_back(std::move(operand));
  if (parent.depth > kMaxSyntaxDepth) throw Failure("the expression is nested too deeply", parent.position);
}

void Parser::AddArguments(Expression& parent, ArgumentList arguments) const {
  for (const ExpressionPtr& argument : arguments.positional) parent.depth = std::max(parent.depth, argument->depth + 1);
  for (const auto& argument : arguments.named) parent.depth = std::max(parent.depth, argument.second->depth + 1);
  parent.arguments = std::move(arguments);
  if (parent.depth > kMaxSyntaxDepth) throw Failure("the expression is nested too deeply", parent.position);
}

ExpressionPtr Parser::Make(ExpressionKind kind, std::size_t position) const {
  return std::make_unique<Expression>(Expression{kind, position});
}

template <typename... Operands>
ExpressionPtr Parser::Make(ExpressionKind kind, std::size_t position, Operands... operands) const {
  ExpressionPtr expression = Make(kind, position);
  (AddOperand(*expression, std::move(operands)), ...);
  return expression;
}

ExpressionPtr Parser::ParseExpression(IfElse if_else) {
  const Nesting nesting(*this);
  const std::optional<Failure> unknown_before = unknown_;
  ExpressionPtr value = ParseOr();
  while (if_else == IfElse::kAllowed && AtWord("if")) {
    const std::size_t position = Current().position;
    ++at_;
    unknown_ = unknown_before;
    ++conditional_;
    ExpressionPtr condition = ParseOr();
    ExpressionPtr otherwise = SkipWord("else") ? ParseExpression() : nullptr;
    --conditional_;
    value = Make(ExpressionKind::kConditional, position, std::move(value), std::move(condition), std::move(otherwise));
  }
  return value;
}

// One expression, or several with commas, which make a tuple.
ExpressionPtr Parser::ParseTuple(IfElse if_else, std::string_view end_word) {
  const std::size_t position = Current().position;
  ExpressionPtr first = ParseExpression(if_else);
  if (!AtOperator(",")) return first;
  ExpressionPtr tuple = Make(ExpressionKind::kTuple, position, std::move(first));
  while (SkipOperator(",")) {
    const TokenKind kind = Current().kind;
    if (kind == TokenKind::kPrintEnd || kind == TokenKind::kBlockEnd || AtOperator(")")) break;
    if (!end_word.empty() && AtWord(end_word)) break;
    AddOperand(*tuple, ParseExpression(if_else));
  }
  return tuple;
}

ExpressionPtr Parser::ParseOr() {
  ExpressionPtr left = ParseAnd();
  while (AtWord("or")) {
    const std::size_t position = Current().position;
    ++at_;
    left = Make(ExpressionKind::kOr, position, std::move(left), ParseAnd());
  }
  return left;
}

ExpressionPtr Parser::ParseAnd() {
  ExpressionPtr left = ParseNot();
  while (AtWord("and")) {
    const std::size_t position = Current().position;
    ++at_;
    left = Make(ExpressionKind::kAnd, position, std::move(left), ParseNot());
  }
  return left;
}

ExpressionPtr Parser::ParseNot() {
  const Nesting nesting(*this);
  const std::size_t position = Current().position;
  if (SkipWord("not")) return Make(ExpressionKind::kNot, position, ParseNot());
  return ParseCompare();
}

std::optional<Comparison> Parser::ParseComparison() {
  if (SkipOperator("==")) return Comparison::kEqual;
  if (SkipOperator("!=")) return Comparison::kNotEqual;
  if (SkipOperator("<=")) return Comparison::kLessEqual;
  if (SkipOperator(">=")) return Comparison::kGreaterEqual;
  if (SkipOperator("<")) return Comparison::kLess;
  if (SkipOperator(">")) return Comparison::kGreater;
  if (SkipWord("in")) return Comparison::kIn;
  if (AtWord("not") && Ahead().kind == TokenKind::kName && Ahead().value == "in") {
    at_ += 2;
    return Comparison::kNotIn;
  }
  return std::nullopt;
}

ExpressionPtr Parser::ParseCompare() {
  const std::size_t position = Current().position;
  ExpressionPtr left = ParseSum();
  std::optional<Comparison> comparison = ParseComparison();
  if (!comparison) return left;
  ExpressionPtr chain = Make(ExpressionKind::kCompare, position, std::move(left));
  for (; comparison; comparison = ParseComparison()) {
    chain->comparisons.push_back(*comparison);
    AddOperand(*chain, ParseSum());
  }
  return chain;
}

ExpressionPtr Parser::ParseSum() {
  ExpressionPtr left = ParseConcat();
  while (AtOperator("+") || AtOperator("-")) {
    const std::size_t position = Current().position;
    const Arithmetic op = AtOperator("+") ? Arithmetic::kAdd : Arithmetic::kSubtract;
    ++at_;
    left = Make(ExpressionKind::kArithmetic, position, std::move(left), ParseConcat());
    left->arithmetic = op;
  }
  return left;
}

ExpressionPtr Parser::ParseConcat() {
  const std::size_t position = Current().position;
  ExpressionPtr left = ParseProduct();
  if (!AtOperator("~")) return left;
  ExpressionPtr concat = Make(ExpressionKind::kConcat, position, std::move(left));
  while (SkipOperator("~")) AddOperand(*concat, ParseProduct());
  return concat;
}

ExpressionPtr Parser::ParseProduct() {
  ExpressionPtr left = ParsePower();
  while (AtOperator("*") || AtOperator("/") || AtOperator("//") || AtOperator("%")) {
    const std::size_t position = Current().position;
    const std::string& symbol = Current().value;
    const Arithmetic op = symbol == "*"    ? Arithmetic::kMultiply
                          : symbol == "/"  ? Arithmetic::kDivide
                          : symbol == "//" ? Arithmetic::kFloorDivide
                                           : Arithmetic::kModulo;
    ++at_;
    left = Make(ExpressionKind::kArithmetic, position, std::move(left), ParsePower());
    left->arithmetic = op;
  }
  return left;
}

// Unlike in Python, powers group from the left and bind less than a sign.
ExpressionPtr Parser::ParsePower() {
  ExpressionPtr left = ParseUnary();
  while (AtOperator("**")) {
    const std::size_t position = Current().position;
    ++at_;
    left = Make(ExpressionKind::kArithmetic, position, std::move(left), ParseUnary());
    left->arithmetic = Arithmetic::kPower;
  }
  return left;
}

ExpressionPtr Parser::ParseUnary(bool filters) {
  const Nesting nesting(*this);
  const std::size_t position = Current().position;
  ExpressionPtr expression;
  if (SkipOperator("-")) {
    expression = Make(ExpressionKind::kNegate, position, ParseUnary(false));
  } else if (SkipOperator("+")) {
    expression = ParseUnary(false);
  } else {
    expression = ParsePrimary();
  }
  expression = ParsePostfix(std::move(expression));
  return filters ? ParseFiltersAndTests(std::move(expression)) : std::move(expression);
}

ExpressionPtr Parser::ParsePrimary() {
  switch (Current().kind) {
    case TokenKind::kName:
      return ParseName();
    case TokenKind::kInteger:
    case TokenKind::kFloat:
      return ParseNumber();
    case TokenKind::kString: {
      ExpressionPtr literal = Make(ExpressionKind::kLiteral, Current().position);
      std::string text;
      for (; Current().kind == TokenKind::kString; ++at_) text += Current().value;
      literal->value = Value::String(text, true);
      return literal;
    }
    default:
      break;
  }
  if (AtOperator("(")) return ParseParentheses();
  if (AtOperator("[")) return ParseList();
  if (AtOperator("{")) return ParseDict();
  FailUnexpected("a value");
}

ExpressionPtr Parser::ParseName() {
  const std::size_t position = Current().position;
  const std::string name = ExpectName();
  const bool yes = name == "true" || name == "True";
  if (yes || name == "false" || name == "False" || name == "none" || name == "None") {
    ExpressionPtr literal = Make(ExpressionKind::kLiteral, position);
    if (name != "none" && name != "None") literal->value = Value(yes);
    return literal;
  }
  for (Statement* const macro : macros_) {
    macro->uses_varargs |= name == "varargs";
    macro->uses_kwargs |= name == "kwargs";
    macro->uses_caller |= name == "caller";
  }
  ExpressionPtr expression = Make(ExpressionKind::kName, position);
  expression->name = name;
  return expression;
}

ExpressionPtr Parser::ParseNumber() {
  const Token& token = tokens_[at_++];
  ExpressionPtr literal = Make(ExpressionKind::kLiteral, token.position);
  const char* begin = token.value.data();
  const char* const end = begin + token.value.size();
  if (token.kind == TokenKind::kFloat) {
    double number = 0;
    if (std::from_chars(begin, end, number).ec != std::errc()) throw Failure("the number is too large", token.position);
    literal->value = Value(number);
    return literal;
  }
  int base = 10;
  if (token.value.size() > 2 && token.value[0] == '0') {
    const char letter = static_cast<char>(token.value[1] | 0x20);
    base = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 10;
    if (base != 10) begin += 2;
  }
  std::int64_t number = 0;
  const auto read = std::from_chars(begin, end, number, base);
  if (read.ec != std::errc() || read.ptr != end)
    throw Failure("the number is too large or badly written", token.position);
  literal->value = Value(number);
  return literal;
}

ExpressionPtr Parser::ParseParentheses() {
  const std::size_t position = Current().position;
  ExpectOperator("(");
  if (SkipOperator(")")) return Make(ExpressionKind::kTuple, position);
  ExpressionPtr inner = ParseTuple(IfElse::kAllowed);
  ExpectOperator(")");
  return inner;
}

ExpressionPtr Parser::ParseList() {
  ExpressionPtr list = Make(ExpressionKind::kList, Current().position);
  ExpectOperator("[");
  while (!AtOperator("]")) {
    if (!list->operands.empty()) ExpectOperator(",");
    if (!AtOperator("]")) AddOperand(*list, ParseExpression());
  }
  ExpectOperator("]");
  return list;
}

ExpressionPtr Parser::ParseDict() {
  ExpressionPtr dict = Make(ExpressionKind::kDict, Current().position);
  ExpectOperator("{");
  while (!AtOperator("}")) {
    if (!dict->operands.empty()) ExpectOperator(",");
    if (AtOperator("}")) break;
    AddOperand(*dict, ParseExpression());
    ExpectOperator(":");
    AddOperand(*dict, ParseExpression());
  }
  ExpectOperator("}");
  return dict;
}

ExpressionPtr Parser::ParsePostfix(ExpressionPtr expression) {
  while (true) {
    const std::size_t position = Current().position;
    if (AtOperator("[")) {
      expression = ParseSubscript(std::move(expression));
    } else if (AtOperator("(")) {
      expression = ParseCall(std::move(expression));
    } else if (SkipOperator(".")) {
      if (Current().kind == TokenKind::kInteger) {
        expression = Make(ExpressionKind::kItem, position, std::move(expression), ParseNumber());
      } else {
        expression = Make(ExpressionKind::kAttribute, position, std::move(expression));
        expression->name = ExpectName();
      }
    } else {
      return expression;
    }
  }
}

ExpressionPtr Parser::ParseSubscript(ExpressionPtr expression) {
  const std::size_t position = Current().position;
  ExpectOperator("[");
  ExpressionPtr bounds[3];
  int colons = 0;
  while (!AtOperator("]")) {
    if (colons < 2 && SkipOperator(":")) {
      ++colons;
    } else if (bounds[colons] == nullptr) {
      bounds[colons] = ParseExpression();
    } else {
      FailUnexpected("']'");
    }
  }
  ExpectOperator("]");
  if (colons == 0 && bounds[0] == nullptr) throw Failure("an index is missing", position);
  if (colons == 0) return Make(ExpressionKind::kItem, position, std::move(expression), std::move(bounds[0]));
  return Make(ExpressionKind::kSlice, position, std::move(expression), std::move(bounds[0]), std::move(bounds[1]),
              std::move(bounds[2]));
}

ArgumentList Parser::ParseArguments() {
  ArgumentList arguments;
  ExpectOperator("(");
  bool first = true;
  while (!AtOperator(")")) {
    if (!first) ExpectOperator(",");
    first = false;
    if (AtOperator(")")) break;
    if (arguments.positional.size() + arguments.named.size() == kMaxArguments)
      throw Failure(Cat("a call has at most ", kMaxArguments, " arguments"), Current().position);
    if (Current().kind == TokenKind::kName && Ahead().kind == TokenKind::kOperator && Ahead().value == "=") {
      std::string name = ExpectName();
      ExpectOperator("=");
      arguments.named.emplace_back(std::move(name), ParseExpression());
    } else if (arguments.named.empty()) {
      arguments.positional.push_back(ParseExpression());
    } else {
      FailUnexpected("an argument with a name, as the one before has one");
    }
  }
  ExpectOperator(")");
  return arguments;
}

ExpressionPtr Parser::ParseCall(ExpressionPtr expression) {
  ExpressionPtr call = Make(ExpressionKind::kCall, Current().position, std::move(expression));
  AddArguments(*call, ParseArguments());
  return call;
}

ExpressionPtr Parser::ParseFiltersAndTests(ExpressionPtr expression) {
  while (true) {
    if (SkipOperator("|")) {
      expression = ParseFilter(std::move(expression));
    } else if (SkipWord("is")) {
      expression = ParseTest(std::move(expression));
    } else if (AtOperator("(")) {
      expression = ParseCall(std::move(expression));
    } else {
      return expression;
    }
  }
}

// As in Jinja since 3.0: what a condition may leave out fails only when it runs.
void Parser::NoteUnknown(std::string_view kind, const Expression& use) {
  if (conditional_ > 0 || unknown_) return;
  unknown_.emplace(Cat("there is no ", kind, " '", Shortened(use.name), "'"), use.position);
}

ExpressionPtr Parser::ParseFilter(ExpressionPtr expression) {
  const std::size_t position = Current().position;
  ExpressionPtr filter = Make(ExpressionKind::kFilter, position, std::move(expression));
  filter->name = ExpectName();
  if (FindFilter(filter->name) == nullptr) NoteUnknown("filter", *filter);
  if (AtOperator("(")) AddArguments(*filter, ParseArguments());
  return filter;
}

ExpressionPtr Parser::ParseFilterChain() {
  ExpressionPtr chain;
  while (SkipOperator("|")) chain = ParseFilter(std::move(chain));
  return chain;
}

ExpressionPtr Parser::ParseTest(ExpressionPtr expression) {
  const bool negated = SkipWord("not");
  const Token& name = Current();
  const std::size_t position = name.position;
  ExpressionPtr test = Make(ExpressionKind::kTest, position, std::move(expression));
  test->name = ExpectName();
  if (FindTest(test->name) == nullptr) NoteUnknown("test", *test);
  if (AtWord("is")) throw Failure("a test cannot follow a test; put the first into parentheses", Current().position);
  const TokenKind kind = Current().kind;
  const bool value = kind == TokenKind::kString || kind == TokenKind::kInteger || kind == TokenKind::kFloat ||
                     AtOperator("[") || AtOperator("{");
  const bool word = kind == TokenKind::kName && !AtWord("else") && !AtWord("or") && !AtWord("and");
  if (AtOperator("(")) {
    AddArguments(*test, ParseArguments());
  } else if (value || word) {
    ArgumentList arguments;
    arguments.positional.push_back(ParsePostfix(ParsePrimary()));
    AddArguments(*test, std::move(arguments));
  }
  return negated ? Make(ExpressionKind::kNot, position, std::move(test)) : std::move(test);
}

}  // namespace slm::jinja
