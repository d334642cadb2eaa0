// What every command-line tool does the same way: parse, run, print a failure as one sentence, return an exit code.

#ifndef SLM_TOOLS_TOOL_MAIN_H_
#define SLM_TOOLS_TOOL_MAIN_H_

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <limits>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "adapter_options.h"
#include "lost_file.h"
#include "slm/adapter.h"
#include "slm/model.h"
#include "slm/model_file.h"
#include "slm/session.h"
#include "slm/status.h"
#include "slm/tokenizer.h"
#include "terminal_text.h"

namespace slm::tools {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;

// One line, whatever names and texts the message quotes.
inline void PrintMessage(std::string_view program, std::string_view message) {
  const std::string line = std::string(program) + ": " + Escaped(message) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

// Results go to standard output, which may be a full disk or a closed pipe.
inline Status FlushStandardOutput() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return {};
  return Status(StatusCode::kIoError, "cannot write to standard output");
}

// An option that is given twice counts as it was given last, so that more can be put after what a script says.
inline void LetTheLastCount(CLI::App& app) {
  for (CLI::Option* const option : app.get_options()) {
    if (option->get_items_expected_max() == 1) option->take_last();
  }
  for (CLI::App* const command : app.get_subcommands(nullptr)) LetTheLastCount(*command);
}

// Takes whole numbers from `least` to `most`, and says so of anything else, also of what no int holds.
inline CLI::Validator WholeNumber(std::int64_t least, std::int64_t most = std::numeric_limits<std::int32_t>::max()) {
  return {[least, most](const std::string& text) {
            std::int64_t value = 0;
            const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
            const bool whole = error == std::errc() && end == text.data() + text.size();
            if (whole && value >= least && value <= most) return std::string();
            return '"' + text + "\" is no whole number from " + std::to_string(least) + " to " + std::to_string(most);
          },
          ""};
}

// Parses the command line, runs `body` and returns the exit code of the process. Only the result is on standard output;
// failures are on standard error.
inline int RunTool(CLI::App& app, int argc, char** argv, const std::function<Status()>& body) {
  const std::string program = app.get_name();
  app.failure_message([program](const CLI::App*, const CLI::Error& error) {
    return program + ": " + Escaped(error.what()) + " (--help shows the options and examples)\n";
  });
  LetTheLastCount(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (app.exit(error) != 0) return kExitUsage;
    return FlushStandardOutput().ok() ? kExitOk : kExitFailure;
  }
  Status status;
  try {
    status = body();
  } catch (const std::bad_alloc&) {
    status = Status(StatusCode::kOutOfMemory, "out of memory");
  } catch (const std::exception& error) {
    status = Status(StatusCode::kIoError, std::string("an error that was not foreseen: ") + error.what());
  }
  if (status.ok()) status = FlushStandardOutput();
  if (status.ok()) return kExitOk;
  PrintMessage(program, status.message());
  return kExitFailure;
}

inline void AddModelArgument(CLI::App& app, std::string* path) {
  app.add_option("MODEL", *path, "GGUF file")->required()->option_text("(required)");
}

inline void AddKernelsOption(CLI::App& app, std::string* name) {
  app.add_option(
         "--kernels", *name,
         "Kernel set to compute with: scalar, avx2, ... (default: $SLM_KERNELS, or the fastest this machine runs)")
      ->option_text("NAME");
}

// Opens a model's file; what can happen to it later is told, too.
inline Result<ModelFile> OpenModelFile(std::string_view program, const std::string& path) {
  Result<ModelFile> file = ModelFile::Open(path);
  if (file.ok()) ReportLostFile(program, *file);
  return file;
}

// Opens a model whose warnings go to standard error.
inline Result<Model> OpenModel(std::string_view program, const ModelFile& file, const std::string& kernels = {}) {
  ModelOptions options;
  options.kernels = kernels;
  options.log = [program = std::string(program)](LogLevel level, std::string_view message) {
    if (level == LogLevel::kWarning) PrintMessage(program, "warning: " + std::string(message));
  };
  return Model::Open(file, options);
}

inline Result<Model> OpenModel(std::string_view program, const std::string& path, const std::string& kernels = {}) {
  const Result<ModelFile> file = OpenModelFile(program, path);
  if (!file.ok()) return file.status();
  return OpenModel(program, *file, kernels);
}

// How to compute, in the words of the command line.
struct ComputeOptions {
  std::string kernels;
  std::string kv = "f16";
  std::int32_t threads = 0;
  std::int32_t prompt_threads = 0;
  std::vector<std::string> lora;  // as given
  std::vector<WeightedAdapter> adapters;
};

// The same, with its adapters, which go to `compute`.
inline Result<Model> OpenModel(std::string_view program, const std::string& path, ComputeOptions& compute) {
  Result<Model> model = OpenModel(program, path, compute.kernels);
  if (!model.ok()) return model;
  Result<std::vector<WeightedAdapter>> adapters = OpenAdapters(*model, compute.lora);
  if (!adapters.ok()) return adapters.status();
  compute.adapters = *std::move(adapters);
  return model;
}

// Of a text that is encoded after BOS, and in which nothing is a control token.
inline void WarnOfBosInText(std::string_view program, const Tokenizer& tokenizer, std::string_view text) {
  if (!tokenizer.adds_bos() || !tokenizer.bos()) return;
  const std::string spelling(tokenizer.Text(*tokenizer.bos()));
  if (spelling.empty() || !text.starts_with(spelling)) return;
  PrintMessage(program, "warning: the text begins with \"" + spelling +
                            "\", which is read as a text; the model gets its BOS token without that");
}

// `*type` is the default.
inline void AddKvOption(CLI::App& app, std::string* type) {
  app.add_option("--kv", *type, "Storage of keys and values")
      ->check(CLI::IsMember({"f16", "f32", "q8_0"}))
      ->option_text("f16|f32|q8_0 (" + *type + ")");
}

inline void AddComputeOptions(CLI::App& app, ComputeOptions* options) {
  AddKernelsOption(app, &options->kernels);
  AddKvOption(app, &options->kv);
  const auto add_threads = [&app](const char* name, std::int32_t* threads, const char* text) {
    app.add_option(name, *threads, text)->check(WholeNumber(0, 1024))->option_text("N");
  };
  add_threads("-t,--threads", &options->threads, "Threads (default: one per fast core this process may use)");
  add_threads("--prompt-threads", &options->prompt_threads, "Threads to read prompts with (default: as --threads)");
  app.add_option("--lora", options->lora, "LoRA adapter to compute with, by a weight (1); again for more of them")
      ->allow_extra_args(false)
      ->option_text("FILE[=WEIGHT]");
}

inline KvType KvTypeNamed(std::string_view name) {
  if (name == "f32") return KvType::kF32;
  return name == "q8_0" ? KvType::kQ8_0 : KvType::kF16;
}

inline SessionOptions ToSessionOptions(const ComputeOptions& compute, std::int32_t tokens,
                                       SessionOptions options = {}) {
  options.context_length = tokens;
  options.kv_type = KvTypeNamed(compute.kv);
  options.threads = compute.threads;
  options.prompt_threads = compute.prompt_threads;
  options.adapters = compute.adapters;
  return options;
}

inline void WarnBeyondTraining(std::string_view program, const Model& model, std::int64_t tokens) {
  if (tokens <= model.context_length()) return;
  PrintMessage(program, "warning: the model was trained for " + std::to_string(model.context_length()) +
                            " tokens of context; " + std::to_string(tokens) + " are asked for");
}

// A session that holds `tokens` tokens, even where the model was trained for fewer: that is only warned about.
inline Result<Session> CreateSession(std::string_view program, const Model& model, const ComputeOptions& compute,
                                     std::int64_t tokens, SessionOptions options = {}) {
  if (tokens > INT32_MAX) {
    return Status(StatusCode::kInvalidArgument, std::to_string(tokens) + " tokens are more than a session can hold");
  }
  WarnBeyondTraining(program, model, tokens);
  return Session::Create(model, ToSessionOptions(compute, static_cast<std::int32_t>(tokens), std::move(options)));
}

}  // namespace slm::tools

#endif  // SLM_TOOLS_TOOL_MAIN_H_
