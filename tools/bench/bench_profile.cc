#include "bench_profile.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace slm::tools {

namespace {

using Json = nlohmann::ordered_json;

constexpr double kGiga = 1e9;
constexpr double kMilliseconds = 1e3;

// What the rows are figures of, as a part of the run.
double Units(const Measurement& measurement) {
  return measurement.test == BenchTest::kGenerate ? measurement.tokens : 1;
}

ProfileRow Sum(const std::vector<ProfileRow>& rows) {
  ProfileRow sum{.name = "sum"};
  for (const ProfileRow& row : rows) {
    sum.calls += row.calls;
    sum.seconds += row.seconds;
    sum.multiply_adds += row.multiply_adds;
    sum.bytes += row.bytes;
  }
  return sum;
}

// A rate and its share of the machine's peak; nothing where there is no work, or no peak.
struct RateOfRow {
  std::optional<double> rate;
  std::optional<double> share;
};

RateOfRow RateOf(double work, double seconds, double peak) {
  if (work <= 0 || seconds <= 0) return {};
  const double rate = work / seconds;
  return {.rate = rate, .share = peak > 0 ? std::optional(rate / peak) : std::nullopt};
}

struct RowRates {
  RateOfRow multiply_adds;
  RateOfRow bytes;
};

RowRates RatesOf(const BenchReport& report, const ProfileRow& row) {
  const MachinePeaks peaks = report.peaks ? report.peaks->Reference() : MachinePeaks{};
  return {.multiply_adds = RateOf(row.multiply_adds, row.seconds, peaks.multiply_adds_per_second),
          .bytes = RateOf(row.bytes, row.seconds, peaks.read_bytes_per_second)};
}

void AddRow(const BenchReport& report, const ProfileRow& row, double wall_seconds, Table* table) {
  const RowRates rates = RatesOf(report, row);
  const auto giga = [](const std::optional<double>& rate) { return rate ? Fixed(*rate / kGiga, 1) : "-"; };
  const auto percent = [](const std::optional<double>& share) { return share ? Percent(*share) : "-"; };
  table->rows.push_back({row.name, Fixed(row.calls, 0), Fixed(row.seconds * kMilliseconds, 3),
                         Percent(row.seconds / wall_seconds), giga(rates.multiply_adds.rate),
                         percent(rates.multiply_adds.share), giga(rates.bytes.rate), percent(rates.bytes.share)});
}

}  // namespace

std::vector<ProfileRow> SumProfile(const Measurement& measurement, ProfileBy by) {
  const double units = Units(measurement);
  std::vector<ProfileRow> rows;
  for (const ProfileEntry& entry : measurement.profile->entries) {
    const bool layer = by == ProfileBy::kLayer && entry.layer >= 0;
    std::string name = layer ? "layer " + std::to_string(entry.layer) : std::string(entry.operation);
    auto row = std::find_if(rows.begin(), rows.end(), [&name](const ProfileRow& other) { return other.name == name; });
    if (row == rows.end()) row = rows.insert(rows.end(), ProfileRow{.name = std::move(name)});
    row->calls += static_cast<double>(entry.calls) / units;
    row->seconds += entry.seconds / units;
    row->multiply_adds += entry.multiply_adds / units;
    row->bytes += entry.bytes / units;
  }
  return rows;
}

std::string ProfileTitle(const Measurement& measurement) {
  const std::string what = measurement.test == BenchTest::kPrompt
                               ? "prompt of " + std::to_string(measurement.tokens) + " tokens"
                               : "generated token";
  return what + " at depth " + std::to_string(measurement.depth);
}

Table ProfileTable(const BenchReport& report, const Measurement& measurement, ProfileBy by) {
  const double wall_seconds = measurement.profile->seconds / Units(measurement);
  Table table{.header = {by == ProfileBy::kLayer ? "layer" : "operation", "calls", "ms", "of the time", "GMAC/s",
                         "of peak", "GB/s", "of peak"},
              .rows = {}};
  const std::vector<ProfileRow> rows = SumProfile(measurement, by);
  for (const ProfileRow& row : rows) AddRow(report, row, wall_seconds, &table);
  AddRow(report, Sum(rows), wall_seconds, &table);
  return table;
}

Json ProfileJson(const BenchReport& report, const Measurement& measurement, ProfileBy by) {
  const double wall_seconds = measurement.profile->seconds / Units(measurement);
  const auto scaled = [](const std::optional<double>& value, double scale) {
    return value ? Json(*value / scale) : Json(nullptr);
  };
  const std::vector<ProfileRow> rows = SumProfile(measurement, by);
  Json json = {{"wall_ms", wall_seconds * kMilliseconds},
               {"explained", Sum(rows).seconds / wall_seconds},
               {"rows", Json::array()}};
  for (const ProfileRow& row : rows) {
    const RowRates rates = RatesOf(report, row);
    json["rows"].push_back({{"name", row.name},
                            {"calls", row.calls},
                            {"ms", row.seconds * kMilliseconds},
                            {"share", row.seconds / wall_seconds},
                            {"gmacs", scaled(rates.multiply_adds.rate, kGiga)},
                            {"int8_share", scaled(rates.multiply_adds.share, 1)},
                            {"gbps", scaled(rates.bytes.rate, kGiga)},
                            {"read_share", scaled(rates.bytes.share, 1)}});
  }
  return json;
}

}  // namespace slm::tools
