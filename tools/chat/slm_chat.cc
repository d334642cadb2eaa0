// slm-chat: talks with a model, or answers one prompt made of files, standard input and words.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "chat_conversation.h"
#include "chat_input.h"
#include "chat_interactive.h"
#include "chat_one_shot.h"
#include "chat_options.h"
#include "chat_prompts.h"
#include "chat_terminal.h"
#include "slm/model.h"
#include "tool_main.h"

namespace slm::tools {

namespace {

// A mistake on the command line.
Status WrongUsage(const std::string& message, int* exit_code) {
  *exit_code = kExitUsage;
  return Status(StatusCode::kInvalidArgument, message + " Run with --help for the options and examples.");
}

Status CheckUsage(const ChatToolOptions& options, int* exit_code) {
  if (options.raw && !(options.system + options.prompt + options.session + options.template_file).empty()) {
    return WrongUsage("--raw has no turns, and so no --system, --prompt, --session and --template.", exit_code);
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
  if (options.long_text == "split" && !options.session.empty()) {
    return WrongUsage("--long split is for single answers, not for the conversation of --session.", exit_code);
  }
  return {};
}

// A conversation, which the text begins if there is one.
Status Talk(const ChatRun& run, const std::optional<std::string>& text, int* exit_code) {
  std::vector<Message> beginning = PromptMessages(run.prompt, text.value_or(""));
  const std::string first = std::move(beginning.back().content);
  beginning.pop_back();
  Result<Conversation> conversation =
      Conversation::Start(run.model, run.options, std::move(beginning), text ? &first : nullptr);
  if (!conversation.ok()) return conversation.status();
  if (run.options.verbose) PrintSettings(run, conversation->session(), conversation->template_origin());
  if (text) {
    const Result<Conversation::End> end = conversation->Say(first);
    if (!end.ok()) return end.status();
    if (!run.options.interactive) {
      if (*end == Conversation::End::kStopped) *exit_code = kExitInterrupted;
      return {};
    }
  }
  *exit_code = Converse(*conversation);
  return {};
}

// Answers what the options ask for, with a model.
Status RunModel(const ChatToolOptions& options, const ChatPrompt& prompt, const std::optional<std::string>& text,
                int* exit_code) {
  if (options.model.empty()) return WrongUsage("No model: give one with -m PATH or in $SLM_MODEL.", exit_code);
  const Result<Model> model = OpenModel(kChat, options.model, options.compute.kernels);
  if (!model.ok()) return model.status();
  ChatRun run{.model = *model, .options = options, .prompt = prompt};
  run.chat.sampler = options.sampler;
  if (!text && options.each.empty()) return Talk(run, text, exit_code);
  if (options.interactive || !options.session.empty()) return Talk(run, text, exit_code);

  if (!options.template_file.empty()) {
    Result<std::string> source = ReadTextFile(options.template_file);
    if (!source.ok()) return source.status();
    run.chat.chat_template = *std::move(source);
  }
  if (!options.each.empty()) return AnswerEach(&run, exit_code);
  bool interrupted = false;
  if (Status status = AnswerOnce(&run, *text, &interrupted); !status.ok()) return status;
  if (interrupted) *exit_code = kExitInterrupted;
  return {};
}

Status Run(const CLI::App& app, ChatToolOptions options, int* exit_code) {
  if (options.list_prompts) return PrintPromptList();
  if (Status status = CheckUsage(options, exit_code); !status.ok()) return status;
  const Result<ChatPrompt> prompt = ReadChatPrompt(options);
  if (!prompt.ok()) return prompt.status();
  if (Status status = ApplySettings(app, prompt->settings, &options); !status.ok()) {
    return WrongUsage(status.message(), exit_code);
  }
  options.sampler.seed =
      options.seed ? *options.seed : std::uint64_t{std::random_device()()} << 32 | std::random_device()();

  if (!options.each.empty()) return RunModel(options, *prompt, std::nullopt, exit_code);
  const Result<std::string> text = ReadPrompt(options);
  if (!text.ok()) return text.status();
  if (options.print_prompt) {
    std::printf("%s\n", PromptMessages(*prompt, *text).back().content.c_str());
    return {};
  }
  const bool has_text = !text->empty() || !options.words.empty();
  const bool asked = has_text || (!options.prompt.empty() && (options.interactive || !prompt->has_place));
  if (!asked && !options.prompt.empty() && !options.interactive) {
    return WrongUsage("The prompt " + prompt->name + " is about a text: give files with -f, words or standard input.",
                      exit_code);
  }
  if (!asked && !options.interactive && ::isatty(STDIN_FILENO) == 0) {
    return WrongUsage("There is no prompt, and standard input is empty.", exit_code);
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
  const int failure = RunTool(app, argc, argv, [&] { return Run(app, options, &exit_code); });
  return exit_code != kExitOk ? exit_code : failure;
}

}  // namespace slm::tools

int main(int argc, char** argv) { return slm::tools::Main(argc, argv); }
