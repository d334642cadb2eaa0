#include "chat_options.h"

#include <algorithm>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "chat_variables.h"
#include "sampling_options.h"
#include "slm/version.h"
#include "text_options.h"

namespace slm::tools {

namespace {

constexpr char kInput[] = "What to say";
constexpr char kBatch[] = "Many files, many answers and long texts";
constexpr char kSampling[] = "How to choose words";
constexpr char kComputing[] = "How to compute";
constexpr char kOutput[] = "What to show";

void AddInputOptions(CLI::App& app, ChatToolOptions* options) {
  app.add_option("words", options->words, "The prompt; several words are joined by spaces");
  app.add_option("-m,--model", options->model, "GGUF file (default: $SLM_MODEL)")
      ->envname("SLM_MODEL")
      ->type_name("PATH");
  app.add_option("-f,--file", options->files, "Put a text file before the prompt; may be given several times")
      ->allow_extra_args(false)
      ->option_text("PATH")
      ->group(kInput);
  app.add_option("--system", options->system, "What the model is told about its task; @PATH reads it from a file")
      ->option_text("TEXT")
      ->group(kInput);
  app.add_option("--prompt", options->prompt, "A prompt file: a name of --list-prompts, or a path that ends in .md")
      ->option_text("NAME")
      ->group(kInput);
  app.add_flag("--list-prompts", options->list_prompts, "List the prompt files there are, and end")->group(kInput);
  app.add_option("--template", options->template_file,
                 "A Jinja file that says how turns are written for the model (default: the model's own)")
      ->option_text("FILE")
      ->group(kInput);
  app.add_option_function<std::vector<std::string>>(
         "--var",
         [options](const std::vector<std::string>& assignments) {
           const Result<std::string> variables = SetVariables("", assignments);
           if (!variables.ok()) throw CLI::ValidationError("--var", variables.status().message());
           options->given_variables = assignments;
         },
         "Give the template a variable, as enable_thinking=false; may be given several times")
      ->allow_extra_args(false)
      ->option_text("NAME=JSON")
      ->group(kInput);
  app.add_flag("--no-stdin", options->no_stdin, "Leave standard input alone: it is not part of the prompt")
      ->group(kInput);
  app.add_flag("--raw", options->raw,
               "Continue the text as it is, without turns; for models that are not made for chat")
      ->group(kInput);
  app.add_flag("-i,--interactive", options->interactive,
               "Go on with a turn a line of standard input, which is then not part of the first prompt")
      ->group(kInput);
  app.add_option("--session", options->session,
                 "Go on with the conversation in this file, if it is there, and keep it there after every answer")
      ->option_text("FILE")
      ->group(kInput);
  app.add_flag("--no-history", options->no_history, "Keep no list of what you type, and use none")->group(kInput);
}

void AddAnswerOptions(CLI::App& app, ChatToolOptions* options) {
  app.add_option("-n,--max-tokens", options->max_tokens, "End an answer after N tokens; -1: no limit")
      ->check(WholeNumber(-1))
      ->option_text("N (-1)")
      ->group(kSampling);
  app.add_option_function<std::vector<std::string>>(
         "--stop",
         [options](const std::vector<std::string>& texts) {
           for (const std::string& text : texts) options->stop.push_back(Unescaped(text));
         },
         "End an answer before this text (\\n, \\t and \\\\ are understood); may be given several times")
      ->allow_extra_args(false)
      ->option_text("TEXT")
      ->group(kSampling);
  app.add_flag("--ignore-eos", options->ignore_end, "Never let the model end an answer")->group(kSampling);
}

void AddBatchOptions(CLI::App& app, ChatToolOptions* options) {
  app.add_option("--each", options->each, "Answer the prompt for each of these files; put them after the words")
      ->expected(1, -1)
      ->option_text("FILES")
      ->group(kBatch);
  app.add_option("--out-dir", options->out_dir, "Where the answers go, a file each; files answered before are skipped")
      ->option_text("PATH")
      ->group(kBatch);
  app.add_flag("--overwrite", options->overwrite, "Answer files again that were answered before")->group(kBatch);
  app.add_option("--answers", options->answers,
                 "Write N answers to the prompt, to choose from: with the seed, the seed + 1 and so on")
      ->check(WholeNumber(1, 1000))
      ->option_text("N (1)")
      ->group(kBatch);
  app.add_option(
         "--parallel", options->parallel,
         "Files or answers that are worked on at the same time, which takes less time for each; the answers are the "
         "same. 0: as many as memory is good for, up to 8")
      ->check(WholeNumber(0, 64))
      ->option_text("N (0)")
      ->group(kBatch);
  app.add_option(
         "--long", options->long_text,
         "A text that does not fit the context is an error, or is split: read in parts, whose answers are merged")
      ->check(CLI::IsMember({"error", "split"}))
      ->option_text("error|split (error)")
      ->group(kBatch);
}

}  // namespace

void AddChatOptions(CLI::App& app, ChatToolOptions* options) {
  AddInputOptions(app, options);
  AddBatchOptions(app, options);
  AddSamplingOptions(app, &options->sampling);
  AddAnswerOptions(app, options);

  app.option_defaults()->group(kComputing);
  AddComputeOptions(app, &options->compute);
  app.add_option("-c,--ctx", options->context,
                 "Tokens of context (default: 4096, and more for a long prompt if the model can)")
      ->check(WholeNumber(1))
      ->option_text("N");
  app.add_flag("--forget-oldest", options->forget_oldest,
               "When a conversation no longer fits, let the model read it without its oldest messages");

  app.add_option("--shift-keep", options->shift_keep,
                 "When the context is full in the middle of an answer, keep its first N tokens, forget the older half "
                 "of the rest and go on; needs -n")
      ->check(WholeNumber(0))
      ->option_text("N");

  app.add_option("--guess", options->guess,
                 "Tokens to guess from what the text had before and to evaluate at once; the answers are the same. "
                 "-1: as many as pay; 0: none")
      ->check(WholeNumber(-1))
      ->option_text("N (-1)");
  app.add_option("--draft", options->draft,
                 "A smaller model with the same vocabulary, which guesses tokens where the text has nothing to go on; "
                 "the answers are the same")
      ->option_text("FILE");

  app.option_defaults()->group(kOutput);
  app.add_flag("--json", options->json, "Write each answer as a line of JSON, with counts and times")->group(kOutput);
  app.add_flag("--stats", options->stats, "After each answer, say how many tokens were read and written, and how fast");
  app.add_flag("-v,--verbose", options->verbose, "Say what is loaded and with which settings");
  app.add_option("--color", options->color, "Colours on standard error; auto: on terminals, unless NO_COLOR is set")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->option_text("auto|always|never (auto)");
  app.add_flag("--print-prompt", options->print_prompt, "Print the prompt as it is put together, and end");
  app.set_version_flag("--version", std::string(kChat) + " " + Version())->group(kOutput);

  app.footer(
      "The prompt is put together in this order, with blank lines between: the files, each after a line with its "
      "name;\n"
      "standard input, unless that is a terminal; the words of the command line. With a prompt, slm-chat answers it "
      "and\n"
      "ends; without one it talks with you, and /help shows how. Ctrl-C stops an answer, Ctrl-D or /quit ends the\n"
      "conversation.\n"
      "\n"
      "Examples:\n"
      "  slm-chat -m model.gguf\n"
      "  slm-chat -m model.gguf --file post.md \"Summarise this post in two sentences.\"\n"
      "  git diff | slm-chat -m model.gguf --system \"You review code.\" \"What could go wrong here?\" > review.txt\n"
      "  slm-chat -m model.gguf --prompt summary --out-dir summaries --each posts/*.md\n"
      "  slm-chat -m model.gguf --answers 4 \"A title for a talk on tomatoes.\"\n"
      "  slm-chat -m model-4b.gguf --draft model-270m.gguf\n"
      "  slm-chat -m model.gguf --temp 0 --raw -n 30 \"The first five prime numbers are\"\n"
      "\n"
      "The answer is on standard output, all else on standard error. Exit code: 0 success, 1 failure, 2 wrong usage,\n"
      "130 interrupted.");
}

Status ApplySettings(const CLI::App& app, const PromptSettings& settings, ChatToolOptions* options) {
  options->prompt_sampling = settings.sampling;
  if (settings.max_tokens && app.count("--max-tokens") == 0) options->max_tokens = *settings.max_tokens;
  if (app.count("--stop") == 0) options->stop = settings.stop;
  if (settings.interactive) options->interactive = true;
  for (const std::vector<std::string>& assignments : {settings.variables, options->given_variables}) {
    Result<std::string> variables = SetVariables(options->variables, assignments);
    if (!variables.ok()) return variables.status();
    options->variables = *std::move(variables);
  }
  return {};
}

Status ApplySampling(const ModelFile& file, ChatToolOptions* options) {
  SamplingOfFile recommended = ReadSamplingOfFile(file);
  for (const std::string& problem : recommended.problems) PrintMessage(kChat, "warning: " + problem);
  options->file_sampling = std::move(recommended.settings);
  options->sampler.seed = RandomSeed();
  for (const auto* const settings : {&options->file_sampling, &options->prompt_sampling, &options->sampling}) {
    if (Status status = ApplySamplerSettings(*settings, &options->sampler); !status.ok()) return status;
    const auto seed = std::ranges::find(settings->rbegin(), settings->rend(), "seed", &SamplerSetting::name);
    if (seed != settings->rend()) options->has_seed = seed->value != "-1";
  }
  return {};
}

std::string SamplingSources(const ChatToolOptions& options) {
  const std::pair<const std::vector<SamplerSetting>*, std::string_view> sources[] = {
      {&options.sampling, "the command line"},
      {&options.prompt_sampling, "the prompt file"},
      {&options.file_sampling, "the model's file"}};
  std::set<std::string> seen;
  std::string text;
  for (const auto& [settings, source] : sources) {
    std::string names;
    for (const SamplerSetting& setting : *settings) {
      if (seen.insert(setting.name).second) names += (names.empty() ? "" : ", ") + setting.name;
    }
    if (!names.empty()) text += (text.empty() ? "" : "; ") + names + " from " + std::string(source);
  }
  return (text.empty() ? "" : text + "; ") + std::string("the rest by default");
}

Status InUserWords(const Status& status) {
  constexpr std::pair<std::string_view, std::string_view> kWords[] = {
      {"SessionOptions::context_length", "--ctx"},
      {"SessionOptions::kv_type", "--kv"},
      {"SessionOptions::threads", "--threads"},
      {"SessionOptions::prompt_threads", "--prompt-threads"},
      {"ChatOptions::variables", "--var"},
      {"shift_keep is ", "--shift-keep is "},
      {"leave it 0, or use", "leave it out, or use"},
  };
  std::string message = status.message();
  for (const auto& [ours, theirs] : kWords) {
    for (std::size_t at = message.find(ours); at != std::string::npos; at = message.find(ours, at + theirs.size())) {
      message.replace(at, ours.size(), theirs);
    }
  }
  return Status(status.code(), message);
}

ChatOptions ToChatOptions(const ChatToolOptions& options) {
  return {.chat_template = options.template_source,
          .variables = options.variables,
          .session = ToSessionOptions(options.compute, options.context),
          .sampler = options.sampler,
          .forget_oldest = options.forget_oldest};
}

std::string AnswerSettings(const ChatToolOptions& options) {
  std::string text;
  const auto add = [&text](const std::string& name, const std::string& value) { text += name + '=' + value + '\n'; };
  for (const auto& [name, value] : ListSamplerOptions(options.sampler)) {
    if (name != "seed") add(name, value);
  }
  for (const std::string& stop : options.stop) add("stop", stop);
  add("max-tokens", std::to_string(options.max_tokens));
  if (options.has_seed) add("seed", std::to_string(options.sampler.seed));
  if (options.raw) add("raw", "");
  if (options.ignore_end) add("ignore-eos", "");
  if (options.shift_keep >= 0) add("shift-keep", std::to_string(options.shift_keep));
  add("template", options.template_source);
  if (!options.variables.empty()) add("variables", options.variables);
  add("kv", options.compute.kv);
  for (const std::string& adapter : options.compute.lora) add("lora", adapter);
  if (options.long_text == "split") add("long", "split of " + std::to_string(options.context));
  return text;
}

}  // namespace slm::tools
