#include "bench_shared.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <span>
#include <thread>
#include <utility>

#include "json_text.h"
#include "slm/generate.h"
#include "slm/model.h"
#include "slm/sampler.h"
#include "slm/session.h"

namespace slm::tools {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kPrompt = 8;  // tokens that a conversation begins with

double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double Median(std::vector<double> values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::ranges::nth_element(values, middle);
  return *middle;
}

// Of a run that isn't counted, because memory is new, and `repetitions` that are.
template <typename Run>
Result<double> MedianSeconds(const BenchOptions& options, const std::string& what, const Run& run) {
  std::vector<double> seconds;
  for (std::int32_t i = 0; i <= options.repetitions; ++i) {
    if (options.progress)
      options.progress(what + ": run " + std::to_string(i) + " of " + std::to_string(options.repetitions));
    const Result<double> took = run();
    if (!took.ok()) return took;
    if (i > 0) seconds.push_back(*took);
  }
  return Median(std::move(seconds));
}

std::vector<Token> SomeTokens(const Model& model, std::size_t count, std::size_t first) {
  std::vector<Token> tokens(count);
  for (std::size_t i = 0; i < count; ++i)
    tokens[i] = static_cast<Token>((first + i * 7919) % static_cast<std::size_t>(model.vocab_size()));
  return tokens;
}

Result<SharedRate> MeasureRows(Session& session, const BenchOptions& options, std::int32_t rows) {
  const std::int32_t steps = std::max(1, options.generate / rows);
  const auto in_step = static_cast<std::size_t>(rows);
  const std::vector<Token> text = SomeTokens(session.model(), in_step * static_cast<std::size_t>(steps), 1);
  const auto run = [&]() -> Result<double> {
    if (Status status = session.Rewind(0); !status.ok()) return status;
    const Clock::time_point start = Clock::now();
    for (std::size_t begin = 0; begin < text.size(); begin += in_step) {
      const Status status = session.AppendVisiting(std::span(text).subspan(begin, in_step), {});
      if (!status.ok()) return status;
    }
    return SecondsSince(start);
  };
  const Result<double> seconds = MedianSeconds(options, "steps of " + std::to_string(rows) + " tokens", run);
  if (!seconds.ok()) return seconds.status();
  return SharedRate{.count = rows, .seconds = *seconds / steps, .tokens_per_second = rows * steps / *seconds};
}

// Each on a thread of its own, greedily, without guesses: what is shared is the steps.
Result<double> Converse(std::vector<Session>& sessions, std::int32_t tokens) {
  std::vector<Status> statuses(sessions.size());
  const auto write = [&](std::size_t i) {
    const Model& model = sessions[i].model();
    Sampler sampler({.temperature = 0}, &model.tokenizer());
    statuses[i] = Generate(sessions[i], sampler, SomeTokens(model, kPrompt, i),
                           {.max_tokens = tokens, .ignore_end = true, .guess_tokens = 0}, {})
                      .status();
  };
  const Clock::time_point start = Clock::now();
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < sessions.size(); ++i) threads.emplace_back(write, i);
  write(0);
  for (std::thread& thread : threads) thread.join();
  const double seconds = SecondsSince(start);
  for (const Status& status : statuses) {
    if (!status.ok()) return status;
  }
  return seconds;
}

Result<SharedRate> MeasureConversations(const Session& session, const BenchOptions& options, std::int32_t count) {
  std::vector<Session> sessions;
  for (std::int32_t i = 0; i < count; ++i) {
    Result<Session> fork = session.Fork();
    if (!fork.ok()) return fork.status();
    sessions.push_back(*std::move(fork));
  }
  const auto run = [&]() -> Result<double> {
    for (Session& each : sessions) {
      if (Status status = each.Rewind(0); !status.ok()) return status;
    }
    return Converse(sessions, options.generate);
  };
  const Result<double> seconds = MedianSeconds(options, std::to_string(count) + " conversations", run);
  if (!seconds.ok()) return seconds.status();
  return SharedRate{
      .count = count, .seconds = *seconds / options.generate, .tokens_per_second = count * options.generate / *seconds};
}

Json ToJson(const std::vector<SharedRate>& rates, const char* count) {
  Json json = Json::array();
  for (const SharedRate& rate : rates) {
    json.push_back({{count, rate.count},
                    {"step_s", rate.seconds},
                    {"cost", rate.seconds / rates.front().seconds},
                    {"tps", rate.tokens_per_second}});
  }
  return json;
}

std::string ToText(const std::vector<SharedRate>& rates, const char* count) {
  if (rates.empty()) return "";
  char line[128];
  std::snprintf(line, sizeof(line), "%-14s%12s%8s%12s%12s\n", count, "ms a step", "cost", "tokens/s", "of each");
  std::string text = line;
  for (const SharedRate& rate : rates) {
    std::snprintf(line, sizeof(line), "%-14d%12.2f%8.2f%12.1f%12.1f\n", rate.count, 1e3 * rate.seconds,
                  rate.seconds / rates.front().seconds, rate.tokens_per_second, rate.tokens_per_second / rate.count);
    text += line;
  }
  return text + '\n';
}

}  // namespace

Result<SharedReport> MeasureShared(const BenchOptions& options, const std::vector<std::int32_t>& rows,
                                   const std::vector<std::int32_t>& conversations) {
  const Result<Model> model = OpenModel(kBench, options.model, options.compute.kernels);
  if (!model.ok()) return model.status();
  std::int64_t context = static_cast<std::int64_t>(kPrompt) + options.generate;
  for (const std::int32_t count : rows) context = std::max(context, std::int64_t{options.generate} + count);
  Result<Session> session = CreateSession(kBench, *model, options.compute, context);
  if (!session.ok()) return session.status();
  SharedReport report = {.name = std::string(model->name()),
                         .kernels = std::string(model->kernels()),
                         .threads = session->threads(),
                         .rows = {},
                         .conversations = {}};
  for (const std::int32_t count : rows) {
    const Result<SharedRate> rate = MeasureRows(*session, options, count);
    if (!rate.ok()) return rate.status();
    report.rows.push_back(*rate);
  }
  if (Status status = session->Rewind(0); !status.ok()) return status;
  for (const std::int32_t count : conversations) {
    const Result<SharedRate> rate = MeasureConversations(*session, options, count);
    if (!rate.ok()) return rate.status();
    report.conversations.push_back(*rate);
  }
  return report;
}

std::string SharedText(const SharedReport& report) {
  return report.name + ", " + report.kernels + ", " + std::to_string(report.threads) + " threads\n\n" +
         ToText(report.rows, "rows") + ToText(report.conversations, "conversations");
}

std::string SharedJson(const SharedReport& report) {
  const Json json = {{"name", report.name},
                     {"kernels", report.kernels},
                     {"threads", report.threads},
                     {"rows", ToJson(report.rows, "rows")},
                     {"parallel", ToJson(report.conversations, "conversations")}};
  return DumpJson(json, 2) + '\n';
}

}  // namespace slm::tools
