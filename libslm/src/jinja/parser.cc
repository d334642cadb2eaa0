#include "jinja/parser.h"

#include <algorithm>
#include <array>

#include "base/format.h"

namespace slm::jinja {

Block Parser::ParseTemplate() {
  Block block = ParseBody({});
  if (Current().kind != TokenKind::kEnd) FailUnexpected("the end of the template");
  if (unknown_) throw Failure(*unknown_);
  return block;
}

// Up to a block tag whose first word is one of `ends`, which is left to read, or the end of the template if there are
// none.
Block Parser::ParseBody(std::initializer_list<std::string_view> ends) {
  const Nesting nesting(*this);
  Block block;
  while (Current().kind != TokenKind::kEnd) {
    const std::size_t position = Current().position;
    if (Current().kind == TokenKind::kText) {
      auto text = std::make_unique<Statement>(Statement{StatementKind::kText, position});
      text->text = Text(Current().value, true);
      block.push_back(std::move(text));
      ++at_;
    } else if (Current().kind == TokenKind::kPrintBegin) {
      ++at_;
      auto print = std::make_unique<Statement>(Statement{StatementKind::kPrint, position});
      print->expression = ParseTuple(IfElse::kAllowed);
      Expect(TokenKind::kPrintEnd);
      block.push_back(std::move(print));
    } else {
      Expect(TokenKind::kBlockBegin);
      if (std::any_of(ends.begin(), ends.end(), [this](std::string_view word) { return AtWord(word); })) return block;
      block.push_back(ParseStatement());
    }
  }
  if (ends.size() != 0) FailUnexpected(Cat("'{% ", *(ends.end() - 1), " %}'"));
  return block;
}

StatementPtr Parser::ParseStatement() {
  using Parse = StatementPtr (Parser::*)(StatementPtr);
  struct Keyword {
    std::string_view word;
    StatementKind kind;
    Parse parse;
  };
  static constexpr std::array<Keyword, 9> kKeywords = {{
      {"if", StatementKind::kIf, &Parser::ParseIf},
      {"for", StatementKind::kFor, &Parser::ParseFor},
      {"set", StatementKind::kSet, &Parser::ParseSet},
      {"macro", StatementKind::kMacro, &Parser::ParseMacro},
      {"call", StatementKind::kCall, &Parser::ParseCallBlock},
      {"filter", StatementKind::kFilter, &Parser::ParseFilterBlock},
      {"with", StatementKind::kWith, &Parser::ParseWith},
      {"break", StatementKind::kBreak, &Parser::ParseLoopControl},
      {"continue", StatementKind::kContinue, &Parser::ParseLoopControl},
  }};
  const std::size_t position = Current().position;
  if (SkipWord("generation")) {  // marks the model's own words for training; prints them as they are
    auto scope = std::make_unique<Statement>(Statement{StatementKind::kScope, position});
    Expect(TokenKind::kBlockEnd);
    scope->body = ParseBody({"endgeneration"});
    EndBlock("endgeneration");
    return scope;
  }
  for (const Keyword& keyword : kKeywords) {
    if (SkipWord(keyword.word)) {
      return (this->*keyword.parse)(std::make_unique<Statement>(Statement{keyword.kind, position}));
    }
  }
  FailUnexpected("a statement that is known here");
}

void Parser::EndBlock(std::string_view word) {
  if (!SkipWord(word)) FailUnexpected(Cat("'", word, "'"));
  Expect(TokenKind::kBlockEnd);
}

StatementPtr Parser::ParseIf(StatementPtr statement) {
  ++conditional_;
  while (true) {
    Branch branch;
    branch.condition = ParseTuple(IfElse::kNot);
    Expect(TokenKind::kBlockEnd);
    branch.body = ParseBody({"elif", "else", "endif"});
    statement->branches.push_back(std::move(branch));
    if (!SkipWord("elif")) break;
  }
  if (SkipWord("else")) {
    Expect(TokenKind::kBlockEnd);
    statement->branches.push_back({nullptr, ParseBody({"endif"})});
  }
  EndBlock("endif");
  --conditional_;
  return statement;
}

StatementPtr Parser::ParseFor(StatementPtr statement) {
  statement->target = ParseTarget(false);
  if (!SkipWord("in")) FailUnexpected("'in'");
  statement->expression = ParseTuple(IfElse::kNot, "recursive");
  if (SkipWord("if")) statement->condition = ParseExpression();
  statement->recursive = SkipWord("recursive");
  Expect(TokenKind::kBlockEnd);
  ++loops_;
  statement->body = ParseBody({"else", "endfor"});
  --loops_;
  if (SkipWord("else")) {
    Expect(TokenKind::kBlockEnd);
    statement->otherwise = ParseBody({"endfor"});
  }
  EndBlock("endfor");
  return statement;
}

StatementPtr Parser::ParseLoopControl(StatementPtr statement) {
  if (loops_ == 0) throw Failure("'break' and 'continue' belong inside a for", statement->position);
  Expect(TokenKind::kBlockEnd);
  return statement;
}

StatementPtr Parser::ParseSet(StatementPtr statement) {
  statement->target = ParseTarget(true);
  if (SkipOperator("=")) {
    statement->expression = ParseTuple(IfElse::kAllowed);
    Expect(TokenKind::kBlockEnd);
    return statement;
  }
  statement->kind = StatementKind::kSetBlock;
  if (AtOperator("|")) statement->expression = ParseFilterChain();
  Expect(TokenKind::kBlockEnd);
  statement->body = ParseBody({"endset"});
  EndBlock("endset");
  return statement;
}

std::vector<Parameter> Parser::ParseParameters() {
  std::vector<Parameter> parameters;
  ExpectOperator("(");
  while (!AtOperator(")")) {
    if (!parameters.empty()) ExpectOperator(",");
    if (AtOperator(")")) break;
    if (parameters.size() == kMaxArguments)
      throw Failure(Cat("a macro has at most ", kMaxArguments, " parameters"), Current().position);
    Parameter parameter{ExpectName(), nullptr};
    if (SkipOperator("=")) {
      parameter.otherwise = ParseExpression();
    } else if (!parameters.empty() && parameters.back().otherwise != nullptr) {
      FailUnexpected("a default, as the parameter before has one");
    }
    parameters.push_back(std::move(parameter));
  }
  ExpectOperator(")");
  return parameters;
}

void Parser::ParseMacroBody(Statement& macro, std::string_view end) {
  Expect(TokenKind::kBlockEnd);
  const int loops = std::exchange(loops_, 0);
  macros_.push_back(&macro);
  macro.body = ParseBody({end});
  macros_.pop_back();
  loops_ = loops;
  EndBlock(end);
}

StatementPtr Parser::ParseMacro(StatementPtr statement) {
  statement->name = ExpectName();
  statement->parameters = ParseParameters();
  ParseMacroBody(*statement, "endmacro");
  return statement;
}

StatementPtr Parser::ParseCallBlock(StatementPtr statement) {
  statement->name = "caller";
  if (AtOperator("(")) statement->parameters = ParseParameters();
  statement->expression = ParseExpression();
  if (statement->expression->kind != ExpressionKind::kCall) {
    throw Failure("'call' needs a call of a macro", statement->position);
  }
  ParseMacroBody(*statement, "endcall");
  return statement;
}

StatementPtr Parser::ParseFilterBlock(StatementPtr statement) {
  statement->expression = ParseFilter(nullptr);
  while (SkipOperator("|")) statement->expression = ParseFilter(std::move(statement->expression));
  Expect(TokenKind::kBlockEnd);
  statement->body = ParseBody({"endfilter"});
  EndBlock("endfilter");
  return statement;
}

StatementPtr Parser::ParseWith(StatementPtr statement) {
  while (Current().kind != TokenKind::kBlockEnd) {
    if (!statement->assignments.empty()) ExpectOperator(",");
    Target target = ParseOneTarget(false);
    ExpectOperator("=");
    statement->assignments.emplace_back(std::move(target), ParseExpression());
  }
  Expect(TokenKind::kBlockEnd);
  statement->body = ParseBody({"endwith"});
  EndBlock("endwith");
  return statement;
}

Target Parser::ParseOneTarget(bool attributes) {
  const Nesting nesting(*this);
  if (SkipOperator("(")) {
    Target target = ParseTarget(attributes);
    ExpectOperator(")");
    return target;
  }
  Target target;
  target.name = ExpectName();
  if (attributes && SkipOperator(".")) target.attribute = ExpectName();
  return target;
}

Target Parser::ParseTarget(bool attributes) {
  Target first = ParseOneTarget(attributes);
  if (!AtOperator(",")) return first;
  Target all;
  all.several.push_back(std::move(first));
  while (SkipOperator(",")) {
    if (AtWord("in") || AtOperator("=") || AtOperator(")")) break;
    all.several.push_back(ParseOneTarget(attributes));
  }
  return all;
}

bool Parser::AtOperator(std::string_view symbol) const {
  return Current().kind == TokenKind::kOperator && Current().value == symbol;
}

bool Parser::AtWord(std::string_view word) const {
  return Current().kind == TokenKind::kName && Current().value == word;
}

bool Parser::SkipOperator(std::string_view symbol) {
  const bool found = AtOperator(symbol);
  if (found) ++at_;
  return found;
}

bool Parser::SkipWord(std::string_view word) {
  const bool found = AtWord(word);
  if (found) ++at_;
  return found;
}

void Parser::ExpectOperator(std::string_view symbol) {
  if (!SkipOperator(symbol)) FailUnexpected(Cat("'", symbol, "'"));
}

std::string Parser::ExpectName() {
  if (Current().kind != TokenKind::kName) FailUnexpected("a name");
  return tokens_[at_++].value;
}

void Parser::Expect(TokenKind kind) {
  if (Current().kind != kind) {
    FailUnexpected(kind == TokenKind::kPrintEnd ? "'}}'" : kind == TokenKind::kBlockEnd ? "'%}'" : "a tag");
  }
  ++at_;
}

void Parser::FailUnexpected(std::string_view expected) const {
  const Token& token = Current();
  std::string found;
  switch (token.kind) {
    case TokenKind::kText:
      found = "text";
      break;
    case TokenKind::kPrintBegin:
      found = "'{{'";
      break;
    case TokenKind::kPrintEnd:
      found = "'}}'";
      break;
    case TokenKind::kBlockBegin:
      found = "'{%'";
      break;
    case TokenKind::kBlockEnd:
      found = "'%}'";
      break;
    case TokenKind::kEnd:
      found = "the end of the template";
      break;
    case TokenKind::kString:
      found = "a string";
      break;
    default:
      found = Cat("'", token.value, "'");
  }
  throw Failure(Cat("expected ", expected, ", found ", found), token.position);
}

}  // namespace slm::jinja
