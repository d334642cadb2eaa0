// Who answers.

#ifndef SLM_TOOLS_CHAT_RESPONDER_H_
#define SLM_TOOLS_CHAT_RESPONDER_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "slm/chat.h"
#include "slm/generate.h"
#include "slm/message.h"
#include "slm/model.h"
#include "slm/sampler.h"
#include "slm/session.h"
#include "slm/status.h"

namespace slm::tools {

// A model and its settings, or what stands for them in a test.
class Responder {
 public:
  virtual ~Responder() = default;

  // Tokens to read for an answer to these messages.
  virtual Result<std::int32_t> Count(const std::vector<Message>& messages) const = 0;
  // Tokens that the messages and their answer may have together.
  virtual std::int32_t context_length() const = 0;
  // An answer of at most `max_tokens` tokens; -1: no limit. Of what was read for the last answer, the beginning that is
  // the same is not read again.
  virtual Result<GenerateResult> Answer(const std::vector<Message>& messages, std::int32_t max_tokens,
                                        const PieceCallback& on_piece) = 0;
};

// Answers in turns, as the model's chat template writes them.
class ChatResponder : public Responder {
 public:
  // The messages have the system text, so `options` must not. `generate` is for all answers but their limits.
  static Result<ChatResponder> Create(const Model& model, const ChatOptions& options, GenerateOptions generate);

  Result<std::int32_t> Count(const std::vector<Message>& messages) const override;
  std::int32_t context_length() const override { return chat_.session().context_length(); }
  Result<GenerateResult> Answer(const std::vector<Message>& messages, std::int32_t max_tokens,
                                const PieceCallback& on_piece) override;
  const Chat& chat() const { return chat_; }

 private:
  ChatResponder(Chat chat, ChatOptions options, GenerateOptions generate)
      : chat_(std::move(chat)), options_(std::move(options)), generate_(std::move(generate)) {}

  Chat chat_;
  ChatOptions options_;
  GenerateOptions generate_;
};

// Continues the last message's text, for models that are not made for chat.
class RawResponder : public Responder {
 public:
  static Result<RawResponder> Create(const Model& model, const SessionOptions& session, const SamplerOptions& sampler,
                                     GenerateOptions generate);

  Result<std::int32_t> Count(const std::vector<Message>& messages) const override;
  std::int32_t context_length() const override { return session_.context_length(); }
  Result<GenerateResult> Answer(const std::vector<Message>& messages, std::int32_t max_tokens,
                                const PieceCallback& on_piece) override;
  const Session& session() const { return session_; }

 private:
  RawResponder(Session session, const SamplerOptions& sampler, GenerateOptions generate)
      : session_(std::move(session)), sampler_(sampler), generate_(std::move(generate)) {}

  Session session_;
  SamplerOptions sampler_;
  GenerateOptions generate_;
};

// As Responder::Count, without a session.
Result<std::int32_t> CountTokens(const Model& model, const std::vector<Message>& messages, const ChatOptions& options,
                                 bool raw);

}  // namespace slm::tools

#endif  // SLM_TOOLS_CHAT_RESPONDER_H_
