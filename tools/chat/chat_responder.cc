#include "chat_responder.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>

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
  // What the session has read already, except that the last token's logits are needed.
  const std::span<const Token> known = session_.tokens();
  const auto differ = std::mismatch(known.begin(), known.end(), tokens->begin(), tokens->end());
  std::ptrdiff_t same = differ.first - known.begin();
  if (same == std::ssize(*tokens) && same > 0) --same;
  if (!session_.Rewind(static_cast<std::int32_t>(same)).ok()) {  // beyond a sliding window
    same = 0;
    if (Status status = session_.Rewind(0); !status.ok()) return status;
  }
  Sampler sampler(sampler_, &session_.model().tokenizer());
  sampler.SetHistory(session_.tokens());
  GenerateOptions generate = generate_;
  generate.max_tokens = max_tokens;
  Result<GenerateResult> result =
      Generate(session_, sampler, std::span(*tokens).subspan(static_cast<std::size_t>(same)), generate, on_piece);
  if (result.ok()) result->cached_tokens = static_cast<std::int32_t>(same);
  return result;
}

Result<std::int32_t> CountTokens(const Model& model, const std::vector<Message>& messages, const ChatOptions& options,
                                 bool raw) {
  if (!raw) return CountPromptTokens(model, messages, options);
  const Result<std::vector<Token>> tokens = model.tokenizer().Encode(messages.back().content, {.add_special = true});
  if (!tokens.ok()) return tokens.status();
  return static_cast<std::int32_t>(std::min<std::size_t>(tokens->size(), std::numeric_limits<std::int32_t>::max()));
}

}  // namespace slm::tools
