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
#include "chat/answer_memory.h"
#include "chat/chat_note.h"
#include "chat/prompt_writer.h"
#include "session/callback_scope.h"

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

bool AwaitsAnswer(std::span<const Message> messages) {
  return !messages.empty() && (messages.back().role == Role::kUser || messages.back().role == Role::kTool);
}

bool BeginsWithSystem(std::span<const Message> messages) {
  return !messages.empty() && messages.front().role == Role::kSystem;
}

// What the model reads for an answer.
struct FittedPrompt {
  std::vector<Token> tokens = {};
  std::size_t forgotten = 0;  // messages after the system's that are left out
};

// Where the messages after the system's begin.
std::size_t FirstTurn(std::span<const Message> messages) { return BeginsWithSystem(messages) ? 1 : 0; }

// The conversation without the first messages after the system's.
std::vector<Message> Without(std::span<const Message> all, std::size_t forgotten) {
  std::vector<Message> shown(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(FirstTurn(all)));
  const std::span<const Message> kept = all.subspan(FirstTurn(all) + forgotten);
  shown.insert(shown.end(), kept.begin(), kept.end());
  return shown;
}

// How many messages after the system's may be left out: more than `forgotten`, so that what is left begins with one of
// the user. Ascending.
std::vector<std::size_t> LaterStarts(std::span<const Message> all, std::size_t forgotten) {
  std::vector<std::size_t> starts;
  const std::size_t first = FirstTurn(all);
  for (std::size_t i = first + forgotten + 1; i < all.size(); ++i) {
    if (all[i].role == Role::kUser) starts.push_back(i - first);
  }
  return starts;
}

}  // namespace

struct Chat::State {
  State(PromptWriter w, Session s, const ChatOptions& o) : options(o), writer(std::move(w)), session(std::move(s)) {
    const auto keep = [](auto& handle, auto& option) {
      if (option != nullptr) option = &handle.emplace(*option);
    };
    keep(workers, options.session.workers);
    keep(batch, options.session.batch);
  }

  const Model& model() const { return session.model(); }
  // kCancelled if the token is set.
  Result<std::vector<Token>> Encode(std::span<const Message> shown, const CancelToken* cancel = nullptr) const;
  // The tokens of `all` up to where the next answer begins, which fit the context. Where the oldest messages may be
  // forgotten there is room for the answer, too.
  Result<FittedPrompt> Fit(std::span<const Message> all, const GenerateOptions& generate) const;
  // Streams an answer to `all`. If there is one, it is added to them, and they become the conversation; otherwise
  // nothing has changed but what the session has read.
  Result<GenerateResult> Respond(std::vector<Message> all, const PieceCallback& on_piece,
                                 const GenerateOptions& generate);
  ChatNote Note() const;
  // What may log: a callback that then calls the chat finds it in use.
  template <typename Call>
  auto WhileInUse(const Call& call) {
    const CallbackScope scope(session);
    return call();
  }

  ChatOptions options;
  std::optional<Workers> workers;  // handles of its own, for sessions to come
  std::optional<Batch> batch;
  PromptWriter writer;
  Session session;
  std::vector<Message> messages;
  AnswerMemory memory;
  std::uint64_t answer_count = 0;
  std::size_t forgotten = 0;  // messages after the system's that the model is no longer shown
};

Result<std::vector<Token>> Chat::State::Encode(std::span<const Message> shown, const CancelToken* cancel) const {
  SLM_ASSIGN_OR_RETURN(const Prompt prompt, writer.Write(shown));
  if (cancel != nullptr && cancel->cancelled()) return Status(StatusCode::kCancelled, "cancelled");
  const Tokenizer& tokenizer = model().tokenizer();
  SLM_ASSIGN_OR_RETURN(std::vector<Token> tokens, EncodePrompt(tokenizer, memory.Recall(tokenizer, prompt)));
  if (tokens.empty()) {
    return Status(StatusCode::kInvalidArgument, "The chat template wrote nothing for this conversation.");
  }
  return tokens;
}

