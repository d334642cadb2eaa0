#include "chat_each.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <mutex>
#include <optional>
#include <utility>

#include "chat_parallel.h"
#include "replace_file.h"

namespace slm::tools {

namespace fs = std::filesystem;

namespace {

// A file's text in its prompt.
Result<std::string> ReadTask(const EachTask& task, const EachOptions& options, bool warn) {
  Result<std::string> text = ReadDocument(task.file.path, warn);
  if (!text.ok() || !options.wrap) return text;
  return options.wrap(task.file.path, *text);
}

std::uint64_t FingerprintOf(const std::vector<Message>& messages, const EachOptions& options) {
  std::string all = options.settings;
  for (const Message& message : messages) {
    all += '\0' + std::to_string(static_cast<int>(message.role)) + '\0' + message.content;
  }
  return Fingerprint(all);
}

std::string Duration(double seconds) {
  if (seconds < 90) return std::to_string(std::lround(seconds)) + " s";
  if (seconds < 90 * 60) return std::to_string(std::lround(seconds / 60)) + " min";
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f h", seconds / 3600);
  return text;
}

// How long the rest takes, from what was done.
class RemainingTime {
 public:
  explicit RemainingTime(const EachPlan& plan) {
    for (const EachTask& task : plan.tasks) {
      if (!task.done && task.problem.ok()) tokens_left_ += task.tokens + kAnswer;
    }
  }

  void Done(const EachTask& task, bool answered) {
    if (answered) tokens_done_ += task.tokens + kAnswer;
    tokens_left_ -= task.tokens + kAnswer;
  }

  // "" before anything is done.
  std::string text() const {
    if (tokens_done_ == 0) return "";
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    return "; about " + Duration(seconds * static_cast<double>(tokens_left_) / static_cast<double>(tokens_done_)) +
           " left";
  }

 private:
  // A file takes the time of its answer too, which is about as long as that of reading this many tokens.
  static constexpr std::int64_t kAnswer = 1000;

  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::int64_t tokens_done_ = 0;
  std::int64_t tokens_left_ = 0;
};

// Answers files and writes that down, from several threads.
class EachRun {
 public:
  EachRun(const EachPlan& plan, const ChatPrompt& prompt, const EachOptions& options, const EachCalls& calls,
          AnswerLog* log)
      : plan_(plan),
        prompt_(prompt),
        options_(options),
        calls_(calls),
        log_(log),
        finished_(plan.tasks.size()),
        outcomes_(plan.tasks.size()),
        remaining_(plan) {}

  EachSummary Run() {
    std::vector<std::function<void()>> workers;
    for (const EachCalls::Answer& answer : calls_.answer) workers.emplace_back([this, &answer] { Work(answer); });
    RunTogether(workers);
    return summary_;
  }

 private:
  void Work(const EachCalls::Answer& answer);
  Result<Record> AnswerFile(const EachTask& task, const EachCalls::Answer& answer);
  Status WriteDown(const EachTask& task, const std::string& text, Record* record);
  void TellOutcomes();
  void Tell(std::size_t index, const Result<Record>& outcome);

  const EachPlan& plan_;
  const ChatPrompt& prompt_;
  const EachOptions& options_;
  const EachCalls& calls_;
  AnswerLog* const log_;

