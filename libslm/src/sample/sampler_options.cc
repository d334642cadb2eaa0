// The ranges of sampling options.

#include <cmath>
#include <limits>

#include "base/format.h"
#include "base/status_macros.h"
#include "sample/sampler_chain.h"

namespace slm {

namespace {

template <typename T>
Status Invalid(const char* name, const T& value, const char* expected) {
  return {StatusCode::kInvalidArgument, Cat("The sampling option ", name, " is ", value, "; expected ", expected, ".")};
}

constexpr float kUnbounded = std::numeric_limits<float>::max();

// A number from `least` to `most`.
Status CheckNumber(const char* name, float value, float least, float most, const char* expected) {
  return value >= least && value <= most ? Status() : Invalid(name, value, expected);  // false for NaN
}

Status CheckProbability(const char* name, float value) {
  return CheckNumber(name, value, 0, 1, "a number from 0 to 1");
}

Status CheckPositiveOrZero(const char* name, float value) {
  return CheckNumber(name, value, 0, kUnbounded, "a finite number, 0 or more");
}

Status CheckFinite(const char* name, float value) {
  return CheckNumber(name, value, -kUnbounded, kUnbounded, "a finite number");
}

Status CheckCount(const char* name, std::int32_t value, std::int32_t least, const char* expected) {
  return value >= least ? Status() : Invalid(name, value, expected);
}

Status CheckTruncation(const SamplerOptions& o) {
  SLM_RETURN_IF_ERROR(CheckPositiveOrZero("temperature", o.temperature));
  SLM_RETURN_IF_ERROR(CheckPositiveOrZero("dynatemp_range", o.dynatemp_range));
  SLM_RETURN_IF_ERROR(CheckPositiveOrZero("dynatemp_exponent", o.dynatemp_exponent));
  SLM_RETURN_IF_ERROR(CheckCount("top_k", o.top_k, 0, "0 (all tokens) or more"));
  SLM_RETURN_IF_ERROR(CheckProbability("top_p", o.top_p));
  SLM_RETURN_IF_ERROR(CheckProbability("min_p", o.min_p));
  SLM_RETURN_IF_ERROR(CheckProbability("typical_p", o.typical_p));
  SLM_RETURN_IF_ERROR(CheckFinite("top_n_sigma", o.top_n_sigma));
  SLM_RETURN_IF_ERROR(CheckProbability("xtc_probability", o.xtc_probability));
  SLM_RETURN_IF_ERROR(CheckProbability("xtc_threshold", o.xtc_threshold));
  if (o.mirostat != 0 && o.mirostat != 2) {
    return Invalid("mirostat", o.mirostat, "0 (off) or 2 (version 2, the only one there is)");
  }
  SLM_RETURN_IF_ERROR(CheckPositiveOrZero("mirostat_tau", o.mirostat_tau));
  return CheckProbability("mirostat_eta", o.mirostat_eta);
}

Status CheckRepetition(const SamplerOptions& o) {
  SLM_RETURN_IF_ERROR(CheckNumber("repeat_penalty", o.repeat_penalty, std::numeric_limits<float>::denorm_min(),
                                  kUnbounded, "a finite number above 0"));
  SLM_RETURN_IF_ERROR(CheckFinite("frequency_penalty", o.frequency_penalty));
  SLM_RETURN_IF_ERROR(CheckFinite("presence_penalty", o.presence_penalty));
  SLM_RETURN_IF_ERROR(CheckCount("repeat_last_n", o.repeat_last_n, -1, "-1 (all tokens), 0 (off) or more"));
  SLM_RETURN_IF_ERROR(CheckPositiveOrZero("dry_multiplier", o.dry_multiplier));
  SLM_RETURN_IF_ERROR(CheckNumber("dry_base", o.dry_base, 1, kUnbounded, "a finite number, 1 or more"));
  SLM_RETURN_IF_ERROR(CheckCount("dry_allowed_length", o.dry_allowed_length, 1, "1 or more"));
  SLM_RETURN_IF_ERROR(CheckCount("dry_penalty_last_n", o.dry_penalty_last_n, -1, "-1 (all tokens), 0 (off) or more"));
  for (const std::string& breaker : o.dry_sequence_breakers) {
    if (breaker.empty())
      return Invalid("dry_sequence_breakers", "a list with an empty text", "texts of a character or more");
  }
  return {};
}

Status CheckBias(const LogitBias& entry) {
  if (entry.token < 0)
    return Invalid("logit_bias", Cat("for token ", entry.token), "a token of the vocabulary, 0 or more");
  if (std::isnan(entry.bias) || entry.bias == std::numeric_limits<float>::infinity()) {
    return Invalid("logit_bias", Cat(entry.bias, " for token ", entry.token),
                   "a finite number, or -infinity to ban it");
  }
  return {};
}

}  // namespace

Status ValidateSamplerOptions(const SamplerOptions& options) {
  SLM_RETURN_IF_ERROR(CheckTruncation(options));
  SLM_RETURN_IF_ERROR(CheckRepetition(options));
  for (const LogitBias& entry : options.logit_bias) SLM_RETURN_IF_ERROR(CheckBias(entry));
  return {};
}

}  // namespace slm
