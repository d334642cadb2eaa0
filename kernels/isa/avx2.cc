// The kernel set for x86-64 processors with AVX2, FMA and F16C. Compiled with those instructions: nothing here may be
// used before dispatch.cc has found them.

#include "dispatch.h"
#include "simd/int8_avx2-inl.h"
#include "simd/kernel_set-inl.h"
#include "simd/quantize_avx2-inl.h"
#include "simd/widen_avx2-inl.h"

namespace slm::SLM_FAMILY {

extern const KernelSet kAvx2;
constinit const KernelSet kAvx2 = MakeKernels<Int8Avx2, WidenAvx2, QuantizeAvx2>(Formats(), "avx2", kCpuAvx2);

}  // namespace slm::SLM_FAMILY
