// How much a conversation can hold, and what that costs.

#ifndef SLM_TOOLS_CHAT_CONTEXT_H_
#define SLM_TOOLS_CHAT_CONTEXT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "chat_options.h"
#include "slm/message.h"
#include "slm/model.h"
#include "slm/session.h"
#include "slm/status.h"
#include "slm/tokenizer.h"

namespace slm::tools {

// "12.3 MB"
std::string MemoryText(std::uint64_t bytes);

// The tokens of a text that is to be continued: BOS if the model's file asks for it, but no EOS, behind which nothing
// goes on.
Result<std::vector<Token>> EncodeText(const Tokenizer& tokenizer, std::string_view text);

// Shorter texts, in bytes, are within what any template may write.
constexpr std::size_t kLongText = 1 << 20;

// Tokens to read for an answer to these messages. A text that is longer than templates may write is counted without its
// template: it fits no context anyway.
Result<std::int32_t> CountTokens(const Model& model, const ChatToolOptions& options,
                                 const std::vector<Message>& messages);

// The session that a prompt of `prompt_tokens` tokens and its answer need, 0 if the prompt is not known yet; --ctx
// takes precedence. A context of more than the default is said on standard error, with its memory, and is kOutOfMemory
// if there is not that much.
Result<SessionOptions> SizeContext(const Model& model, const ChatToolOptions& options, std::int32_t prompt_tokens);

}  // namespace slm::tools

#endif  // SLM_TOOLS_CHAT_CONTEXT_H_
