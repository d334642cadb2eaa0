#include "slm/chat.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/status_macros.h"
#include "infer/chat_format.h"

namespace slm {

namespace {

bool IsContinuationByte(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

// The tokens of `generated` that spell a beginning of `text`, in whole characters and without control tokens, followed
// by the encoding of the rest. Keeping what the model wrote keeps the cache; encoding the text anew might cut it
// otherwise.
Result<std::vector<Token>> AnswerTokens(const Tokenizer& tokenizer, std::span<const Token> generated,
                                        std::string_view text) {
  std::size_t kept_tokens = 0;
  std::size_t kept_bytes = 0;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < generated.size(); ++i) {
    const std::string piece = tokenizer.Piece(generated[i]);
    if (piece.empty() || text.substr(bytes, piece.size()) != piece) break;
    bytes += piece.size();
    if (bytes < text.size() && IsContinuationByte(text[bytes])) continue;
    kept_tokens = i + 1;
    kept_bytes = bytes;
  }
  std::vector<Token> tokens(generated.begin(), generated.begin() + static_cast<std::ptrdiff_t>(kept_tokens));
  if (kept_bytes == text.size()) return tokens;
  SLM_ASSIGN_OR_RETURN(const std::vector<Token> rest, tokenizer.Encode(text.substr(kept_bytes), {.at_start = false}));
  tokens.insert(tokens.end(), rest.begin(), rest.end());
  return tokens;
}

// Takes the session back to `position`, or to the start where a sliding window does not reach back so far.
Status RewindTo(Session& session, std::int32_t position) {
  if (session.position() <= position || session.Rewind(position).ok()) return {};
  return session.Rewind(0);
}

}  // namespace

struct Chat::State {
  State(const Model& m, const ChatFormatSpec& f, Session s, const SamplerOptions& o)
      : model(m), format(f), session(std::move(s)), sampler(o, &model.tokenizer()) {}

  std::string_view system() const;
  // The tokens of the conversation up to where the answer to `user` begins.
  Result<std::vector<Token>> Prompt(std::string_view user) const;
  // Keeps of the session what `prompt` begins with; returns the tokens of `prompt` that are left to read, at least one.
  Result<std::span<const Token>> Synchronize(std::span<const Token> prompt);

  Model model;
  const ChatFormatSpec& format;
  Session session;
  Sampler sampler;
  std::vector<Message> messages;
  std::vector<Token> history;  // BOS and all turns, up to the end of the last answer's text; empty before the first
};

std::string_view Chat::State::system() const {
  if (messages.empty() || messages.front().role != Role::kSystem) return {};
  return messages.front().content;
}

Result<std::vector<Token>> Chat::State::Prompt(std::string_view user) const {
  const Tokenizer& tokenizer = model.tokenizer();
  std::vector<Token> prompt = history;
  if (history.empty() && tokenizer.bos() && (format.begins_with_bos || tokenizer.adds_bos())) {
    prompt.push_back(*tokenizer.bos());
  }
  SLM_ASSIGN_OR_RETURN(const std::vector<Token> turn,
                       EncodeSegments(tokenizer, history.empty() ? RenderFirstTurn(format, system(), user)
                                                                 : RenderNextTurn(format, user)));
  prompt.insert(prompt.end(), turn.begin(), turn.end());
  return prompt;
}

Result<std::span<const Token>> Chat::State::Synchronize(std::span<const Token> prompt) {
  const std::span<const Token> read = session.tokens();
  // The logits of the last token are wanted, so that it is read even if the session has it.
  const std::size_t limit = std::min(read.size(), prompt.size() - 1);
  const auto differ = std::mismatch(prompt.begin(), prompt.begin() + static_cast<std::ptrdiff_t>(limit), read.begin());
  SLM_RETURN_IF_ERROR(RewindTo(session, static_cast<std::int32_t>(differ.first - prompt.begin())));
  return prompt.subspan(static_cast<std::size_t>(session.position()));
}

Chat::Chat(std::unique_ptr<State> state) : state_(std::move(state)) {}
Chat::~Chat() = default;
Chat::Chat(Chat&&) noexcept = default;
Chat& Chat::operator=(Chat&&) noexcept = default;

Result<Chat> Chat::Create(const Model& model, const ChatOptions& options) {
  SLM_RETURN_IF_ERROR(Sampler::Validate(options.sampler));
  SLM_ASSIGN_OR_RETURN(const ChatFormatSpec* const format, ChooseChatFormat(model, options.format));
  SLM_ASSIGN_OR_RETURN(Session session, Session::Create(model, options.session));
  auto state = std::make_unique<State>(model, *format, std::move(session), options.sampler);
  std::string system = options.system.empty() ? DefaultSystemText(*format, model.chat_template()) : options.system;
  if (!system.empty()) state->messages.push_back({Role::kSystem, std::move(system)});
  // Fails here rather than in the first Send if this library can't encode text for the model.
  SLM_RETURN_IF_ERROR(state->Prompt("").status());
  return Chat(std::move(state));
}

Result<GenerateResult> Chat::Send(std::string_view user, const PieceCallback& on_piece,
                                  const GenerateOptions& options) {
  State& state = *state_;
  SLM_ASSIGN_OR_RETURN(std::vector<Token> prompt, state.Prompt(user));
  const std::int32_t capacity = state.session.context_length();
  if (std::cmp_greater(prompt.size(), capacity)) {
    return Status(StatusCode::kContextFull, Cat("The prompt does not fit: the conversation with the new turn has ",
                                                prompt.size(), " tokens, and the context holds ", capacity, "."));
  }
  SLM_ASSIGN_OR_RETURN(const std::span<const Token> unread, state.Synchronize(prompt));
  state.sampler.SetHistory(state.session.tokens());
  SLM_ASSIGN_OR_RETURN(GenerateResult result, Generate(state.session, state.sampler, unread, options, on_piece));
  if (result.finish_reason == FinishReason::kCancelled && result.text.empty()) return result;

  const std::span<const Token> generated = state.session.tokens().subspan(prompt.size());
  SLM_ASSIGN_OR_RETURN(const std::vector<Token> answer,
                       AnswerTokens(state.model.tokenizer(), generated, RenderAnswer(state.format, result.text)));
  prompt.insert(prompt.end(), answer.begin(), answer.end());
  state.history = std::move(prompt);
  state.messages.push_back({Role::kUser, std::string(user)});
  state.messages.push_back({Role::kAssistant, result.text});
  return result;
}

const std::vector<Message>& Chat::messages() const { return state_->messages; }
ChatFormat Chat::format() const { return state_->format.format; }
const Session& Chat::session() const { return state_->session; }
void Chat::set_sampler(const SamplerOptions& options) {
  state_->sampler = Sampler(options, &state_->model.tokenizer());
}

void Chat::Reset() {
  state_->history.clear();
  std::erase_if(state_->messages, [](const Message& message) { return message.role != Role::kSystem; });
  state_->sampler.Reseed(state_->sampler.options().seed);
}

}  // namespace slm
