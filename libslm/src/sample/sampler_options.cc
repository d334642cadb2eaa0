#include "slm/sampler_options.h"

#include <cmath>
#include <limits>

#include "base/format.h"
#include "base/status_macros.h"
#include "sample/sampler_chain.h"

namespace slm {

namespace {

constexpr bool IsFinite(double x) {
  return x >= -std::numeric_limits<float>::max() && x <= std::numeric_limits<float>::max();  // false for NaN
}

constexpr SamplerRange kAny = {"a whole number, 0 or more", [](double) { return true; }};
constexpr SamplerRange kFinite = {"a finite number", IsFinite};
constexpr SamplerRange kNotNegative = {"a finite number, 0 or more", [](double x) { return x >= 0 && IsFinite(x); }};
constexpr SamplerRange kAbove0 = {"a finite number above 0", [](double x) { return x > 0 && IsFinite(x); }};
constexpr SamplerRange kFrom1 = {"a finite number, 1 or more", [](double x) { return x >= 1 && IsFinite(x); }};
constexpr SamplerRange kProbability = {"a number from 0 to 1", [](double x) { return x >= 0 && x <= 1; }};
constexpr SamplerRange kTopK = {"0 (all tokens) or more", [](double x) { return x >= 0; }};
constexpr SamplerRange kLength = {"1 or more", [](double x) { return x >= 1; }};
constexpr SamplerRange kLastN = {"-1 (all tokens), 0 (off) or more", [](double x) { return x >= -1; }};
constexpr SamplerRange kMirostat = {"0 (off) or 2 (version 2, the only one there is)",
                                    [](double x) { return x == 0 || x == 2; }};
constexpr SamplerRange kBreakers = {"texts of a character or more", nullptr};
constexpr SamplerRange kBias = {"tokens of the vocabulary with finite numbers, or -infinity to ban them", nullptr};

using O = SamplerOptions;

constexpr bool kUsual = true;
constexpr bool kSpecial = false;

constexpr SamplerOptionRow kTable[] = {
    {"temp", "temperature", "temp", &O::temperature, kUsual, kNotNegative,
     "Temperature; 0 always takes the most likely token"},
    {"top-k", "top_k", "top_k", &O::top_k, kUsual, kTopK, "Keep the K most likely tokens; 0: all"},
    {"top-p", "top_p", "top_p", &O::top_p, kUsual, kProbability,
     "Keep the most likely tokens that together reach this probability; 1: all"},
    {"min-p", "min_p", "min_p", &O::min_p, kUsual, kProbability,
     "Keep tokens at least this times as likely as the best; 0: all"},
    {"repeat-penalty", "repeat_penalty", "penalty_repeat", &O::repeat_penalty, kUsual, kAbove0,
     "Make recent tokens less likely; 1: off"},
    {"repeat-last-n", "repeat_last_n", "penalty_last_n", &O::repeat_last_n, kUsual, kLastN,
     "How many tokens are recent; -1: all"},
    {"frequency-penalty", "frequency_penalty", "penalty_freq", &O::frequency_penalty, kSpecial, kFinite,
     "Subtract this from a logit for each time the token is among the recent ones; 0: off"},
    {"presence-penalty", "presence_penalty", "penalty_present", &O::presence_penalty, kSpecial, kFinite,
     "Subtract this once if the token is among them; 0: off"},
    {"dry-multiplier", "dry_multiplier", nullptr, &O::dry_multiplier, kSpecial, kNotNegative,
     "DRY: make what would go on repeating earlier text less likely; 0: off, 0.8 is usual"},
    {"dry-base", "dry_base", nullptr, &O::dry_base, kSpecial, kFrom1,
     "DRY: by this factor more for each token the repetition is longer"},
    {"dry-allowed-length", "dry_allowed_length", nullptr, &O::dry_allowed_length, kSpecial, kLength,
     "DRY: repetitions shorter than this many tokens are free"},
    {"dry-penalty-last-n", "dry_penalty_last_n", nullptr, &O::dry_penalty_last_n, kSpecial, kLastN,
     "DRY: how many tokens are searched for repetitions; -1: all"},
    {"dry-sequence-breaker", "dry_sequence_breakers", nullptr, &O::dry_sequence_breakers, kSpecial, kBreakers,
     "DRY: no repetition goes on across this text (\\n and \\t are understood); may be given several times and "
     "then replaces the default; none: no breakers"},
    {"typical", "typical_p", nullptr, &O::typical_p, kSpecial, kProbability,
     "Keep the least unusual tokens that together reach this probability; 1: all"},
    {"top-n-sigma", "top_n_sigma", nullptr, &O::top_n_sigma, kSpecial, kFinite,
     "Keep tokens whose logits are at most this many standard deviations below the best; -1: all"},
    {"xtc-probability", "xtc_probability", "xtc_probability", &O::xtc_probability, kSpecial, kProbability,
     "XTC: how often all likely tokens but the least likely of them are taken out; 0: off"},
    {"xtc-threshold", "xtc_threshold", "xtc_threshold", &O::xtc_threshold, kSpecial, kProbability,
     "XTC: tokens at least this probable are likely; above 0.5: off"},
    {"dynatemp-range", "dynatemp_range", nullptr, &O::dynatemp_range, kSpecial, kNotNegative,
     "Let the temperature follow the entropy, this far up and down; 0: off"},
    {"dynatemp-exp", "dynatemp_exponent", nullptr, &O::dynatemp_exponent, kSpecial, kNotNegative,
     "The exponent with which it does"},
    {"mirostat", "mirostat", "mirostat", &O::mirostat, kSpecial, kMirostat,
     "2: aim at an even surprise per token, instead of the steps that keep tokens; 0: off"},
    {"mirostat-ent", "mirostat_tau", "mirostat_tau", &O::mirostat_tau, kSpecial, kNotNegative,
     "Mirostat: the surprise to aim at, in bits"},
    {"mirostat-lr", "mirostat_eta", "mirostat_eta", &O::mirostat_eta, kSpecial, kProbability,
     "Mirostat: how fast it corrects itself"},
    {"logit-bias", "logit_bias", nullptr, &O::logit_bias, kSpecial, kBias,
     "Make a token id more or less likely, as 15043+1.5 or 15043-inf (never); may be given several times"},
    {"seed", "seed", nullptr, &O::seed, kUsual, kAny, "Seed of the random choices; -1: another one every time"},
};

Status Invalid(const SamplerOptionRow& row, const std::string& value) {
  return {StatusCode::kInvalidArgument,
          Cat("The sampling option ", row.member_name, " is ", value, "; expected ", row.range.text, ".")};
}

template <typename Number>
Status Check(const SamplerOptionRow& row, Number value) {
  return row.range.holds(static_cast<double>(value)) ? Status() : Invalid(row, Cat(value));
}

Status Check(const SamplerOptionRow& row, const std::vector<std::string>& breakers) {
  for (const std::string& breaker : breakers) {
    if (breaker.empty()) return Invalid(row, "a list with an empty text");
  }
  return {};
}

Status Check(const SamplerOptionRow& row, const std::vector<LogitBias>& biases) {
  for (const auto& [token, bias] : biases) {
    const bool allowed = token >= 0 && !std::isnan(bias) && bias != std::numeric_limits<float>::infinity();
    if (!allowed) return Invalid(row, Cat(bias, " for token ", token));
  }
  return {};
}

}  // namespace

std::span<const SamplerOptionRow> SamplerOptionTable() { return kTable; }

Status ValidateSamplerOptions(const SamplerOptions& options) {
  for (const SamplerOptionRow& row : kTable) {
    SLM_RETURN_IF_ERROR(std::visit([&](auto member) { return Check(row, options.*member); }, row.member));
  }
  return {};
}

}  // namespace slm
