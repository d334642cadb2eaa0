// The kernel set for 64-bit ARM processors with dot products of int8 (Cortex-A76, Apple M1 and later). Compiled with
// those instructions: nothing here may be used before dispatch.cc has found them.

#include "dispatch.h"
#include "simd/int8_neon_dotprod-inl.h"
#include "simd/kernel_set-inl.h"
#include "simd/quantize_neon-inl.h"
#include "simd/widen_neon-inl.h"

namespace slm::SLM_FAMILY {

extern const KernelSet kNeonDotProd;
constinit const KernelSet kNeonDotProd =
    MakeKernels<Int8NeonDotProd, WidenNeon, QuantizeNeon>(Formats(), "neon_dotprod", kCpuNeonDotProd);

}  // namespace slm::SLM_FAMILY
