// The kernel set for 64-bit ARM processors with products of int8 matrices (Neoverse V1, Apple M2 and later). Compiled
// with those instructions: nothing here may be used before dispatch.cc has found them.

#include "dispatch.h"
#include "simd/int8_neon_i8mm-inl.h"
#include "simd/kernel_set-inl.h"
#include "simd/quantize_neon-inl.h"
#include "simd/widen_neon-inl.h"

namespace slm {

extern const KernelSet kNeonI8mmKernels;
constinit const KernelSet kNeonI8mmKernels =
    MakeKernelSet<Int8NeonI8mm, WidenNeon>("neon_i8mm", kCpuNeonDotProd | kCpuNeonI8mm, QuantizeRow<QuantizeNeon>);

}  // namespace slm