Result<FittedPrompt> Chat::State::Fit(std::span<const Message> all, const GenerateOptions& generate) const {
  FittedPrompt fitted = {.forgotten = forgotten};
  SLM_ASSIGN_OR_RETURN(fitted.tokens, Encode(Without(all, forgotten), generate.cancel));
  const std::int32_t capacity = session.context_length();
  if (options.forget_oldest) {
    const std::int32_t answer = std::min(generate.max_tokens >= 0 ? generate.max_tokens : capacity / 4, capacity / 2);
    if (std::cmp_less_equal(fitted.tokens.size(), capacity - answer)) return fitted;
    // Half the context is left free, so that this does not happen, and what is kept is not read anew, at every turn.
    // The fewest messages that leave so much are found by halving: each try writes and encodes what is left.
    const std::vector<std::size_t> starts = LaterStarts(all, forgotten);
    for (std::size_t low = 0, high = starts.size(); low < high;) {
      const std::size_t middle = low + (high - low) / 2;
      FittedPrompt shorter = {.forgotten = starts[middle]};
      SLM_ASSIGN_OR_RETURN(shorter.tokens, Encode(Without(all, shorter.forgotten), generate.cancel));
      const bool fits = std::cmp_less_equal(shorter.tokens.size(), capacity / 2);
      fits ? high = middle : low = middle + 1;
      if (fits || low == starts.size()) fitted = std::move(shorter);
    }
  }
  if (std::cmp_less_equal(fitted.tokens.size(), capacity)) return fitted;
  return Status(StatusCode::kContextFull, Cat("The prompt does not fit: the conversation has ", fitted.tokens.size(),
                                              " tokens, and the context holds ", capacity, "."));
}

Result<GenerateResult> Chat::State::Respond(std::vector<Message> all, const PieceCallback& on_piece,
                                            const GenerateOptions& generate) {
  if (!AwaitsAnswer(all)) {
    return Status(StatusCode::kInvalidArgument,
                  "There is nothing to answer: the conversation does not end with a message of the user or of a tool.");
  }
  const Result<FittedPrompt> fitted = Fit(all, generate);
  if (fitted.status().code() == StatusCode::kCancelled) {
    return GenerateResult{.finish_reason = FinishReason::kCancelled};
  }
  if (!fitted.ok()) return fitted.status();
  const FittedPrompt& prompt = *fitted;
  if (!options.reuse) SLM_RETURN_IF_ERROR(session.Rewind(0));
  SamplerOptions sampling = options.sampler;
  sampling.seed += answer_count;
  Sampler sampler(sampling, &model().tokenizer());
  const bool adds_space = model().tokenizer().adds_space();
  SLM_ASSIGN_OR_RETURN(GenerateResult result,
                       Generate(session, sampler, prompt.tokens, generate, WithoutFirstSpace(on_piece, adds_space)));
  if (adds_space && result.text.starts_with(' ')) result.text.erase(0, 1);
  if (result.finish_reason == FinishReason::kCancelled && result.text.empty()) return result;

  result.forgotten_messages = static_cast<std::int32_t>(prompt.forgotten - forgotten);
  all.push_back({.role = Role::kAssistant, .content = result.text});
  if (result.forgotten_tokens == 0) memory.Add(result.text, session.tokens().subspan(prompt.tokens.size()));
  messages = std::move(all);
  forgotten = prompt.forgotten;
  ++answer_count;
  return result;
}

ChatNote Chat::State::Note() const {
  ChatNote note = {.messages = messages,
                   .chat_template = options.chat_template,
                   .tools = options.tools,
                   .variables = options.variables,
                   .now = writer.now(),
                   .answer_count = answer_count,
                   .forgotten = forgotten,
                   .memory = memory};
  return note;
}

Chat::Chat(std::unique_ptr<State> state) : state_(std::move(state)) {}
Chat::~Chat() = default;
Chat::Chat(Chat&&) noexcept = default;
Chat& Chat::operator=(Chat&&) noexcept = default;

Result<Chat> Chat::Create(const Model& model, const ChatOptions& options) try {
  SLM_RETURN_IF_ERROR(Sampler::Validate(options.sampler));
  SLM_ASSIGN_OR_RETURN(PromptWriter writer, PromptWriter::Create(model, options, std::chrono::system_clock::now()));
  SLM_ASSIGN_OR_RETURN(Session session, Session::Create(model, options.session));
  Chat chat(std::make_unique<State>(std::move(writer), std::move(session), options));
  SLM_RETURN_IF_ERROR(chat.SetSystem(options.system));
  // Fails here rather than in the first Send if this library can't encode text for the model.
  SLM_RETURN_IF_ERROR(chat.CountTokens("").status());
  return chat;
}
SLM_CATCH_OUT_OF_MEMORY

