// Which kernel sets are built in, and which of them this machine can run.

#ifndef SLM_KERNELS_DISPATCH_H_
#define SLM_KERNELS_DISPATCH_H_

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels.h"

namespace slm {

// CpuFeature bits of this processor, as far as the operating system supports them.
std::uint32_t CpuFeatures();

// Every set compiled into this library, fastest first; the last one is "scalar".
std::span<const KernelSet* const> AllKernelSets();

// The set of this name, or nullptr.
const KernelSet* FindKernelSet(std::string_view name);

// The set with products of `products` where it has none.
KernelSet WithProducts(KernelSet set, const KernelSet::MatMulTable& products);

bool CanRun(const KernelSet& set);

// The first set of AllKernelSets() this machine can run.
const KernelSet& BestKernelSet();

}  // namespace slm

#endif  // SLM_KERNELS_DISPATCH_H_
