// Sampler options by name.

#ifndef SLM_TOOLS_SAMPLING_OPTIONS_H_
#define SLM_TOOLS_SAMPLING_OPTIONS_H_

#include <string>
#include <string_view>
#include <vector>

#include "slm/sampler.h"
#include "slm/status.h"

namespace slm::tools {

struct SamplerSetting {
  std::string name;
  std::string value;
};

// kInvalidArgument if there is no option of this name ("temp", "top-k", ...) or the value is not one of its.
Status SetSamplerOption(std::string_view name, std::string_view value, SamplerOptions* options);

// All options but the seed, with values that SetSamplerOption reads back.
std::vector<SamplerSetting> ListSamplerOptions(const SamplerOptions& options);

}  // namespace slm::tools

#endif  // SLM_TOOLS_SAMPLING_OPTIONS_H_
