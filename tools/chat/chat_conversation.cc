#include "chat_conversation.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>
#include <memory>
#include <system_error>
#include <utility>

#include "adapter_options.h"
#include "chat_context.h"
#include "chat_long.h"
#include "chat_variables.h"
#include "file_identity.h"
#include "slm/machine.h"
#include "tool_main.h"

namespace slm::tools {

namespace fs = std::filesystem;

namespace {

Result<Record> ToRecord(Result<GenerateResult> result) {
  if (!result.ok()) return result.status();
  return Record{.result = *std::move(result)};
}

}  // namespace

Result<Conversation> Conversation::Start(const Model& model, const ChatToolOptions& options,
                                         std::vector<Message> beginning, std::int32_t tokens) {
  const Result<SessionOptions> sized = SizeContext(model, options, tokens);
  if (!sized.ok()) return sized.status();
  Conversation conversation(model, options, std::move(beginning));
  if (options.raw) {
    Result<Session> session = Session::Create(model, *sized);
    if (!session.ok()) return session.status();
    conversation.session_ = *std::move(session);
    conversation.sampler_ = Sampler(options.sampler, &conversation.model_.tokenizer());
    if (Status status = conversation.MakeDraft(); !status.ok()) return status;
    return conversation;
  }
  ChatOptions chat_options = ToChatOptions(options);
  chat_options.session = *sized;
  Result<Chat> chat = Chat::Create(model, chat_options);
  if (!chat.ok()) return chat.status();
  conversation.chat_ = *std::move(chat);
  if (Status status = conversation.chat_->SetMessages(conversation.beginning_); !status.ok()) return status;
  if (Status status = conversation.MakeDraft(); !status.ok()) return status;
  return conversation;
}

Result<Conversation> Conversation::Fork() const {
  Conversation conversation(model_, options_, beginning_);
  conversation.shows_progress_ = shows_progress_;
  if (chat_) {
    Result<Chat> chat = chat_->Fork();
    if (!chat.ok()) return chat.status();
    conversation.chat_ = *std::move(chat);
    return conversation;
  }
  Result<Session> session = session_->Fork();
  if (!session.ok()) return session.status();
  conversation.session_ = *std::move(session);
  conversation.sampler_ = Sampler(options_.sampler, &conversation.model_.tokenizer());
  return conversation;
}

Result<Conversation> Conversation::GoOn(const Model& model, const ChatToolOptions& options, const std::string& system) {
  Conversation conversation(model, options, {});
  if (Status status = conversation.Load(options.session, options.context); !status.ok()) return status;
  if (system.empty()) return conversation;
  if (Status status = conversation.chat()->SetSystem(system); !status.ok()) return status;
  return conversation;
}

Status Conversation::MakeDraft() {
  if (options_.draft.empty()) return {};
  if (!draft_model_) {
    Result<Model> model = OpenModel(kChat, options_.draft, options_.compute.kernels);
    if (!model.ok()) return model.status();
    draft_model_ = *std::move(model);
  }
  SessionOptions session_options = ToChatOptions(options_).session;
  session_options.context_length = context_length();
  session_options.adapters.clear();  // they are the model's
  Result<Draft> draft = Draft::Create(model_, *draft_model_, session_options);
  if (!draft.ok()) return {draft.status().code(), "--draft " + options_.draft + ": " + draft.status().message()};
  draft_ = *std::move(draft);
  return {};
}

Status Conversation::SetSampler(const SamplerOptions& sampler) {
  Status status = chat_ ? chat_->SetSampler(sampler) : Sampler::Validate(sampler);
  if (!status.ok()) return status;
  if (!chat_) sampler_ = Sampler(sampler, &model_.tokenizer());
  options_.sampler = sampler;
  return {};
}

Status Conversation::Reset() {
  if (!chat_) return {};
  if (Status status = chat_->Reset(); !status.ok()) return status;
  std::vector<Message> messages = chat_->messages();
  for (const Message& message : beginning_) {
    if (message.role != Role::kSystem) messages.push_back(message);
  }
  return chat_->SetMessages(std::move(messages));
}

std::size_t Conversation::FirstTurn() const {
  const std::vector<Message>& messages = chat_->messages();
  const auto is_system = [](const Message& message) { return message.role == Role::kSystem; };
  const auto examples = std::ranges::count_if(beginning_, std::not_fn(is_system));
  return static_cast<std::size_t>(std::ranges::count_if(messages, is_system) + examples);
}

Status Conversation::Resize(std::int32_t context_length) {
  const std::uint64_t now = session().kv_bytes() + session().scratch_bytes();
  SessionOptions options = ToChatOptions(options_).session;
  options.context_length = context_length;
  const Result<MemoryEstimate> memory = EstimateMemory(model_, options);
  if (!memory.ok()) return memory.status();
  style_.Note("A context of " + std::to_string(context_length) + " tokens takes " +
              MemoryText(memory->session_bytes()) + " of memory; now it is " + MemoryText(now) + ".");
  const std::uint64_t available = DescribeMachine().available_bytes;
  if (available != 0 && memory->session_bytes() > available + now) {
    return Status(StatusCode::kOutOfMemory, "Only " + MemoryText(available) + " of memory can be had now.");
  }
  WarnBeyondTraining(kChat, model_, context_length);
  if (chat_) {
    if (Status status = chat_->Resize(context_length); !status.ok()) return status;
  } else {
    Result<Session> created = Session::Create(model_, options);
    if (!created.ok()) return created.status();
    session_ = *std::move(created);
  }
  options_.context = context_length;
  style_.Note("The next answer reads the conversation from its beginning.");
  return MakeDraft();
}

Status Conversation::Save(const fs::path& path) {
  const Result<fs::path> file = ResolvePath(path);
  if (!file.ok()) return file.status();
  const bool own = std::ranges::any_of(own_files_, [&](const fs::path& mine) { return IsSameFile(mine, *file); });
  std::error_code error;
  if (!own && fs::exists(*file, error)) {
    return Status(StatusCode::kInvalidArgument,
                  path.string() + " exists and is not of this conversation. Choose another name, or remove it.");
  }
  if (Status status = chat_->Save(*file); !status.ok()) return status;
  if (!own) own_files_.push_back(*file);
  return {};
}

Status Conversation::Load(const fs::path& path, std::int32_t context_length) {
  const Result<fs::path> file = ResolvePath(path);
  if (!file.ok()) return file.status();
  ChatOptions options = ToChatOptions(options_);
  options.session.context_length = context_length;
  Result<Chat> restored = Chat::Restore(model_, *file, options);
  if (!restored.ok()) return restored.status();
  chat_ = *std::move(restored);
  beginning_.clear();  // the file does not tell which of its messages were examples
  last_.reset();
  own_files_ = {*file};  // those of the conversation before are not this one's
  const bool moves = !options_.session.empty() && path != options_.session;
  if (moves) options_.session = path.string();
  style_.Note("Going on from " + path.string() + ": " + std::to_string(chat_->messages().size()) + " messages, " +
              std::to_string(session().position()) + " of " + std::to_string(session().context_length()) +
              " tokens of context" + (moves ? "; answers are now saved there." : "."));
  if (!options_.variables.empty()) {
    PrintMessage(kChat,
                 "warning: the conversation keeps the template's variables it began with; /set var changes them");
  }
  options_.variables = chat_->variables();
  return MakeDraft();
}

Status Conversation::SetVariable(std::string_view assignment) {
  if (!chat_) return Status(StatusCode::kInvalidArgument, "var needs turns, and --raw has none.");
  Result<std::string> variables = SetVariables(chat_->variables(), std::array{std::string(assignment)});
  if (!variables.ok()) return variables.status();
  if (Status status = chat_->SetVariables(*variables); !status.ok()) return status;
  options_.variables = *std::move(variables);
  style_.Note("The next answer reads anew what the template now writes in another way.");
  return SaveSession();
}

Status Conversation::SetAdapters(std::vector<std::string> texts) {
  Result<std::vector<WeightedAdapter>> adapters = OpenAdapters(model_, texts);
  if (!adapters.ok()) return adapters.status();
  Status status = chat_ ? chat_->SetAdapters(*adapters) : session_->SetAdapters(*adapters);
  if (!status.ok()) return status;
  options_.compute.lora = std::move(texts);
  options_.compute.adapters = *std::move(adapters);
  style_.Note("The next answer reads the conversation from its beginning.");
  return SaveSession();
}

Status Conversation::SaveSession() { return options_.session.empty() ? Status() : Save(options_.session); }

Status Conversation::Say(std::string_view text) {
  return Show([&](const PieceCallback& on_piece) {
    const GenerateOptions generate = ToGenerateOptions();
    if (!chat_) return ToRecord(ContinueText(text, on_piece, generate));
    if (Status status = CheckLength(text); !status.ok()) return Result<Record>(status);
    return ToRecord(chat_->Send(text, on_piece, generate));
  });
}

// A text that is longer than templates may write is told its real trouble.
Status Conversation::CheckLength(std::string_view text) const {
  if (text.size() < kLongText) return {};
  const Result<std::int32_t> tokens = Count({{.role = Role::kUser, .content = std::string(text)}});
  if (!tokens.ok() || *tokens <= context_length()) return tokens.status();
  return TooLong(*tokens, context_length());
}

Status Conversation::Retry() {
  return Show([&](const PieceCallback& on_piece) { return ToRecord(chat_->Retry(on_piece, ToGenerateOptions())); });
}

Status Conversation::AnswerInstead(std::vector<Message> messages) {
  std::vector<Message> before = chat_->messages();
  if (Status status = chat_->SetMessages(std::move(messages)); !status.ok()) return status;
  return Show([&](const PieceCallback& on_piece) {
    Result<GenerateResult> result = chat_->Answer(on_piece, ToGenerateOptions());
    if (!result.ok() || (result->finish_reason == FinishReason::kCancelled && result->text.empty())) {
      if (Status status = chat_->SetMessages(std::move(before)); !status.ok()) return Result<Record>(status);
    }
    return ToRecord(std::move(result));
  });
}

Status Conversation::AnswerOnce(const ChatPrompt& prompt, const std::string& text) {
  return Show([&](const PieceCallback& on_piece) {
    Result<Record> record = AnswerAbout(prompt, text, "", on_piece);
    if (record.ok() && options_.files.size() == 1) record->file = options_.files[0];
    return record;
  });
}

Result<Record> Conversation::AnswerUnseen(const ChatPrompt& prompt, const std::string& text, const std::string& about,
                                          const PieceCallback& on_piece) {
  return Measure([&](const PieceCallback& show) { return AnswerAbout(prompt, text, about, show); }, on_piece);
}

Result<Record> Conversation::Read(const ChatPrompt& prompt, const std::string& text) {
  return Measure([&](const PieceCallback& show) { return AnswerText(*this, prompt, text, {.max_tokens = 0}, show); },
                 {});
}

Result<Record> Conversation::AnswerAbout(const ChatPrompt& prompt, const std::string& text, const std::string& about,
                                         const PieceCallback& on_piece) {
  const LongOptions options = {
      .split = options_.long_text == "split",
      .max_tokens = options_.max_tokens,
      .say = [&about](const std::string& sentence) { PrintMessage(kChat, about + sentence + "."); }};
  return AnswerText(*this, prompt, text, options, on_piece);
}

Result<std::int32_t> Conversation::Count(const std::vector<Message>& messages) const {
  return CountTokens(model_, options_, messages);
}

Result<GenerateResult> Conversation::Answer(const std::vector<Message>& messages, std::int32_t max_tokens,
                                            const PieceCallback& on_piece) {
  GenerateOptions generate = ToGenerateOptions();
  generate.max_tokens = max_tokens;
  if (!chat_) {
    sampler_->Reseed(options_.sampler.seed);
    return ContinueText(messages.back().content, on_piece, generate);
  }
  if (Status status = chat_->Reset(); !status.ok()) return status;
  if (Status status = chat_->SetMessages(messages); !status.ok()) return status;
  return chat_->Answer(on_piece, generate);
}

Result<GenerateResult> Conversation::ContinueText(std::string_view text, const PieceCallback& on_piece,
                                                  const GenerateOptions& options) {
  WarnOfBosInText(kChat, model_.tokenizer(), text);
  const Result<std::vector<Token>> tokens = EncodeText(model_.tokenizer(), text);
  if (!tokens.ok()) return tokens.status();
  return Generate(*session_, *sampler_, *tokens, options, on_piece);
}

GenerateOptions Conversation::ToGenerateOptions() {
  ProgressCallback progress;
  if (shows_progress_) {
    progress = [line = std::make_shared<ProgressLine>()](std::int64_t done, std::int64_t total) {
      line->Show(done, total);
    };
  }
  return {.max_tokens = options_.max_tokens,
          .stop = options_.stop,
          .cancel = &RunningAnswer::cancel(),
          .prompt_progress = std::move(progress),
          .ignore_end = options_.ignore_end,
          .shift_keep = options_.shift_keep,
          .guess_tokens = options_.guess,
          .draft = draft_ ? &*draft_ : nullptr};
}

Result<Record> Conversation::Measure(const Call& call, const PieceCallback& on_piece) const {
  const EnergySpan span(energy_);
  Result<Record> record = call(on_piece);
  if (record.ok()) {
    record->joules = span.Joules();
    record->seed = options_.sampler.seed;
  }
  if (record.status().code() != StatusCode::kContextFull) return record;
  return Status(StatusCode::kContextFull, record.status().message() + RoomForText());
}

Status Conversation::Show(const Call& call) {
  const RunningAnswer running;
  AnswerWriter writer;
  const Result<Record> record =
      Measure(call, [&](std::string_view piece) { return options_.json ? kContinue : writer.Write(piece); });
  writer.End();
  stopped_ = RunningAnswer::cancel().cancelled();
  if (!record.ok()) return record.status();
  last_ = record->result;
  ++answers_;
  AddResult(*last_, &totals_.result);
  totals_.joules = totals_.joules.value_or(0) + record->joules.value_or(0);
  PrintRecord(*record);
  SayHowItEnded(*last_);
  Status status = SaveSession();
  if (status.ok() || !options_.interactive) return status;
  PrintMessage(kChat, status.message());  // there is an answer all the same
  return {};
}

void Conversation::PrintRecord(Record record) const {
  if (!options_.json) return;
  record.model = model_.name();
  const std::string line = ToJsonLine(record);
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fflush(stdout);
}

void Conversation::SayHowItEnded(const GenerateResult& result) const {
  if (result.finish_reason == FinishReason::kCancelled && RunningAnswer::cancel().cancelled()) {
    const bool nothing = result.text.empty() && chat_ && goes_on();
    style_.Note(nothing ? "[stopped before the first word; the conversation is as it was]" : "[stopped]");
  }
  if (result.forgotten_messages > 0) {
    style_.Note("[the oldest " + std::to_string(result.forgotten_messages) +
                " messages did not fit: the model has not read them]");
  }
  if (result.forgotten_tokens > 0) {
    style_.Note("[the context was full: the model went on without " + std::to_string(result.forgotten_tokens) +
                " earlier tokens]");
  }
  if (result.finish_reason == FinishReason::kContextFull) {
    PrintMessage(kChat, "the answer ends here because the context of " + std::to_string(context_length()) +
                            " tokens is full." + MoreRoom());
  }
  if (options_.stats) style_.Note(StatsLine(result));
}

// A sentence with a space before it, as the next one.
std::string Conversation::MoreRoom() const {
  const bool forgets = goes_on() && chat_ && chat_->messages().size() > 2 && !options_.forget_oldest;
  return std::string(options_.interactive ? " /set ctx N" : " --ctx N") +
         " gives it more room (the model was trained for up to " + std::to_string(model_.context_length()) +
         " tokens)" + (forgets ? "; --forget-oldest leaves out the oldest messages." : ".");
}

std::string Conversation::RoomForText() const {
  if (goes_on()) return MoreRoom();
  if (options_.long_text == "split") return "";
  const std::string trained = std::to_string(model_.context_length());
  const bool larger = context_length() < model_.context_length();
  return (larger ? " Give it more room with --ctx N (the model was trained for up to " + trained + "),"
                 : " The model was trained for no more than " + trained + " tokens and reads more (--ctx N) badly:") +
         " let it be read in parts with --long split, or take a shorter text.";
}

}  // namespace slm::tools
