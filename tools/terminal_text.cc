#include "terminal_text.h"

#include <unistd.h>

#include <cstddef>
#include <cstdio>

#include "slm/tokenizer.h"

namespace slm::tools {

namespace {

// The control character that begins at text[at], with its size in bytes; U+0080 to U+009F are such, too.
struct Control {
  unsigned code = 0;
  std::size_t size = 0;  // 0: there is none
};

Control ControlAt(std::string_view text, std::size_t at) {
  const auto byte = static_cast<unsigned char>(text[at]);
  if (byte < 0x20 || byte == 0x7F) return {byte, 1};
  const auto next = static_cast<unsigned char>(at + 1 < text.size() ? text[at + 1] : 0);
  if (byte == 0xC2 && next >= 0x80 && next <= 0x9F) return {next, 2};
  return {};
}

// What changes the direction or the line of a text: U+200E and U+200F, U+2028 to U+202E, U+2066 to U+2069. Texts may
// have it, names need not.
Control LayoutAt(std::string_view text, std::size_t at) {
  if (!text.substr(at).starts_with('\xE2') || at + 2 >= text.size()) return {};
  const unsigned code = 0x2000 + (static_cast<unsigned char>(text[at + 1]) & 0x3Fu) * 64 +
                        (static_cast<unsigned char>(text[at + 2]) & 0x3Fu);
  const bool is =
      code == 0x200E || code == 0x200F || (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
  return is ? Control{code, 3} : Control{};
}

// A text made valid UTF-8, with what `show` makes of its control characters.
template <typename Show>
std::string Replace(std::string_view bytes, bool is_name, Show show) {
  Utf8Stream characters;
  std::string text = characters.Push(bytes);
  text += characters.Flush();
  std::string shown;
  for (std::size_t at = 0; at < text.size();) {
    Control control = ControlAt(text, at);
    if (control.size == 0 && is_name) control = LayoutAt(text, at);
    if (control.size == 0) {
      shown += text[at++];
      continue;
    }
    shown += show(control.code);
    at += control.size;
  }
  return shown;
}

std::string Escape(unsigned code) {
  if (code == '\n') return "\\n";
  if (code == '\t') return "\\t";
  if (code == '\r') return "\\r";
  char escape[8];
  std::snprintf(escape, sizeof escape, code < 0x100 ? "\\x%02x" : "\\u%04x", code);
  return escape;
}

}  // namespace

std::string Escaped(std::string_view text) { return Replace(text, /*is_name=*/true, Escape); }

std::string WithoutControls(std::string_view text) {
  return Replace(text, /*is_name=*/false,
                 [](unsigned code) { return code == '\n' || code == '\t' ? static_cast<char>(code) : '?'; });
}

void WriteText(std::string_view text) {
  const std::string shown = ::isatty(STDOUT_FILENO) != 0 ? WithoutControls(text) : std::string();
  if (!shown.empty()) text = shown;
  std::fwrite(text.data(), 1, text.size(), stdout);
}

}  // namespace slm::tools
