// A conversation in turns, in the model's own format.
//
//   slm::Result<slm::Chat> chat = slm::Chat::Create(model, {.system = "Be brief."});
//   auto answer = chat->Send("What is a GGUF file?", [](std::string_view piece) { Print(piece); return slm::kContinue; });
//
// Message contents are encoded apart from the format's own text, so nothing a user writes becomes a control token. Only the
// new turn is evaluated; earlier turns stay in the session's cache.
//
// Thread-safety: a Chat must not be used from two threads at once; CancelToken may be set from any.

#ifndef SLM_CHAT_H_
#define SLM_CHAT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "slm/generate.h"
#include "slm/model.h"
#include "slm/sampler.h"
#include "slm/session.h"
#include "slm/status.h"

namespace slm {

enum class ChatFormat {
  kAuto,    // from the model's template and control tokens
  kChatMl,  // <|im_start|>role\n...<|im_end|>\n : SmolLM2, Qwen
  kGemma,   // <start_of_turn>role\n...<end_of_turn>\n : Gemma 1 to 3; a system text goes before the first user text
};
std::string_view ChatFormatName(ChatFormat format);

enum class Role { kSystem, kUser, kAssistant };

struct Message {
  Role role = Role::kUser;
  std::string content;
};

struct ChatOptions {
  // Empty: the default of the model's format, if it has one.
  std::string system;
  ChatFormat format = ChatFormat::kAuto;
  SessionOptions session;
  SamplerOptions sampler;
};

class Chat {
 public:
  // Fails as Session::Create does, and with kUnsupported if the model has no chat format this library knows.
  static Result<Chat> Create(const Model& model, const ChatOptions& options = {});
  ~Chat();
  Chat(Chat&&) noexcept;
  Chat& operator=(Chat&&) noexcept;

  // Adds a user turn and streams the answer. If the prompt does not fit the context: kContextFull with both numbers, and
  // the conversation is as before. A cancelled or failed call keeps what was said before it: cancelled during the prompt,
  // the turn is dropped; cancelled during the answer, the part delivered so far is the answer.
  Result<GenerateResult> Send(std::string_view user, const PieceCallback& on_piece, const GenerateOptions& options = {});

  // The turns so far, the system text (if any) first.
  const std::vector<Message>& messages() const;
  ChatFormat format() const;
  const Session& session() const;
  void set_sampler(const SamplerOptions& options);
  // Forgets all turns but the system text.
  Status Reset();

 private:
  struct State;
  explicit Chat(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace slm

#endif  // SLM_CHAT_H_
