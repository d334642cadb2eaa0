// The kernel set for any 64-bit ARM processor: NEON as its base architecture has it.

#include "dispatch.h"
#include "simd/int8_neon-inl.h"
#include "simd/kernel_set-inl.h"
#include "simd/quantize_neon-inl.h"
#include "simd/widen_neon-inl.h"

namespace slm {

extern const KernelSet kNeonKernels;
constinit const KernelSet kNeonKernels = MakeKernelSet<Int8Neon, WidenNeon>("neon", 0, QuantizeRow<QuantizeNeon>);

}  // namespace slm
