#include "bench_run.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <random>
#include <span>
#include <type_traits>
#include <utility>

#include "energy_meter.h"
#include "slm/machine.h"
#include "slm/model.h"
#include "slm/sampler.h"
#include "slm/session.h"

namespace slm::tools {

namespace {

using Logits = std::span<const float>;

constexpr std::uint32_t kContextSeed = 1, kPromptSeed = 2, kGenerateSeed = 3;

std::uint64_t PeakResidentBytes() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
  return static_cast<std::uint64_t>(usage.ru_maxrss);
#else
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
#endif
}

// The most threads the session will use: what the machine can do with them is the bound of either test.
std::int32_t MostThreads(const ComputeOptions& compute) {
  const std::int32_t threads = compute.threads > 0 ? compute.threads : DescribeMachine().default_threads;
  return std::max(threads, compute.prompt_threads);
}

// Measures in a process of its own, so that the memory this reads doesn't count as memory of the model. Only before
// there are threads: they would be missing in the other process.
Result<MachinePeaks> MeasurePeaksApart(std::string_view kernels, std::int32_t threads) {
  static_assert(std::is_trivially_copyable_v<MachinePeaks>);
  int ends[2];
  if (pipe(ends) != 0) return Status(StatusCode::kIoError, "cannot make a pipe to measure the machine's peaks through");
  const pid_t child = fork();
  if (child == 0) {
    const Result<MachinePeaks> measured = MeasurePeaks(kernels, threads);
    const bool written = measured.ok() && write(ends[1], &*measured, sizeof(MachinePeaks)) == sizeof(MachinePeaks);
    _exit(written ? kExitOk : kExitFailure);
  }
  close(ends[1]);
  MachinePeaks peaks;
  const bool measured = child > 0 && read(ends[0], &peaks, sizeof(peaks)) == sizeof(peaks);
  close(ends[0]);
  if (child > 0) waitpid(child, nullptr, 0);
  if (measured) return peaks;
  return Status(StatusCode::kOutOfMemory,
                "cannot measure what the machine can do; it takes 256 MiB of memory. --no-peaks does without");
}

// Puts the session at the depth where a run begins.
Status GoToDepth(Session& session, std::span<const Token> context) {
  return context.empty() ? session.Rewind(0) : session.Follow(context).status();
}

// One run of one test, from the depth where the session is.
struct Run {
  BenchTest test;
  std::int32_t depth;
  std::vector<Token> tokens;

  Result<Logits> operator()(Session& session) const {
    if (test == BenchTest::kPrompt) return session.Append(tokens);
    for (const Token& token : std::span(tokens).first(tokens.size() - 1)) {
      const Result<Logits> logits = session.Append({&token, 1});
      if (!logits.ok()) return logits.status();
    }
    return session.Append(std::span(tokens).last(1));
  }
};

std::vector<Run> AllRuns(const BenchOptions& options, std::int32_t vocab_size) {
  std::vector<Run> runs;
  for (const std::int32_t depth : options.depths) {
    if (options.prompt > 0) {
      runs.push_back({BenchTest::kPrompt, depth, FixedTokens(options.prompt, vocab_size, kPromptSeed)});
    }
    if (options.generate > 0) {
      runs.push_back({BenchTest::kGenerate, depth, FixedTokens(options.generate, vocab_size, kGenerateSeed)});
    }
  }
  return runs;
}

std::string Description(const Run& run) {
  return std::string(BenchTestName(run.test)) + " at depth " + std::to_string(run.depth);
}

// Runs once uncounted, then `repetitions` times, each from the same depth.
Result<Measurement> Measure(Session& session, const BenchOptions& options, const Run& run, const EnergyMeter& energy,
                            Hash* hash) {
  Measurement measured;
  measured.test = run.test;
  measured.tokens = static_cast<std::int32_t>(run.tokens.size());
  measured.depth = run.depth;
  const std::vector<Token> context = FixedTokens(run.depth, session.model().vocab_size(), kContextSeed);
  std::uint64_t first_hash = 0;
  double joules = 0;
  for (std::int32_t count = 0; count <= options.repetitions; ++count) {
    ReportProgress(options, Description(run), count);
    if (Status status = GoToDepth(session, context); !status.ok()) return status;
    const double joules_before = energy.Joules();
    const Timer timer;
    const Result<Logits> logits = run(session);
    const double seconds = timer.Seconds();
    if (!logits.ok()) return logits.status();

    Hash run_hash;
    run_hash.Add(std::as_bytes(*logits));
    if (count == 0) {
      first_hash = run_hash.value();
      hash->Add(std::as_bytes(*logits));
      continue;
    }
    measured.rates.Add(measured.tokens / seconds);
    joules += energy.Joules() - joules_before;
    if (run_hash.value() != first_hash) {
      return Status(StatusCode::kInvalidNumber, "repetition " + std::to_string(count) +
                                                    " computed other logits than the first run from the same tokens; "
                                                    "this is a fault of the library or of the machine");
    }
  }
  if (std::isfinite(joules)) measured.joules_per_token = joules / measured.tokens / options.repetitions;
  return measured;
}

Status MeasureAll(Session& session, const BenchOptions& options, const std::vector<Run>& runs, BenchReport* report) {
  const EnergyMeter energy(options.energy_root);
  report->no_energy_reason = energy.reason();
  Hash hash;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    Result<Measurement> measured = Measure(session, options, runs[i], energy, &hash);
    if (!measured.ok()) return measured.status();
    report->measurements.push_back(*std::move(measured));
    const bool last_of_depth = i + 1 == runs.size() || runs[i + 1].depth != runs[i].depth;
    if (last_of_depth) report->logits_hashes.push_back(std::exchange(hash, {}).value());
  }
  return {};
}

