// Python's two ways to fill values into a text.

#ifndef SLM_JINJA_PYTHON_FORMAT_H_
#define SLM_JINJA_PYTHON_FORMAT_H_

#include "jinja/failure.h"
#include "jinja/value.h"

namespace slm::jinja {

// '%s is %d' % values: the conversions s r d i u f F e E g G x X o and %%, with flags, width and precision.
Text FormatPercent(const Text& format, const Value& values, Budget& budget);

// '{} {0} {name:>5}'.format(...): fields by number or name, with fill, alignment, sign, width, precision and the types
// s d f e g x X o b %. Attributes and elements of fields are not read.
Text FormatBraces(const Text& format, const Args& args, Budget& budget);

// `text` in a field of `width` characters.
enum class Alignment { kLeft, kRight, kCenter };
Text Pad(const Text& text, std::int64_t width, Alignment alignment, const Text& fill, Budget& budget);

}  // namespace slm::jinja

#endif  // SLM_JINJA_PYTHON_FORMAT_H_
