// slm-chat: talks with a model, or answers one prompt made of files, standard input and words.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "chat_context.h"
#include "chat_conversation.h"
#include "chat_each.h"
#include "chat_input.h"
#include "chat_interactive.h"
#include "chat_options.h"
#include "chat_prompts.h"
#include "chat_several.h"
#include "chat_terminal.h"
#include "file_identity.h"
#include "slm/chat_template.h"
#include "slm/model.h"
#include "tool_main.h"

namespace slm::tools {

namespace {

constexpr char kAnswersUsage[] = "--answers is for a single prompt, without --interactive, --session and --each.";

// A mistake on the command line.
Status WrongUsage(const std::string& message, int* exit_code) {
  *exit_code = kExitUsage;
  return Status(StatusCode::kInvalidArgument, message + " Run with --help for the options and examples.");
}

Status CheckUsage(const ChatToolOptions& options, int* exit_code) {
  if (options.raw && !(options.system + options.prompt + options.session + options.template_file).empty()) {
    return WrongUsage("--raw has no turns, and so no --system, --prompt, --session and --template.", exit_code);
  }
  if (options.raw && !options.given_variables.empty()) {
    return WrongUsage("--raw has no template, and so no --var.", exit_code);
  }
  if (options.no_stdin && options.interactive) {
    return WrongUsage("--interactive reads its turns from standard input, which --no-stdin leaves alone.", exit_code);
  }
  if (options.shift_keep >= 0 && options.max_tokens < 0) {
    return WrongUsage("--shift-keep needs -n, without which an answer might never end.", exit_code);
  }
  if (options.each.empty() != options.out_dir.empty()) {
    return WrongUsage("--each and --out-dir go together.", exit_code);
  }
  if (!options.each.empty() && (options.interactive || !options.session.empty())) {
    return WrongUsage("--each is no conversation, and has no --interactive and --session.", exit_code);
  }
  if (!options.draft.empty() && options.parallel > 1) {
    return WrongUsage("--draft guesses for one answer at a time, not for --parallel.", exit_code);
  }
  if (options.answers > 1 && !(options.session + options.out_dir).empty()) return WrongUsage(kAnswersUsage, exit_code);
  if (options.long_text == "split" && (!options.session.empty() || options.answers > 1)) {
    return WrongUsage("--long split is for single answers, not for the conversation of --session and for --answers.",
                      exit_code);
  }
  return {};
}

// The lines of --verbose.
void PrintSettings(Conversation& conversation, const ChatPrompt& prompt) {
  const ChatToolOptions& options = conversation.options();
  if (!options.verbose) return;
  const Model& model = conversation.model();
  const Session& session = conversation.session();
  const std::pair<const char*, std::string> lines[] = {
      {"model", std::string(model.name()) + " (" + std::string(model.architecture()) + "), " + options.model},
      {"compute", "kernels " + std::string(model.kernels()) + ", " + std::to_string(session.threads()) +
                      " threads; context of " + std::to_string(session.context_length()) + " tokens, " +
                      MemoryText(session.kv_bytes()) + " of " + options.compute.kv + " cache"},
      {"sampling", SamplerSummary(options.sampler)},
      {"sampling options", SamplingSources(options)},
      {"chat template", conversation.template_origin()},
      {"template variables", options.variables},
      {"prompt", prompt.path.string()}};
  for (const auto& [name, text] : lines) {
    if (!text.empty()) std::fprintf(stderr, "%s: %s\n", name, Escaped(text).c_str());
  }
}

// One answer, or a conversation, which the text begins if there is one.
Status Talk(const Model& model, const ChatToolOptions& options, const ChatPrompt& prompt,
            const std::optional<std::string>& text, int* exit_code) {
  std::vector<Message> beginning = PromptMessages(prompt, text.value_or(""));
  const std::string first = beginning.back().content;
  std::error_code ignored;
  const bool goes_on = !options.session.empty() && std::filesystem::exists(options.session, ignored);
  const Result<std::int32_t> tokens = text && !goes_on ? CountTokens(model, options, beginning) : 0;
  if (!tokens.ok()) return tokens.status();
  beginning.pop_back();
  Result<Conversation> conversation = goes_on ? Conversation::GoOn(model, options, prompt.system)
                                              : Conversation::Start(model, options, std::move(beginning), *tokens);
  if (!conversation.ok()) return conversation.status();
  PrintSettings(*conversation, prompt);
  if (text) {
    if (options.answers > 1) return AnswerSeveral(*conversation, options, prompt, *text, exit_code);
    const bool once = !options.interactive && options.session.empty();
    Status status = once ? conversation->AnswerOnce(prompt, *text) : conversation->Say(first);
    if (!status.ok()) return status;
    if (!options.interactive) {
      if (conversation->stopped()) *exit_code = kExitInterrupted;
      return {};
    }
  }
  *exit_code = Converse(*conversation);
  return {};
}

// What tells one model from another: cheap, and different for different files of one name.
std::string ModelIdentity(const Model& model, const std::string& path) {
  std::error_code ignored;
  return std::string(model.architecture()) + '\n' + std::string(model.name()) + '\n' +
         std::to_string(std::filesystem::file_size(path, ignored)) + '\n';
}

// Says what happened to a file of --each.
void PrintFile(const Conversation& conversation, Record record, const std::string& progress, bool shows_progress) {
  if (!record.error.empty()) record.error = InUserWords({StatusCode::kInvalidArgument, record.error}).message();
  conversation.PrintRecord(record);
  if (!record.error.empty()) {
    const bool named = record.error.find(record.file) != std::string::npos;
    PrintMessage(kChat, "failed: " + (named ? "" : record.file + ": ") + record.error);
  } else if (shows_progress) {
    PrintMessage(kChat, record.file + ", " + progress + ".");
  }
}

// Says what happened to all files, and how to go on.
void PrintSummary(const ChatToolOptions& options, const EachSummary& summary) {
  std::string text = std::to_string(summary.answered) + " answered, " + std::to_string(summary.skipped) +
                     " skipped because they were answered before, " + std::to_string(summary.failed) + " failed";
  if (summary.interrupted) {
    text += ", " + std::to_string(summary.left) + " left: stopped. To go on, run the same command again";
  }
  PrintMessage(kChat, text + ". The answers are in " + options.out_dir + ".");
}

// Answers the prompt for each file of --each. A Status tells why it could not begin; what became of the files is told
// on standard error and by the exit code.
Status AnswerEach(const Model& model, const ChatToolOptions& options, const ChatPrompt& prompt, int* exit_code) {
  const auto wrap = ReadPromptAround(options);
  if (!wrap.ok()) return wrap.status();
  std::vector<std::string> inputs = options.files;
  inputs.insert(inputs.end(), {options.model, options.template_file, prompt.path.string()});
  const std::vector<std::string> adapters = AdapterFiles(options.compute.lora);
  inputs.insert(inputs.end(), adapters.begin(), adapters.end());
  if (options.system.starts_with('@')) inputs.push_back(options.system.substr(1));
  const EachOptions each{.folder = options.out_dir,
                         .inputs = std::move(inputs),
                         .overwrite = options.overwrite,
                         .settings = ModelIdentity(model, options.model) + AnswerSettings(options),
                         .wrap = *wrap};
  const Result<EachPlan> plan = PlanEach(
      options.each, prompt, each,
      [&](const std::vector<Message>& messages) { return CountTokens(model, options, messages); },
      [](const std::string& sentence) { PrintMessage(kChat, sentence + "."); });
  if (!plan.ok()) return plan.status();
  Result<Conversation> conversation = Conversation::Start(model, options, {}, plan->most_tokens);
  if (!conversation.ok()) return conversation.status();
  conversation->HideProgress();  // the answers tell how far it is
  PrintSettings(*conversation, prompt);
  const bool shows_progress = options.verbose || ::isatty(STDERR_FILENO) != 0;
  const RunningAnswer running;
  const auto is_open = [](const EachTask& task) { return !task.done && task.problem.ok(); };
  const auto tasks = std::ranges::count_if(plan->tasks, is_open);
  if (AtATime(options) != 1 && tasks > 1) {
    // What all prompts begin with is read once, for all. If it can't be read, the files will say so.
    const std::string& path = std::ranges::find_if(plan->tasks, is_open)->file.path;
    static_cast<void>(conversation->Read(prompt, (*wrap)(path, "")));
  }
  Result<std::vector<Conversation>> others = MakeOthers(*conversation, options, tasks);
  if (!others.ok()) return others.status();
  if (!others->empty() && options.verbose)
    PrintMessage(kChat, std::to_string(others->size() + 1) + " files are answered at a time.");
  const auto answer = [&prompt](Conversation& by) {
    return [&prompt, &by](const std::string& path, const std::string& text) {
      return by.AnswerUnseen(prompt, text, path + ": ");
    };
  };
  EachCalls calls{.answer = {answer(*conversation)}, .done = [&](const Record& record, const std::string& progress) {
                    PrintFile(*conversation, record, progress, shows_progress);
                  }};
  for (Conversation& other : *others) calls.answer.emplace_back(answer(other));
  const Result<EachSummary> summary = RunEach(*plan, prompt, each, calls);
  if (!summary.ok()) return summary.status();
  PrintSummary(options, *summary);
  if (summary->failed > 0) *exit_code = kExitFailure;
  if (summary->interrupted) *exit_code = kExitInterrupted;
  return {};
}

// Answers what the options ask for, with a model.
Status RunModel(ChatToolOptions options, const ChatPrompt& prompt, const std::optional<std::string>& text,
                int* exit_code) {
  if (options.model.empty()) return WrongUsage("No model: give one with -m PATH or in $SLM_MODEL.", exit_code);
  const Result<Model> model = OpenModel(kChat, options.model, options.compute);
  if (!model.ok()) return model.status();
  if (Status status = ApplySampling(model->file(), &options); !status.ok()) return status;
  if (!options.session.empty()) {
    const Result<std::filesystem::path> session = ResolvePath(options.session);
    if (!session.ok()) return session.status();
    options.session = session->string();
  }
  if (!options.template_file.empty()) {
    Result<std::string> source = ReadTextFile(options.template_file);
    if (!source.ok()) return source.status();
    options.template_source = *std::move(source);
  }
  if (options.answers > 1 && options.sampler.temperature == 0) {
    return WrongUsage(
        "At temperature 0 the most likely words are taken, whatever the seed: all --answers would be the "
        "same. Give a higher --temp.",
        exit_code);
  }
  Status status = options.each.empty() ? Talk(*model, options, prompt, text, exit_code)
                                       : AnswerEach(*model, options, prompt, exit_code);
  if (status.code() != StatusCode::kUnsupported || ChatTemplate::ForModel(*model).ok()) return status;
  return Status(status.code(), status.message() + " --template FILE gives one; --raw continues a text without any.");
}

// The prompt file of --prompt, or without one the words alone; --system takes precedence over the file's.
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
  for (const ChatPrompt& prompt : prompts) width = std::max(width, Escaped(prompt.name).size() + 2);
  const int column = static_cast<int>(width);
  for (const ChatPrompt& prompt : prompts) {
    std::printf("%-*s%s\n%*s%s\n", column, Escaped(prompt.name).c_str(), Escaped(prompt.description).c_str(), column,
                "", Escaped(prompt.path.string()).c_str());
  }
  for (const Status& problem : problems) PrintMessage(kChat, "warning: " + problem.message());
  if (!prompts.empty()) return {};
  std::string places;
  for (const std::filesystem::path& folder : folders) places += (places.empty() ? "" : " and ") + folder.string();
  return Status(StatusCode::kNotFound, "There are no prompt files in " + places + ".");
}

Status Run(const CLI::App& app, ChatToolOptions options, int* exit_code) {
  if (options.list_prompts) return PrintPromptList();
  if (Status status = CheckUsage(options, exit_code); !status.ok()) return status;
  const Result<ChatPrompt> prompt = ReadChatPrompt(options);
  if (!prompt.ok()) return prompt.status();
  if (Status status = ApplySettings(app, prompt->settings, &options); !status.ok()) {
    return WrongUsage(status.message(), exit_code);
  }
  if (!options.each.empty()) return RunModel(options, *prompt, std::nullopt, exit_code);
  const Result<std::string> text = ReadPrompt(options);
  if (!text.ok()) return text.status();
  if (options.print_prompt) {
    WriteText(PromptMessages(*prompt, *text).back().content + "\n");
    return {};
  }
  const bool has_text = !text->empty() || !options.words.empty();
  const bool asked = has_text || (!options.prompt.empty() && (options.interactive || !prompt->has_place));
  if (options.answers > 1 && (!asked || options.interactive)) return WrongUsage(kAnswersUsage, exit_code);
  if (!asked && !options.prompt.empty() && !options.interactive) {
    return WrongUsage("The prompt " + prompt->name + " is about a text: give files with -f, words or standard input.",
                      exit_code);
  }
  if (!asked && !options.interactive && (options.no_stdin || ::isatty(STDIN_FILENO) == 0)) {
    return WrongUsage(options.no_stdin ? "There is no prompt." : "There is no prompt, and standard input is empty.",
                      exit_code);
  }
  return RunModel(options, *prompt, asked ? std::optional(*text) : std::nullopt, exit_code);
}

}  // namespace

int Main(int argc, char** argv) {
  // A reader that has seen enough of the answer ends this program, quietly and whatever the parent process ignores.
  ::signal(SIGPIPE, SIG_DFL);
  HandleInterrupts();
  CLI::App app("Talks with a small language model on this computer.", kChat);
  ChatToolOptions options;
  AddChatOptions(app, &options);
  int exit_code = kExitOk;
  const int failure = RunTool(app, argc, argv, [&] { return InUserWords(Run(app, options, &exit_code)); });
  return exit_code != kExitOk ? exit_code : failure;
}

}  // namespace slm::tools

int main(int argc, char** argv) { return slm::tools::Main(argc, argv); }
