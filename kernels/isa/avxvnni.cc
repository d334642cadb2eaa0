// The kernel set for x86-64 processors with AVX2 and AVX-VNNI. Compiled with those instructions: nothing here may be
// used before dispatch.cc has found them.

#include "dispatch.h"
#include "simd/int8_avxvnni-inl.h"
#include "simd/kernel_set-inl.h"
#include "simd/quantize_avx2-inl.h"
#include "simd/widen_avx2-inl.h"

namespace slm {

extern const KernelSet kAvxVnniKernels;
constinit const KernelSet kAvxVnniKernels =
    MakeKernelSet<Int8AvxVnni, WidenAvx2>("avxvnni", kCpuAvx2 | kCpuAvxVnni, QuantizeRow<QuantizeAvx2>);

}  // namespace slm
