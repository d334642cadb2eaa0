// A conversation in turns, in the model's own format.
//
//   slm::Result<slm::Chat> chat = slm::Chat::Create(model, {.system = "Be brief."});
//   auto answer = chat->Send("What is a GGUF file?", [](std::string_view piece) {
//     std::fwrite(piece.data(), 1, piece.size(), stdout);
//     return slm::kContinue;
//   });
//
// Message contents are encoded apart from the format's own text, so nothing a user writes becomes a control token. Only
// the new turn is evaluated; earlier turns stay in the session's cache. An answer stays there as the tokens the model
// wrote, as far as they spell its text: control tokens, the beginning of a stop string or white space that the format
// trims go.
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
  std::string content = {};
};

struct ChatOptions {
  // Empty: the default of the model's format, if it has one.
  std::string system = {};
  ChatFormat format = ChatFormat::kAuto;
  SessionOptions session = {};
  SamplerOptions sampler = {};
};

class Chat {
 public:
  // Fails as Session::Create and Sampler::Validate do, and with kUnsupported if the model has no chat format this
  // library knows.
  static Result<Chat> Create(const Model& model, const ChatOptions& options = {});
  ~Chat();
  Chat(Chat&&) noexcept;
  Chat& operator=(Chat&&) noexcept;

  // Adds a user turn and streams the answer. If the prompt does not fit the context: kContextFull with both numbers. A
  // failed call leaves the conversation as it was before. A cancelled one does too if no text was delivered; otherwise
  // the part delivered so far is the answer.
  Result<GenerateResult> Send(std::string_view user, const PieceCallback& on_piece,
                              const GenerateOptions& options = {});

  // The turns so far, the system text (if any) first.
  const std::vector<Message>& messages() const;
  ChatFormat format() const;
  // Send brings its tokens up to date: after Reset, or a call that was cancelled or failed, they may be more than the
  // conversation has.
  const Session& session() const;
  // From the next answer on; Send fails with kInvalidArgument if the options are not valid.
  void set_sampler(const SamplerOptions& options);
  // Forgets all turns but the system text, and begins again with the sampler's seed.
  void Reset();

 private:
  struct State;
  explicit Chat(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace slm

#endif  // SLM_CHAT_H_
