// slm-inspect logits and greedy: the numbers the library computes.

#include <algorithm>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "file_identity.h"
#include "inspect_commands.h"
#include "json_text.h"
#include "npy_writer.h"
#include "slm/model.h"
#include "slm/sampler.h"
#include "slm/session.h"
#include "token_io.h"
#include "tool_main.h"

namespace slm::tools {

namespace {

struct Options {
  std::string model;
  std::string tokens;
  std::string out;
  std::int32_t chunk = 0;
  std::int32_t count = 0;
  ComputeOptions compute;
};

void AddSharedOptions(CLI::App& app, Options* options) {
  AddModelArgument(app, &options->model);
  app.add_option("--tokens", options->tokens, "File with a JSON array of token ids; - for standard input")
      ->required()
      ->option_text("FILE (required)");
  app.add_option("--chunk", options->chunk,
                 "Read the tokens in pieces of N; the result is the same (default: all at once)")
      ->check(WholeNumber(0, 1 << 16))
      ->option_text("N");
  options->compute.kv = "f32";  // for comparing numbers, unlike in other tools
  AddComputeOptions(app, &options->compute);
}

struct Input {
  Session session;
  std::vector<Token> tokens;
};

// The model's session, with room for `more` tokens after those of the file.
Result<Input> Prepare(Options options, std::int64_t more) {
  const Result<Model> model = OpenModel(kInspect, options.model, options.compute);
  if (!model.ok()) return model.status();
  Result<std::vector<Token>> tokens = ReadTokens(options.tokens, model->vocab_size());
  if (!tokens.ok()) return tokens.status();
  if (tokens->empty()) {
    return Status(StatusCode::kInvalidArgument,
                  SourceName(options.tokens) + " holds no tokens; at least one is needed");
  }
  const std::int64_t count = static_cast<std::int64_t>(tokens->size());
  SessionOptions session_options;
  if (options.chunk > 0)
    session_options.batch_size = static_cast<std::int32_t>(std::min<std::int64_t>(options.chunk, count));
  Result<Session> session = CreateSession(kInspect, *model, options.compute, count + more, session_options);
  if (!session.ok()) return session.status();
  return Input{*std::move(session), *std::move(tokens)};
}

// Calls read(piece) with the tokens in pieces of `chunk`, or all at once for 0, until it fails.
template <typename Read>
Status ForEachChunk(std::span<const Token> tokens, std::int32_t chunk, Read&& read) {
  const std::size_t size = chunk > 0 ? static_cast<std::size_t>(chunk) : tokens.size();
  for (std::size_t begin = 0; begin < tokens.size(); begin += size) {
    Status status = read(tokens.subspan(begin, std::min(size, tokens.size() - begin)));
    if (!status.ok()) return status;
  }
  return {};
}

Status WriteLogits(const Options& options) {
  std::vector<std::string> inputs = AdapterFiles(options.compute.lora);
  inputs.insert(inputs.end(), {options.model, options.tokens});
  if (Status status = CheckOutput(options.out, inputs); !status.ok()) return status;
  Result<Input> input = Prepare(options, 0);
  if (!input.ok()) return input.status();
  const std::span<const Token> tokens = input->tokens;
  Result<NpyWriter> out =
      NpyWriter::Create(options.out, static_cast<std::int64_t>(tokens.size()), input->session.model().vocab_size());
  if (!out.ok()) return out.status();

  CancelToken cancel;  // no use in computing what can't be written
  AppendOptions append_options;
  append_options.cancel = &cancel;
  const auto write = [&](std::int32_t, std::span<const float> logits) {
    if (!out->Append(logits).ok()) cancel.Cancel();
  };
  Status status = ForEachChunk(tokens, options.chunk, [&](std::span<const Token> piece) {
    return input->session.AppendVisiting(piece, write, append_options);
  });
  if (!status.ok() && !cancel.cancelled()) return status;
  return out->Finish();
}

// The ids follow from the logits alone: end-of-generation tokens are ids like any other.
Status PrintGreedy(const Options& options) {
  Result<Input> input = Prepare(options, options.count);
  if (!input.ok()) return input.status();
  std::span<const float> logits;
  const auto append = [&](std::span<const Token> piece) -> Status {
    const Result<std::span<const float>> result = input->session.Append(piece);
    if (result.ok()) logits = *result;
    return result.status();
  };
  Status status = ForEachChunk(input->tokens, options.chunk, append);
  if (!status.ok()) return status;

  Sampler sampler({.temperature = 0});
  std::vector<Token> continuation;
  while (static_cast<std::int32_t>(continuation.size()) < options.count) {
    if (!continuation.empty()) status = append({&continuation.back(), 1});
    if (!status.ok()) return status;
    const Result<Token> next = sampler.Sample(logits);
    if (!next.ok()) return next.status();
    continuation.push_back(*next);
  }
  std::printf("%s\n", DumpJson(continuation).c_str());
  return {};
}

}  // namespace

Command AddLogits(CLI::App& root) {
  auto options = std::make_shared<Options>();
  CLI::App* app =
      root.add_subcommand("logits", "The logits after every token, as a NumPy file [tokens, vocabulary] of float32");
  AddSharedOptions(*app, options.get());
  app->add_option("--out", options->out, "File to write (.npy); appears only when complete")
      ->required()
      ->option_text("FILE (required)");
  app->footer(
      "Keys and values are kept in f32 by default, for comparing numbers; slm-chat and slm-bench use f16.\n"
      "Examples:\n"
      "  slm-inspect logits model.gguf --tokens prompt.json --out logits.npy\n"
      "  slm-inspect tokenize model.gguf --bos <text | slm-inspect logits model.gguf --tokens - --out logits.npy "
      "--chunk 7");
  return {app, [options] { return WriteLogits(*options); }};
}

Command AddGreedy(CLI::App& root) {
  auto options = std::make_shared<Options>();
  CLI::App* app = root.add_subcommand("greedy", "The most likely continuation, as a JSON array of token ids");
  AddSharedOptions(*app, options.get());
  app->add_option("-n", options->count, "Number of ids; tokens that end a text do not stop it")
      ->required()
      ->check(WholeNumber(0, 1 << 24))
      ->option_text("N (required)");
  app->footer(
      "Keys and values are kept in f32 by default, for comparing numbers; slm-chat and slm-bench use f16.\n"
      "Examples:\n"
      "  slm-inspect greedy model.gguf --tokens prompt.json -n 32\n"
      "  echo '[2, 818]' | slm-inspect greedy model.gguf --tokens - -n 8 | slm-inspect detokenize model.gguf");
  return {app, [options] { return PrintGreedy(*options); }};
}

}  // namespace slm::tools
