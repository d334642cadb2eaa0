// A conversation in turns, as the model's chat template writes it.
//
//   slm::Result<slm::Chat> chat = slm::Chat::Create(model, {.system = "Be brief."});
//   auto answer = chat->Send("What is a GGUF file?", [](std::string_view piece) {
//     std::fwrite(piece.data(), 1, piece.size(), stdout);
//     return slm::kContinue;
//   });
//
// Message contents are encoded apart from the template's own text, so nothing a user writes becomes a control token.
// Only what changed since the last answer is evaluated, also after an undo or an edit; GenerateResult has the counts.
// An answer stays in the session as the tokens the model wrote, as long as the template repeats its text.
//
// Callbacks may look at the Chat that called them. What changes or saves it fails in one, with kInvalidArgument; it
// must not be destroyed or moved. An exception of a callback goes on to the caller and leaves the conversation as it
// was.
//
// Thread-safety: a Chat must not be used from two threads at once; CancelToken may be set from any.

#ifndef SLM_CHAT_H_
#define SLM_CHAT_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "slm/chat_template.h"
#include "slm/generate.h"
#include "slm/message.h"
#include "slm/model.h"
#include "slm/sampler.h"
#include "slm/session.h"
#include "slm/status.h"

namespace slm {

struct ChatOptions {
  // Empty: none, or the template's default. For a template without a system role it goes before the first user text.
  std::string system = {};
  // Jinja source. Empty: ChatTemplate::ForModel.
  std::string chat_template = {};
  // What the model may call, as the template expects it: a JSON array of tool definitions. Empty: none.
  std::string tools = {};
  // More variables of the template, a JSON object: {"enable_thinking": false}. Empty: none.
  std::string variables = {};
  SessionOptions session = {};
  // Answers are drawn with seed, seed + 1 and so on, in the order in which they are asked for: a retry gives another
  // one.
  SamplerOptions sampler = {};
  // When a conversation no longer fits, its oldest user message and the answers to it are left out of what the model
  // reads, as often as needed, rather than failing with kContextFull. They stay in messages().
  bool forget_oldest = false;
  // False: every prompt is read from its first token. For measuring; the answers are the same.
  bool reuse = true;
};

class Chat {
 public:
  // Fails as Session::Create, Sampler::Validate and ChatTemplate::Parse or ForModel do, and with kInvalidArgument if
  // the template can't write a conversation of a user and an assistant.
  static Result<Chat> Create(const Model& model, const ChatOptions& options = {});
  // Another conversation that goes on from here: nothing is read again (Session::Fork), and the
  // two compute together where two threads use them.
  Result<Chat> Fork() const;
  ~Chat();
  Chat(Chat&&) noexcept;
  Chat& operator=(Chat&&) noexcept;

  // Adds a user message and streams the answer to it. If the prompt does not fit the context: kContextFull with both
  // numbers. A failed call leaves the conversation as it was before. A cancelled one does too if no text was delivered;
  // otherwise the part delivered so far is the answer. The conversation has message and answer when the call returns.
  Result<GenerateResult> Send(std::string_view user, const PieceCallback& on_piece,
                              const GenerateOptions& options = {});
  // Streams an answer to the conversation as it stands, which ends with a message of the user or of tools.
  Result<GenerateResult> Answer(const PieceCallback& on_piece, const GenerateOptions& options = {});
  // Replaces the last answer by another one. A failed call leaves the old one, and a cancelled one does if no text was
  // delivered.
  Result<GenerateResult> Retry(const PieceCallback& on_piece, const GenerateOptions& options = {});
  // Takes back the last user message and all that followed it; returns its text. kInvalidArgument if there is none.
  Result<std::string> Undo();

  // The messages so far, the system message (if any) first.
  const std::vector<Message>& messages() const;
  // Replaces the conversation, for example by one with an edited message. Nothing is evaluated before the next answer,
  // which reads from the first difference on.
  Status SetMessages(std::vector<Message> messages);
  // Empty: none.
  Status SetSystem(std::string_view system);
  // Forgets all messages but the system's, and counts answers from the beginning.
  Status Reset();

  // Tokens that the model would read for the next answer if the user sent this now.
  Result<std::int32_t> CountTokens(std::string_view user) const;
  // A new session of another context length, and with it an empty cache: the next answer reads everything anew. A
  // failed call leaves the old session.
  Status Resize(std::int32_t context_length);

  // From the next answer on, which reads everything anew if they are others. Fails as Session::SetAdapters does.
  Status SetAdapters(std::span<const WeightedAdapter> adapters);

  // Writes conversation and session to a file, and goes on from one. Where the model, the context length or the type of
  // the cache is another than the file's, or the file is damaged, Restore fails with a message that says so; a
  // context_length of 0 in `options` takes the file's. Messages, template, tools and variables come from the file,
  // session, sampler and the rest from `options`. The files are private to this version of the library.
  Status Save(const std::filesystem::path& path) const;
  static Result<Chat> Restore(const Model& model, const std::filesystem::path& path, const ChatOptions& options = {});

  const ChatTemplate& chat_template() const;
  // What the last answer left; may be more than the conversation has.
  const Session& session() const;
  const SamplerOptions& sampler() const;
  // From the next answer on. kInvalidArgument if the options are not valid.
  Status SetSampler(const SamplerOptions& options);
  // ChatOptions::variables, or those of the file that the conversation was restored from.
  const std::string& variables() const;
  // From the next answer on, which reads from the first difference on. Fails as Create does.
  Status SetVariables(std::string_view variables);

 private:
  struct State;
  explicit Chat(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Tokens that the model would read to answer these messages in a Chat of these options, without a session: tells what
// context_length is needed. Fails as Chat::Create does.
Result<std::int32_t> CountPromptTokens(const Model& model, const std::vector<Message>& messages,
                                       const ChatOptions& options = {});

}  // namespace slm

#endif  // SLM_CHAT_H_
