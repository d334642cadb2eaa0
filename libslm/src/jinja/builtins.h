// The filters, tests, methods and global functions that templates may use.

#ifndef SLM_JINJA_BUILTINS_H_
#define SLM_JINJA_BUILTINS_H_

#include <span>
#include <string_view>

#include "jinja/value.h"

namespace slm::jinja {

class Evaluator;

// A filter gets what stands left of the '|', a method the object left of the '.', a global function null.
struct Function {
  std::string_view name;
  Value (*call)(Evaluator& evaluator, const Value& input, const Args& args);
  // The names of its parameters in order, with spaces between; "*" if it takes whatever it is given.
  std::string_view parameters;
};

struct Test {
  std::string_view name;
  bool (*check)(Evaluator& evaluator, const Value& input, const Args& args);
};

// nullptr if there is none of that name.
const Function* FindFilter(std::string_view name);
const Test* FindTest(std::string_view name);
const Function* FindMethod(const Value& object, std::string_view name);
// True for methods that would change a list or dict, which templates must not.
bool IsForbiddenMethod(const Value& object, std::string_view name);

// By subject; Find..() looks through them.
std::span<const Function> TextFilters();
std::span<const Function> ListFilters();
std::span<const Function> SelectionFilters();
std::span<const Function> StringMethods();
std::span<const Function> GlobalFunctions();

// The input as text: nothing for an undefined value.
Text TextOf(Evaluator& evaluator, const Value& value);
// An argument that must be a string.
const Text& TextArgument(const Args& args, std::size_t index, std::string_view name);
Value Replace(Evaluator& evaluator, const Text& text, const Text& from, const Text& to, std::int64_t count);
Value ToJson(Evaluator& evaluator, const Value& value, const Args& args);

}  // namespace slm::jinja

#endif  // SLM_JINJA_BUILTINS_H_
