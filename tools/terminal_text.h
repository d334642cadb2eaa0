// Other people's words on a terminal: names and texts of files, templates' refusals, what a model wrote. A terminal
// obeys control characters, so everything that shows such words goes through here.

#ifndef SLM_TOOLS_TERMINAL_TEXT_H_
#define SLM_TOOLS_TERMINAL_TEXT_H_

#include <string>
#include <string_view>

namespace slm::tools {

// `text` in one line, for names and messages: control characters as \n, \t, \r or \xNN, bytes that are not UTF-8 as
// U+FFFD.
std::string Escaped(std::string_view text);

// `text` in its own lines, for what somebody wrote: line breaks and tabs stay, other control characters become "?".
std::string WithoutControls(std::string_view text);

// Writes a text to standard output: to a terminal without control characters, to anything else byte for byte.
void WriteText(std::string_view text);

}  // namespace slm::tools

#endif  // SLM_TOOLS_TERMINAL_TEXT_H_
