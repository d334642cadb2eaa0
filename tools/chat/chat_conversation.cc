#include "chat_conversation.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <system_error>
#include <utility>

#include "chat_context.h"
#include "chat_input.h"
#include "chat_report.h"
#include "chat_responder.h"
#include "slm/machine.h"
#include "tool_main.h"

namespace slm::tools {

namespace fs = std::filesystem;

Result<Conversation> Conversation::Start(const Model& model, const ChatToolOptions& options,
                                         std::vector<Message> beginning, const std::string* prompt) {
  Conversation conversation(model, options, std::move(beginning));
  if (Status status = conversation.Open(prompt); !status.ok()) return status;
  return conversation;
}

Status Conversation::Open(const std::string* prompt) {
  if (!options_.template_file.empty()) {
    Result<std::string> source = ReadTextFile(options_.template_file);
    if (!source.ok()) return source.status();
    template_source_ = *std::move(source);
  }
  std::error_code error;
  if (!options_.session.empty() && fs::exists(options_.session, error)) {
    const std::vector<Message> wanted = beginning_;
    if (Status status = Load(options_.session, options_.context); !status.ok()) return status;
    if (!wanted.empty() && wanted.front().role == Role::kSystem) chat_->SetSystem(wanted.front().content);
    return {};
  }
  ChatOptions chat = ToChatOptions();
  const Result<std::int32_t> tokens = prompt != nullptr ? CountPrompt(*prompt) : 0;
  if (!tokens.ok()) return tokens.status();
  const Result<SessionOptions> sized = SizeContext(model_, options_, *tokens);
  if (!sized.ok()) return sized.status();
  chat.session = *sized;
  if (options_.raw) {
    Result<Session> session = Session::Create(model_, chat.session);
    if (!session.ok()) return session.status();
    session_ = *std::move(session);
    sampler_ = Sampler(options_.sampler, &model_.tokenizer());
    return {};
  }
  Result<Chat> created = Chat::Create(model_, chat);
  if (created.status().code() == StatusCode::kUnsupported) {
    return Status(StatusCode::kUnsupported,
                  created.status().message() + " --template FILE gives one; --raw continues a text without any.");
  }
  if (!created.ok()) return created.status();
  chat_ = *std::move(created);
  chat_->SetMessages(beginning_);
  return {};
}

ChatOptions Conversation::ToChatOptions() const {
  return {.chat_template = template_source_,
          .session = ToSessionOptions(options_.compute, options_.context),
          .sampler = options_.sampler,
          .forget_oldest = options_.forget_oldest};
}

Result<std::int32_t> Conversation::CountPrompt(const std::string& prompt) const {
  std::vector<Message> messages = beginning_;
  messages.push_back({.role = Role::kUser, .content = prompt});
  return CountTokens(model_, messages, ToChatOptions(), options_.raw);
}

Status Conversation::SetSampler(const SamplerOptions& sampler) {
  Status status = chat_ ? chat_->SetSampler(sampler) : Sampler::Validate(sampler);
  if (!status.ok()) return status;
  if (!chat_) sampler_ = Sampler(sampler, &model_.tokenizer());
  options_.sampler = sampler;
  return {};
}

void Conversation::Reset() {
  if (!chat_) return;
  chat_->Reset();
  std::vector<Message> messages = chat_->messages();
  for (const Message& message : beginning_) {
    if (message.role != Role::kSystem) messages.push_back(message);
  }
  chat_->SetMessages(std::move(messages));
}

std::size_t Conversation::FirstTurn() const {
  const std::vector<Message>& messages = chat_->messages();
  const auto is_system = [](const Message& message) { return message.role == Role::kSystem; };
  const auto examples = std::ranges::count_if(beginning_, std::not_fn(is_system));
  return static_cast<std::size_t>(std::ranges::count_if(messages, is_system) + examples);
}

Status Conversation::Resize(std::int32_t context_length) {
  const std::uint64_t now = session().kv_bytes() + session().scratch_bytes();
  SessionOptions options = ToChatOptions().session;
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
  return {};
}

Status Conversation::Save(const fs::path& path) {
  std::error_code error;
  const fs::path absolute = fs::weakly_canonical(path, error);
  if (error) return Status(StatusCode::kIoError, "Cannot save to " + path.string() + ": " + error.message() + ".");
  const bool own = std::ranges::find(own_files_, absolute) != own_files_.end();
  if (!own && fs::exists(absolute, error)) {
    return Status(StatusCode::kInvalidArgument,
                  path.string() + " exists and is not of this conversation. Choose another name, or remove it.");
  }
  if (Status status = chat_->Save(absolute); !status.ok()) return status;
  if (!own) own_files_.push_back(absolute);
  return {};
}

Status Conversation::Load(const fs::path& path, std::int32_t context_length) {
  ChatOptions options = ToChatOptions();
  options.session.context_length = context_length;
  Result<Chat> restored = Chat::Restore(model_, path, options);
  if (!restored.ok()) return restored.status();
  chat_ = *std::move(restored);
  beginning_.clear();  // the file does not tell which of its messages were examples
  last_.reset();
  std::error_code error;
  own_files_.push_back(fs::weakly_canonical(path, error));
  style_.Note("Going on from " + path.string() + ": " + std::to_string(chat_->messages().size()) + " messages, " +
              std::to_string(session().position()) + " of " + std::to_string(session().context_length()) +
              " tokens of context.");
  return {};
}

Status Conversation::SaveSession() { return options_.session.empty() ? Status() : Save(options_.session); }

Result<Conversation::End> Conversation::Say(std::string_view text) {
  return Answer([&](const PieceCallback& on_piece, const GenerateOptions& generate) {
    return chat_ ? chat_->Send(text, on_piece, generate) : ContinueText(text, on_piece, generate);
  });
}

Result<Conversation::End> Conversation::Retry() {
  return Answer(
      [&](const PieceCallback& on_piece, const GenerateOptions& generate) { return chat_->Retry(on_piece, generate); });
}

Result<Conversation::End> Conversation::AnswerInstead(std::vector<Message> messages) {
  std::vector<Message> before = chat_->messages();
  chat_->SetMessages(std::move(messages));
  return Answer([&](const PieceCallback& on_piece, const GenerateOptions& generate) {
    Result<GenerateResult> result = chat_->Answer(on_piece, generate);
    if (!result.ok() || (result->finish_reason == FinishReason::kCancelled && result->text.empty())) {
      chat_->SetMessages(std::move(before));
    }
    return result;
  });
}

Result<GenerateResult> Conversation::ContinueText(std::string_view text, const PieceCallback& on_piece,
                                                  const GenerateOptions& options) {
  const Result<std::vector<Token>> tokens = model_.tokenizer().Encode(text, {.add_special = true});
  if (!tokens.ok()) return tokens.status();
  return Generate(*session_, *sampler_, *tokens, options, on_piece);
}

Result<Conversation::End> Conversation::Answer(const Call& call) {
  const RunningAnswer running;
  ProgressLine progress;
  AnswerWriter writer;
  GenerateOptions generate = ToGenerateOptions(options_, &running.cancel());
  generate.prompt_progress = [&](std::int64_t done, std::int64_t total) { progress.Show(done, total); };
  const EnergySpan span(energy_);
  const Result<GenerateResult> result = call(
      [&](std::string_view piece) {
        progress.Clear();
        return options_.json ? kContinue : writer.Write(piece);
      },
      generate);
  progress.Clear();
  writer.End();
  if (result.status().code() == StatusCode::kContextFull) {
    return Status(result.status().code(), result.status().message() + " " + MoreRoom());
  }
  if (!result.ok()) return result.status();
  const std::optional<double> joules = span.Joules();
  Count(*result, joules);
  if (options_.json) PrintRecord(*result, joules);
  SayHowItEnded(*result);
  if (Status status = SaveSession(); !status.ok()) {
    if (!options_.interactive) return status;
    PrintMessage(kChat, status.message());  // there is an answer all the same
  }
  return running.cancel().cancelled() ? End::kStopped : End::kWhole;
}

void Conversation::PrintRecord(const GenerateResult& result, std::optional<double> joules) const {
  const std::string line = ToJsonLine(
      {.model = std::string(model_.name()), .result = result, .joules = joules, .seed = options_.sampler.seed});
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fflush(stdout);
}

void Conversation::Count(const GenerateResult& result, std::optional<double> joules) {
  last_ = result;
  ++totals_.answers;
  totals_.read_tokens += result.prompt_tokens;
  totals_.cached_tokens += result.cached_tokens;
  totals_.reread_tokens += result.reread_tokens;
  totals_.generated_tokens += result.generated_tokens;
  totals_.read_seconds += result.prompt_seconds;
  totals_.generate_seconds += result.generate_seconds;
  totals_.joules += joules.value_or(0);
}

void Conversation::SayHowItEnded(const GenerateResult& result) const {
  if (result.finish_reason == FinishReason::kCancelled) {
    style_.Note(result.text.empty() && chat_ ? "[stopped before the first word; the conversation is as it was]"
                                             : "[stopped]");
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
    PrintMessage(kChat, "the answer ends here because the context of " + std::to_string(session().context_length()) +
                            " tokens is full. " + MoreRoom());
  }
  if (options_.stats) style_.Note(StatsLine(result));
}

std::string Conversation::MoreRoom() const {
  const std::string room = options_.interactive ? "/set ctx N" : "--ctx N";
  std::string text = room + " gives it more room (the model was trained for up to " +
                     std::to_string(model_.context_length()) + " tokens)";
  if (chat_ && chat_->messages().size() > 2 && !options_.forget_oldest)
    text += "; --forget-oldest leaves out the oldest messages";
  return text + ".";
}

}  // namespace slm::tools
