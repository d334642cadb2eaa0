#include "sampling_options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>

namespace slm::tools {

namespace {

using nlohmann::json;

using Member = std::variant<float SamplerOptions::*, std::int32_t SamplerOptions::*,
                            std::vector<LogitBias> SamplerOptions::*, std::vector<std::string> SamplerOptions::*>;

constexpr char kUsual[] = "How to choose words";
constexpr char kSpecial[] = "How to choose words, for special needs";

struct Row {
  const char* name;    // on the command line
  const char* member;  // of SamplerOptions
  Member value;
  const char* group;
  const char* help;
};

using O = SamplerOptions;
const Row kTable[] = {
    {"temp", "temperature", &O::temperature, kUsual, "Temperature; 0 always takes the most likely token"},
    {"top-k", "top_k", &O::top_k, kUsual, "Keep the K most likely tokens; 0: all"},
    {"top-p", "top_p", &O::top_p, kUsual, "Keep the most likely tokens that together reach this probability; 1: all"},
    {"min-p", "min_p", &O::min_p, kUsual, "Keep tokens at least this times as likely as the best; 0: all"},
    {"repeat-penalty", "repeat_penalty", &O::repeat_penalty, kUsual, "Make recent tokens less likely; 1: off"},
    {"repeat-last-n", "repeat_last_n", &O::repeat_last_n, kUsual, "How many tokens are recent; -1: all"},
    {"frequency-penalty", "frequency_penalty", &O::frequency_penalty, kSpecial,
     "Subtract this from a logit for each time the token is among the recent ones; 0: off"},
    {"presence-penalty", "presence_penalty", &O::presence_penalty, kSpecial,
     "Subtract this once if the token is among them; 0: off"},
    {"dry-multiplier", "dry_multiplier", &O::dry_multiplier, kSpecial,
     "DRY: make what would go on repeating earlier text less likely; 0: off, 0.8 is usual"},
    {"dry-base", "dry_base", &O::dry_base, kSpecial,
     "DRY: by this factor more for each token the repetition is longer"},
    {"dry-allowed-length", "dry_allowed_length", &O::dry_allowed_length, kSpecial,
     "DRY: repetitions shorter than this many tokens are free"},
    {"dry-penalty-last-n", "dry_penalty_last_n", &O::dry_penalty_last_n, kSpecial,
     "DRY: how many tokens are searched for repetitions; -1: all"},
    {"dry-sequence-breaker", "dry_sequence_breakers", &O::dry_sequence_breakers, kSpecial,
     "DRY: no repetition goes on across this text (\\n and \\t are understood); may be given several times and then "
     "replaces the default; none: no breakers"},
    {"typical", "typical_p", &O::typical_p, kSpecial,
     "Keep the least unusual tokens that together reach this probability; 1: all"},
    {"top-n-sigma", "top_n_sigma", &O::top_n_sigma, kSpecial,
     "Keep tokens whose logits are at most this many standard deviations below the best; -1: all"},
    {"xtc-probability", "xtc_probability", &O::xtc_probability, kSpecial,
     "XTC: how often all likely tokens but the least likely of them are taken out; 0: off"},
    {"xtc-threshold", "xtc_threshold", &O::xtc_threshold, kSpecial,
     "XTC: tokens at least this probable are likely; above 0.5: off"},
    {"dynatemp-range", "dynatemp_range", &O::dynatemp_range, kSpecial,
     "Let the temperature follow the entropy, this far up and down; 0: off"},
    {"dynatemp-exp", "dynatemp_exponent", &O::dynatemp_exponent, kSpecial, "The exponent with which it does"},
    {"mirostat", "mirostat", &O::mirostat, kSpecial,
     "2: aim at an even surprise per token, instead of the steps that keep tokens; 0: off"},
    {"mirostat-ent", "mirostat_tau", &O::mirostat_tau, kSpecial, "Mirostat: the surprise to aim at, in bits"},
    {"mirostat-lr", "mirostat_eta", &O::mirostat_eta, kSpecial, "Mirostat: how fast it corrects itself"},
    {"logit-bias", "logit_bias", &O::logit_bias, kSpecial,
     "Make a token id more or less likely, as 15043+1.5 or 15043-inf (never); may be given several times"},
};

// A number that takes up all of the text; a leading "+" is allowed.
template <typename T>
std::optional<T> ParseNumber(std::string_view text) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

template <typename T>
std::string FormatNumber(T value) {
  char buffer[32];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
}

bool Parse(std::string_view text, float* value) {
  const std::optional<float> number = ParseNumber<float>(text);
  if (number) *value = *number;
  return number.has_value();
}

bool Parse(std::string_view text, std::int32_t* value) {
  const std::optional<std::int32_t> number = ParseNumber<std::int32_t>(text);
  if (number) *value = *number;
  return number.has_value();
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
  const json list = text == "none" ? json::array() : json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!list.is_array() || !std::ranges::all_of(list, [](const json& item) { return item.is_string(); })) return false;
  *value = list.get<std::vector<std::string>>();
  return true;
}

std::string Format(float value) { return FormatNumber(value); }
std::string Format(std::int32_t value) { return FormatNumber(value); }

std::string Format(const std::vector<LogitBias>& value) {
  std::string text;
  for (const auto& [token, bias] : value) {
    if (!text.empty()) text += ' ';
    text += FormatNumber(token) + (std::signbit(bias) ? "" : "+") + FormatNumber(bias);
  }
  return text.empty() ? "none" : text;
}

std::string Format(const std::vector<std::string>& value) {
  return value.empty() ? "none" : json(value).dump(-1, ' ', false, json::error_handler_t::replace);
}

const char* Expected(const Member& member) {
  constexpr const char* kExpected[] = {"a number", "a whole number",
                                       "TOKEN+BIAS or TOKEN-BIAS, several with spaces between, or none",
                                       "a JSON array of texts, or none"};
  return kExpected[member.index()];
}

std::string ValueText(const Row& row, const SamplerOptions& options) {
  return std::visit([&](auto member) { return Format(options.*member); }, row.value);
}

const Row* FindRow(std::string name) {
  std::ranges::replace(name, '_', '-');
  const auto row = std::ranges::find_if(kTable, [&](const Row& r) {
    std::string member = r.member;
    std::ranges::replace(member, '_', '-');
    return name == r.name || name == member;
  });
  return row == std::end(kTable) ? nullptr : row;
}

// \n and \t, which few shells pass on as what they stand for, and \\.
std::string Unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    constexpr std::string_view kEscapes = "nt\\";
    const std::size_t escape = text[i] == '\\' && i + 1 < text.size() ? kEscapes.find(text[i + 1]) : kEscapes.npos;
    out += escape == kEscapes.npos ? text[i] : "\n\t\\"[escape];
    if (escape != kEscapes.npos) ++i;
  }
  return out;
}

