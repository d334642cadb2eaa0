#include "chat_responder.h"

#include <algorithm>
#include <cstddef>
#include <limits>

namespace slm::tools {

Result<ChatResponder> ChatResponder::Create(const Model& model, const ChatOptions& options, GenerateOptions generate) {
  Result<Chat> chat = Chat::Create(model, options);
  if (!chat.ok()) return chat.status();
  return ChatResponder(*std::move(chat), options, std::move(generate));
}

Result<std::int32_t> ChatResponder::Count(const std::vector<Message>& messages) const {
  return CountPromptTokens(chat_.session().model(), messages, options_);
}

Result<GenerateResult> ChatResponder::Answer(const std::vector<Message>& messages, std::int32_t max_tokens,
                                             const PieceCallback& on_piece) {
  chat_.Reset();  // every answer is a first one, drawn with the same seed
  chat_.SetMessages(messages);
  GenerateOptions generate = generate_;
  generate.max_tokens = max_tokens;
  return chat_.Answer(on_piece, generate);
}

Result<RawResponder> RawResponder::Create(const Model& model, const SessionOptions& session,
                                          const SamplerOptions& sampler, GenerateOptions generate) {
  Result<Session> plain = Session::Create(model, session);
  if (!plain.ok()) return plain.status();
  return RawResponder(*std::move(plain), sampler, std::move(generate));
}

Result<std::int32_t> RawResponder::Count(const std::vector<Message>& messages) const {
  return CountTokens(session_.model(), messages, {}, /*raw=*/true);
}

Result<GenerateResult> RawResponder::Answer(const std::vector<Message>& messages, std::int32_t max_tokens,
                                            const PieceCallback& on_piece) {
  const Result<std::vector<Token>> tokens =
      session_.model().tokenizer().Encode(messages.back().content, {.add_special = true});
  if (!tokens.ok()) return tokens.status();
  Sampler sampler(sampler_, &session_.model().tokenizer());
  GenerateOptions generate = generate_;
  generate.max_tokens = max_tokens;
  return Generate(session_, sampler, *tokens, generate, on_piece);
}

Result<std::int32_t> CountTokens(const Model& model, const std::vector<Message>& messages, const ChatOptions& options,
                                 bool raw) {
  if (!raw) return CountPromptTokens(model, messages, options);
  const Result<std::vector<Token>> tokens = model.tokenizer().Encode(messages.back().content, {.add_special = true});
  if (!tokens.ok()) return tokens.status();
  return static_cast<std::int32_t>(std::min<std::size_t>(tokens->size(), std::numeric_limits<std::int32_t>::max()));
}

}  // namespace slm::tools
