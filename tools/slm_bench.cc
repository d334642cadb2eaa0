// slm-bench: how fast a model reads a prompt and generates, measured apart from each other.
//
// Generation is timed as chat does it, one token a call, but with fixed ids in place of sampled ones: every run, kernel
// set and thread count then computes the same tokens, and their last logits can be compared by a hash.

#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "slm/model.h"
#include "slm/sampler.h"
#include "slm/session.h"
#include "tool_main.h"

namespace slm::tools {

namespace {

using Json = nlohmann::ordered_json;

constexpr char kBench[] = "slm-bench";
constexpr std::int32_t kFirstTokenPrompt = 64;
constexpr int kMaxCount = 1 << 24;  // of anything on the command line

struct Options {
  std::string model;
  std::int32_t prompt = 512;
  std::int32_t generate = 64;
  std::int32_t repetitions = 5;
  std::int32_t depth = 0;
  ComputeOptions compute;
  bool first_token = false;
  bool json = false;
};

class Timer {
 public:
  double Seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

// The same ids on every machine.
std::vector<Token> FixedTokens(std::int32_t count, std::int32_t vocab_size, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<Token> tokens(static_cast<std::size_t>(count));
  for (Token& token : tokens) token = static_cast<Token>(random() % static_cast<std::uint32_t>(vocab_size));
  return tokens;
}

// FNV-1a, 64 bits, over the bytes of the numbers.
class LogitsHash {
 public:
  void Add(std::span<const float> logits) {
    for (const std::byte byte : std::as_bytes(logits))
      hash_ = (hash_ ^ static_cast<std::uint64_t>(byte)) * 0x100000001b3u;
  }
  std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325u;
};

std::uint64_t PeakResidentBytes() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
  return static_cast<std::uint64_t>(usage.ru_maxrss);
#else
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
#endif
}

// Rates of the counted repetitions, in tokens a second.
class Rates {
 public:
  void Add(double rate) { rates_.push_back(rate); }
  bool empty() const { return rates_.empty(); }
  std::span<const double> all() const { return rates_; }

  double Median() const {
    std::vector<double> sorted = rates_;
    std::sort(sorted.begin(), sorted.end());
    const std::size_t middle = sorted.size() / 2;
    return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }
  double Min() const { return *std::min_element(rates_.begin(), rates_.end()); }
  double Max() const { return *std::max_element(rates_.begin(), rates_.end()); }
  // Of a sample; 0 for a single repetition.
  double StandardDeviation() const {
    if (rates_.size() < 2) return 0;
    double mean = 0, squares = 0;
    for (const double rate : rates_) mean += rate / static_cast<double>(rates_.size());
    for (const double rate : rates_) squares += (rate - mean) * (rate - mean);
    return std::sqrt(squares / static_cast<double>(rates_.size() - 1));
  }

