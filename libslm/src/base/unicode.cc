#include "base/unicode.h"

#include <algorithm>
#include <array>
#include <iterator>

namespace slm {

namespace {

constexpr std::uint32_t kRanges[] = {
#include "base/unicode_data.inc"
};

constexpr CharClasses FindClass(char32_t code_point) {
  // The last range that begins at or before code_point.
  const std::uint32_t* next = std::upper_bound(std::begin(kRanges), std::end(kRanges), code_point << 8 | 0xFF);
  return static_cast<CharClasses>(next[-1]);
}

constexpr auto kAscii = [] {
  std::array<CharClasses, 128> classes{};
  for (char32_t c = 0; c < 128; ++c) classes[c] = FindClass(c);
  return classes;
}();

}  // namespace

CharClasses ClassOf(char32_t code_point) { return code_point < 128 ? kAscii[code_point] : FindClass(code_point); }

}  // namespace slm
