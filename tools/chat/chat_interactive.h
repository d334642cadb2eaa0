// The conversation of a person and a model, turn after turn.

#ifndef SLM_TOOLS_CHAT_INTERACTIVE_H_
#define SLM_TOOLS_CHAT_INTERACTIVE_H_

#include "chat_conversation.h"

namespace slm::tools {

// Until the user ends it. Failures of a turn are said and don't end it. Returns the exit code of the process.
int Converse(Conversation& conversation);

}  // namespace slm::tools

#endif  // SLM_TOOLS_CHAT_INTERACTIVE_H_
