// slm-inspect tokenize and detokenize: text to ids and back.

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "inspect_commands.h"
#include "json_text.h"
#include "slm/model_file.h"
#include "slm/tokenizer.h"
#include "token_io.h"
#include "tool_main.h"

namespace slm::tools {

namespace {

// A file's vocabulary, whether or not it holds a model, or one that can be run.
struct Vocabulary {
  ModelFile file;
  Tokenizer tokenizer;
};

Result<Vocabulary> OpenVocabulary(const std::string& path) {
  const Result<ModelFile> file = OpenModelFile(kInspect, path);
  if (!file.ok()) return file.status();
  Result<Tokenizer> tokenizer = Tokenizer::Open(*file);
  if (!tokenizer.ok()) return tokenizer.status();
  return Vocabulary{*file, *std::move(tokenizer)};
}

Status PrintTokens(const Tokenizer& tokenizer, std::string_view text, const EncodeOptions& options) {
  if (options.add_special && !options.parse_special) WarnOfBosInText(kInspect, tokenizer, text);
  const Result<std::vector<Token>> tokens = tokenizer.Encode(text, options);
  if (!tokens.ok()) return tokens.status();
  std::printf("%s\n", DumpJson(*tokens).c_str());
  return {};
}

// Each line of `input` is a JSON string; each line of the output the JSON array of its tokens.
Status PrintTokensOfLines(const Tokenizer& tokenizer, std::string_view input, const EncodeOptions& options) {
  for (std::size_t line = 1; !input.empty(); ++line) {
    const std::string source = "line " + std::to_string(line) + " of standard input";
    const std::string_view text = input.substr(0, input.find('\n'));
    input.remove_prefix(std::min(text.size() + 1, input.size()));
    const Result<JsonValue> json = ParseJson(text, source);
    if (!json.ok()) return json.status();
    if (json->type != JsonType::string) {
      return Status(StatusCode::kInvalidArgument, source + " must be a JSON string, but is " + TypeName(json->type));
    }
    Status status = PrintTokens(tokenizer, json->text, options);
    if (!status.ok()) return status;
  }
  return {};
}

}  // namespace

Command AddTokenize(CLI::App& root) {
  struct Options {
    std::string model;
    bool special = false, bos = false, jsonl = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* app = root.add_subcommand("tokenize", "Text on standard input to a JSON array of token ids");
  AddModelArgument(*app, &options->model);
  app->add_flag("--special", options->special, "Texts of control tokens become those tokens");
  app->add_flag("--bos", options->bos, "Add the BOS (and EOS) that the model's file asks for");
  app->add_flag("--jsonl", options->jsonl, "Each input line is a JSON string; one array a line out");
  app->footer(
      "Every byte counts, a line feed at the end too. Bytes that are not UTF-8 are encoded as they are. The file need\n"
      "hold no more than a vocabulary.\n"
      "Examples:\n"
      "  printf 'Hello world' | slm-inspect tokenize model.gguf --bos\n"
      "  printf '\"one\"\\n\"two\\\\n\"\\n' | slm-inspect tokenize model.gguf --jsonl");
  return {app, [options]() -> Status {
            const Result<Vocabulary> vocabulary = OpenVocabulary(options->model);
            if (!vocabulary.ok()) return vocabulary.status();
            const Result<std::string> text = ReadInput("-");
            if (!text.ok()) return text.status();
            const EncodeOptions encode = {.parse_special = options->special, .add_special = options->bos};
            return options->jsonl ? PrintTokensOfLines(vocabulary->tokenizer, *text, encode)
                                  : PrintTokens(vocabulary->tokenizer, *text, encode);
          }};
}

Command AddDetokenize(CLI::App& root) {
  struct Options {
    std::string model;
    bool special = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* app = root.add_subcommand("detokenize", "A JSON array of token ids on standard input to text");
  AddModelArgument(*app, &options->model);
  app->add_flag("--special", options->special, "Show control tokens, too");
  app->footer(
      "The text is written as it is, without a line feed after it; to a terminal without control characters. The file\n"
      "need hold no more than a vocabulary.\n"
      "Examples:\n"
      "  echo '[9259, 1902]' | slm-inspect detokenize model.gguf");
  return {app, [options]() -> Status {
            const Result<Vocabulary> vocabulary = OpenVocabulary(options->model);
            if (!vocabulary.ok()) return vocabulary.status();
            const Tokenizer& tokenizer = vocabulary->tokenizer;
            const Result<std::vector<Token>> tokens = ReadTokens("-", tokenizer.vocab_size());
            if (!tokens.ok()) return tokens.status();
            WriteText(tokenizer.Decode(*tokens, options->special));
            return {};
          }};
}

}  // namespace slm::tools
