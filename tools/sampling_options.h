// Sampler options by name.

#ifndef SLM_TOOLS_SAMPLING_OPTIONS_H_
#define SLM_TOOLS_SAMPLING_OPTIONS_H_

#include <string_view>

#include "slm/sampler.h"
#include "slm/status.h"

namespace slm::tools {

// kInvalidArgument if there is no option of this name ("temp", "top-k", ...) or the value is not one of its.
Status SetSamplerOption(std::string_view name, std::string_view value, SamplerOptions* options);

}  // namespace slm::tools

#endif  // SLM_TOOLS_SAMPLING_OPTIONS_H_
