// The kernel set for 64-bit ARM processors with products of int8 matrices (Neoverse V1, Apple M2 and later). Compiled
// with those instructions: nothing here may be used before dispatch.cc has found them.

#include "dispatch.h"
#include "simd/int8_neon_i8mm-inl.h"
#include "simd/kernel_set-inl.h"
#include "simd/quantize_neon-inl.h"
#include "simd/widen_neon-inl.h"

namespace slm::SLM_FAMILY {

extern const KernelSet kNeonI8mm;
constinit const KernelSet kNeonI8mm =
    MakeKernels<Int8NeonI8mm, WidenNeon, QuantizeNeon>(Formats(), "neon_i8mm", kCpuNeonDotProd | kCpuNeonI8mm);

}  // namespace slm::SLM_FAMILY
