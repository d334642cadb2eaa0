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
#include "chat_options.h"
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
  static Result<Conversation> Create(const Model& model, const ChatToolOptions& options, const SessionOptions& session,
                                     const std::string& system) {
    Conversation conversation;
    if (options.raw) {
      Result<Session> plain = Session::Create(model, session);
      if (!plain.ok()) return plain.status();
      conversation.session_ = *std::move(plain);
      conversation.sampler_ = Sampler(options.sampler, &model.tokenizer());
      return conversation;
    }
    const ChatFormat format = options.format == "chatml"  ? ChatFormat::kChatMl
                              : options.format == "gemma" ? ChatFormat::kGemma
                                                          : ChatFormat::kAuto;
    Result<Chat> chat =
        Chat::Create(model, {.system = system, .format = format, .session = session, .sampler = options.sampler});
    if (!chat.ok()) return chat.status();
    conversation.chat_ = *std::move(chat);
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
  std::string_view format() const { return chat_ ? ChatFormatName(chat_->format()) : "none"; }

 private:
  std::optional<Chat> chat_;
  std::optional<Session> session_;
  std::optional<Sampler> sampler_;
};

// The context that a single prompt and its answer need, if that is more than the default; otherwise 0.
std::int32_t ContextFor(const Model& model, const ChatToolOptions& options, const std::string& system,
                        const std::string& prompt) {
  constexpr std::int64_t kDefaultContext = 4096;
  constexpr std::int64_t kForTheFormat = 256;  // turns and the format's own system text
  constexpr std::int64_t kForTheAnswer = 1024;
  std::int64_t tokens = kForTheFormat + (options.max_tokens >= 0 ? options.max_tokens : kForTheAnswer);
  for (const std::string& text : {system, prompt}) {
    const Result<std::vector<Token>> encoded = model.tokenizer().Encode(text);
    if (!encoded.ok()) return 0;  // the conversation will say why
    tokens += std::ssize(*encoded);
  }
  if (tokens <= kDefaultContext) return 0;
  return static_cast<std::int32_t>(std::min<std::int64_t>(tokens, model.context_length()));
}

void PrintSettings(const ChatToolOptions& options, const Conversation& conversation) {
  const Session& session = conversation.session();
  const Model& model = session.model();
  const auto print = [](std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); };
  print("model: " + std::string(model.name()) + " (" + std::string(model.architecture()) + "), " + options.model +
        "\n");
  std::fprintf(stderr, "compute: kernels %s, %d threads; context of %d tokens, %.1f MB of %s cache\n",
               std::string(model.kernels()).c_str(), session.threads(), session.context_length(),
               static_cast<double>(session.kv_bytes()) / 1e6, options.compute.kv.c_str());
  print("sampling: " + SamplerSummary(options.sampler) + ", seed " + std::to_string(options.sampler.seed) +
        "; format: " + std::string(conversation.format()) + "\n");
}

void PrintStats(const GenerateResult& result) {
  const auto rate = [](std::int32_t tokens, double seconds) { return seconds > 0 ? tokens / seconds : 0; };
  std::fprintf(stderr, "[prompt: %d tokens, %.1f tokens/s; answer: %d tokens, %.1f tokens/s; %s]\n",
               result.prompt_tokens, rate(result.prompt_tokens, result.prompt_seconds), result.generated_tokens,
               rate(result.generated_tokens, result.generate_seconds),
               std::string(FinishReasonName(result.finish_reason)).c_str());
}

// Sends a text and shows the answer as it comes. `interrupted` tells whether Ctrl-C stopped it.
Status Answer(Conversation& conversation, const ChatToolOptions& options, std::string_view text, bool* interrupted) {
  const RunningAnswer running;
  ProgressLine progress;
  AnswerWriter writer;
  GenerateOptions generate{.max_tokens = options.max_tokens, .stop = options.stop, .cancel = &running.cancel()};
  generate.prompt_progress = [&](std::int64_t done, std::int64_t total) { progress.Show(done, total); };
  const Result<GenerateResult> result = conversation.Send(
      text,
      [&](std::string_view piece) {
        progress.Clear();
        return writer.Write(piece);
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
  if (options.stats) PrintStats(*result);
  return {};
}

// Turn after turn, a line each. Failures of a turn don't end it.
void Converse(Conversation& conversation, const ChatToolOptions& options) {
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
      const Status status = Answer(conversation, options, line, &interrupted);
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

// `prompt` is null if the user's texts are not known yet.
Result<Conversation> StartConversation(const Model& model, const ChatToolOptions& options, const std::string& system,
                                       const std::string* prompt) {
  SessionOptions session{.context_length = options.context, .threads = options.compute.threads};
  session.kv_type = options.compute.kv == "f32" ? KvType::kF32 : KvType::kF16;
  if (options.context > model.context_length()) {
    PrintMessage(kChat, "warning: the model was trained for " + std::to_string(model.context_length()) +
                            " tokens of context; --ctx asks for " + std::to_string(options.context) + ".");
  }
  if (options.context == 0 && prompt != nullptr) session.context_length = ContextFor(model, options, system, *prompt);
  Result<Conversation> conversation = Conversation::Create(model, options, session, system);
  if (conversation.status().code() == StatusCode::kUnsupported && !options.raw) {
    return Status(StatusCode::kUnsupported, conversation.status().message() + " --raw does that.");
  }
  if (conversation.ok() && options.verbose) PrintSettings(options, *conversation);
  return conversation;
}

Status Run(ChatToolOptions options, int* exit_code) {
  if (options.raw && !options.system.empty()) return WrongUsage("--raw has no turns, and so no --system.", exit_code);
  if (Status status = ApplySamplerSettings(options.sampling, &options.sampler); !status.ok()) {
    return WrongUsage(status.message(), exit_code);
  }
  if (!options.seed) options.seed = std::uint64_t{std::random_device()()} << 32 | std::random_device()();
  options.sampler.seed = *options.seed;

  const Result<std::string> prompt = ReadPrompt(options);
  if (!prompt.ok()) return prompt.status();
  if (options.print_prompt) {
    std::printf("%s\n", prompt->c_str());
    return {};
  }
  const bool asked = !prompt->empty() || !options.words.empty();
  if (!asked && !options.interactive && ::isatty(STDIN_FILENO) == 0) {
    return WrongUsage("There is no prompt, and standard input is empty.", exit_code);
  }
  if (options.model.empty()) return WrongUsage("No model: give one with -m PATH or in $SLM_MODEL.", exit_code);

  const Result<std::string> system = ReadSystemText(options);
  if (!system.ok()) return system.status();
  const Result<Model> model = OpenModel(kChat, options.model, options.compute.kernels);
  if (!model.ok()) return model.status();
  Result<Conversation> conversation = StartConversation(*model, options, *system, asked ? &*prompt : nullptr);
  if (!conversation.ok()) return conversation.status();
  if (asked) {
    bool interrupted = false;
    if (Status status = Answer(*conversation, options, *prompt, &interrupted); !status.ok()) return status;
    if (!options.interactive) {
      if (interrupted) *exit_code = kExitInterrupted;
      return {};
    }
  }
  Converse(*conversation, options);
  return {};
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
  const int failure = RunTool(app, argc, argv, [&] { return Run(options, &exit_code); });
  return exit_code != kExitOk ? exit_code : failure;
}

}  // namespace slm::tools

int main(int argc, char** argv) { return slm::tools::Main(argc, argv); }
