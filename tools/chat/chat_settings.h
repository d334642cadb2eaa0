// What can be changed while a conversation runs.

#ifndef SLM_TOOLS_CHAT_SETTINGS_H_
#define SLM_TOOLS_CHAT_SETTINGS_H_

#include <string>
#include <string_view>
#include <vector>

#include "chat_conversation.h"
#include "slm/status.h"

namespace slm::tools {

Status ChangeSetting(Conversation& conversation, std::string_view name, std::string_view value);

// Lines of names and values.
std::string SettingsText(Conversation& conversation);

std::vector<std::string> SettingNames();

// Where all tokens, bytes, seconds and joules went.
std::string StatsText(const Conversation& conversation);

}  // namespace slm::tools

#endif  // SLM_TOOLS_CHAT_SETTINGS_H_
