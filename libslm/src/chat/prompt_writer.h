// Conversations to prompts.

#ifndef SLM_CHAT_PROMPT_WRITER_H_
#define SLM_CHAT_PROMPT_WRITER_H_

#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "jinja/value.h"
#include "slm/chat.h"
#include "slm/chat_template.h"
#include "slm/message.h"
#include "slm/model.h"
#include "slm/status.h"

namespace slm {

// Writes the messages of a conversation as a chat template wants them. Immutable.
class PromptWriter {
 public:
  // Fails as Chat::Create does. `now` is the time that templates are told.
  static Result<PromptWriter> Create(const Model& model, const ChatOptions& options,
                                     std::chrono::system_clock::time_point now);

  // Up to where the answer begins. kInvalidArgument if the template refuses the messages, or if arguments of a tool
  // call are not a JSON object.
  Result<Prompt> Write(std::span<const Message> messages) const;

  const ChatTemplate& chat_template() const { return template_; }
  std::chrono::system_clock::time_point now() const { return now_; }

 private:
  PromptWriter(ChatTemplate chat_template, std::chrono::system_clock::time_point now)
      : template_(std::move(chat_template)), now_(now) {}

  Status AddVariables(const Model& model, const ChatOptions& options);
  // Finds out what the template can write, by having it write something.
  Status Probe();
  Result<Prompt> Render(std::span<const Message> messages) const;

  ChatTemplate template_;
  std::chrono::system_clock::time_point now_;
  jinja::Dict variables_;  // all but the messages
  bool has_system_role_ = true;
  bool wants_parts_ = false;  // contents as lists of parts
};

}  // namespace slm

#endif  // SLM_CHAT_PROMPT_WRITER_H_
