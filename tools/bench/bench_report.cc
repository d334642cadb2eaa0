#include "bench_report.h"

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "bench_table.h"
#include "terminal_text.h"

namespace slm::tools {

namespace {

constexpr double kMega = 1e6;
constexpr double kGiga = 1e9;

struct Fact {
  std::string label;
  std::string text;
};

std::string PeaksText(const PeakPair& peaks) {
  const MachinePeaks reference = peaks.Reference();
  const auto giga = [](double value) { return Fixed(value / kGiga, 1); };
  return giga(reference.multiply_adds_per_second) + " GMAC/s in int8, reading " +
         giga(reference.read_bytes_per_second) + " GB/s (before the runs " +
         giga(peaks.before.multiply_adds_per_second) + " and " + giga(peaks.before.read_bytes_per_second) +
         ", after them " + giga(peaks.after.multiply_adds_per_second) + " and " +
         giga(peaks.after.read_bytes_per_second) + ")";
}

std::vector<Fact> Conditions(const BenchConditions& run) {
  std::string threads = std::to_string(run.threads) + " threads";
  if (run.prompt_threads != run.threads) threads += " (prompt: " + std::to_string(run.prompt_threads) + ")";
  const std::string size = Fixed(static_cast<double>(run.file_size) / kMega, 1) + " MB, " +
                           Fixed(static_cast<double>(run.bytes_per_token) / kMega, 1) + " MB of weights a token";
  return {{"machine", DescribeProcessor(run.machine)},
          {"model", run.model + " (" + run.architecture + ", " + size + ")"},
          {"computing", "kernels " + run.kernels + ", " + threads + ", KV " + run.kv + ", medians of " +
                            std::to_string(run.repetitions) + " runs"}};
}

std::vector<Fact> Remarks(const BenchReport& report) {
  const auto mega = [](std::uint64_t bytes) { return Fixed(static_cast<double>(bytes) / kMega, 1) + " MB"; };
  std::string hashes;
  for (const std::uint64_t hash : report.logits_hashes) hashes += (hashes.empty() ? "" : ", ") + Hex(hash);
  std::vector<Fact> facts = {{"load", Fixed(report.load_seconds, 3) + " s"},
                             {"peak memory", mega(report.peak_resident_bytes) + " (KV " + mega(report.kv_bytes) +
                                                 ", scratch " + mega(report.scratch_bytes) + ")"},
                             {"logits hash", hashes}};
  if (!report.no_energy_reason.empty()) facts.push_back({"energy", "not available (" + report.no_energy_reason + ")"});
  if (report.measurements.front().profile) {
    facts.push_back(
        {"GMAC/s, GB/s", "work counted in one more run of each test that is not timed here, at the median rate"});
  }
  return facts;
}

// Columns nobody measured are left out.
Table ResultTable(const BenchReport& report) {
  const bool work = report.measurements.front().profile.has_value();
  const bool peaks = report.peaks.has_value();
  const bool energy = report.no_energy_reason.empty();
  Table table{.header = {"test", "depth", "tokens/s", "± stdev", "min", "max"}, .rows = {}};
  const auto add_if = [](bool wanted, std::vector<std::string>* cells, const std::string& cell) {
    if (wanted) cells->push_back(cell);
  };
  const auto percent = [](const std::optional<double>& share) { return share ? Percent(*share) : "-"; };
  add_if(work, &table.header, "GMAC/s");
  add_if(peaks, &table.header, "of peak");
  add_if(work, &table.header, "GB/s");
  add_if(peaks, &table.header, "of peak");
  add_if(energy, &table.header, "J/token");
  for (const Measurement& measured : report.measurements) {
    const Samples& rates = measured.rates;
    std::vector<std::string> row = {std::string(BenchTestName(measured.test)) + " " + std::to_string(measured.tokens),
                                    std::to_string(measured.depth),
                                    Fixed(rates.Median(), 1),
                                    Fixed(rates.StandardDeviation(), 1),
                                    Fixed(rates.Min(), 1),
                                    Fixed(rates.Max(), 1)};
    add_if(work, &row, Fixed(measured.MultiplyAddsPerSecond().value_or(0) / kGiga, 1));
    add_if(peaks, &row, percent(report.Int8Share(measured)));
    add_if(work, &row, Fixed(measured.BytesPerSecond().value_or(0) / kGiga, 1));
    add_if(peaks, &row, percent(report.ReadShare(measured)));
    add_if(energy, &row, measured.joules_per_token ? Fixed(*measured.joules_per_token, 4) : "-");
    table.rows.push_back(std::move(row));
  }
  return table;
}

// `count`: what the rates are counted by.
Table SharedTable(const std::vector<SharedRate>& rates, const std::string& count) {
  Table table{.header = {count, "ms a step", "cost", "tokens/s", "min", "max", "of each"}, .rows = {}};
  for (const SharedRate& rate : rates) {
    table.rows.push_back({std::to_string(rate.count), Fixed(1e3 * rate.StepSeconds(), 2),
                          Fixed(rate.StepSeconds() / rates.front().StepSeconds(), 2), Fixed(rate.rates.Median(), 1),
                          Fixed(rate.rates.Min(), 1), Fixed(rate.rates.Max(), 1),
                          Fixed(rate.rates.Median() / rate.count, 1)});
  }
  return table;
}

Table SpeculationTable(const std::vector<Speculation>& measured) {
  Table table{.header = {"sampling", "plain tokens/s", "with guesses", "gain", "min", "max", "guessed", "right",
                         "share", "steps", "text"},
              .rows = {}};
  for (const Speculation& one : measured) {
    const std::optional<double> acceptance = one.Acceptance();
    table.rows.push_back({one.temperature == 0 ? "greedy" : "temperature " + Fixed(one.temperature, 1),
                          Fixed(one.plain.Median(), 1), Fixed(one.guessing.Median(), 1), Fixed(one.gain.Median(), 2),
                          Fixed(one.gain.Min(), 2), Fixed(one.gain.Max(), 2), Fixed(one.guessed.Median(), 0),
                          Fixed(one.accepted.Median(), 0), acceptance ? Percent(*acceptance) : "-",
                          Fixed(one.Steps(), 0), Hex(one.text_hash)});
  }
  return table;
}

std::string Render(const Table& table, bool markdown) { return markdown ? table.Markdown() : table.Aligned(); }

std::string FactsText(const std::vector<Fact>& facts, bool markdown) {
  std::string text;
  for (const Fact& fact : facts) {
    const std::size_t space = fact.label.size() < 13 ? 13 - fact.label.size() : 1;
    text += markdown ? "- " + fact.label + ": " + Escaped(fact.text)
                     : fact.label + std::string(space, ' ') + Escaped(fact.text);
    text += '\n';
  }
  return text;
}

}  // namespace

std::string DescribeProcessor(const Machine& machine) {
  std::string text = machine.processor.empty() ? "processor of unknown name" : machine.processor;
  text += ", " + std::to_string(machine.processors) + " processors on " + std::to_string(machine.cores) + " cores";
  if (machine.performance_cores != machine.cores) text += " (" + std::to_string(machine.performance_cores) + " fast)";
  if (machine.quota > 0) text += ", quota of " + Fixed(machine.quota, 1) + " processors";
  return text;
}

std::string ReportText(const BenchReport& report, std::optional<ProfileBy> profile, bool markdown) {
  std::vector<Fact> conditions = Conditions(report.conditions);
  if (report.peaks) conditions.push_back({"peaks", PeaksText(*report.peaks)});
  std::string text = FactsText(conditions, markdown) + '\n' + Render(ResultTable(report), markdown) + '\n' +
                     FactsText(Remarks(report), markdown);
  if (!profile) return text;
  for (const Measurement& measured : report.measurements) {
    const double units = measured.test == BenchTest::kGenerate ? measured.tokens : 1;
    const std::string title =
        "Profile: " + ProfileTitle(measured) + ", " + Fixed(measured.profile->seconds / units * 1e3, 3) + " ms";
    text += "\n" + (markdown ? "### " + title + "\n" : title) + "\n" +
            Render(ProfileTable(report, measured, *profile), markdown);
  }
  return text;
}

std::string SharedText(const SharedReport& report, bool markdown) {
  std::string text = FactsText(Conditions(report.conditions), markdown);
  if (!report.rows.empty()) text += '\n' + Render(SharedTable(report.rows, "rows a step"), markdown);
  if (!report.conversations.empty())
    text += '\n' + Render(SharedTable(report.conversations, "conversations"), markdown);
  if (!report.speculation.empty()) {
    text += "\n" + std::to_string(report.speculation.front().tokens) + " tokens after a text of " +
            std::to_string(report.prompt_tokens) + (report.draft.empty() ? "" : ", draft " + Escaped(report.draft)) +
            ":\n\n" + Render(SpeculationTable(report.speculation), markdown);
  }
  return text;
}

std::string FirstTokenText(const FirstToken& measured) {
  return "first token after " + Fixed(measured.seconds, 3) + " s: load " + Fixed(measured.load_seconds, 3) +
         " s, prompt of " + std::to_string(measured.prompt_tokens) + " tokens " +
         Fixed(measured.seconds - measured.load_seconds, 3) + " s\n";
}

}  // namespace slm::tools
