// Python's operators on values.

#ifndef SLM_JINJA_OPERATIONS_H_
#define SLM_JINJA_OPERATIONS_H_

#include <optional>
#include <string>
#include <string_view>

#include "jinja/failure.h"
#include "jinja/value.h"

namespace slm::jinja {

bool Truth(const Value& value);
bool Equal(const Value& a, const Value& b, Budget& budget);
// a < b; fails for types that have no order.
bool Less(const Value& a, const Value& b, Budget& budget);
// item in container
bool Contains(const Value& container, const Value& item, Budget& budget);

enum class Arithmetic { kAdd, kSubtract, kMultiply, kDivide, kFloorDivide, kModulo, kPower };
Value Compute(Arithmetic op, const Value& a, const Value& b, Budget& budget);
Value Negate(const Value& value);

// The elements of a list or tuple, the keys of a dict, the characters of a string; of an undefined value, none.
List Elements(const Value& value, Budget& budget);
std::int64_t Length(const Value& value);

// container[key]; undefined if there is none.
Value Item(const Value& container, const Value& key, Budget& budget);
struct SliceBounds {
  std::optional<std::int64_t> start, stop, step;
};
Value Slice(const Value& sequence, const SliceBounds& bounds, Budget& budget);

// str(value) and repr(value). The text of a list or dict counts as the conversation's if any string in it is.
Text ToText(const Value& value, Budget& budget);
Text Repr(const Value& value, Budget& budget);
std::string FloatText(double value);
// With < > & and quotes as HTML writes them, if that is not done already.
Text EscapeHtml(const Text& text, Budget& budget);
// True if no string in `value` came from the conversation.
bool AllFromTemplate(const Value& value, Budget& budget);

}  // namespace slm::jinja

#endif  // SLM_JINJA_OPERATIONS_H_
