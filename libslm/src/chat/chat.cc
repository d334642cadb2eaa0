#include "slm/chat.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/status_macros.h"
#include "chat/answer_memory.h"
#include "chat/chat_note.h"
#include "chat/prompt_writer.h"

namespace slm {

namespace {

// The callback of a caller who does not want the space that SentencePiece puts before a text.
PieceCallback WithoutFirstSpace(const PieceCallback& on_piece, bool adds_space) {
  if (!adds_space || !on_piece) return on_piece;
  return [&on_piece, first = true](std::string_view piece) mutable {
    if (std::exchange(first, false) && piece.starts_with(' ')) piece.remove_prefix(1);
    return piece.empty() ? kContinue : on_piece(piece);
  };
}

bool AwaitsAnswer(const std::vector<Message>& messages) {
  return !messages.empty() && (messages.back().role == Role::kUser || messages.back().role == Role::kTool);
}

bool BeginsWithSystem(const std::vector<Message>& messages) {
  return !messages.empty() && messages.front().role == Role::kSystem;
}

}  // namespace

struct Chat::State {
  State(PromptWriter w, Session s, const ChatOptions& o) : options(o), writer(std::move(w)), session(std::move(s)) {}

  const Model& model() const { return session.model(); }
  // The messages the model is shown: without the forgotten ones.
  std::vector<Message> Shown() const;
  // Leaves one more user message and what answers it out; false if only the last one is left.
  bool ForgetOldest();
  Result<std::vector<Token>> Encode(std::span<const Message> shown) const;
  // The tokens of the conversation up to where the next answer begins, which fit the context. Where the oldest messages
  // may be forgotten there is room for the answer, too.
  Result<std::vector<Token>> Fit(std::int32_t max_tokens);
  ChatNote Note() const;

