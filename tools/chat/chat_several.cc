#include "chat_several.h"

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <string_view>
#include <utility>

#include "chat_answers.h"
#include "chat_context.h"
#include "chat_parallel.h"
#include "chat_terminal.h"
#include "slm/machine.h"
#include "tool_main.h"

namespace slm::tools {

namespace {

// Shows answers one after the other.
class AnswerList {
 public:
  // `read`: what reading the prompt took. The first answer counts it as its own.
  AnswerList(const Conversation& conversation, const ChatToolOptions& options, const GenerateResult& read)
      : conversation_(conversation), options_(options), read_(read) {}

  StreamAction Write(std::size_t index, std::string_view text) {
    if (options_.json) return kContinue;
    WriteHeading(index);
    return writer_.Write(text);
  }

  void End(std::size_t index, const Result<Record>& outcome) {
    if (!outcome.ok()) {
      writer_.End();
      PrintError(index, outcome.status());
      return;
    }
    Record record = *outcome;
    GenerateResult& result = record.result;
    if (result.text.empty() && result.finish_reason == FinishReason::kCancelled) return;
    if (!options_.json) WriteHeading(index);
    writer_.End();
    record.answer = static_cast<std::int32_t>(index + 1);
    if (options_.files.size() == 1) record.file = options_.files[0];
    if (index == 0) {
      result.prompt_tokens = read_.prompt_tokens;
      result.cached_tokens = read_.cached_tokens;
      result.prompt_seconds += read_.prompt_seconds;
    }
    conversation_.PrintRecord(record);
    conversation_.SayHowItEnded(result);
    generated_tokens_ += result.generated_tokens;
  }

  bool failed() const { return failed_; }
  std::int64_t generated_tokens() const { return generated_tokens_; }

 private:
  // Before the first word of an answer.
  void WriteHeading(std::size_t index) {
    if (std::exchange(headed_, index + 1) == index + 1) return;
    const std::string number = std::to_string(index + 1) + " of " + std::to_string(options_.answers);
    writer_.Write((index == 0 ? "" : "\n") + ("# Answer " + number) + ", seed " +
                  std::to_string(options_.sampler.seed + index) + "\n\n");
  }

  void PrintError(std::size_t index, const Status& status) {
    failed_ = true;
    const std::string message = InUserWords(status).message();
    conversation_.PrintRecord({.error = message, .answer = static_cast<std::int32_t>(index + 1)});
    PrintMessage(kChat, "answer " + std::to_string(index + 1) + " failed: " + message);
  }

  const Conversation& conversation_;
  const ChatToolOptions& options_;
  const GenerateResult& read_;
  AnswerWriter writer_;
  std::size_t headed_ = 0;  // answers with a heading
  bool failed_ = false;
  std::int64_t generated_tokens_ = 0;
};

}  // namespace

std::int32_t AtATime(const ChatToolOptions& options) { return options.draft.empty() ? options.parallel : 1; }

Result<std::vector<Conversation>> MakeOthers(const Conversation& first, const ChatToolOptions& options,
                                             std::int64_t tasks) {
  const std::uint64_t cache = first.session().kv_bytes();
  const std::uint64_t available = DescribeMachine().available_bytes;
  const std::int64_t count = CountOthers(AtATime(options), tasks, cache + first.session().scratch_bytes(), available);
  const std::uint64_t needed = static_cast<std::uint64_t>(count + 1) * cache;
  if (count > 0 && available != 0 && needed > available) {
    return Status(StatusCode::kOutOfMemory,
                  std::to_string(count + 1) + " contexts of " + std::to_string(first.context_length()) +
                      " tokens at a time need " + MemoryText(needed) + " of memory, but only " + MemoryText(available) +
                      " are free. Give a smaller --parallel or a smaller --ctx; --kv q8_0 halves the need.");
  }
  std::vector<Conversation> others;
  while (std::cmp_less(others.size(), count)) {
    Result<Conversation> other = first.Fork();
    if (!other.ok()) return other.status();
    others.push_back(*std::move(other));
  }
  return others;
}

Status AnswerSeveral(Conversation& first, const ChatToolOptions& options, const ChatPrompt& prompt,
                     const std::string& text, int* exit_code) {
  const RunningAnswer running;
  const Result<Record> read = first.Read(prompt, text);
  if (!read.ok()) return read.status();
  if (read->result.finish_reason == FinishReason::kCancelled) {
    first.SayHowItEnded(read->result);
    *exit_code = kExitInterrupted;
    return {};
  }
  first.HideProgress();
  Result<std::vector<Conversation>> others = MakeOthers(first, options, options.answers);
  if (!others.ok()) return others.status();
  const auto start = std::chrono::steady_clock::now();
  AnswerList list(first, options, read->result);
  AnswersCalls calls{.answer = {},
                     .text = [&](std::size_t index, std::string_view piece) { return list.Write(index, piece); },
                     .done = [&](std::size_t index, const Result<Record>& outcome) { list.End(index, outcome); }};
  const auto add = [&](Conversation& by) {
    calls.answer.emplace_back([&](std::size_t index, const PieceCallback& on_piece) -> Result<Record> {
      SamplerOptions sampler = options.sampler;
      sampler.seed += index;
      if (Status status = by.SetSampler(sampler); !status.ok()) return status;
      return by.AnswerUnseen(prompt, text, "", on_piece);
    });
  };
  add(first);
  for (Conversation& other : *others) add(other);
  RunAnswers(static_cast<std::size_t>(options.answers), calls);
  if (list.failed()) *exit_code = kExitFailure;
  if (RunningAnswer::cancel().cancelled()) *exit_code = kExitInterrupted;
  if (!options.stats) return {};
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  char line[128];
  std::snprintf(line, sizeof(line), "[all answers: %lld tokens, %.1f tokens/s, %d at a time]",
                static_cast<long long>(list.generated_tokens()), static_cast<double>(list.generated_tokens()) / seconds,
                static_cast<int>(calls.answer.size()));
  first.style().Note(line);
  return {};
}

}  // namespace slm::tools
