// slm-bench: how fast a model reads a prompt and generates, measured apart from each other.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench_json.h"
#include "bench_plot.h"
#include "bench_report.h"
#include "bench_run.h"
#include "bench_shared.h"
#include "energy_meter.h"
#include "file_identity.h"
#include "replace_file.h"
#include "tool_main.h"

namespace slm::tools {

namespace {

constexpr std::int32_t kFirstTokenPrompt = 64;
constexpr int kMaxCount = 1 << 24;  // of anything on the command line
constexpr double kNoisy = 0.10;     // change of the machine's peaks between the first and the last run

struct Options {
  BenchOptions bench;
  std::string format = "text";
  bool json = false;    // given, before --format or behind it
  std::string plot;     // path; empty: none
  std::string profile;  // "operation", "layer"; empty: none
  bool first_token = false;
  SharedOptions shared;
};

void Print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

// One line that is written over, for somebody who watches.
void ShowProgress(const std::string& what) {
  std::fprintf(stderr, "\r\033[K%s", what.c_str());
  std::fflush(stderr);
}

std::string Render(const BenchReport& report, std::string_view format, std::optional<ProfileBy> profile) {
  if (format == "json") return ReportJson(report, profile);
  if (format == "csv") return ReportCsv(report, profile);
  return ReportText(report, profile, format == "md");
}

Status PrintFirstToken(const Options& options) {
  if (options.format != "text" && options.format != "json") {
    return Status(StatusCode::kInvalidArgument, "--first-token prints text or JSON, not " + options.format);
  }
  const Result<FirstToken> measured = MeasureFirstToken(options.bench);
  if (!measured.ok()) return measured.status();
  Print(options.format == "json" ? FirstTokenJson(*measured) : FirstTokenText(*measured));
  return {};
}

void SortOut(std::vector<std::int32_t>* counts) {
  std::sort(counts->begin(), counts->end());
  counts->erase(std::unique(counts->begin(), counts->end()), counts->end());
}

// `counts`: of points that the plot has.
Status CheckPlot(const Options& options, std::size_t counts, const char* needs) {
  if (options.plot.empty()) return {};
  if (counts < 2) return Status(StatusCode::kInvalidArgument, std::string("a plot needs at least two ") + needs);
  std::vector<std::string> inputs = AdapterFiles(options.bench.compute.lora);
  inputs.insert(inputs.end(), {options.bench.model, options.shared.speculate});
  return CheckOutput(options.plot, inputs);
}

Status PrintShared(Options options) {
  SharedOptions& shared = options.shared;
  if (options.format == "csv") {
    return Status(StatusCode::kInvalidArgument, "--rows, --parallel and --speculate don't print CSV");
  }
  if (options.bench.generate == 0) {
    return Status(StatusCode::kInvalidArgument, "there is nothing to measure: -n is 0");
  }
  SortOut(&shared.rows);
  SortOut(&shared.parallel);
  Status status = CheckPlot(options, std::max(shared.rows.size(), shared.parallel.size()),
                            "numbers of --rows or --parallel, for example --rows 1,2,4,8");
  if (!status.ok()) return status;
  const bool watched = isatty(STDERR_FILENO) != 0;
  if (watched) options.bench.progress = ShowProgress;
  const Result<SharedReport> measured = MeasureShared(options.bench, shared);
  if (watched) ShowProgress("");
  if (!measured.ok()) return measured.status();
  Print(options.format == "json" ? SharedJson(*measured) : SharedText(*measured, options.format == "md"));
  return options.plot.empty() ? Status() : ReplaceFile(options.plot, PlotSvg(*measured));
}

Status PrintRates(Options options) {
  SortOut(&options.bench.depths);
  Status status = CheckPlot(options, options.bench.depths.size(), "depths, for example -d 0,512,1024");
  if (!status.ok()) return status;
  const bool watched = isatty(STDERR_FILENO) != 0;
  if (watched) options.bench.progress = ShowProgress;
  const Result<BenchReport> report = RunBench(options.bench);
  if (watched) ShowProgress("");
  if (!report.ok()) return report.status();
  if (report->peaks && report->peaks->Change() > kNoisy) {
    PrintMessage(kBench, "warning: what the machine can do changed by " + Percent(report->peaks->Change()) +
                             " while this ran, so something else is using it: don't quote these figures");
  }
  std::optional<ProfileBy> profile;
  if (!options.profile.empty()) profile = options.profile == "layer" ? ProfileBy::kLayer : ProfileBy::kOperation;
  Print(Render(*report, options.format, profile));
  return options.plot.empty() ? Status() : ReplaceFile(options.plot, PlotSvg(*report));
}

// Everything but the model and how to compute.
void AddBenchOptions(CLI::App& app, Options* options) {
  const auto add_count = [&app](const char* name, std::int32_t* value, int min, const char* text) {
    app.add_option(name, *value, text)
        ->check(WholeNumber(min, kMaxCount))
        ->option_text("N (" + std::to_string(*value) + ")");
  };
  BenchOptions& bench = options->bench;
  add_count("-n,--generate", &bench.generate, 0, "Tokens to generate; 0 skips it");
  add_count("-r,--repetitions", &bench.repetitions, 1, "Counted runs of each, after one that is not counted");
  app.add_option("-d,--depth", bench.depths, "Tokens already read when a run begins; several: 0,1024,4096")
      ->delimiter(',')
      ->check(WholeNumber(0, kMaxCount))
      ->option_text("N,... (0)");
  app.add_flag_callback(
      "--no-peaks", [&bench] { bench.peaks = false; },
      "Neither measure the machine's peaks of int8 and memory before and after (2 s) nor count work in one more run of "
      "each test: no shares");
  app.add_option("--profile", options->profile, "Say where the time goes, by operation or by layer")
      ->check(CLI::IsMember({"operation", "layer"}))
      ->option_text("operation|layer");
  app.add_option("--energy-root", bench.energy_root, "Folder of the powercap interface, for joules per token")
      ->option_text(std::string("DIR (") + EnergyMeter::kSystemRoot + ")");
  app.add_option("--plot", options->plot, "Write a plot of tokens/s over depth, --rows or --parallel as SVG")
      ->option_text("FILE.svg");
  app.add_flag("--first-token", options->first_token,
               "Instead: load, read a prompt of 64 (or -p) tokens, choose one token, and say how long that took");
  const auto add_shared = [&app](const char* name, std::vector<std::int32_t>* counts, const char* text) {
    app.add_option(name, *counts, text)->delimiter(',')->check(WholeNumber(1, 64))->option_text("N,...");
  };
  add_shared("--rows", &options->shared.rows,
             "Instead: the time of steps of so many tokens, with all their logits, in steps of the smallest number");
  add_shared("--parallel", &options->shared.parallel,
             "Instead: how fast so many conversations generate -n tokens each, together");
  CLI::Option* const speculate =
      app.add_option(
             "--speculate", options->shared.speculate,
             "Instead: how fast -n tokens are written after a text, plainly and with guesses, in turn; greedily "
             "and at temperature 0.8. Checks that they are the same")
          ->option_text("TEXTFILE");
  app.add_option("--draft", options->shared.draft, "A smaller model with the same vocabulary, to guess as well")
      ->needs(speculate)
      ->option_text("FILE");
  app.add_option("--format", options->format, "What to print")
      ->check(CLI::IsMember({"text", "md", "csv", "json"}))
      ->option_text("text|md|csv|json (text)");
  app.add_flag("--json", options->json, "The same as --format json");
}

// Of --json and --format, the last one counts.
void ChooseFormat(const CLI::App& app, Options* options) {
  std::string_view last;
  for (const CLI::Option* const option : app.parse_order()) {
    for (const std::string_view name : {"--json", "--format"}) {
      if (option->check_name(std::string(name))) last = name;
    }
  }
  if (last == "--json") options->format = "json";
}

}  // namespace

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("Measures tokens per second of prompt and generation, apart from each other.", kBench);
  AddModelArgument(app, &options.bench.model);
  CLI::Option* prompt = app.add_option("-p,--prompt", options.bench.prompt, "Tokens of the prompt; 0 skips it")
                            ->check(WholeNumber(0, kMaxCount))
                            ->option_text("N (" + std::to_string(options.bench.prompt) + ")");
  AddBenchOptions(app, &options);
  AddComputeOptions(app, &options.bench.compute);
  app.footer(std::string("Examples:\n"
                         "  slm-bench model.gguf\n"
                         "  slm-bench model.gguf -p 512 -n 64 -r 5 -t 2 --json\n"
                         "  slm-bench model.gguf -p 512 -n 0 --profile operation\n"
                         "  slm-bench model.gguf -d 0,1024,2048,4096 --plot depth.svg\n"
                         "  slm-bench model.gguf -p 0 -n 128 -d 4096 --kernels scalar\n"
                         "  slm-bench model.gguf --rows 1,2,4,8,16 --parallel 1,2,4,8 --plot shared.svg\n"
                         "  slm-bench model.gguf --speculate text.txt -n 256 --format md\n\n") +
             kReportKeys);
  return RunTool(app, argc, argv, [&] {
    ChooseFormat(app, &options);
    options.bench.profile = !options.profile.empty();
    const SharedOptions& shared = options.shared;
    if (!shared.rows.empty() || !shared.parallel.empty() || !shared.speculate.empty()) return PrintShared(options);
    if (!options.first_token) return PrintRates(options);
    if (prompt->count() == 0) options.bench.prompt = kFirstTokenPrompt;
    return PrintFirstToken(options);
  });
}

}  // namespace slm::tools

int main(int argc, char** argv) { return slm::tools::Main(argc, argv); }
