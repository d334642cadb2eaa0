// Answers that slm-chat gives without a conversation: to one prompt, or to one about each of many files.

#ifndef SLM_TOOLS_CHAT_ONE_SHOT_H_
#define SLM_TOOLS_CHAT_ONE_SHOT_H_

#include <string>
#include <string_view>

#include "chat_options.h"
#include "chat_prompts.h"
#include "energy_meter.h"
#include "slm/chat.h"
#include "slm/model.h"
#include "slm/session.h"
#include "slm/status.h"

namespace slm::tools {

// What all answers of a run have in common.
struct ChatRun {
  const Model& model;
  const ChatToolOptions& options;
  const ChatPrompt& prompt;
  ChatOptions chat = {};  // without the system text, which is the prompt's
  EnergyMeter energy = EnergyMeter("");
};

// The prompt file of --prompt, or without one the words alone; --system takes precedence over the file's.
Result<ChatPrompt> ReadChatPrompt(const ChatToolOptions& options);

// Lists the prompt files on standard output.
Status PrintPromptList();

// Answers the prompt about a text on standard output. `*interrupted`: by Ctrl-C.
Status AnswerOnce(ChatRun* run, const std::string& text, bool* interrupted);

// Answers the prompt for each file of --each. A Status tells why it could not begin; what became of the files is told
// on standard error and by the exit code.
Status AnswerEach(ChatRun* run, int* exit_code);

// The lines of --verbose.
void PrintSettings(const ChatRun& run, const Session& session, std::string_view template_origin);

}  // namespace slm::tools

#endif  // SLM_TOOLS_CHAT_ONE_SHOT_H_