  std::mutex mutex_;  // of what follows, of the log and of what is told
  std::size_t next_ = 0;
  std::size_t told_ = 0;  // files
  std::vector<bool> finished_;
  std::vector<std::optional<Result<Record>>> outcomes_;  // that are to be told
  RemainingTime remaining_;
  EachSummary summary_;
};

void EachRun::Work(const EachCalls::Answer& answer) {
  std::unique_lock lock(mutex_);
  while (next_ < plan_.tasks.size()) {
    const std::size_t index = next_++;
    const EachTask& task = plan_.tasks[index];
    if (task.done) {
      ++summary_.skipped;
    } else if (summary_.interrupted) {
      ++summary_.left;
    } else {
      lock.unlock();
      Result<Record> outcome = OutcomeOf([&] { return AnswerFile(task, answer); });
      lock.lock();
      if (task.problem.ok()) remaining_.Done(task, outcome.ok());
      if (outcome.ok() && outcome->result.finish_reason == FinishReason::kCancelled) {
        summary_.interrupted = true;
        ++summary_.left;
      } else {
        outcomes_[index] = std::move(outcome);
      }
    }
    finished_[index] = true;
    TellOutcomes();
  }
}

// A record that was cancelled has that finish reason, and is not written.
Result<Record> EachRun::AnswerFile(const EachTask& task, const EachCalls::Answer& answer) {
  if (!task.problem.ok()) return task.problem;
  // Read again rather than kept: all files together may be large, and one may have changed since the plan.
  const Result<std::string> text = ReadTask(task, options_, /*warn=*/true);
  if (!text.ok()) return text.status();
  Result<Record> record = answer(task.file.path, *text);
  if (!record.ok() || record->result.finish_reason == FinishReason::kCancelled) return record;
  const std::scoped_lock lock(mutex_);
  if (Status status = WriteDown(task, *text, &*record); !status.ok()) return status;
  return record;
}

Status EachRun::WriteDown(const EachTask& task, const std::string& text, Record* record) {
  std::string contents = record->result.text;
  if (!contents.empty() && !contents.ends_with('\n')) contents += '\n';
  const fs::path output = options_.folder / task.file.output;
  if (Status status = ReplaceFile(output, contents); !status.ok()) return status;
  record->output = output.string();
  record->file = task.file.path;
  // In this order: an answer without its line is still an answer, a line without its answer would be a lie.
  return log_->Add(task.file.output, FingerprintOf(PromptMessages(prompt_, text), options_));
}

std::string Describe(const Record& record) {
  const GenerateResult& result = record.result;
  return std::to_string(result.prompt_tokens) + " tokens read, " + std::to_string(result.cached_tokens) +
         " known before, " + std::to_string(result.generated_tokens) + " written in " +
         Duration(result.prompt_seconds + result.generate_seconds) +
         (result.finish_reason == FinishReason::kMaxTokens ? ", the most an answer may have" : "") +
         (result.finish_reason == FinishReason::kContextFull ? ", where the context was full" : "") +
         (result.text.empty() ? ", an empty answer" : "");
}

// In the order of the files, as far as they are done.
void EachRun::TellOutcomes() {
  for (; told_ < finished_.size() && finished_[told_]; ++told_) {
    if (outcomes_[told_]) Tell(told_, *std::exchange(outcomes_[told_], std::nullopt));
  }
}

void EachRun::Tell(std::size_t index, const Result<Record>& outcome) {
  const EachTask& task = plan_.tasks[index];
  if (!outcome.ok()) {
    ++summary_.failed;
    calls_.done({.file = task.file.path, .error = outcome.status().message()}, "");
    return;
  }
  ++summary_.answered;
  calls_.done(*outcome, std::to_string(index + 1) + " of " + std::to_string(plan_.tasks.size()) + ": " +
                            Describe(*outcome) + remaining_.text());
}

}  // namespace

Result<EachPlan> PlanEach(const std::vector<std::string>& paths, const ChatPrompt& prompt, const EachOptions& options,
                          const std::function<Result<std::int32_t>(const std::vector<Message>&)>& count,
                          const std::function<void(const std::string&)>& say) {
  Result<std::vector<EachFile>> files = NameAnswers(paths, options.folder, options.inputs);
  if (!files.ok()) return files.status();
  const Result<AnswerLog> log = AnswerLog::Open(options.folder);
  if (!log.ok()) return log.status();
  EachPlan plan;
  for (EachFile& file : *files) {
    EachTask& task = plan.tasks.emplace_back(EachTask{.file = std::move(file), .problem = {}});
    const Result<std::string> text = ReadTask(task, options, /*warn=*/false);
    task.problem = text.status();
    if (!text.ok()) continue;
    const std::vector<Message> messages = PromptMessages(prompt, *text);
    if (!options.overwrite) {
      const AnswerLog::State state = log->Find(task.file.output, FingerprintOf(messages, options));
      task.done = state == AnswerLog::State::kSame || state == AnswerLog::State::kUnknown;
      if (state == AnswerLog::State::kUnknown) {
        say((options.folder / task.file.output).string() +
            " is there already, though not known to come from this prompt, and stays; --overwrite replaces it");
      }
    }
    if (task.done) continue;
    const Result<std::int32_t> tokens = count(messages);
    task.problem = tokens.status();
    if (!tokens.ok()) continue;
    task.tokens = *tokens;
    plan.most_tokens = std::max(plan.most_tokens, task.tokens);
  }
  return plan;
}

Result<EachSummary> RunEach(const EachPlan& plan, const ChatPrompt& prompt, const EachOptions& options,
                            const EachCalls& calls) {
  Result<AnswerLog> log = AnswerLog::Open(options.folder);
  if (!log.ok()) return log.status();
  return EachRun(plan, prompt, options, calls, &*log).Run();
}

}  // namespace slm::tools
