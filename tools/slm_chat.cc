// slm-chat: talks with a model, or answers one prompt made of files, standard input and words.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "chat_input.h"
#include "chat_one_shot.h"
#include "chat_options.h"
#include "chat_prompts.h"
#include "chat_report.h"
#include "chat_responder.h"
#include "chat_terminal.h"
#include "sampling_options.h"
#include "slm/chat.h"
#include "slm/generate.h"
#include "slm/model.h"
#include "slm/sampler.h"
#include "slm/session.h"
#include "tool_main.h"

namespace slm::tools {

namespace {

constexpr char kHelp[] =
    "Every line is a turn.\n"
    "  /reset   forget the conversation\n"
    "  /quit    end; so does Ctrl-D\n"
    "  Ctrl-C   stop an answer\n";

// Turns in the model's chat format, or for --raw each text continued on its own.
class Conversation {
 public:
  static Result<Conversation> Create(const ChatRun& run) {
    Conversation conversation;
    if (run.options.raw) {
      Result<Session> plain = Session::Create(run.model, run.chat.session);
      if (!plain.ok()) return plain.status();
      conversation.session_ = *std::move(plain);
      conversation.sampler_ = Sampler(run.chat.sampler, &run.model.tokenizer());
      return conversation;
    }
    Result<Chat> chat = Chat::Create(run.model, run.chat);
    if (!chat.ok()) return chat.status();
    conversation.chat_ = *std::move(chat);
    std::vector<Message> messages = PromptMessages(run.prompt, "");
    messages.pop_back();
    conversation.chat_->SetMessages(std::move(messages));
    return conversation;
  }

  Result<GenerateResult> Send(std::string_view text, const PieceCallback& on_piece, const GenerateOptions& options) {
    if (chat_) return chat_->Send(text, on_piece, options);
    if (Status status = session_->Rewind(0); !status.ok()) return status;
    sampler_->SetHistory({});
    const Result<std::vector<Token>> tokens = session_->model().tokenizer().Encode(text, {.add_special = true});
    if (!tokens.ok()) return tokens.status();
    return Generate(*session_, *sampler_, *tokens, options, on_piece);
  }

  void Reset() {
    if (chat_) chat_->Reset();
  }

  const Session& session() const { return chat_ ? chat_->session() : *session_; }
  std::string_view chat_template() const { return chat_ ? chat_->chat_template().origin() : "none"; }

 private:
  std::optional<Chat> chat_;
  std::optional<Session> session_;
  std::optional<Sampler> sampler_;
};

// Sends a text and shows the answer as it comes. `interrupted` tells whether Ctrl-C stopped it.
Status Answer(Conversation& conversation, const ChatRun& run, std::string_view text, bool* interrupted) {
  const ChatToolOptions& options = run.options;
  const EnergySpan span(run.energy);
  const RunningAnswer running;
  ProgressLine progress;
  AnswerWriter writer;
  GenerateOptions generate{.max_tokens = options.max_tokens, .stop = options.stop, .cancel = &running.cancel()};
  generate.prompt_progress = [&](std::int64_t done, std::int64_t total) { progress.Show(done, total); };
  const Result<GenerateResult> result = conversation.Send(
      text,
      [&](std::string_view piece) {
        progress.Clear();
        return options.json ? kContinue : writer.Write(piece);
      },
      generate);
  progress.Clear();
  writer.End();
  *interrupted = running.cancel().cancelled();
  if (*interrupted) std::fputs("[stopped]\n", stderr);
  if (result.status().code() == StatusCode::kContextFull) {
    return Status(result.status().code(),
                  result.status().message() + " Give it more room with --ctx N (the model was trained for up to " +
                      std::to_string(conversation.session().model().context_length()) + "), or a shorter text.");
  }
  if (!result.ok()) return result.status();
  if (result->finish_reason == FinishReason::kContextFull) {
    PrintMessage(kChat, "the answer ends here because the context of " +
                            std::to_string(conversation.session().context_length()) +
                            " tokens is full; --ctx N gives it more room.");
  }
  if (options.json) PrintRecord(run, *result, span.Joules());
  if (options.stats) PrintStats(*result);
  return {};
}

// Turn after turn, a line each. Failures of a turn don't end it.
void Converse(Conversation& conversation, const ChatRun& run) {
  const bool terminal = ::isatty(STDIN_FILENO) != 0;
  if (terminal) std::fputs("/help shows what you can do.\n", stderr);
  std::string line;
  while (std::ferror(stdout) == 0) {
    if (terminal) std::fputs("\n> ", stderr);
    if (!std::getline(std::cin, line)) break;
    line = CleanText(line, "the line");
    if (line.ends_with('\r')) line.pop_back();
    if (line.find_first_not_of(" \t") == std::string::npos) continue;
    if (line == "/quit") return;
    if (line == "/help") {
      std::fputs(kHelp, stderr);
    } else if (line == "/reset") {
      conversation.Reset();
    } else {
      bool interrupted = false;
      const Status status = Answer(conversation, run, line, &interrupted);
      if (!status.ok()) PrintMessage(kChat, status.message());
    }
  }
  if (terminal) std::fputs("\n", stderr);
}

// A mistake on the command line.
Status WrongUsage(const std::string& message, int* exit_code) {
  *exit_code = kExitUsage;
  return Status(StatusCode::kInvalidArgument, message + " Run with --help for the options and examples.");
}

// A conversation, which the text begins if there is one.
Status Talk(ChatRun* run, const std::optional<std::string>& text) {
  const Result<std::int32_t> tokens =
      CountTokens(run->model, PromptMessages(run->prompt, text.value_or("")), run->chat, run->options.raw);
  if (!tokens.ok()) return tokens.status();
  if (Status status = SizeContext(run, *tokens); !status.ok()) return status;
  Result<Conversation> conversation = Conversation::Create(*run);
  if (!conversation.ok()) return conversation.status();
  if (run->options.verbose) PrintSettings(*run, conversation->session(), conversation->chat_template());
  if (text) {
    bool interrupted = false;
    const std::string first = PromptMessages(run->prompt, *text).back().content;
    if (Status status = Answer(*conversation, *run, first, &interrupted); !status.ok()) return status;
  }
  Converse(*conversation, *run);
  return {};
}

Status CheckUsage(const ChatToolOptions& options, int* exit_code) {
  if (options.raw && !(options.system.empty() && options.prompt.empty())) {
    return WrongUsage("--raw has no turns, and so no --system and no --prompt.", exit_code);
  }
  if (options.each.empty() != options.out_dir.empty()) {
    return WrongUsage("--each and --out-dir go together.", exit_code);
  }
  if (!options.each.empty() && options.interactive) return WrongUsage("--each is no conversation.", exit_code);
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
  if (!options.template_file.empty()) {
    Result<std::string> source = ReadTextFile(options.template_file);
    if (!source.ok()) return source.status();
    run.chat.chat_template = *std::move(source);
  }
  if (!options.each.empty()) return AnswerEach(&run, exit_code);
  if (!text || options.interactive) return Talk(&run, text);
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
