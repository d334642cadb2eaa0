// slm-chat: talks with a model, or answers one prompt made of files, standard input and words.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "chat_conversation.h"
#include "chat_input.h"
#include "chat_interactive.h"
#include "chat_options.h"
#include "chat_terminal.h"
#include "sampling_options.h"
#include "slm/model.h"
#include "slm/session.h"
#include "tool_main.h"

namespace slm::tools {

namespace {

void PrintSettings(const ChatToolOptions& options, const Conversation& conversation) {
  const Session& session = conversation.session();
  const Model& model = session.model();
  std::fprintf(stderr, "model: %s (%s), %s\n", WithoutControls(model.name()).c_str(),
               WithoutControls(model.architecture()).c_str(), options.model.c_str());
  std::fprintf(stderr, "compute: kernels %s, %d threads; context of %d tokens, %s of %s cache\n",
               std::string(model.kernels()).c_str(), session.threads(), session.context_length(),
               MemoryText(session.kv_bytes()).c_str(), options.compute.kv.c_str());
  std::fprintf(stderr, "sampling: %s, seed %llu\n", SamplerSummary(options.sampler).c_str(),
               static_cast<unsigned long long>(options.sampler.seed));
  std::fprintf(stderr, "chat template: %s\n", conversation.template_origin().c_str());
}

// A mistake on the command line.
Status WrongUsage(const std::string& message, int* exit_code) {
  *exit_code = kExitUsage;
  return Status(StatusCode::kInvalidArgument, message + " Run with --help for the options and examples.");
}

Status Run(ChatToolOptions options, int* exit_code) {
  if (options.raw && !(options.system + options.session + options.template_file).empty()) {
    return WrongUsage("--raw has no turns, and so no --system, --session and --template.", exit_code);
  }
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
  std::vector<Message> beginning;
  if (!system->empty()) beginning.push_back({.role = Role::kSystem, .content = *system});
  Result<Conversation> conversation =
      Conversation::Start(*model, options, std::move(beginning), asked ? &*prompt : nullptr);
  if (!conversation.ok()) return conversation.status();
  if (options.verbose) PrintSettings(options, *conversation);
  if (asked) {
    const Result<Conversation::End> end = conversation->Say(*prompt);
    if (!end.ok()) return end.status();
    if (!options.interactive && *end == Conversation::End::kStopped) *exit_code = kExitInterrupted;
  }
  if (options.interactive || !asked) *exit_code = Converse(*conversation);
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