Result<Chat> Chat::Fork() const try {
  SLM_ASSIGN_OR_RETURN(Session session, state_->session.Fork());
  Chat chat(std::make_unique<State>(state_->writer, std::move(session), state_->options));
  State& state = *chat.state_;
  state.messages = state_->messages;
  state.memory = state_->memory;
  state.answer_count = state_->answer_count;
  state.forgotten = state_->forgotten;
  return chat;
}
SLM_CATCH_OUT_OF_MEMORY

Result<GenerateResult> Chat::Answer(const PieceCallback& on_piece, const GenerateOptions& options) try {
  SLM_RETURN_IF_ERROR(CheckIdle(state_->session));
  return state_->Respond(state_->messages, on_piece, options);
}
SLM_CATCH_OUT_OF_MEMORY

Result<GenerateResult> Chat::Send(std::string_view user, const PieceCallback& on_piece,
                                  const GenerateOptions& options) try {
  SLM_RETURN_IF_ERROR(CheckIdle(state_->session));
  std::vector<Message> messages = state_->messages;
  messages.push_back({.role = Role::kUser, .content = std::string(user)});
  return state_->Respond(std::move(messages), on_piece, options);
}
SLM_CATCH_OUT_OF_MEMORY

Result<GenerateResult> Chat::Retry(const PieceCallback& on_piece, const GenerateOptions& options) try {
  SLM_RETURN_IF_ERROR(CheckIdle(state_->session));
  std::vector<Message> messages = state_->messages;
  if (messages.empty() || messages.back().role != Role::kAssistant) {
    return Status(StatusCode::kInvalidArgument, "There is no answer to give again: the conversation ends with none.");
  }
  messages.pop_back();
  return state_->Respond(std::move(messages), on_piece, options);
}
SLM_CATCH_OUT_OF_MEMORY

Result<std::string> Chat::Undo() try {
  SLM_RETURN_IF_ERROR(CheckIdle(state_->session));
  std::vector<Message>& messages = state_->messages;
  const auto is_user = [](const Message& message) { return message.role == Role::kUser; };
  const auto last = std::find_if(messages.rbegin(), messages.rend(), is_user);
  if (last == messages.rend()) {
    return Status(StatusCode::kInvalidArgument, "There is nothing to take back: the user has not said anything.");
  }
  std::string text = std::move(last->content);
  messages.erase(std::prev(last.base()), messages.end());
  if (FirstTurn(messages) + state_->forgotten >= messages.size()) state_->forgotten = 0;
  return text;
}
SLM_CATCH_OUT_OF_MEMORY

const std::vector<Message>& Chat::messages() const { return state_->messages; }

Status Chat::SetMessages(std::vector<Message> messages) try {
  SLM_RETURN_IF_ERROR(CheckIdle(state_->session));
  state_->messages = std::move(messages);
  state_->forgotten = 0;
  return {};
}
SLM_CATCH_OUT_OF_MEMORY

Status Chat::SetSystem(std::string_view system) try {
  SLM_RETURN_IF_ERROR(CheckIdle(state_->session));
  std::vector<Message> messages;
  if (!system.empty()) messages.push_back({.role = Role::kSystem, .content = std::string(system)});
  const auto turns = std::span(state_->messages).subspan(FirstTurn(state_->messages));
  const std::size_t shown_from = messages.size() + state_->forgotten;
  messages.insert(messages.end(), turns.begin(), turns.end());
  state_->messages = std::move(messages);
  // A system message among the turns may now be the first of all.
  state_->forgotten = shown_from - std::min(shown_from, FirstTurn(state_->messages));
  return {};
}
SLM_CATCH_OUT_OF_MEMORY

