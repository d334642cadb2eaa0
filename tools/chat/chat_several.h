// Conversations that work at the same time, and several answers to one prompt, to choose from.

#ifndef SLM_TOOLS_CHAT_SEVERAL_H_
#define SLM_TOOLS_CHAT_SEVERAL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "chat_conversation.h"
#include "chat_options.h"
#include "chat_prompts.h"
#include "slm/status.h"

namespace slm::tools {

// How many may work at a time: --parallel, but 1 with --draft. 0: what memory is good for.
std::int32_t AtATime(const ChatToolOptions& options);

// Forks of a conversation that do `tasks` tasks together with it, so many at a time. kOutOfMemory if they are
// more than memory has room for.
Result<std::vector<Conversation>> MakeOthers(const Conversation& first, const ChatToolOptions& options,
                                             std::int64_t tasks);

// Answers a prompt about a text as often as --answers says, with the seed, the seed + 1 and so on, and shows the
// answers in this order, each under a heading or as a line of JSON. `*exit_code` tells of answers that failed or were
// stopped.
Status AnswerSeveral(Conversation& first, const ChatToolOptions& options, const ChatPrompt& prompt,
                     const std::string& text, int* exit_code);

}  // namespace slm::tools

#endif  // SLM_TOOLS_CHAT_SEVERAL_H_
