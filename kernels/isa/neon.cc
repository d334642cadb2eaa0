// The kernel set for any 64-bit ARM processor: NEON as its base architecture has it.

#include "dispatch.h"
#include "simd/int8_neon-inl.h"
#include "simd/kernel_set-inl.h"
#include "simd/quantize_neon-inl.h"
#include "simd/widen_neon-inl.h"

namespace slm::SLM_FAMILY {

extern const KernelSet kNeon;
constinit const KernelSet kNeon = MakeKernels<Int8Neon, WidenNeon, QuantizeNeon>(Formats(), "neon", 0);

}  // namespace slm::SLM_FAMILY
