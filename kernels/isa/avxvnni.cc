// The kernel set for x86-64 processors with AVX2 and AVX-VNNI. Compiled with those instructions: nothing here may be
// used before dispatch.cc has found them.

#include "dispatch.h"
#include "simd/int8_avxvnni-inl.h"
#include "simd/kernel_set-inl.h"
#include "simd/quantize_avx2-inl.h"
#include "simd/widen_avx2-inl.h"

namespace slm::SLM_FAMILY {

extern const KernelSet kAvxVnni;
constinit const KernelSet kAvxVnni =
    MakeKernels<Int8AvxVnni, WidenAvx2, QuantizeAvx2>(Formats(), "avxvnni", kCpuAvx2 | kCpuAvxVnni);

}  // namespace slm::SLM_FAMILY
