#include "sampling_options.h"

#include <charconv>
#include <cstdio>
#include <string>

namespace slm::tools {

namespace {

std::string Text(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%g", value);
  return text;
}

template <typename T>
Status Parse(std::string_view name, std::string_view value, T* number) {
  T parsed{};
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), parsed);
  if (error != std::errc() || end != value.data() + value.size()) {
    return Status(StatusCode::kInvalidArgument,
                  std::string(name) + " needs a number; \"" + std::string(value) + "\" is none.");
  }
  *number = parsed;
  return {};
}

}  // namespace

Status SetSamplerOption(std::string_view name, std::string_view value, SamplerOptions* options) {
  if (name == "temp") return Parse(name, value, &options->temperature);
  if (name == "top-k") return Parse(name, value, &options->top_k);
  if (name == "top-p") return Parse(name, value, &options->top_p);
  if (name == "min-p") return Parse(name, value, &options->min_p);
  if (name == "repeat-penalty") return Parse(name, value, &options->repeat_penalty);
  if (name == "repeat-last-n") return Parse(name, value, &options->repeat_last_n);
  return Status(StatusCode::kInvalidArgument, "There is no sampling option " + std::string(name) + ".");
}

std::vector<SamplerSetting> ListSamplerOptions(const SamplerOptions& options) {
  return {{"temp", Text(options.temperature)},
          {"top-k", std::to_string(options.top_k)},
          {"top-p", Text(options.top_p)},
          {"min-p", Text(options.min_p)},
          {"repeat-penalty", Text(options.repeat_penalty)},
          {"repeat-last-n", std::to_string(options.repeat_last_n)}};
}

}  // namespace slm::tools
