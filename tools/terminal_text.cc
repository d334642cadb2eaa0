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

// `text` with what `show` makes of its control characters.
template <typename Show>
std::string Replace(std::string_view text, Show show) {
  std::string shown;
  for (std::size_t at = 0; at < text.size();) {
    const Control control = ControlAt(text, at);
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
  constexpr char kDigits[] = "0123456789abcdef";
  return {'\\', 'x', kDigits[code / 16], kDigits[code % 16]};
}

}  // namespace

std::string Escaped(std::string_view text) {
  Utf8Stream characters;
  std::string valid = characters.Push(text);
  valid += characters.Flush();
  return Replace(valid, Escape);
}

std::string WithoutControls(std::string_view text) {
  return Replace(text, [](unsigned code) { return code == '\n' || code == '\t' ? static_cast<char>(code) : '?'; });
}

void WriteText(std::string_view text) {
  const std::string shown = ::isatty(STDOUT_FILENO) != 0 ? WithoutControls(text) : std::string();
  if (!shown.empty()) text = shown;
  std::fwrite(text.data(), 1, text.size(), stdout);
}

}  // namespace slm::tools
