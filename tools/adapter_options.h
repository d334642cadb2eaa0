// LoRA adapters on the command line: FILE, or FILE=WEIGHT.

#ifndef SLM_TOOLS_ADAPTER_OPTIONS_H_
#define SLM_TOOLS_ADAPTER_OPTIONS_H_

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "slm/adapter.h"
#include "slm/model.h"
#include "slm/status.h"

namespace slm::tools {

// File and weight. A name that ends in = and a number is given as NAME=1.
std::pair<std::string, float> ParseAdapter(std::string_view text);

// The files alone.
std::vector<std::string> AdapterFiles(std::span<const std::string> texts);

// Opens each of them for a model.
Result<std::vector<WeightedAdapter>> OpenAdapters(const Model& model, std::span<const std::string> texts);

}  // namespace slm::tools

#endif  // SLM_TOOLS_ADAPTER_OPTIONS_H_
