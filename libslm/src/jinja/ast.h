// What the parser makes of a template.

#ifndef SLM_JINJA_AST_H_
#define SLM_JINJA_AST_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "jinja/operations.h"
#include "jinja/value.h"

namespace slm::jinja {

struct Expression;
struct Statement;
using ExpressionPtr = std::unique_ptr<Expression>;
using StatementPtr = std::unique_ptr<Statement>;
using Block = std::vector<StatementPtr>;

// The arguments written at a call, filter or test.
struct ArgumentList {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
};

enum class ExpressionKind {
  kLiteral,      // value
  kName,         // name
  kList,         // operands
  kTuple,        // operands
  kDict,         // operands: key, value, key, value ..
  kNegate,       // operands[0]
  kNot,          // operands[0]
  kAnd,          // operands[0], operands[1]
  kOr,           // operands[0], operands[1]
  kArithmetic,   // operands[0] arithmetic operands[1]
  kConcat,       // operands, as text, one behind the other
  kCompare,      // operands[0] comparisons[0] operands[1] comparisons[1] operands[2] ..
  kConditional,  // operands[0] if operands[1] else operands[2], which may be null
  kAttribute,    // operands[0] . name
  kItem,         // operands[0] [ operands[1] ]
  kSlice,        // operands[0] [ operands[1] : operands[2] : operands[3] ], each of which may be null
  kCall,         // operands[0] ( arguments )
  kFilter,       // operands[0] | name ( arguments ); operands[0] is null for the text of a block
  kTest,         // operands[0] is name ( arguments )
};

enum class Comparison { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kIn, kNotIn };

struct Expression {
  ExpressionKind kind;
  std::size_t position;
  int depth = 1;  // levels of expressions, this one included
  std::string name{};
  Value value{};
  std::vector<ExpressionPtr> operands{};
  std::vector<Comparison> comparisons{};
  ArgumentList arguments{};
  Arithmetic arithmetic{};
};

// What a for or set assigns to: a name, an attribute of a namespace, or several of them.
struct Target {
  std::string name;
  std::string attribute;        // empty for a plain name
  std::vector<Target> several;  // if not empty, the value is unpacked
};

struct Parameter {
  std::string name;
  ExpressionPtr otherwise;  // may be null
};

enum class StatementKind {
  kText,      // text
  kPrint,     // expression
  kIf,        // branches
  kFor,       // target in expression if condition: body, otherwise
  kSet,       // target = expression
  kSetBlock,  // target = body, through expression if it is not null
  kMacro,     // name, parameters, body
  kCall,      // body as caller(parameters) of the call expression
  kFilter,    // body through expression
  kWith,      // assignments, body
  kScope,     // body, with its own variables (a generation block)
  kBreak,
  kContinue,
};

struct Branch {
  ExpressionPtr condition;  // null for else
  Block body;
};

struct Statement {
  StatementKind kind;
  std::size_t position;
  std::string name{};
  Text text{};
  ExpressionPtr expression{};
  ExpressionPtr condition{};
  Target target{};
  Block body{};
  Block otherwise{};
  std::vector<Branch> branches{};
  std::vector<Parameter> parameters{};
  std::vector<std::pair<Target, ExpressionPtr>> assignments{};
  bool recursive = false;
  // Whether a macro reads these; if not, it refuses what they would hold.
  bool uses_varargs = false, uses_kwargs = false, uses_caller = false;
};

}  // namespace slm::jinja

#endif  // SLM_JINJA_AST_H_
