// Reading UTF-8 that may be damaged.

#ifndef SLM_BASE_UTF8_H_
#define SLM_BASE_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace slm {

inline constexpr char32_t kReplacementCharacter = 0xFFFD;

enum class Utf8Status : std::uint8_t {
  kValid,
  kTruncated,  // the text ends inside a character that is well-formed so far
  kInvalid,
};

// One character of a text. If it is not valid: U+FFFD and the size of the maximal ill-formed part, so that replacing
// every such part once gives what the Unicode standard recommends.
struct Utf8Char {
  char32_t code_point;
  std::uint32_t size;  // bytes, at least 1
  Utf8Status status;
};

// The character that begins at text[position]; position < text.size().
Utf8Char DecodeUtf8(std::string_view text, std::size_t position);

// Appends a code point up to U+10FFFF.
void AppendUtf8(char32_t code_point, std::string& out);

}  // namespace slm

#endif  // SLM_BASE_UTF8_H_
