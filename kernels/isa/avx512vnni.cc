// The kernel set for x86-64 processors with AVX-512 and its VNNI extension (Zen 4, Ice Lake and later). Compiled with
// those instructions: nothing here may be used before dispatch.cc has found them.

#include "dispatch.h"
#include "simd/int8_avx512-inl.h"
#include "simd/kernel_set-inl.h"
#include "simd/quantize_avx2-inl.h"
#include "simd/widen_avx512-inl.h"

namespace slm {

extern const KernelSet kAvx512VnniKernels;
constinit const KernelSet kAvx512VnniKernels =
    MakeKernelSet<Int8Avx512, WidenAvx512>("avx512vnni", kCpuAvx2 | kCpuAvx512Vnni, QuantizeRow<QuantizeAvx2>);

}  // namespace slm
