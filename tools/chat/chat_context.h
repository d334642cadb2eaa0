// How much a conversation can hold, and what that costs.

#ifndef SLM_TOOLS_CHAT_CONTEXT_H_
#define SLM_TOOLS_CHAT_CONTEXT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "chat_options.h"
#include "slm/message.h"
#include "slm/model.h"
#include "slm/session.h"
#include "slm/status.h"

namespace slm::tools {

// "12.3 MB"
std::string MemoryText(std::uint64_t bytes);

// Tokens to read for an answer to these messages.
Result<std::int32_t> CountTokens(const Model& model, const ChatToolOptions& options,
                                 const std::vector<Message>& messages);

// The session that a prompt of `prompt_tokens` tokens and its answer need, 0 if the prompt is not known yet; --ctx
// takes precedence. A context of more than the default is said on standard error, with its memory, and is kOutOfMemory
// if there is not that much.
Result<SessionOptions> SizeContext(const Model& model, const ChatToolOptions& options, std::int32_t prompt_tokens);

}  // namespace slm::tools

#endif  // SLM_TOOLS_CHAT_CONTEXT_H_
