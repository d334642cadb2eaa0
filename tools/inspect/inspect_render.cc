// slm-inspect render: what a chat template makes of a conversation.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "inspect_commands.h"
#include "json_text.h"
#include "slm/chat_template.h"
#include "slm/model_file.h"
#include "slm/tokenizer.h"
#include "token_io.h"
#include "tool_main.h"

namespace slm::tools {

namespace {

using Clock = std::chrono::system_clock;

struct RenderCommandOptions {
  std::string model, template_file, name, context, now;
  bool ids = false;
};

// The beginning of a day written YYYY-MM-DD, here; nothing if there is no such day, or the clock can't tell it.
std::optional<Clock::time_point> ParseDay(const std::string& day) {
  constexpr std::string_view kForm = "0000-00-00";
  if (day.size() != kForm.size()) return std::nullopt;
  for (std::size_t i = 0; i < kForm.size(); ++i) {
    const bool digit = day[i] >= '0' && day[i] <= '9';
    if (kForm[i] == '0' ? !digit : day[i] != kForm[i]) return std::nullopt;
  }
  const int year = std::stoi(day.substr(0, 4)), month = std::stoi(day.substr(5, 2)),
            of_month = std::stoi(day.substr(8));
  const auto date = std::chrono::year(year) / month / of_month;
  if (!date.ok()) return std::nullopt;
  std::tm local = {};
  local.tm_year = year - 1900;
  local.tm_mon = month - 1;
  local.tm_mday = of_month;
  local.tm_isdst = -1;  // whatever holds on that day
  const std::chrono::seconds seconds(std::mktime(&local));
  const auto told = [](Clock::time_point end) {
    return std::chrono::duration_cast<std::chrono::seconds>(end.time_since_epoch());
  };
  const bool can_be_told = seconds > told(Clock::time_point::min()) && seconds < told(Clock::time_point::max());
  return can_be_told ? std::optional(Clock::time_point(seconds)) : std::nullopt;
}

// The template that the options name, or the model's own.
Result<ChatTemplate> FindTemplate(const RenderCommandOptions& options, const std::optional<ModelFile>& file,
                                  const std::optional<Tokenizer>& tokenizer) {
  if (!options.template_file.empty()) {
    const Result<std::string> source = ReadInput(options.template_file);
    if (!source.ok()) return source.status();
    return ChatTemplate::Parse(*source, options.template_file);
  }
  if (options.name.empty()) return ChatTemplate::ForModel(*file, *tokenizer);
  const std::string_view source = file->chat_template(options.name);
  if (!source.empty()) return ChatTemplate::Parse(source, "the model's file");
  return Status(StatusCode::kNotFound, options.model + " has no chat template called \"" + options.name + "\"");
}

// The context with the texts of the model's BOS and EOS tokens, if it tells none. Its own text stays as it is.
Result<std::string> AddModelTokens(std::string context, const std::string& source, const Tokenizer& tokenizer) {
  const Result<JsonValue> json = ParseJson(context, source);
  if (!json.ok()) return json.status();
  if (json->type != JsonType::object) return context;  // which the library says
  Json added = Json::object();
  const auto add = [&](const char* name, std::optional<Token> token) {
    const bool given = std::ranges::find(json->items, name, &JsonItem::name) != json->items.end();
    if (token && !given) added[name] = tokenizer.Text(*token);
  };
  add("bos_token", tokenizer.bos());
  add("eos_token", tokenizer.eos());
  if (added.empty()) return context;
  std::string members = DumpJson(added);
  members = members.substr(1, members.size() - 2) + (json->items.empty() ? "" : ",");
  return context.insert(context.find('{') + 1, members);
}

Status Render(const RenderCommandOptions& options) {
  Result<std::string> context = ReadInput(options.context);
  if (!context.ok()) return context.status();
  std::optional<ModelFile> file;
  std::optional<Tokenizer> tokenizer;
  if (!options.model.empty()) {
    Result<ModelFile> opened = OpenModelFile(kInspect, options.model);
    if (!opened.ok()) return opened.status();
    file = *std::move(opened);
    Result<Tokenizer> loaded = Tokenizer::Open(*file);
    if (!loaded.ok()) return loaded.status();
    tokenizer = *std::move(loaded);
    context = AddModelTokens(*std::move(context), SourceName(options.context), *tokenizer);
    if (!context.ok()) return context.status();
  }
  const Result<ChatTemplate> chat_template = FindTemplate(options, file, tokenizer);
  if (!chat_template.ok()) return chat_template.status();
  if (file && options.template_file.empty() && options.name.empty() && file->chat_template().empty()) {
    PrintMessage(kInspect, "the file has no chat template; this is the one " + chat_template->origin());
  }
  const Result<Prompt> prompt =
      chat_template->Render(*context, options.now.empty() ? Clock::now() : *ParseDay(options.now));
  if (!prompt.ok()) return prompt.status();
  if (!options.ids) {
    WriteText(prompt->text());
    return {};
  }
  const Result<std::vector<Token>> tokens = EncodePrompt(*tokenizer, *prompt);
  if (!tokens.ok()) return tokens.status();
  std::printf("%s\n", DumpJson(*tokens).c_str());
  return {};
}

// What the option types can't say.
void CheckUsage(const RenderCommandOptions& options) {
  if (options.model.empty() && options.template_file.empty()) throw CLI::RequiredError("MODEL or --template");
  if (options.ids && options.model.empty()) throw CLI::RequiredError("MODEL, whose tokens --ids shows,");
  if (options.template_file == "-" && options.context == "-") {
    throw CLI::ValidationError("--template", "and --context can't both be standard input");
  }
  if (!options.name.empty() && (options.model.empty() || !options.template_file.empty())) {
    throw CLI::ValidationError("--name", "chooses among the templates of MODEL, so it needs one and no --template");
  }
}

}  // namespace

Command AddRender(CLI::App& root) {
  auto options = std::make_shared<RenderCommandOptions>();
  CLI::App* app = root.add_subcommand("render", "A conversation to what its chat template makes of it");
  app->add_option("MODEL", options->model, "GGUF file; it need not be one that can be run")->option_text(" ");
  app->add_option("--template", options->template_file, "Jinja template to use instead of the model's")
      ->option_text("FILE");
  app->add_option("--context", options->context,
                  "JSON object with the template's variables, \"-\" for standard input: messages, tools, bos_token, "
                  "eos_token, add_generation_prompt and what else it reads. A model gives the tokens it lacks")
      ->option_text("FILE (required)")
      ->required();
  app->add_option("--name", options->name, "Which of the model's templates, if it has several")->option_text("NAME");
  app->add_option("--now", options->now, "The day that the template is told (default: today)")
      ->option_text("YYYY-MM-DD")
      ->check(CLI::Validator([](std::string& day) { return ParseDay(day) ? "" : day + " is no day that can be told"; },
                             "", "day"));
  app->add_flag("--ids", options->ids, "Print the model's tokens as a JSON array, not the text");
  app->footer(
      "The text is written as it is, without a line feed after it; to a terminal without control characters. A "
      "template\n"
      "that refuses the conversation, or fails, is a failure: its reason is on standard error.\n"
      "Examples:\n"
      "  slm-inspect render model.gguf --context chat.json --ids\n"
      "  slm-inspect render --template gemma3.jinja --context chat.json\n"
      "  echo '{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}], \"add_generation_prompt\": true}' |\n"
      "    slm-inspect render model.gguf --context - --now 2024-07-06");
  app->callback([options] { CheckUsage(*options); });
  return {app, [options] { return Render(*options); }};
}

}  // namespace slm::tools
