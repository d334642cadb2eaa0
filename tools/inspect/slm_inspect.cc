// slm-inspect: what a model file holds, and what the library makes of it.

#include <CLI/CLI.hpp>

#include "inspect_commands.h"
#include "tool_main.h"

int main(int argc, char** argv) {
  using namespace slm::tools;  // NOLINT(google-build-using-namespace)

  CLI::App app("Looks inside a GGUF model: contents, tokens, logits.", kInspect);
  app.require_subcommand(0, 1);  // 1 would hide an unknown command behind "a subcommand is required"
  app.callback([&app] {
    if (app.get_subcommands().empty()) throw CLI::RequiredError("A command");
  });
  app.footer(
      "slm-inspect COMMAND --help shows a command's options.\n"
      "Examples:\n"
      "  slm-inspect info model.gguf\n"
      "  slm-inspect logits --help\n"
      "\n"
      "Results are on standard output, messages on standard error. Exit code: 0 success, 1 failure, 2 wrong usage.");

  const Command commands[] = {
      AddInfo(app),       AddTensors(app), AddCheck(app),  AddTokenize(app),
      AddDetokenize(app), AddRender(app),  AddLogits(app), AddGreedy(app),
  };
  return RunTool(app, argc, argv, [&commands]() -> slm::Status {
    for (const Command& command : commands) {
      if (command.app->parsed()) return command.run();
    }
    return {};
  });
}
