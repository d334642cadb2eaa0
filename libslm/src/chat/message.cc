#include "slm/message.h"

#include <utility>

#include "base/status_macros.h"
#include "chat/message_json.h"

namespace slm {

std::string_view RoleName(Role role) {
  switch (role) {
    case Role::kSystem:
      return "system";
    case Role::kUser:
      return "user";
    case Role::kAssistant:
      return "assistant";
    case Role::kTool:
      return "tool";
  }
  return "unknown";
}

Result<std::vector<Message>> ParseMessages(std::string_view text) try {
  SLM_ASSIGN_OR_RETURN(const jinja::Value json, ParseJson(text, "messages"));
  return MessagesFromJson(json, "messages");
}
SLM_CATCH_OUT_OF_MEMORY

std::string MessagesToJson(const std::vector<Message>& messages) { return ToJson(MessagesValue(messages)); }

std::vector<Message> MergeNeighbours(std::vector<Message> messages) {
  const auto is_plain = [](const Message& m) {
    return m.role != Role::kTool && m.reasoning.empty() && m.tool_calls.empty() && m.name.empty();
  };
  std::vector<Message> merged;
  for (Message& message : messages) {
    if (merged.empty() || merged.back().role != message.role || !is_plain(merged.back()) || !is_plain(message)) {
      merged.push_back(std::move(message));
      continue;
    }
    std::string& text = merged.back().content;
    if (!text.empty() && !message.content.empty()) text += "\n\n";
    text += message.content;
  }
  return merged;
}

}  // namespace slm
