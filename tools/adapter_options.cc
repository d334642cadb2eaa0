#include "adapter_options.h"

#include <charconv>

namespace slm::tools {

std::pair<std::string, float> ParseAdapter(std::string_view text) {
  const std::size_t equals = text.rfind('=');
  if (equals == std::string_view::npos) return {std::string(text), 1.0f};
  const std::string_view number = text.substr(equals + 1);
  float weight = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), weight);
  if (error != std::errc() || end != number.data() + number.size()) return {std::string(text), 1.0f};
  return {std::string(text.substr(0, equals)), weight};
}

std::vector<std::string> AdapterFiles(std::span<const std::string> texts) {
  std::vector<std::string> files;
  for (const std::string& text : texts) files.push_back(ParseAdapter(text).first);
  return files;
}

Result<std::vector<WeightedAdapter>> OpenAdapters(const Model& model, std::span<const std::string> texts) {
  std::vector<WeightedAdapter> adapters;
  for (const std::string& text : texts) {
    const auto [path, weight] = ParseAdapter(text);
    Result<Adapter> adapter = Adapter::Open(model, path);
    if (!adapter.ok()) return adapter.status();
    adapters.push_back({*std::move(adapter), weight});
  }
  return adapters;
}

}  // namespace slm::tools