Status Chat::Reset() try {
  State& state = *state_;
  SLM_RETURN_IF_ERROR(CheckIdle(state.session));
  std::erase_if(state.messages, [](const Message& message) { return message.role != Role::kSystem; });
  state.memory.Clear();
  state.answer_count = 0;
  state.forgotten = 0;
  return {};
}
SLM_CATCH_OUT_OF_MEMORY

Result<std::int32_t> Chat::CountTokens(std::string_view user) const try {
  std::vector<Message> shown = Without(state_->messages, state_->forgotten);
  shown.push_back({.role = Role::kUser, .content = std::string(user)});
  SLM_ASSIGN_OR_RETURN(const std::vector<Token> tokens, state_->Encode(shown));
  return static_cast<std::int32_t>(tokens.size());
}
SLM_CATCH_OUT_OF_MEMORY

Status Chat::Resize(std::int32_t context_length) try {
  SLM_RETURN_IF_ERROR(CheckIdle(state_->session));
  SessionOptions options = state_->options.session;
  options.context_length = context_length;
  SLM_ASSIGN_OR_RETURN(Session session, state_->WhileInUse([&] { return Session::Create(state_->model(), options); }));
  state_->session = std::move(session);
  state_->options.session.context_length = context_length;
  state_->forgotten = 0;
  return {};
}
SLM_CATCH_OUT_OF_MEMORY

Status Chat::SetAdapters(std::span<const WeightedAdapter> adapters) try {
  std::vector<WeightedAdapter> kept(adapters.begin(), adapters.end());
  SLM_RETURN_IF_ERROR(state_->session.SetAdapters(kept));
  state_->options.session.adapters = std::move(kept);
  return {};
}
SLM_CATCH_OUT_OF_MEMORY

Status Chat::Save(const std::filesystem::path& path) const try {
  SLM_ASSIGN_OR_RETURN(const std::string note, WriteChatNote(state_->Note()));
  return state_->session.Save(path, note);
}
SLM_CATCH_OUT_OF_MEMORY

Result<Chat> Chat::Restore(const Model& model, const std::filesystem::path& path, const ChatOptions& options) try {
  SLM_RETURN_IF_ERROR(Sampler::Validate(options.sampler));
  SLM_ASSIGN_OR_RETURN(RestoredSession restored, Session::Restore(model, path, options.session));
  SLM_ASSIGN_OR_RETURN(ChatNote note, ReadChatNote(restored.note, model.vocab_size()));
  const std::vector<std::size_t> starts = LaterStarts(note.messages, 0);
  if (note.forgotten > 0 && !std::ranges::binary_search(starts, note.forgotten)) {
    return Status(StatusCode::kCorruptFile,
                  Cat("the conversation in the session file has ", note.messages.size(), " messages, of which ",
                      note.forgotten, " are forgotten: what is left does not begin with the user."));
  }
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
  chat.state_->forgotten = note.forgotten;
  return chat;
}
SLM_CATCH_OUT_OF_MEMORY

const ChatTemplate& Chat::chat_template() const { return state_->writer.chat_template(); }
const Session& Chat::session() const { return state_->session; }
const SamplerOptions& Chat::sampler() const { return state_->options.sampler; }

Status Chat::SetSampler(const SamplerOptions& options) try {
  SLM_RETURN_IF_ERROR(CheckIdle(state_->session));
  SLM_RETURN_IF_ERROR(Sampler::Validate(options));
  state_->options.sampler = SamplerOptions(options);
  return {};
}
SLM_CATCH_OUT_OF_MEMORY

const std::string& Chat::variables() const { return state_->options.variables; }

Status Chat::SetVariables(std::string_view variables) try {
  SLM_RETURN_IF_ERROR(CheckIdle(state_->session));
  ChatOptions options = state_->options;
  options.variables = variables;
  SLM_ASSIGN_OR_RETURN(PromptWriter writer, state_->WhileInUse([&] {
    return PromptWriter::Create(state_->model(), options, state_->writer.now());
  }));
  state_->writer = std::move(writer);
  state_->options.variables = std::move(options.variables);
  return {};
}
SLM_CATCH_OUT_OF_MEMORY

Result<std::int32_t> CountPromptTokens(const Model& model, const std::vector<Message>& messages,
                                       const ChatOptions& options) try {
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
SLM_CATCH_OUT_OF_MEMORY

}  // namespace slm
