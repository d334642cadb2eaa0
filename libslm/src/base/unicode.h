// Character classes of the Unicode standard, as far as pre-tokenizers ask for them.

#ifndef SLM_BASE_UNICODE_H_
#define SLM_BASE_UNICODE_H_

#include <cstdint>

namespace slm {

// A set of classes. Every code point is in exactly one of the eight single ones.
using CharClasses = std::uint8_t;

inline constexpr CharClasses kUpperCase = 1;     // \p{Lu}, \p{Lt}
inline constexpr CharClasses kLowerCase = 2;     // \p{Ll}
inline constexpr CharClasses kOtherLetter = 4;   // \p{Lm}, \p{Lo}
inline constexpr CharClasses kMark = 8;          // \p{M}
inline constexpr CharClasses kNumber = 16;       // \p{N}
inline constexpr CharClasses kPunctuation = 32;  // \p{P}
inline constexpr CharClasses kSpace = 64;        // \s: White_Space
inline constexpr CharClasses kOther = 128;       // symbols, controls, unassigned

inline constexpr CharClasses kLetter = kUpperCase | kLowerCase | kOtherLetter;  // \p{L}
inline constexpr CharClasses kSymbol = kMark | kPunctuation | kOther;           // [^\s\p{L}\p{N}]

// The one class `code_point` is in.
CharClasses ClassOf(char32_t code_point);

}  // namespace slm

#endif  // SLM_BASE_UNICODE_H_
