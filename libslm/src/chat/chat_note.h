// What a chat writes into its session's file beside the session.

#ifndef SLM_CHAT_CHAT_NOTE_H_
#define SLM_CHAT_CHAT_NOTE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "chat/answer_memory.h"
#include "slm/message.h"
#include "slm/status.h"

namespace slm {

struct ChatNote {
  std::vector<Message> messages;
  std::string chat_template;  // Jinja source; empty: the model's own
  std::string tools;
  std::string variables;
  std::chrono::system_clock::time_point now;  // what the template is told
  std::uint64_t answer_count = 0;
  std::size_t forgotten = 0;  // messages after the system's that the model is no longer shown
  AnswerMemory memory;
};

// kInvalidArgument if a text is not UTF-8, which JSON can't hold.
Result<std::string> WriteChatNote(const ChatNote& note);

// kCorruptFile if the text is no such note; token ids must be below `vocab_size`.
Result<ChatNote> ReadChatNote(std::string_view text, std::int32_t vocab_size);

}  // namespace slm

#endif  // SLM_CHAT_CHAT_NOTE_H_