  ChatOptions options;
  PromptWriter writer;
  Session session;
  std::vector<Message> messages;
  AnswerMemory memory;
  std::uint64_t answer_count = 0;
  std::size_t forgotten = 0;  // messages after the system's that the model is no longer shown
};

std::vector<Message> Chat::State::Shown() const {
  std::vector<Message> shown = messages;
  const auto begin = shown.begin() + (BeginsWithSystem(shown) ? 1 : 0);
  shown.erase(begin, begin + static_cast<std::ptrdiff_t>(forgotten));
  return shown;
}

bool Chat::State::ForgetOldest() {
  const std::size_t begin = BeginsWithSystem(messages) ? 1 : 0;
  for (std::size_t next = begin + forgotten + 1; next < messages.size(); ++next) {
    if (messages[next].role != Role::kUser) continue;
    forgotten = next - begin;
    return true;
  }
  return false;
}

Result<std::vector<Token>> Chat::State::Encode(std::span<const Message> shown) const {
  SLM_ASSIGN_OR_RETURN(const Prompt prompt, writer.Write(shown));
  const Tokenizer& tokenizer = model().tokenizer();
  SLM_ASSIGN_OR_RETURN(std::vector<Token> tokens, EncodePrompt(tokenizer, memory.Recall(tokenizer, prompt)));
  if (tokens.empty()) {
    return Status(StatusCode::kInvalidArgument, "The chat template wrote nothing for this conversation.");
  }
  return tokens;
}

Result<std::vector<Token>> Chat::State::Fit(std::int32_t max_tokens) {
  SLM_ASSIGN_OR_RETURN(std::vector<Token> prompt, Encode(Shown()));
  const std::int32_t capacity = session.context_length();
  if (options.forget_oldest) {
    const std::int32_t answer = std::min(max_tokens >= 0 ? max_tokens : capacity / 4, capacity / 2);
    if (std::cmp_less_equal(prompt.size(), capacity - answer)) return prompt;
    // Half the context is left free, so that this does not happen, and what is kept is not read anew, at every turn.
    while (std::cmp_greater(prompt.size(), capacity / 2) && ForgetOldest()) {
      SLM_ASSIGN_OR_RETURN(prompt, Encode(Shown()));
    }
  }
  if (std::cmp_less_equal(prompt.size(), capacity)) return prompt;
  return Status(StatusCode::kContextFull, Cat("The prompt does not fit: the conversation has ", prompt.size(),
                                              " tokens, and the context holds ", capacity, "."));
}

ChatNote Chat::State::Note() const {
  ChatNote note = {.messages = messages,
                   .chat_template = options.chat_template,
                   .tools = options.tools,
                   .variables = options.variables,
                   .now = writer.now(),
                   .answer_count = answer_count,
                   .memory = memory};
  return note;
}

Chat::Chat(std::unique_ptr<State> state) : state_(std::move(state)) {}
Chat::~Chat() = default;
Chat::Chat(Chat&&) noexcept = default;
Chat& Chat::operator=(Chat&&) noexcept = default;

Result<Chat> Chat::Create(const Model& model, const ChatOptions& options) {
  SLM_RETURN_IF_ERROR(Sampler::Validate(options.sampler));
  SLM_ASSIGN_OR_RETURN(PromptWriter writer, PromptWriter::Create(model, options, std::chrono::system_clock::now()));
  SLM_ASSIGN_OR_RETURN(Session session, Session::Create(model, options.session));
  Chat chat(std::make_unique<State>(std::move(writer), std::move(session), options));
  chat.SetSystem(options.system);
  // Fails here rather than in the first Send if this library can't encode text for the model.
  SLM_RETURN_IF_ERROR(chat.CountTokens("").status());
  return chat;
}

Result<GenerateResult> Chat::Answer(const PieceCallback& on_piece, const GenerateOptions& generate) {
  State& state = *state_;
  if (!AwaitsAnswer(state.messages)) {
    return Status(StatusCode::kInvalidArgument,
                  "There is nothing to answer: the conversation does not end with a message of the user or of a tool.");
  }
  const std::size_t forgotten_before = state.forgotten;
  SLM_ASSIGN_OR_RETURN(const std::vector<Token> prompt, state.Fit(generate.max_tokens));
  if (!state.options.reuse) SLM_RETURN_IF_ERROR(state.session.Rewind(0));
  SamplerOptions sampling = state.options.sampler;
  sampling.seed += state.answer_count;
  Sampler sampler(sampling, &state.model().tokenizer());
  const bool adds_space = state.model().tokenizer().adds_space();
  SLM_ASSIGN_OR_RETURN(GenerateResult result,
                       Generate(state.session, sampler, prompt, generate, WithoutFirstSpace(on_piece, adds_space)));
  result.forgotten_messages = static_cast<std::int32_t>(state.forgotten - forgotten_before);
  if (adds_space && result.text.starts_with(' ')) result.text.erase(0, 1);
  if (result.finish_reason == FinishReason::kCancelled && result.text.empty()) return result;

  ++state.answer_count;
  if (result.forgotten_tokens == 0) state.memory.Add(result.text, state.session.tokens().subspan(prompt.size()));
  state.messages.push_back({.role = Role::kAssistant, .content = result.text});
  return result;
}

Result<GenerateResult> Chat::Send(std::string_view user, const PieceCallback& on_piece,
                                  const GenerateOptions& options) {
  std::vector<Message>& messages = state_->messages;
  const std::size_t before = messages.size();
  messages.push_back({.role = Role::kUser, .content = std::string(user)});
  Result<GenerateResult> result = Answer(on_piece, options);
  if (messages.back().role == Role::kUser) messages.resize(before);
  return result;
}

Result<GenerateResult> Chat::Retry(const PieceCallback& on_piece, const GenerateOptions& options) {
  std::vector<Message>& messages = state_->messages;
  if (messages.empty() || messages.back().role != Role::kAssistant) {
    return Status(StatusCode::kInvalidArgument, "There is no answer to give again: the conversation ends with none.");
  }
  Message last = std::move(messages.back());
  messages.pop_back();
  const std::size_t without = messages.size();
  Result<GenerateResult> result = Answer(on_piece, options);
  if (messages.size() == without) messages.push_back(std::move(last));
  return result;
}

Result<std::string> Chat::Undo() {
  std::vector<Message>& messages = state_->messages;
  const auto is_user = [](const Message& message) { return message.role == Role::kUser; };
  const auto last = std::find_if(messages.rbegin(), messages.rend(), is_user);
  if (last == messages.rend()) {
    return Status(StatusCode::kInvalidArgument, "There is nothing to take back: the user has not said anything.");
  }
  std::string text = std::move(last->content);
  messages.erase(std::prev(last.base()), messages.end());
  state_->forgotten = 0;
  return text;
}

const std::vector<Message>& Chat::messages() const { return state_->messages; }

void Chat::SetMessages(std::vector<Message> messages) {
  state_->messages = std::move(messages);
  state_->forgotten = 0;
}

void Chat::SetSystem(std::string_view system) {
  std::vector<Message>& messages = state_->messages;
  if (BeginsWithSystem(messages)) messages.erase(messages.begin());
  if (!system.empty()) messages.insert(messages.begin(), {.role = Role::kSystem, .content = std::string(system)});
}

void Chat::Reset() {
  State& state = *state_;
  std::erase_if(state.messages, [](const Message& message) { return message.role != Role::kSystem; });
  state.memory.Clear();
  state.answer_count = 0;
  state.forgotten = 0;
}

Result<std::int32_t> Chat::CountTokens(std::string_view user) const {
  std::vector<Message> shown = state_->Shown();
  shown.push_back({.role = Role::kUser, .content = std::string(user)});
  SLM_ASSIGN_OR_RETURN(const std::vector<Token> tokens, state_->Encode(shown));
  return static_cast<std::int32_t>(tokens.size());
}

Status Chat::Resize(std::int32_t context_length) {
  SessionOptions options = state_->options.session;
  options.context_length = context_length;
  SLM_ASSIGN_OR_RETURN(state_->session, Session::Create(state_->model(), options));
  state_->options.session = options;
  state_->forgotten = 0;
  return {};
}

Status Chat::Save(const std::filesystem::path& path) const {
  SLM_ASSIGN_OR_RETURN(const std::string note, WriteChatNote(state_->Note()));
  return state_->session.Save(path, note);
}

Result<Chat> Chat::Restore(const Model& model, const std::filesystem::path& path, const ChatOptions& options) {
  SLM_RETURN_IF_ERROR(Sampler::Validate(options.sampler));
  SLM_ASSIGN_OR_RETURN(RestoredSession restored, Session::Restore(model, path, options.session));
  SLM_ASSIGN_OR_RETURN(ChatNote note, ReadChatNote(restored.note, model.vocab_size()));
  ChatOptions merged = options;
  merged.chat_template = std::move(note.chat_template);
  merged.tools = std::move(note.tools);
  merged.variables = std::move(note.variables);
  merged.session.context_length = restored.session.context_length();
  SLM_ASSIGN_OR_RETURN(PromptWriter writer, PromptWriter::Create(model, merged, note.now));
  Chat chat(std::make_unique<State>(std::move(writer), std::move(restored.session), merged));
  chat.state_->messages = std::move(note.messages);
  chat.state_->memory = std::move(note.memory);
  chat.state_->answer_count = note.answer_count;
  return chat;
}

const ChatTemplate& Chat::chat_template() const { return state_->writer.chat_template(); }
const Session& Chat::session() const { return state_->session; }
const SamplerOptions& Chat::sampler() const { return state_->options.sampler; }

Status Chat::SetSampler(const SamplerOptions& options) {
  SLM_RETURN_IF_ERROR(Sampler::Validate(options));
  state_->options.sampler = options;
  return {};
}

Result<std::int32_t> CountPromptTokens(const Model& model, const std::vector<Message>& messages,
                                       const ChatOptions& options) {
  SLM_ASSIGN_OR_RETURN(const PromptWriter writer,
                       PromptWriter::Create(model, options, std::chrono::system_clock::now()));
  std::vector<Message> all = messages;
  if (!options.system.empty() && !BeginsWithSystem(all)) {
    all.insert(all.begin(), {.role = Role::kSystem, .content = options.system});
  }
  SLM_ASSIGN_OR_RETURN(const Prompt prompt, writer.Write(all));
  SLM_ASSIGN_OR_RETURN(const std::vector<Token> tokens, EncodePrompt(model.tokenizer(), prompt));
  return static_cast<std::int32_t>(tokens.size());
}

}  // namespace slm
