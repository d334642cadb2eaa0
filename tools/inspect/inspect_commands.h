// The subcommands of slm-inspect. Each adds itself to the command line and returns what to run if it was chosen.

#ifndef SLM_TOOLS_INSPECT_COMMANDS_H_
#define SLM_TOOLS_INSPECT_COMMANDS_H_

#include <CLI/CLI.hpp>
#include <functional>

#include "slm/status.h"

namespace slm::tools {

inline constexpr char kInspect[] = "slm-inspect";

struct Command {
  CLI::App* app;  // true in a condition if the command line names it
  std::function<Status()> run;
};

// inspect_info.cc and inspect_file.cc: what the file holds.
Command AddInfo(CLI::App& root);
Command AddTensors(CLI::App& root);
Command AddCheck(CLI::App& root);

// inspect_text.cc: text to ids and back.
Command AddTokenize(CLI::App& root);
Command AddDetokenize(CLI::App& root);

// inspect_render.cc: a conversation to the text or tokens that the model reads.
Command AddRender(CLI::App& root);

// inspect_compute.cc: the numbers.
Command AddLogits(CLI::App& root);
Command AddGreedy(CLI::App& root);

}  // namespace slm::tools

#endif  // SLM_TOOLS_INSPECT_COMMANDS_H_
