// The command line of slm-chat.

#ifndef SLM_TOOLS_CHAT_OPTIONS_H_
#define SLM_TOOLS_CHAT_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "chat_prompts.h"
#include "sampling_options.h"
#include "slm/chat.h"
#include "slm/status.h"
#include "tool_main.h"

namespace slm::tools {

inline constexpr char kChat[] = "slm-chat";

struct ChatToolOptions {
  std::string model;
  std::vector<std::string> words;
  std::vector<std::string> files;
  std::string system;
  std::string prompt;  // a prompt file's name or path
  bool list_prompts = false;
  std::string template_file;
  std::string template_source;               // what is in it
  std::vector<std::string> given_variables;  // NAME=JSON, as given on the command line
  std::string variables;                     // a JSON object, or empty
  bool raw = false;
  std::string session;
  bool forget_oldest = false;

  std::vector<SamplerSetting> sampling;         // as given on the command line
  std::vector<SamplerSetting> prompt_sampling;  // and in the prompt file
  std::vector<SamplerSetting> file_sampling;    // and in the model's file
  SamplerOptions sampler = {};                  // all of it together
  bool has_seed = false;                        // one that was given
  std::int32_t max_tokens = -1;
  std::vector<std::string> stop;
  bool ignore_end = false;
  std::int32_t shift_keep = -1;
  std::int32_t guess = -1;
  std::string draft;  // a model's file

  ComputeOptions compute;
  std::int32_t context = 0;

  std::vector<std::string> each;
  std::string out_dir;
  bool overwrite = false;
  std::int32_t answers = 1;
  std::int32_t parallel = 0;
  std::string long_text = "error";

  bool interactive = false;
  bool no_stdin = false;
  bool json = false;
  bool no_history = false;
  std::string color = "auto";
  bool stats = false;
  bool verbose = false;
  bool print_prompt = false;
};

void AddChatOptions(CLI::App& app, ChatToolOptions* options);

// Takes a prompt's settings for options that the command line doesn't have.
Status ApplySettings(const CLI::App& app, const PromptSettings& settings, ChatToolOptions* options);

// Puts the sampler options together, later ones winning: defaults and a seed by chance, what the model's file
// recommends, the prompt's settings, the command line. What the file says and can't be followed is warned about.
Status ApplySampling(const ModelFile& file, ChatToolOptions* options);

// "temp, top-k from the model's file; seed from the command line"; all others have their defaults, the seed chance.
std::string SamplingSources(const ChatToolOptions& options);

// The same status in the words of the command line, for messages of the library that name members of its options.
Status InUserWords(const Status& status);

// How a conversation is held; the messages have the system text.
ChatOptions ToChatOptions(const ChatToolOptions& options);

// All options but the model that decide what is answered to a given prompt, as text to compare. A seed counts only if
// it was given.
std::string AnswerSettings(const ChatToolOptions& options);

}  // namespace slm::tools

#endif  // SLM_TOOLS_CHAT_OPTIONS_H_
