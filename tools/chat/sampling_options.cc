#include "sampling_options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>

#include "slm/sampler_options.h"
#include "text_options.h"

namespace slm::tools {

namespace {

using Row = SamplerOptionRow;

// A number that takes up all of the text; a leading "+" is allowed.
template <typename T>
std::optional<T> ParseNumber(std::string_view text) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

template <typename Number>
std::string Format(Number value) {
  char buffer[32];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
}

template <typename Number>
bool Parse(std::string_view text, Number* value) {
  const std::optional<Number> number = ParseNumber<Number>(text);
  if (number) *value = *number;
  return number.has_value();
}

bool Parse(std::string_view text, std::uint64_t* seed) {
  if (text != "-1") return Parse<std::uint64_t>(text, seed);
  *seed = RandomSeed();
  return true;
}

bool Parse(std::string_view text, std::vector<LogitBias>* value) {
  std::vector<LogitBias> biases;
  for (std::size_t begin = text.find_first_not_of(" ,"); begin != std::string_view::npos && text != "none";) {
    const std::size_t end = std::min(text.find_first_of(" ,", begin), text.size());
    const std::string_view entry = text.substr(begin, end - begin);
    const std::size_t sign = std::min(entry.find_first_of("+-"), entry.size());
    const std::optional<Token> token = ParseNumber<Token>(entry.substr(0, sign));
    const std::optional<float> bias = ParseNumber<float>(entry.substr(sign));
    if (!token || !bias) return false;
    biases.push_back({*token, *bias});
    begin = text.find_first_not_of(" ,", end);
  }
  *value = std::move(biases);
  return true;
}

bool Parse(std::string_view text, std::vector<std::string>* value) {
  *value = ParseTexts(text);
  return true;
}

std::string Format(const std::vector<LogitBias>& value) {
  std::string text;
  for (const auto& [token, bias] : value) {
    if (!text.empty()) text += ' ';
    text += Format(token) + (std::signbit(bias) ? "" : "+") + Format(bias);
  }
  return text.empty() ? "none" : text;
}

std::string Format(const std::vector<std::string>& value) { return FormatTexts(value); }

const char* Expected(const SamplerMember& member) {
  constexpr const char* kExpected[] = {
      "a number", "a whole number", "a whole number from 0 to 18446744073709551615, or -1 for a random one",
      "TOKEN+BIAS or TOKEN-BIAS, several with spaces between, or none", "a text, a JSON array of texts, or none"};
  return kExpected[member.index()];
}

std::string ValueText(const Row& row, const SamplerOptions& options) {
  return std::visit([&](auto member) { return Format(options.*member); }, row.member);
}

const Row* FindRow(std::string name) {
  std::ranges::replace(name, '-', '_');
  for (const Row& row : SamplerOptionTable()) {
    std::string usual = row.name;
    std::ranges::replace(usual, '-', '_');
    if (name == usual || name == row.member_name) return &row;
  }
  return nullptr;
}

// The values of an option that may be given several times, as one.
std::string JoinedValue(const Row& row, const std::vector<std::string>& values) {
  if (values.size() == 1 && values[0] == "none") return "none";
  if (std::holds_alternative<std::vector<std::string> SamplerOptions::*>(row.member)) {
    std::vector<std::string> texts;
    for (const std::string& value : values) texts.push_back(Unescaped(value));
    return Format(texts);
  }
  std::string text;
  for (const std::string& value : values) text += (text.empty() ? "" : " ") + value;
  return text;
}

}  // namespace

void AddSamplingOptions(CLI::App& app, std::vector<SamplerSetting>* settings) {
  for (const Row& row : SamplerOptionTable()) {
    const std::string flag = std::string("--") + row.name;
    std::string other = std::string("--") + row.member_name;
    std::ranges::replace(other, '_', '-');
    const std::string flags = flag + (other == flag ? "" : "," + other);
    const auto take = [&row, flag, settings](const std::string& value) {
      SamplerOptions checked;
      const Status status = SetSamplerOption(row.name, value, &checked);
      if (!status.ok()) throw CLI::ValidationError(flag, status.message());
      settings->push_back({row.name, value});
    };
    CLI::Option* option = nullptr;
    std::string text = "N (" + ValueText(row, {}) + ")";
    if (std::holds_alternative<std::uint64_t SamplerOptions::*>(row.member)) text = "N (random)";
    if (row.range.holds != nullptr) {
      option = app.add_option_function<std::string>(flags, take, row.help);
    } else {
      const auto take_all = [&row, take](const std::vector<std::string>& values) { take(JoinedValue(row, values)); };
      option = app.add_option_function<std::vector<std::string>>(flags, take_all, row.help)->allow_extra_args(false);
      text = std::holds_alternative<std::vector<LogitBias> SamplerOptions::*>(row.member) ? "TOKEN(+/-)BIAS" : "TEXT";
    }
    option->option_text(text)->group(row.usual ? "How to choose words" : "How to choose words, for special needs");
  }
}

std::string_view SamplerOptionName(std::string_view name) {
  const Row* const row = FindRow(std::string(name));
  return row == nullptr ? name : row->name;
}

std::uint64_t RandomSeed() {
  constexpr int kBits = 53;  // what programs that read JSON, as JavaScript and jq do, keep of a number
  std::random_device device;
  return (std::uint64_t{device()} << 32 | device()) >> (64 - kBits);
}

SamplingOfFile ReadSamplingOfFile(const ModelFile& file) {
  constexpr std::string_view kPrefix = "general.sampling.";
  SamplingOfFile found;
  for (const MetadataEntry& entry : file.metadata()) {
    if (!entry.key.starts_with(kPrefix)) continue;
    const std::string_view key = entry.key.substr(kPrefix.size());
    const auto row = std::ranges::find_if(SamplerOptionTable(),
                                          [key](const Row& r) { return r.file_key != nullptr && r.file_key == key; });
    SamplerOptions scratch;
    const bool known = row != SamplerOptionTable().end();
    const Status status = known ? SetSamplerOption(row->name, entry.value, &scratch) : Status();
    if (known && status.ok()) {
      found.settings.push_back({row->name, entry.value});
    } else {
      found.problems.push_back(
          "the model's file recommends " + std::string(entry.key) + " = " + entry.value +
          ", which is left aside: " + (known ? status.message() : "there is no such option here."));
    }
  }
  return found;
}

Status SetSamplerOption(std::string_view name, std::string_view value, SamplerOptions* options) {
  const Row* const row = FindRow(std::string(name));
  if (row == nullptr) {
    std::string names;
    for (const Row& r : SamplerOptionTable()) names += (names.empty() ? "" : ", ") + std::string(r.name);
    return {StatusCode::kInvalidArgument,
            "There is no sampling option \"" + std::string(name) + "\"; there are " + names + "."};
  }
  SamplerOptions changed = *options;
  if (!std::visit([&](auto member) { return Parse(value, &(changed.*member)); }, row->member)) {
    return {StatusCode::kInvalidArgument, std::string("The sampling option ") + row->member_name + " is \"" +
                                              std::string(value) + "\"; expected " + Expected(row->member) + "."};
  }
  if (Status status = Sampler::Validate(changed); !status.ok()) return status;
  *options = std::move(changed);
  return {};
}

Status ApplySamplerSettings(std::span<const SamplerSetting> settings, SamplerOptions* options) {
  for (const auto& [name, value] : settings) {
    if (Status status = SetSamplerOption(name, value, options); !status.ok()) return status;
  }
  return {};
}

std::vector<SamplerSetting> ListSamplerOptions(const SamplerOptions& options) {
  std::vector<SamplerSetting> settings;
  for (const Row& row : SamplerOptionTable()) settings.push_back({row.name, ValueText(row, options)});
  return settings;
}

std::string SamplerSummary(const SamplerOptions& options) {
  std::string text;
  for (const Row& row : SamplerOptionTable()) {
    const std::string value = ValueText(row, options);
    if (!row.usual && value == ValueText(row, {})) continue;
    text += (text.empty() ? "" : ", ") + std::string(row.name) + " " + value;
  }
  return text;
}

}  // namespace slm::tools
