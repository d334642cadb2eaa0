// Tokens to syntax tree. Precedence and the places where tuples and conditions may stand are Jinja's.

#ifndef SLM_JINJA_PARSER_H_
#define SLM_JINJA_PARSER_H_

#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include "jinja/ast.h"
#include "jinja/failure.h"
#include "jinja/lexer.h"

namespace slm::jinja {

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Block ParseTemplate();

 private:
  class Nesting;  // one level of recursion
  enum class IfElse {
    kAllowed,
    kNot
  };  // whether "a if b" is part of an expression, or the "if" belongs to the statement

  // parser.cc: statements
  Block ParseBody(std::initializer_list<std::string_view> ends);
  StatementPtr ParseStatement();
  StatementPtr ParseIf(StatementPtr statement);
  StatementPtr ParseFor(StatementPtr statement);
  StatementPtr ParseSet(StatementPtr statement);
  StatementPtr ParseMacro(StatementPtr statement);
  StatementPtr ParseCallBlock(StatementPtr statement);
  StatementPtr ParseFilterBlock(StatementPtr statement);
  StatementPtr ParseWith(StatementPtr statement);
  StatementPtr ParseLoopControl(StatementPtr statement);
  void ParseMacroBody(Statement& macro, std::string_view end);
  std::vector<Parameter> ParseParameters();
  Target ParseTarget(bool attributes);
  Target ParseOneTarget(bool attributes);
  void EndBlock(std::string_view word);

  // parser_expressions.cc
  ExpressionPtr ParseExpression(IfElse if_else = IfElse::kAllowed);
  ExpressionPtr ParseTuple(IfElse if_else, std::string_view end_word = "");
  ExpressionPtr ParseOr();
  ExpressionPtr ParseAnd();
  ExpressionPtr ParseNot();
  ExpressionPtr ParseCompare();
  ExpressionPtr ParseSum();
  ExpressionPtr ParseConcat();
  ExpressionPtr ParseProduct();
  ExpressionPtr ParsePower();
  ExpressionPtr ParseUnary(bool filters = true);
  ExpressionPtr ParsePrimary();
  ExpressionPtr ParseName();
  ExpressionPtr ParseNumber();
  ExpressionPtr ParseParentheses();
  ExpressionPtr ParseList();
  ExpressionPtr ParseDict();
  ExpressionPtr ParsePostfix(ExpressionPtr expression);
  ExpressionPtr ParseSubscript(ExpressionPtr expression);
  ExpressionPtr ParseCall(ExpressionPtr expression);
  ExpressionPtr ParseFiltersAndTests(ExpressionPtr expression);
  void NoteUnknown(std::string_view kind, const Expression& use);
  ExpressionPtr ParseFilter(ExpressionPtr expression);
  ExpressionPtr ParseFilterChain();
  ExpressionPtr ParseTest(ExpressionPtr expression);
  ArgumentList ParseArguments();
  std::optional<Comparison> ParseComparison();

  const Token& Current() const { return tokens_[at_]; }
  const Token& Ahead() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  bool AtOperator(std::string_view symbol) const;
  bool AtWord(std::string_view word) const;
  bool SkipOperator(std::string_view symbol);
  bool SkipWord(std::string_view word);
  void ExpectOperator(std::string_view symbol);
  std::string ExpectName();
  void Expect(TokenKind kind);
  [[noreturn]] void FailUnexpected(std::string_view expected) const;

  ExpressionPtr Make(ExpressionKind kind, std::size_t position) const;
  // Moves `operands` in; fails if the tree gets too deep.
  template <typename... Operands>
  ExpressionPtr Make(ExpressionKind kind, std::size_t position, Operands... operands) const;
  void AddOperand(Expression& parent, ExpressionPtr operand) const;
  void AddArguments(Expression& parent, ArgumentList arguments) const;

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int nesting_ = 0;
  int conditional_ = 0;             // parts of statements and expressions around that may never run
  std::optional<Failure> unknown_;  // the first filter or test that there is not, outside of these
  int loops_ = 0;                   // around the current statement, inside the current macro
  std::vector<Statement*> macros_;  // around the current statement
};

class Parser::Nesting {
 public:
  explicit Nesting(Parser& parser) : parser_(parser) {
    if (++parser_.nesting_ > kMaxSyntaxDepth) {
      --parser_.nesting_;
      throw Failure("the template is nested too deeply", parser_.Current().position);
    }
  }
  ~Nesting() { --parser_.nesting_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  Parser& parser_;
};

}  // namespace slm::jinja

#endif  // SLM_JINJA_PARSER_H_
