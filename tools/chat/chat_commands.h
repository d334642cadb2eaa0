// What a user can type besides messages: /help and the rest.

#ifndef SLM_TOOLS_CHAT_COMMANDS_H_
#define SLM_TOOLS_CHAT_COMMANDS_H_

#include <string>
#include <string_view>
#include <vector>

#include "chat_conversation.h"
#include "chat_line_editor.h"
#include "chat_turns.h"
#include "slm/status.h"

namespace slm::tools {

// A text that goes with the next message.
struct AttachedFile {
  std::string path;
  std::string block;  // with a line that names it
  std::int64_t tokens = 0;
};

// What commands act on.
struct Talk {
  Conversation& conversation;
  TurnReader& turns;
  std::vector<AttachedFile> files = {};
  bool quit = false;
};

// Whether a message is a command: it begins with one slash.
bool IsCommand(std::string_view text);

Status RunCommand(Talk& talk, std::string_view text);

// Names of commands and settings, and paths where a command takes one.
Completion CompleteCommand(std::string_view before);

}  // namespace slm::tools

#endif  // SLM_TOOLS_CHAT_COMMANDS_H_
