#include "bench_shared.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <thread>
#include <utility>

#include "read_input.h"
#include "slm/generate.h"
#include "slm/model.h"
#include "slm/sampler.h"

namespace slm::tools {

namespace {

constexpr std::int32_t kPrompt = 8;  // tokens that a conversation begins with
constexpr std::uint32_t kSeed = 1;

// Tokens a second of a run that isn't counted, because memory is new, and of `repetitions` that are.
template <typename Run>
Result<SharedRate> Measure(const BenchOptions& options, std::int32_t count, const char* what, std::int32_t tokens,
                           const Run& run) {
  SharedRate rate{.count = count, .rates = {}};
  for (std::int32_t i = 0; i <= options.repetitions; ++i) {
    ReportProgress(options, std::to_string(count) + what, i);
    const Result<double> seconds = run();
    if (!seconds.ok()) return seconds.status();
    if (i > 0) rate.rates.Add(tokens / *seconds);
  }
  return rate;
}

Result<SharedRate> MeasureRows(Session& session, const BenchOptions& options, std::int32_t rows) {
  const std::int32_t tokens = std::max(1, options.generate / rows) * rows;
  const std::vector<Token> text = FixedTokens(tokens, session.model().vocab_size(), kSeed);
  const auto in_step = static_cast<std::size_t>(rows);
  const auto run = [&]() -> Result<double> {
    if (Status status = session.Rewind(0); !status.ok()) return status;
    const Timer timer;
    for (std::size_t begin = 0; begin < text.size(); begin += in_step) {
      const Status status = session.AppendVisiting(std::span(text).subspan(begin, in_step), {});
      if (!status.ok()) return status;
    }
    return timer.Seconds();
  };
  return Measure(options, rows, " rows a step", tokens, run);
}

std::vector<Token> PromptOf(const Model& model, std::size_t conversation) {
  return FixedTokens(kPrompt, model.vocab_size(), kSeed + static_cast<std::uint32_t>(conversation));
}

// Each on a thread of its own, greedily, without guesses: what is shared is the steps.
Result<double> Converse(std::vector<Session>& sessions, std::int32_t tokens) {
  std::vector<Status> statuses(sessions.size());
  const auto write = [&](std::size_t i) {
    const Model& model = sessions[i].model();
    Sampler sampler({.temperature = 0}, &model.tokenizer());
    statuses[i] = Generate(sessions[i], sampler, PromptOf(model, i),
                           {.max_tokens = tokens, .ignore_end = true, .guess_tokens = 0}, {})
                      .status();
  };
  const Timer timer;
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < sessions.size(); ++i) threads.emplace_back(write, i);
  write(0);
  for (std::thread& thread : threads) thread.join();
  const double seconds = timer.Seconds();
  for (const Status& status : statuses) {
    if (!status.ok()) return status;
  }
  return seconds;
}

// `session` has read nothing.
Result<SharedRate> MeasureConversations(const Session& session, const BenchOptions& options, std::int32_t count) {
  std::vector<Session> sessions;
  for (std::int32_t i = 0; i < count; ++i) {
    Result<Session> fork = session.Fork();
    if (!fork.ok()) return fork.status();
    sessions.push_back(*std::move(fork));
  }
  // The prompts are read before the clock runs, but for their last tokens: a step of each for each token.
  const auto run = [&]() -> Result<double> {
    for (std::size_t i = 0; i < sessions.size(); ++i) {
      const Status status = sessions[i].Follow(PromptOf(session.model(), i)).status();
      if (!status.ok()) return status;
    }
    return Converse(sessions, options.generate);
  };
  return Measure(options, count, " conversations", count * options.generate, run);
}

// The file's bytes as a prompt: nothing in it is a control token.
Result<std::vector<Token>> ReadPrompt(const Model& model, const BenchOptions& options, const std::string& path) {
  const Result<std::string> text = ReadInput(path);
  if (!text.ok()) return text.status();
  if (text->empty()) return Status(StatusCode::kInvalidArgument, path + " is empty; there is nothing to go on with");
  WarnOfBosInText(kBench, model.tokenizer(), *text);
  Result<std::vector<Token>> tokens = model.tokenizer().Encode(*text, {.add_special = true, .at_end = false});
  if (tokens.ok() && std::ssize(*tokens) + options.generate > model.context_length()) {
    return Status(StatusCode::kContextFull, path + " has " + std::to_string(tokens->size()) + " tokens, and " +
                                                std::to_string(options.generate) +
                                                " are to follow (-n), but the model's context length is " +
                                                std::to_string(model.context_length()));
  }
  return tokens;
}

Result<std::vector<Speculation>> Speculate(Session& session, const BenchOptions& options, const std::string& draft_path,
                                           const std::vector<Token>& prompt) {
  if (draft_path.empty()) return MeasureSpeculation(session, nullptr, options, prompt);
  const Result<Model> small = OpenModel(kBench, draft_path, options.compute.kernels);
  if (!small.ok()) return small.status();
  SessionOptions of_draft = ToSessionOptions(options.compute, session.context_length());
  of_draft.adapters.clear();
  Result<Draft> draft = Draft::Create(session.model(), *small, of_draft);
  if (!draft.ok()) return Status(draft.status().code(), "--draft " + draft_path + ": " + draft.status().message());
  return MeasureSpeculation(session, &*draft, options, prompt);
}

template <typename MeasureOne>
Status MeasureEach(const std::vector<std::int32_t>& counts, std::vector<SharedRate>* rates, const MeasureOne& measure) {
  for (const std::int32_t count : counts) {
    Result<SharedRate> rate = measure(count);
    if (!rate.ok()) return rate.status();
    rates->push_back(*std::move(rate));
  }
  return {};
}

}  // namespace

Result<SharedReport> MeasureShared(BenchOptions options, const SharedOptions& shared) {
  const Result<Model> model = OpenModel(kBench, options.model, options.compute);
  if (!model.ok()) return model.status();
  std::vector<Token> prompt;
  if (!shared.speculate.empty()) {
    Result<std::vector<Token>> read = ReadPrompt(*model, options, shared.speculate);
    if (!read.ok()) return read.status();
    prompt = *std::move(read);
  }
  std::int64_t context = std::int64_t{options.generate} + std::max<std::int64_t>(kPrompt, std::ssize(prompt));
  for (const std::int32_t count : shared.rows) context = std::max<std::int64_t>(context, count);
  Result<Session> session = CreateSession(kBench, *model, options.compute, context);
  if (!session.ok()) return session.status();

  SharedReport report;
  report.conditions = DescribeConditions(*session, options);
  report.prompt_tokens = static_cast<std::int32_t>(prompt.size());
  Status status =
      MeasureEach(shared.rows, &report.rows, [&](std::int32_t count) { return MeasureRows(*session, options, count); });
  if (status.ok()) status = session->Rewind(0);
  if (status.ok()) {
    status = MeasureEach(shared.parallel, &report.conversations,
                         [&](std::int32_t count) { return MeasureConversations(*session, options, count); });
  }
  if (!status.ok()) return status;
  if (!prompt.empty()) {
    report.draft = shared.draft;
    Result<std::vector<Speculation>> measured = Speculate(*session, options, shared.draft, prompt);
    if (!measured.ok()) return measured.status();
    report.speculation = *std::move(measured);
  }
  return report;
}

}  // namespace slm::tools
