#include "bench_json.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "bench_table.h"
#include "json_text.h"
#include "terminal_text.h"

namespace slm::tools {

const char kReportKeys[] =
    "JSON: one object. machine, peaks (before, after, reference: the higher), results: one object for each test and\n"
    "depth. Rates are in tokens/s (tps), 1e9 multiply-adds/s (gmacs) and 1e9 bytes/s (gbps: weights, keys, values);\n"
    "int8_share and read_share are of the reference peaks, 0 to 1; joules_per_token is null where energy_reason says\n"
    "why. The prompt_*, generate_* and logits_hash keys at the top are those of the first depth, and gbps there is of\n"
    "weights alone. --profile adds a profile to each result: ms of a whole prompt or of one generated token.\n"
    "--rows, --parallel and --speculate: lists of these names, not results; cost is in steps of the smallest number;\n"
    "gain is the median of the pairs; acceptance, 0 to 1, is null where nothing was guessed; text_hash is FNV-1a.\n"
    "CSV: a line for each result with the same names; with --profile, a line for each row of the profiles instead.";

namespace {

constexpr double kGiga = 1e9;

Json Optional(const std::optional<double>& value, double unit = 1) {
  return value ? Json(*value / unit) : Json(nullptr);
}

// One line of CSV, one object of the JSON array "results".
Json ResultJson(const BenchReport& report, const Measurement& measured) {
  const Samples& rates = measured.rates;
  return {{"test", BenchTestName(measured.test)},
          {"tokens", measured.tokens},
          {"depth", measured.depth},
          {"tps", rates.Median()},
          {"tps_stdev", rates.StandardDeviation()},
          {"tps_min", rates.Min()},
          {"tps_max", rates.Max()},
          {"gmacs", Optional(measured.MultiplyAddsPerSecond(), kGiga)},
          {"int8_share", Optional(report.Int8Share(measured))},
          {"gbps", Optional(measured.BytesPerSecond(), kGiga)},
          {"read_share", Optional(report.ReadShare(measured))},
          {"joules_per_token", Optional(measured.joules_per_token)}};
}

Json ConditionsJson(const BenchConditions& run) {
  return {{"model", run.model},     {"architecture", run.architecture},     {"kernels", run.kernels},
          {"threads", run.threads}, {"prompt_threads", run.prompt_threads}, {"kv", run.kv}};
}

Json PeaksJson(const MachinePeaks& peaks) {
  return {{"int8_gmacs", peaks.multiply_adds_per_second / kGiga}, {"read_gbps", peaks.read_bytes_per_second / kGiga}};
}

const Measurement* Find(const BenchReport& report, BenchTest test, std::int32_t depth) {
  for (const Measurement& measured : report.measurements) {
    if (measured.test == test && measured.depth == depth) return &measured;
  }
  return nullptr;
}

// The figures of one test at the first depth, as keys of the whole object.
void AddFirst(const BenchReport& report, BenchTest test, Json* json) {
  const Measurement* measured = Find(report, test, report.measurements.front().depth);
  const std::string part(BenchTestName(test));
  (*json)[part + "_tokens"] = measured != nullptr ? measured->tokens : 0;
  (*json)[part + "_tps"] = measured != nullptr ? Json(measured->rates.Median()) : Json(nullptr);
  if (measured == nullptr) return;
  (*json)[part + "_tps_min"] = measured->rates.Min();
  (*json)[part + "_tps_max"] = measured->rates.Max();
  (*json)[part + "_tps_stdev"] = measured->rates.StandardDeviation();
  (*json)[part + "_tps_runs"] = std::vector<double>(measured->rates.all().begin(), measured->rates.all().end());
}

Json MachineJson(const Machine& machine) {
  return {{"processor", machine.processor},
          {"processors", machine.processors},
          {"cores", machine.cores},
          {"performance_cores", machine.performance_cores},
          {"quota", machine.quota}};
}

// What every report begins with.
Json ReportBegin(const BenchConditions& run) {
  Json json = ConditionsJson(run);
  json.update({{"name", run.name},
               {"file_size", run.file_size},
               {"bytes_per_token", run.bytes_per_token},
               {"repetitions", run.repetitions},
               {"machine", MachineJson(run.machine)}});
  return json;
}

Json ReportObject(const BenchReport& report, std::optional<ProfileBy> profile) {
  Json json = ReportBegin(report.conditions);
  json["depth"] = report.measurements.front().depth;
  json["load_s"] = report.load_seconds;
  AddFirst(report, BenchTest::kPrompt, &json);
  AddFirst(report, BenchTest::kGenerate, &json);
  const Measurement* generated = Find(report, BenchTest::kGenerate, report.measurements.front().depth);
  json["gbps"] = generated == nullptr
                     ? Json(nullptr)
                     : Json(static_cast<double>(report.conditions.bytes_per_token) * generated->rates.Median() / kGiga);
  json["peak_rss_bytes"] = report.peak_resident_bytes;
  json["kv_bytes"] = report.kv_bytes;
  json["scratch_bytes"] = report.scratch_bytes;
  json["logits_hash"] = Hex(report.logits_hashes.front());
  json["logits_hashes"] = Json::array();
  for (const std::uint64_t hash : report.logits_hashes) json["logits_hashes"].push_back(Hex(hash));
  json["energy_reason"] = report.no_energy_reason;
  json["peaks"] = nullptr;
  if (report.peaks) {
    json["peaks"] = {{"before", PeaksJson(report.peaks->before)},
                     {"after", PeaksJson(report.peaks->after)},
                     {"reference", PeaksJson(report.peaks->Reference())}};
  }
  json["results"] = Json::array();
  for (const Measurement& measured : report.measurements) {
    Json result = ResultJson(report, measured);
    result["tps_runs"] = std::vector<double>(measured.rates.all().begin(), measured.rates.all().end());
    if (profile) result["profile"] = ProfileJson(report, measured, *profile);
    json["results"].push_back(std::move(result));
  }
  return json;
}

Json SharedRates(const std::vector<SharedRate>& rates, const char* count) {
  Json json = Json::array();
  for (const SharedRate& rate : rates) {
    json.push_back({{count, rate.count},
                    {"step_s", rate.StepSeconds()},
                    {"cost", rate.StepSeconds() / rates.front().StepSeconds()},
                    {"tps", rate.rates.Median()},
                    {"tps_min", rate.rates.Min()},
                    {"tps_max", rate.rates.Max()}});
  }
  return json;
}

Json SpeculationJson(const std::vector<Speculation>& measured) {
  Json json = Json::array();
  for (const Speculation& one : measured) {
    json.push_back({{"temperature", one.temperature},
                    {"tokens", one.tokens},
                    {"plain_tps", one.plain.Median()},
                    {"guessing_tps", one.guessing.Median()},
                    {"gain", one.gain.Median()},
                    {"gain_min", one.gain.Min()},
                    {"gain_max", one.gain.Max()},
                    {"guessed", one.guessed.Median()},
                    {"accepted", one.accepted.Median()},
                    {"acceptance", Optional(one.Acceptance())},
                    {"steps", one.Steps()},
                    {"text_hash", Hex(one.text_hash)}});
  }
  return json;
}

std::string CsvCell(const Json& value) {
  if (value.is_null()) return "";
  if (!value.is_string()) return DumpJson(value, -1);
  std::string text = Escaped(value.get_ref<const std::string&>());
  if (text.find_first_of(",\"") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + '"';
}

// Lines of equal keys, which become the header.
std::string Csv(const std::vector<Json>& lines) {
  std::string header, body;
  for (const auto& [key, value] : lines.front().items()) header += key + ',';
  header.pop_back();
  for (const Json& line : lines) {
    for (const auto& [key, value] : line.items()) body += CsvCell(value) + ',';
    body.back() = '\n';
  }
  return header + '\n' + body;
}

}  // namespace

std::string ReportJson(const BenchReport& report, std::optional<ProfileBy> profile) {
  return DumpJson(ReportObject(report, profile), 2) + '\n';
}

std::string ReportCsv(const BenchReport& report, std::optional<ProfileBy> profile) {
  std::vector<Json> lines;
  for (const Measurement& measured : report.measurements) {
    Json line = ConditionsJson(report.conditions);
    if (!profile) {
      line.update(ResultJson(report, measured));
      lines.push_back(std::move(line));
      continue;
    }
    line.update({{"test", BenchTestName(measured.test)}, {"tokens", measured.tokens}, {"depth", measured.depth}});
    const Json rows = ProfileJson(report, measured, *profile)["rows"];
    for (const Json& row : rows) {
      lines.push_back(line);
      lines.back().update(row);
    }
  }
  return Csv(lines);
}

std::string SharedJson(const SharedReport& report) {
  Json json = ReportBegin(report.conditions);
  json["rows"] = SharedRates(report.rows, "rows");
  json["parallel"] = SharedRates(report.conversations, "conversations");
  json["speculate"] = SpeculationJson(report.speculation);
  if (!report.speculation.empty()) json.update({{"prompt_tokens", report.prompt_tokens}, {"draft", report.draft}});
  return DumpJson(json, 2) + '\n';
}

std::string FirstTokenJson(const FirstToken& measured) {
  const Json json = {{"first_token_s", measured.seconds},
                     {"load_s", measured.load_seconds},
                     {"prompt_tokens", measured.prompt_tokens},
                     {"token", measured.token},
                     {"kernels", measured.kernels},
                     {"threads", measured.threads},
                     {"prompt_threads", measured.prompt_threads},
                     {"peak_rss_bytes", measured.peak_resident_bytes}};
  return DumpJson(json, 2) + '\n';
}

}  // namespace slm::tools
