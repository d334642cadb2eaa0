// Options whose value is a text to look for, or several: stop strings, DRY's breakers. On the command line, for /set
// and in prompt files they are read in one way.

#ifndef SLM_TOOLS_TEXT_OPTIONS_H_
#define SLM_TOOLS_TEXT_OPTIONS_H_

#include <string>
#include <string_view>
#include <vector>

namespace slm::tools {

// `text` with \n, \t, \r and \\, which few shells pass on as what they stand for, replaced by it. Other backslashes
// stay.
std::string Unescaped(std::string_view text);

// One text, with escapes; or a JSON array of texts; "none" and "" are none.
std::vector<std::string> ParseTexts(std::string_view value);

// "none", or a JSON array: what ParseTexts reads back.
std::string FormatTexts(const std::vector<std::string>& texts);

}  // namespace slm::tools

#endif  // SLM_TOOLS_TEXT_OPTIONS_H_
