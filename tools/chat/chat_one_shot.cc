#include "chat_one_shot.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "chat_context.h"
#include "chat_each.h"
#include "chat_input.h"
#include "chat_long.h"
#include "chat_report.h"
#include "chat_responder.h"
#include "chat_terminal.h"
#include "slm/session.h"

namespace slm::tools {

namespace {

void PrintLine(const std::string& line) { std::fwrite(line.data(), 1, line.size(), stdout); }

Record NewRecord(const ChatRun& run) {
  return {.model = std::string(run.model.name()), .seed = run.options.sampler.seed};
}

Status SetContext(ChatRun* run, std::int32_t tokens) {
  Result<SessionOptions> session = SizeContext(run->model, run->options, tokens);
  if (session.ok()) run->chat.session = *session;
  return session.status();
}

Result<std::unique_ptr<Responder>> MakeResponder(const ChatRun& run, GenerateOptions generate) {
  if (run.options.raw) {
    Result<RawResponder> raw = RawResponder::Create(run.model, run.chat.session, run.chat.sampler, std::move(generate));
    if (!raw.ok()) return raw.status();
    if (run.options.verbose) PrintSettings(run, raw->session(), "none");
    return std::unique_ptr<Responder>(std::make_unique<RawResponder>(*std::move(raw)));
  }
  Result<ChatResponder> chat = ChatResponder::Create(run.model, run.chat, std::move(generate));
  if (chat.status().code() == StatusCode::kUnsupported) {
    return Status(StatusCode::kUnsupported, chat.status().message() + " --raw continues a text without any template.");
  }
  if (!chat.ok()) return chat.status();
  if (run.options.verbose) PrintSettings(run, chat->chat().session(), chat->chat().chat_template().origin());
  return std::unique_ptr<Responder>(std::make_unique<ChatResponder>(*std::move(chat)));
}

LongOptions MakeLongOptions(const ChatToolOptions& options) {
  return {.split = options.long_text == "split",
          .max_tokens = options.max_tokens,
          .say = [](const std::string& sentence) { PrintMessage(kChat, sentence + "."); }};
}

// What could be done about a text that is too long.
Status WithAdvice(const Status& status, const ChatRun& run) {
  if (status.code() != StatusCode::kContextFull || run.options.long_text == "split") return status;
  const std::int32_t trained = run.model.context_length();
  const Result<MemoryEstimate> memory = EstimateMemory(run.model, run.chat.session);
  const bool larger = memory.ok() && memory->context_length < trained;
  return Status(status.code(), status.message() +
                                   (larger ? " Give it more room with --ctx N (the model was trained for up to "
                                           : " The model was trained for no more than ") +
                                   std::to_string(trained) +
                                   (larger ? ")," : " tokens and reads more (--ctx N) badly:") +
                                   " let it be read in parts with --long split, or take a shorter text.");
}

// Says what happened to the files, and how to go on.
void PrintSummary(const ChatToolOptions& options, const EachSummary& summary) {
  std::string text = std::to_string(summary.answered) + " answered, " + std::to_string(summary.skipped) +
                     " skipped because they were answered before, " + std::to_string(summary.failed) + " failed";
  if (summary.interrupted) {
    text += ", " + std::to_string(summary.left) + " left: stopped. To go on, run the same command again";
  }
  PrintMessage(kChat, text + ". The answers are in " + options.out_dir + ".");
}

EachEvents MakeEvents(const ChatRun& run) {
  const bool json = run.options.json;
  const bool shows_progress = run.options.verbose || ::isatty(STDERR_FILENO) != 0;
  EachEvents events;
  events.answered = [json](const Record& record) {
    if (!json) return;
    PrintLine(ToJsonLine(record));
    std::fflush(stdout);
  };
  events.failed = [&run, json](const std::string& path, const Status& status) {
    const Status problem = WithAdvice(status, run);
    const bool named = problem.message().find(path) != std::string::npos;
    const std::string where = named ? std::string() : path + ": ";
    PrintMessage(kChat, "failed: " + where + problem.message());
    if (!json) return;
    PrintLine(ErrorToJsonLine(NewRecord(run).model, path, problem.message()));
    std::fflush(stdout);
  };
  events.progress = [shows_progress](const std::string& path, const std::string& sentence) {
    if (shows_progress) PrintMessage(kChat, path + ", " + sentence + ".");
  };
  return events;
}

// What tells one model from another: cheap, and different for different files of one name.
std::string ModelIdentity(const ChatRun& run) {
  std::error_code ignored;
  const std::uintmax_t size = std::filesystem::file_size(run.options.model, ignored);
  return std::string(run.model.architecture()) + '\n' + std::string(run.model.name()) + '\n' + std::to_string(size) +
         '\n';
}

}  // namespace

Result<ChatPrompt> ReadChatPrompt(const ChatToolOptions& options) {
  ChatPrompt prompt;
  if (!options.prompt.empty()) {
    Result<ChatPrompt> found = FindPrompt(options.prompt, PromptFolders());
    if (!found.ok()) return found;
    prompt = *std::move(found);
  }
  if (options.system.empty()) return prompt;
  Result<std::string> system = ReadSystemText(options);
  if (!system.ok()) return system.status();
  prompt.system = *std::move(system);
  return prompt;
}

Status PrintPromptList() {
  const std::vector<std::filesystem::path> folders = PromptFolders();
  std::vector<Status> problems;
  const std::vector<ChatPrompt> prompts = ListPrompts(folders, &problems);
  std::size_t width = 0;
  for (const ChatPrompt& prompt : prompts) width = std::max(width, prompt.name.size());
  for (const ChatPrompt& prompt : prompts) {
    PrintLine(prompt.name + std::string(width - prompt.name.size() + 2, ' ') + prompt.description + "\n" +
              std::string(width + 2, ' ') + prompt.path.string() + "\n");
  }
  for (const Status& problem : problems) PrintMessage(kChat, "warning: " + problem.message());
  if (!prompts.empty()) return {};
  std::string places;
  for (const std::filesystem::path& folder : folders) places += (places.empty() ? "" : " and ") + folder.string();
  return Status(StatusCode::kNotFound, "There are no prompt files in " + places + ".");
}

Status AnswerOnce(ChatRun* run, const std::string& text, bool* interrupted) {
  const Result<std::int32_t> tokens =
      CountTokens(run->model, PromptMessages(run->prompt, text), run->chat, run->options.raw);
  if (!tokens.ok()) return tokens.status();
  if (Status status = SetContext(run, *tokens); !status.ok()) return status;

  const RunningAnswer running;
  ProgressLine progress;
  GenerateOptions generate = ToGenerateOptions(run->options, &running.cancel());
  generate.prompt_progress = [&](std::int64_t done, std::int64_t total) { progress.Show(done, total); };
  const Result<std::unique_ptr<Responder>> responder = MakeResponder(*run, generate);
  if (!responder.ok()) return responder.status();

  AnswerWriter writer;
  const bool json = run->options.json;
  const EnergySpan span(run->energy);
  const Result<LongAnswer> answer =
      AnswerText(**responder, run->prompt, text, MakeLongOptions(run->options), [&](std::string_view piece) {
        progress.Clear();
        return json ? kContinue : writer.Write(piece);
      });
  progress.Clear();
  writer.End();
  *interrupted = running.cancel().cancelled();
  if (*interrupted) Style(run->options.color).Note("[stopped]");
  if (!answer.ok()) return WithAdvice(answer.status(), *run);
  if (answer->result.forgotten_tokens > 0) {
    PrintMessage(kChat, "the context was full: the model went on without " +
                            std::to_string(answer->result.forgotten_tokens) + " earlier tokens.");
  }
  if (answer->result.finish_reason == FinishReason::kContextFull) {
    PrintMessage(kChat, "the answer ends here because the context of " +
                            std::to_string((*responder)->context_length()) +
                            " tokens is full; --ctx N gives it more room.");
  }
  if (json) {
    Record record = NewRecord(*run);
    if (run->options.files.size() == 1) record.file = run->options.files[0];
    record.result = answer->result;
    record.parts = answer->parts;
    record.joules = span.Joules();
    PrintLine(ToJsonLine(record));
  }
  if (run->options.stats) Style(run->options.color).Note(StatsLine(answer->result));
  return {};
}

Status AnswerEach(ChatRun* run, int* exit_code) {
  const ChatToolOptions& options = run->options;
  const auto wrap = ReadPromptAround(options);
  if (!wrap.ok()) return wrap.status();
  const EachOptions each{.folder = options.out_dir,
                         .overwrite = options.overwrite,
                         .settings = ModelIdentity(*run) + AnswerSettings(options),
                         .wrap = *wrap};
  const Result<EachPlan> plan = PlanEach(
      options.each, run->prompt, each,
      [&](const std::vector<Message>& messages) { return CountTokens(run->model, messages, run->chat, options.raw); },
      [](const std::string& sentence) { PrintMessage(kChat, sentence + "."); });
  if (!plan.ok()) return plan.status();
  if (Status status = SetContext(run, plan->most_tokens); !status.ok()) return status;

  const RunningAnswer running;
  ProgressLine progress;
  GenerateOptions generate = ToGenerateOptions(options, &running.cancel());
  generate.prompt_progress = [&](std::int64_t done, std::int64_t total) {
    progress.Show(done, total);
    if (done == total) progress.Clear();
  };
  const Result<std::unique_ptr<Responder>> responder = MakeResponder(*run, generate);
  if (!responder.ok()) return responder.status();
  const Result<EachSummary> summary = RunEach(*plan, run->prompt, each, MakeLongOptions(options), **responder,
                                              NewRecord(*run), run->energy, running.cancel(), MakeEvents(*run));
  if (!summary.ok()) return summary.status();
  PrintSummary(options, *summary);
  if (summary->failed > 0) *exit_code = kExitFailure;
  if (summary->interrupted) *exit_code = kExitInterrupted;
  return {};
}

void PrintSettings(const ChatRun& run, const Session& session, std::string_view template_origin) {
  const Model& model = run.model;
  const auto print = [](const std::string& text) { std::fwrite(text.data(), 1, text.size(), stderr); };
  print("model: " + WithoutControls(model.name()) + " (" + WithoutControls(model.architecture()) + "), " +
        run.options.model + "\n");
  print("compute: kernels " + std::string(model.kernels()) + ", " + std::to_string(session.threads()) +
        " threads; context of " + std::to_string(session.context_length()) + " tokens, " +
        MemoryText(session.kv_bytes()) + " of " + run.options.compute.kv + " cache\n");
  print("sampling: " + SamplerSummary(run.options.sampler) + ", seed " + std::to_string(run.options.sampler.seed) +
        "\n");
  print("chat template: " + std::string(template_origin) + "\n");
  if (!run.prompt.path.empty()) print("prompt: " + run.prompt.path.string() + "\n");
}

}  // namespace slm::tools