// The values of an option that may be given several times, as one.
std::string JoinedValue(const Row& row, const std::vector<std::string>& values) {
  if (values.size() == 1 && values[0] == "none") return "none";
  if (std::holds_alternative<std::vector<std::string> O::*>(row.value)) {
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
  for (const Row& row : kTable) {
    const std::string flag = std::string("--") + row.name;
    const auto take = [&row, flag, settings](const std::string& value) {
      SamplerOptions checked;
      const Status status = SetSamplerOption(row.name, value, &checked);
      if (!status.ok()) throw CLI::ValidationError(flag, status.message());
      settings->push_back({row.name, value});
    };
    CLI::Option* option = nullptr;
    std::string text = "N (" + ValueText(row, {}) + ")";
    if (row.value.index() < 2) {
      option = app.add_option_function<std::string>(flag, take, row.help);
    } else {
      const auto take_all = [&row, take](const std::vector<std::string>& values) { take(JoinedValue(row, values)); };
      option = app.add_option_function<std::vector<std::string>>(flag, take_all, row.help)->allow_extra_args(false);
      text = std::holds_alternative<std::vector<LogitBias> O::*>(row.value) ? "TOKEN(+/-)BIAS" : "TEXT";
    }
    option->option_text(text)->group(row.group);
  }
}

Status SetSamplerOption(std::string_view name, std::string_view value, SamplerOptions* options) {
  const Row* const row = FindRow(std::string(name));
  if (row == nullptr) {
    std::string names;
    for (const Row& r : kTable) names += (names.empty() ? "" : ", ") + std::string(r.name);
    return {StatusCode::kInvalidArgument,
            "There is no sampling option \"" + std::string(name) + "\"; there are " + names + "."};
  }
  SamplerOptions changed = *options;
  if (!std::visit([&](auto member) { return Parse(value, &(changed.*member)); }, row->value)) {
    return {StatusCode::kInvalidArgument, std::string("The sampling option ") + row->member + " is \"" +
                                              std::string(value) + "\"; expected " + Expected(row->value) + "."};
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
  for (const Row& row : kTable) settings.push_back({row.name, ValueText(row, options)});
  return settings;
}

std::string SamplerSummary(const SamplerOptions& options) {
  std::string text;
  for (const Row& row : kTable) {
    const std::string value = ValueText(row, options);
    if (row.group != kUsual && value == ValueText(row, {})) continue;
    text += (text.empty() ? "" : ", ") + std::string(row.name) + " " + value;
  }
  return text;
}

}  // namespace slm::tools
