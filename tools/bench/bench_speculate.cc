#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench_shared.h"
#include "slm/generate.h"
#include "slm/sampler.h"

namespace slm::tools {

namespace {

constexpr std::uint64_t kSeed = 1;

// One text of one session that has read the prompt.
Result<GenerateResult> Write(const Session& session, Draft* draft, const BenchOptions& options, double temperature,
                             bool guessing) {
  Result<Session> fork = session.Fork();
  if (!fork.ok()) return fork.status();
  Sampler sampler({.temperature = static_cast<float>(temperature), .seed = kSeed}, &session.model().tokenizer());
  return Generate(*fork, sampler, session.tokens(),
                  {.max_tokens = options.generate,
                   .ignore_end = true,
                   .guess_tokens = guessing ? -1 : 0,
                   .draft = guessing ? draft : nullptr},
                  {});
}

Result<Speculation> MeasureAt(const Session& session, Draft* draft, const BenchOptions& options, double temperature) {
  const std::string what = temperature == 0 ? "greedy" : "by chance";
  const auto rate = [](const GenerateResult& result) { return result.generated_tokens / result.generate_seconds; };
  Speculation measured;
  measured.temperature = temperature;
  measured.tokens = options.generate;
  std::optional<std::string> text;  // the first
  for (std::int32_t i = 0; i <= options.repetitions; ++i) {
    ReportProgress(options, "plain and with guesses, " + what, i);
    GenerateResult pair[2];
    for (const bool guessing : {false, true}) {
      Result<GenerateResult> result = Write(session, draft, options, temperature, guessing);
      if (!result.ok()) return result.status();
      if (!text) text = result->text;
      Status status = CheckSameText(*text, result->text, guessing ? what + ", with guesses" : what + ", plain");
      if (!status.ok()) return status;
      pair[guessing ? 1 : 0] = *std::move(result);
    }
    if (i == 0) continue;  // memory was new
    measured.plain.Add(rate(pair[0]));
    measured.guessing.Add(rate(pair[1]));
    measured.gain.Add(rate(pair[1]) / rate(pair[0]));
    measured.guessed.Add(pair[1].guessed_tokens);
    measured.accepted.Add(pair[1].accepted_tokens);
  }
  Hash hash;
  hash.Add(std::as_bytes(std::span(*text)));
  measured.text_hash = hash.value();
  return measured;
}

}  // namespace

Result<std::vector<Speculation>> MeasureSpeculation(Session& session, Draft* draft, const BenchOptions& options,
                                                    const std::vector<Token>& prompt) {
  if (Status status = session.Follow(prompt).status(); !status.ok()) return status;
  std::vector<Speculation> measured;
  for (const double temperature : {0.0, 0.8}) {
    Result<Speculation> one = MeasureAt(session, draft, options, temperature);
    if (!one.ok()) return one.status();
    measured.push_back(*std::move(one));
  }
  return measured;
}

Status CheckSameText(std::string_view expected, std::string_view text, const std::string& what) {
  if (text == expected) return {};
  const auto parting = std::mismatch(expected.begin(), expected.end(), text.begin(), text.end()).first;
  return Status(StatusCode::kInvalidNumber, "the text (" + what + ") is another one than that of the first plain run " +
                                                "from byte " + std::to_string(parting - expected.begin()) + " on (of " +
                                                std::to_string(expected.size()) +
                                                "); this is a fault of the library or of the machine");
}

}  // namespace slm::tools
