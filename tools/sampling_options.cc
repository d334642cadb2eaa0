#include "sampling_options.h"

#include <charconv>
#include <string>
#include <system_error>

namespace slm::tools {

namespace {

template <typename T>
bool Parse(std::string_view text, T* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

Status SetSamplerOption(std::string_view name, std::string_view value, SamplerOptions* options) {
  bool parsed = false;
  SamplerOptions changed = *options;
  if (name == "temp") {
    parsed = Parse(value, &changed.temperature);
  } else if (name == "top-k") {
    parsed = Parse(value, &changed.top_k);
  } else if (name == "top-p") {
    parsed = Parse(value, &changed.top_p);
  } else if (name == "min-p") {
    parsed = Parse(value, &changed.min_p);
  } else if (name == "repeat-penalty") {
    parsed = Parse(value, &changed.repeat_penalty);
  } else if (name == "repeat-last-n") {
    parsed = Parse(value, &changed.repeat_last_n);
  } else if (name == "seed") {
    parsed = Parse(value, &changed.seed);
  } else {
    return Status(StatusCode::kNotFound, "There is no sampling option \"" + std::string(name) + "\".");
  }
  if (!parsed) {
    return Status(StatusCode::kInvalidArgument,
                  "\"" + std::string(value) + "\" is not a value of the sampling option " + std::string(name) + ".");
  }
  if (Status status = Sampler::Validate(changed); !status.ok()) return status;
  *options = changed;
  return {};
}

}  // namespace slm::tools
