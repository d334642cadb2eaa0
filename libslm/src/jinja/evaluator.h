// Runs a template's syntax tree.

#ifndef SLM_JINJA_EVALUATOR_H_
#define SLM_JINJA_EVALUATOR_H_

#include <memory>
#include <string_view>
#include <vector>

#include "jinja/ast.h"
#include "jinja/builtins.h"
#include "jinja/failure.h"
#include "jinja/objects.h"
#include "jinja/scope.h"
#include "jinja/template.h"

namespace slm::jinja {

class Evaluator {
 public:
  // `context` is a dict; its entries are the template's variables.
  Evaluator(const Value& context, const RenderOptions& options);
  ~Evaluator();
  Evaluator(const Evaluator&) = delete;
  Evaluator& operator=(const Evaluator&) = delete;

  Text Run(const Block& block);

  Budget& budget() { return budget_; }
  const RenderOptions& options() const { return options_; }

  Value Call(const Value& callee, const Args& args);
  Value CallFilter(std::string_view name, const Value& input, const Args& args);
  bool CallTest(std::string_view name, const Value& input, const Args& args);
  // Pays for reading a string that a filter, test or method gets.
  void ChargeInput(const Value& input, const Args& args);
  // object.name and object[key], which in Jinja fall back on each other.
  Value Attribute(const Value& object, std::string_view name) const;
  Value Subscript(const Value& object, const Value& key);

  Value MakeNamespace(Dict values);

  // For macros and recursive loops: runs `statement` where it was written.
  Value RunMacro(const Statement& statement, const std::shared_ptr<Scope>& outer, const Args& args);
  Value RunLoopAgain(const Statement& statement, const std::shared_ptr<Scope>& outer, const Value& elements, int level);

 private:
  enum class Flow { kNext, kBreak, kContinue };

  // evaluator.cc: statements
  Flow Execute(const Block& block);
  Flow Execute(const Statement& statement);
  Flow ExecuteIf(const Statement& statement);
  void ExecuteFor(const Statement& statement, const Value& elements, int level);
  List Selected(const Statement& statement, const Value& elements);
  void ExecuteSet(const Statement& statement);
  void ExecuteCallBlock(const Statement& statement);
  void ExecuteWith(const Statement& statement);
  Flow ExecuteInside(std::shared_ptr<Scope> scope, const Block& block);
  // What `block` prints, in a scope of its own.
  Text Capture(std::shared_ptr<Scope> scope, const Block& block);
  void Assign(const Target& target, const Value& value, Scope& scope);
  void BindParameters(const Statement& macro, const Args& args, Scope& scope);
  void Print(const Text& text);

  // evaluator_expressions.cc
  Value Evaluate(const Expression& expression);
  Value EvaluateNode(const Expression& expression);
  Value EvaluateName(const Expression& expression);
  List EvaluateOperands(const Expression& expression);
  Value EvaluateDict(const Expression& expression);
  Value EvaluateConcat(const Expression& expression);
  bool EvaluateCompare(const Expression& expression);
  Value EvaluateConditional(const Expression& expression);
  Value EvaluateSlice(const Expression& expression);
  Value EvaluateCall(const Expression& expression);
  Args EvaluateArguments(const ArgumentList& list);
  // A chain of filters that begins with `input`, the text of a block.
  Value FilterBlock(const Expression& filter, const Value& input);

  const RenderOptions& options_;
  Budget budget_;
  std::shared_ptr<Scope> scope_;
  Text* output_ = nullptr;
  std::vector<std::shared_ptr<Namespace>> namespaces_;  // emptied at the end, because they may hold each other
};

}  // namespace slm::jinja

#endif  // SLM_JINJA_EVALUATOR_H_
