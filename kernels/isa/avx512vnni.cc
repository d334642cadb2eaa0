// The kernel set for x86-64 processors with AVX-512 and its VNNI extension (Zen 4, Ice Lake and later). Compiled with
// those instructions: nothing here may be used before dispatch.cc has found them.

#include "dispatch.h"
#include "simd/int8_avx512-inl.h"
#include "simd/kernel_set-inl.h"
#include "simd/quantize_avx2-inl.h"
#include "simd/widen_avx512-inl.h"

namespace slm::SLM_FAMILY {

extern const KernelSet kAvx512Vnni;
constinit const KernelSet kAvx512Vnni =
    MakeKernels<Int8Avx512, WidenAvx512, QuantizeAvx2>(Formats(), "avx512vnni", kCpuAvx2 | kCpuAvx512Vnni);

}  // namespace slm::SLM_FAMILY
