#include "base/kernel_choice.h"

#include <cstdlib>
#include <string>

#include "base/format.h"
#include "dispatch.h"

namespace slm {

namespace {

std::string KernelSetNames() {
  std::string names;
  for (const KernelSet* set : AllKernelSets())
    names += Cat(names.empty() ? "" : ", ", set->name, CanRun(*set) ? "" : " (not on this processor)");
  return names;
}

}  // namespace

Result<const KernelSet*> ChooseKernels(std::string_view option) {
  const char* environment = std::getenv("SLM_KERNELS");
  const std::string_view name = !option.empty() ? option : environment != nullptr ? environment : "";
  if (name.empty()) return &BestKernelSet();
  const KernelSet* set = FindKernelSet(name);
  const char* origin = option.empty() ? " (from SLM_KERNELS)" : "";
  if (set == nullptr)
    return Status(StatusCode::kInvalidArgument,
                  Cat("kernel set \"", name, "\"", origin, " does not exist; there are: ", KernelSetNames()));
  if (!CanRun(*set))
    return Status(StatusCode::kInvalidArgument,
                  Cat("kernel set \"", name, "\"", origin,
                      " needs instructions this processor lacks; there are: ", KernelSetNames()));
  return set;
}

}  // namespace slm
