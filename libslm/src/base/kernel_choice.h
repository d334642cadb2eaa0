// The kernel set a caller or the environment asks for.

#ifndef SLM_BASE_KERNEL_CHOICE_H_
#define SLM_BASE_KERNEL_CHOICE_H_

#include <string_view>

#include "kernels.h"
#include "slm/status.h"

namespace slm {

// The set of this name; "": the one named in the environment variable SLM_KERNELS, or else the fastest this processor
// can run. Fails with kInvalidArgument.
Result<const KernelSet*> ChooseKernels(std::string_view option);

}  // namespace slm

#endif  // SLM_BASE_KERNEL_CHOICE_H_