 private:
  std::vector<double> rates_;
};

struct Measurement {
  Rates prompt;
  Rates generate;
  std::uint64_t logits_hash = 0;  // of the last logits of the prompt, then of the generation
};

// Puts the session at the depth where a measurement begins. Layers with a sliding window can't always go back that far:
// then the text before it is read again.
Status GoToDepth(Session& session, std::span<const Token> context) {
  const std::int32_t depth = static_cast<std::int32_t>(context.size());
  if (session.position() >= depth && session.Rewind(depth).ok()) return {};
  if (Status status = session.Rewind(0); !status.ok()) return status;
  return session.Append(context).status();
}

// Runs `part` once uncounted, then `repetitions` times, each from the same depth.
template <typename Part>
Status Repeat(Session& session, const Options& options, std::span<const Token> tokens, Part&& part, Rates* rates,
              LogitsHash* hash) {
  const std::vector<Token> context = FixedTokens(options.depth, session.model().vocab_size(), 1);
  std::uint64_t first_hash = 0;
  for (std::int32_t run = 0; run <= options.repetitions; ++run) {
    if (Status status = GoToDepth(session, context); !status.ok()) return status;
    const Timer timer;
    const Result<std::span<const float>> logits = part(session, tokens);
    const double seconds = timer.Seconds();
    if (!logits.ok()) return logits.status();
    if (run > 0) rates->Add(static_cast<double>(tokens.size()) / seconds);

    LogitsHash run_hash;
    run_hash.Add(*logits);
    if (run == 0) {
      first_hash = run_hash.value();
      hash->Add(*logits);
    } else if (run_hash.value() != first_hash) {
      return Status(StatusCode::kInvalidNumber, "repetition " + std::to_string(run) +
                                                    " computed other logits than the first run from the same tokens; "
                                                    "this is a fault of the library or of the machine");
    }
  }
  return {};
}

Result<std::span<const float>> ReadPrompt(Session& session, std::span<const Token> tokens) {
  return session.Append(tokens);
}

Result<std::span<const float>> GenerateTokens(Session& session, std::span<const Token> tokens) {
  for (const Token& token : tokens.first(tokens.size() - 1)) {
    const Result<std::span<const float>> logits = session.Append({&token, 1});
    if (!logits.ok()) return logits.status();
  }
  return session.Append(tokens.last(1));
}

Result<Measurement> Measure(Session& session, const Options& options) {
  Measurement measured;
  LogitsHash hash;
  const std::int32_t vocab_size = session.model().vocab_size();
  if (options.prompt > 0) {
    const std::vector<Token> tokens = FixedTokens(options.prompt, vocab_size, 2);
    Status status = Repeat(session, options, tokens, ReadPrompt, &measured.prompt, &hash);
    if (!status.ok()) return status;
  }
  if (options.generate > 0) {
    const std::vector<Token> tokens = FixedTokens(options.generate, vocab_size, 3);
    Status status = Repeat(session, options, tokens, GenerateTokens, &measured.generate, &hash);
    if (!status.ok()) return status;
  }
  measured.logits_hash = hash.value();
  return measured;
}

double GigabytesPerSecond(const Model& model, const Rates& generate) {
  return generate.empty() ? 0 : static_cast<double>(model.bytes_per_token()) * generate.Median() / 1e9;
}

std::string Hex(std::uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof(text), "%016" PRIx64, value);
  return text;
}

void AddRates(Json& json, const std::string& part, std::int32_t tokens, const Rates& rates) {
  json[part + "_tokens"] = tokens;
  json[part + "_tps"] = rates.empty() ? Json(nullptr) : Json(rates.Median());
  if (rates.empty()) return;
  json[part + "_tps_min"] = rates.Min();
  json[part + "_tps_max"] = rates.Max();
  json[part + "_tps_stdev"] = rates.StandardDeviation();
  json[part + "_tps_runs"] = std::vector<double>(rates.all().begin(), rates.all().end());
}

void PrintJson(const Options& options, const Session& session, double load_seconds, const Measurement& measured) {
  const Model& model = session.model();
  Json json = {{"model", options.model},         {"name", model.name()},       {"architecture", model.architecture()},
               {"file_size", model.file_size()}, {"kernels", model.kernels()}, {"threads", session.threads()},
               {"kv", options.compute.kv},       {"depth", options.depth},     {"repetitions", options.repetitions},
               {"load_s", load_seconds}};
  AddRates(json, "prompt", options.prompt, measured.prompt);
  AddRates(json, "generate", options.generate, measured.generate);
  json["bytes_per_token"] = model.bytes_per_token();
  json["gbps"] = measured.generate.empty() ? Json(nullptr) : Json(GigabytesPerSecond(model, measured.generate));
  json["peak_rss_bytes"] = PeakResidentBytes();
  json["kv_bytes"] = session.kv_bytes();
  json["scratch_bytes"] = session.scratch_bytes();
  json["logits_hash"] = Hex(measured.logits_hash);
  std::printf("%s\n", json.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
}

void PrintRow(const char* part, std::int32_t tokens, const Rates& rates) {
  if (rates.empty()) return;
  std::printf("%-10s %8d %10.2f %10.2f %10.2f %10.2f\n", part, tokens, rates.Median(), rates.Min(), rates.Max(),
              rates.StandardDeviation());
}

void PrintTable(const Options& options, const Session& session, double load_seconds, const Measurement& measured) {
  const Model& model = session.model();
  constexpr double kMega = 1e6;
  std::printf("model      %s (%s, %.1f MB)\n", options.model.c_str(), std::string(model.architecture()).c_str(),
              static_cast<double>(model.file_size()) / kMega);
  std::printf("computing  kernels %s, %d threads, KV %s, from depth %d, %d repetitions\n\n",
              std::string(model.kernels()).c_str(), session.threads(), options.compute.kv.c_str(), options.depth,
              options.repetitions);
  std::printf("%-10s %8s %10s %10s %10s %10s   (tokens/s)\n", "", "tokens", "median", "min", "max", "stdev");
  PrintRow("prompt", options.prompt, measured.prompt);
  PrintRow("generate", options.generate, measured.generate);
  std::printf("\n");
  if (!measured.generate.empty()) {
    std::printf("generation reads %.2f GB/s (%.1f MB of weights a token)\n",
                GigabytesPerSecond(model, measured.generate), static_cast<double>(model.bytes_per_token()) / kMega);
  }
  std::printf("load %.3f s, peak memory %.1f MB (KV %.1f MB, scratch %.1f MB)\n", load_seconds,
              static_cast<double>(PeakResidentBytes()) / kMega, static_cast<double>(session.kv_bytes()) / kMega,
              static_cast<double>(session.scratch_bytes()) / kMega);
  std::printf("logits hash %s\n", Hex(measured.logits_hash).c_str());
}

// One prompt and one token, with nothing warmed up: what a user waits for after starting a program.
Status MeasureFirstToken(const Options& options) {
  const Timer timer;
  const Result<Model> model = OpenModel(kBench, options.model, options.compute.kernels);
  if (!model.ok()) return model.status();
  Result<Session> session = CreateSession(kBench, *model, options.compute, options.prompt + 1);
  if (!session.ok()) return session.status();
  const double load_seconds = timer.Seconds();
  const Result<std::span<const float>> logits = session->Append(FixedTokens(options.prompt, model->vocab_size(), 2));
  if (!logits.ok()) return logits.status();
  const Result<Token> token = Sampler({.temperature = 0}).Sample(*logits);
  if (!token.ok()) return token.status();
  const double seconds = timer.Seconds();
  if (options.json) {
    const Json json = {{"first_token_s", seconds},
                       {"load_s", load_seconds},
                       {"prompt_tokens", options.prompt},
                       {"token", *token},
                       {"kernels", model->kernels()},
                       {"threads", session->threads()},
                       {"peak_rss_bytes", PeakResidentBytes()}};
    std::printf("%s\n", json.dump(2).c_str());
  } else {
    std::printf("first token after %.3f s: load %.3f s, prompt of %d tokens %.3f s\n", seconds, load_seconds,
                options.prompt, seconds - load_seconds);
  }
  return {};
}

Status MeasureRates(const Options& options) {
  if (options.prompt == 0 && options.generate == 0) {
    return Status(StatusCode::kInvalidArgument, "there is nothing to measure: both -p and -n are 0");
  }
  const Timer timer;
  const Result<Model> model = OpenModel(kBench, options.model, options.compute.kernels);
  if (!model.ok()) return model.status();
  const std::int64_t context = std::int64_t{options.depth} + std::max(options.prompt, options.generate);
  Result<Session> session = CreateSession(kBench, *model, options.compute, context);
  if (!session.ok()) return session.status();
  const double load_seconds = timer.Seconds();

  const Result<Measurement> measured = Measure(*session, options);
  if (!measured.ok()) return measured.status();
  if (options.json) {
    PrintJson(options, *session, load_seconds, *measured);
  } else {
    PrintTable(options, *session, load_seconds, *measured);
  }
  return {};
}

}  // namespace

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("Measures tokens per second of prompt and generation, apart from each other.", kBench);
  AddModelArgument(app, &options.model);
  const auto add_count = [&app](const char* name, std::int32_t* value, int min, const char* text) {
    return app.add_option(name, *value, text)
        ->check(CLI::Range(min, kMaxCount))
        ->option_text("N (" + std::to_string(*value) + ")");
  };
  CLI::Option* prompt = add_count("-p,--prompt", &options.prompt, 0, "Tokens of the prompt; 0 skips it");
  add_count("-n,--generate", &options.generate, 0, "Tokens to generate; 0 skips it");
  add_count("-r,--repetitions", &options.repetitions, 1, "Counted runs of each, after one that is not counted");
  add_count("-d,--depth", &options.depth, 0, "Tokens already read when a run begins");
  AddComputeOptions(app, &options.compute);
  app.add_flag("--first-token", options.first_token,
               "Instead: load, read a prompt of 64 (or -p) tokens, choose one token, and say how long that took");
  app.add_flag("--json", options.json, "One JSON object for programs");
  app.footer(
      "Examples:\n"
      "  slm-bench model.gguf\n"
      "  slm-bench model.gguf -p 512 -n 64 -r 5 -t 2 --json\n"
      "  slm-bench model.gguf -p 0 -n 128 -d 4096 --kernels scalar");
  return RunTool(app, argc, argv, [&] {
    if (!options.first_token) return MeasureRates(options);
    if (prompt->count() == 0) options.prompt = kFirstTokenPrompt;
    return MeasureFirstToken(options);
  });
}

}  // namespace slm::tools

int main(int argc, char** argv) { return slm::tools::Main(argc, argv); }