Result<ProfiledRun> Profile(Session& session, const Run& run) {
  session.ClearProfile();
  const Timer timer;
  const Result<Logits> logits = run(session);
  const double seconds = timer.Seconds();
  if (!logits.ok()) return logits.status();
  return ProfiledRun{.seconds = seconds, .entries = session.Profile()};
}

// Runs each test again in a session that keeps the times of every operation. Where somebody will look at those, once
// before that isn't counted: the session's memory is new.
Status ProfileAll(const Model& model, const BenchOptions& options, std::int32_t context, const std::vector<Run>& runs,
                  BenchReport* report) {
  Result<Session> session = Session::Create(model, ToSessionOptions(options.compute, context, {.profile = true}));
  if (!session.ok()) return session.status();
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const std::vector<Token> before = FixedTokens(runs[i].depth, model.vocab_size(), kContextSeed);
    for (int count = options.profile ? 0 : 1; count <= 1; ++count) {
      if (options.progress) options.progress(Description(runs[i]) + ": profile");
      if (Status status = GoToDepth(*session, before); !status.ok()) return status;
      Result<ProfiledRun> run = Profile(*session, runs[i]);
      if (!run.ok()) return run.status();
      report->measurements[i].profile = *std::move(run);
    }
  }
  return {};
}

}  // namespace

std::vector<Token> FixedTokens(std::int32_t count, std::int32_t vocab_size, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<Token> tokens(static_cast<std::size_t>(count));
  for (Token& token : tokens) token = static_cast<Token>(random() % static_cast<std::uint32_t>(vocab_size));
  return tokens;
}

BenchConditions DescribeConditions(const Session& session, const BenchOptions& options) {
  const Model& model = session.model();
  return {.model = options.model,
          .name = std::string(model.name()),
          .architecture = std::string(model.architecture()),
          .kernels = std::string(model.kernels()),
          .kv = options.compute.kv,
          .file_size = model.file().size(),
          .bytes_per_token = model.bytes_per_token(),
          .machine = DescribeMachine(),
          .threads = session.threads(),
          .prompt_threads = session.prompt_threads(),
          .repetitions = options.repetitions};
}

void ReportProgress(const BenchOptions& options, const std::string& what, std::int32_t count) {
  if (!options.progress) return;
  options.progress(what + ": run " + std::to_string(count) + " of " + std::to_string(options.repetitions));
}

Result<BenchReport> RunBench(BenchOptions options) {
  if (options.prompt == 0 && options.generate == 0) {
    return Status(StatusCode::kInvalidArgument, "there is nothing to measure: both -p and -n are 0");
  }
  const Timer model_timer;
  const Result<Model> model = OpenModel(kBench, options.model, options.compute);
  if (!model.ok()) return model.status();
  BenchReport report;
  report.load_seconds = model_timer.Seconds();
  if (options.peaks) {
    const Result<MachinePeaks> before = MeasurePeaksApart(model->kernels(), MostThreads(options.compute));
    if (!before.ok()) return before.status();
    report.peaks = PeakPair{.before = *before, .after = {}};
  }

  const std::vector<Run> runs = AllRuns(options, model->vocab_size());
  const std::int64_t context = std::int64_t{options.depths.back()} + std::max(options.prompt, options.generate);
  {
    const Timer session_timer;
    Result<Session> session = CreateSession(kBench, *model, options.compute, context);
    if (!session.ok()) return session.status();
    report.load_seconds += session_timer.Seconds();
    if (Status status = MeasureAll(*session, options, runs, &report); !status.ok()) return status;
    report.conditions = DescribeConditions(*session, options);
    report.kv_bytes = session->kv_bytes();
    report.scratch_bytes = session->scratch_bytes();
    report.peak_resident_bytes = PeakResidentBytes();
  }
  if (options.peaks || options.profile) {
    Status status = ProfileAll(*model, options, static_cast<std::int32_t>(context), runs, &report);
    if (!status.ok()) return status;
  }
  if (options.peaks) {
    const Result<MachinePeaks> after = MeasurePeaks(model->kernels(), MostThreads(options.compute));
    if (!after.ok()) return after.status();
    report.peaks->after = *after;
  }
  return report;
}

Result<FirstToken> MeasureFirstToken(BenchOptions options) {
  const Timer timer;
  const Result<Model> model = OpenModel(kBench, options.model, options.compute);
  if (!model.ok()) return model.status();
  Result<Session> session = CreateSession(kBench, *model, options.compute, std::int64_t{options.prompt} + 1);
  if (!session.ok()) return session.status();
  const double load_seconds = timer.Seconds();
  const Result<Logits> logits = session->Append(FixedTokens(options.prompt, model->vocab_size(), kPromptSeed));
  if (!logits.ok()) return logits.status();
  const Result<Token> token = Sampler({.temperature = 0}).Sample(*logits);
  if (!token.ok()) return token.status();
  return FirstToken{.seconds = timer.Seconds(),
                    .load_seconds = load_seconds,
                    .prompt_tokens = options.prompt,
                    .token = *token,
                    .kernels = std::string(model->kernels()),
                    .threads = session->threads(),
                    .prompt_threads = session->prompt_threads(),
                    .peak_resident_bytes = PeakResidentBytes()};
}

}  // namespace slm::tools
