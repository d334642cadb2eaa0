// The options of a Sampler by their names on the command line.

#ifndef SLM_TOOLS_SAMPLING_OPTIONS_H_
#define SLM_TOOLS_SAMPLING_OPTIONS_H_

#include <string_view>

#include "slm/sampler.h"
#include "slm/status.h"

namespace slm::tools {

// Sets the option that the command line calls --name. kNotFound if there is none, kInvalidArgument if the value is not
// one it can have.
Status SetSamplerOption(std::string_view name, std::string_view value, SamplerOptions* options);

}  // namespace slm::tools

#endif  // SLM_TOOLS_SAMPLING_OPTIONS_H_
