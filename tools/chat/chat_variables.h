// Variables of the chat template that a user gives: --var NAME=JSON, /set var, settings of prompt files.

#ifndef SLM_TOOLS_CHAT_VARIABLES_H_
#define SLM_TOOLS_CHAT_VARIABLES_H_

#include <span>
#include <string>
#include <string_view>

#include "slm/status.h"

namespace slm::tools {

// `variables`, a JSON object or "" for none as ChatOptions::variables has it, after assignments "NAME=JSON".
// kInvalidArgument for what is no such assignment, for names that the conversation itself gives, and for more than
// anybody needs.
Result<std::string> SetVariables(std::string_view variables, std::span<const std::string> assignments);

}  // namespace slm::tools

#endif  // SLM_TOOLS_CHAT_VARIABLES_H_
