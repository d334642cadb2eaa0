// The messages of a conversation.

#ifndef SLM_MESSAGE_H_
#define SLM_MESSAGE_H_

#include <string>
#include <string_view>
#include <vector>

#include "slm/status.h"

namespace slm {

enum class Role {
  kSystem,     // what the model is told about its task; the first message, if any
  kUser,       // what it is asked
  kAssistant,  // what it answered
  kTool,       // what a tool that it called returned
};
// "system", "user", "assistant", "tool"
std::string_view RoleName(Role role);

// A call that an answer asks for.
struct ToolCall {
  std::string id = {};
  std::string name = {};
  std::string arguments = {};  // a JSON object
  bool operator==(const ToolCall&) const = default;
};

struct Message {
  Role role = Role::kUser;
  std::string content = {};
  std::string reasoning = {};             // an assistant's, apart from the content
  std::vector<ToolCall> tool_calls = {};  // an assistant's
  std::string tool_call_id = {};          // of a tool: the call it answers
  std::string name = {};                  // of a tool: which one
  bool operator==(const Message&) const = default;
};

// Messages as a JSON array in OpenAI's form ({"role", "content", "reasoning_content", "tool_calls", "tool_call_id",
// "name"}) and back. Reading, a content may also be null (no text) or a list of text parts, which are joined with line
// breaks; "developer" is a system message. Fails with kInvalidArgument, naming the message, at what is no such array
// and at keys or kinds of content this library does not know, because they would be lost.
// Writing, bytes that are not UTF-8 become U+FFFD.
Result<std::vector<Message>> ParseMessages(std::string_view json);
std::string MessagesToJson(const std::vector<Message>& messages);

// The same conversation with a blank line between the texts of neighbouring user (or system, or assistant) messages,
// which become one: most templates refuse two turns of one role in a row. Messages with tool calls stay.
std::vector<Message> MergeNeighbours(std::vector<Message> messages);

}  // namespace slm

#endif  // SLM_MESSAGE_H_
