// Variables of the chat template that a user gives: --var NAME=JSON, /set var, settings of prompt files.

#ifndef SLM_TOOLS_CHAT_VARIABLES_H_
#define SLM_TOOLS_CHAT_VARIABLES_H_

#include <string>
#include <string_view>

#include "slm/status.h"

namespace slm::tools {

// Sets "NAME=JSON" in `*variables`, a JSON object or "" for none, as ChatOptions::variables has it. kInvalidArgument
// for what is no such assignment, and for names that the conversation itself gives; `*variables` is then as before.
Status SetVariable(std::string_view assignment, std::string* variables);

}  // namespace slm::tools

#endif  // SLM_TOOLS_CHAT_VARIABLES_H_
