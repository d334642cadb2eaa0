#include "file/escape.h"

#include <cstdint>

namespace slm {
namespace {

constexpr std::size_t kQuotedChars = 80;

// Bytes of the printable character at the beginning of `text`; 0 if it is a control character or not UTF-8.
std::size_t PrintableLength(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return lead >= 0x20 && lead != 0x7f ? 1 : 0;
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 0;
  if (length == 0 || length > text.size()) return 0;
  std::uint32_t code = lead & (0x7fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3fu);
  }
  // The smallest code point of each length; 0xa0 rather than 0x80, because 0x80 to 0x9f are control characters too.
  constexpr std::uint32_t kSmallest[] = {0, 0, 0xa0, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  return code >= kSmallest[length] && code <= 0x10ffff && !surrogate ? length : 0;
}

void AppendEscape(char c, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  switch (c) {
    case '\n':
      out += "\\n";
      return;
    case '\t':
      out += "\\t";
      return;
    case '\r':
      out += "\\r";
      return;
    default:
      break;
  }
  const auto byte = static_cast<std::uint8_t>(c);
  out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
}

}  // namespace

std::string Escaped(std::string_view text, std::size_t max_chars) {
  std::string out;
  while (!text.empty()) {
    if (out.size() >= max_chars) return out + " ...";
    const std::size_t length = PrintableLength(text);
    if (length > 0) {
      out += text.substr(0, length);
    } else {
      AppendEscape(text.front(), out);
    }
    text.remove_prefix(length > 0 ? length : 1);
  }
  return out;
}

std::string Quoted(std::string_view name) { return '"' + Escaped(name, kQuotedChars) + '"'; }

}  // namespace slm
