// The kernel set for x86-64 processors with AVX2, FMA and F16C. Compiled with those instructions: nothing here may be
// used before dispatch.cc has found them.

#include <utility>

#include "dispatch.h"
#include "kernels.h"
#include "simd/attention-inl.h"
#include "simd/int8_avx2-inl.h"
#include "simd/matmul_float-inl.h"
#include "simd/matmul_int8-inl.h"
#include "simd/ops-inl.h"
#include "simd/quantize_avx2-inl.h"
#include "simd/widen_avx2-inl.h"

namespace slm {

namespace {

constexpr KernelSet MakeAvx2Kernels() {
  using Isa = Int8Avx2;
  using Widen = WidenAvx2;
  KernelSet set{};
  set.name = "avx2";
  set.needs = kCpuAvx2;
  const auto matmul = [&set](Format format) -> KernelSet::MatMulFn& {
    return set.matmul[static_cast<std::size_t>(format)];
  };
  matmul(Format::kF32) = MatMulFloat<Widen, F32Weights>;
  matmul(Format::kF16) = MatMulFloat<Widen, F16Weights>;
  matmul(Format::kBF16) = MatMulFloat<Widen, BF16Weights>;
  matmul(Format::kQ4_0) = MatMulInt8<Isa, PanelQ4_0<Isa>>;
  matmul(Format::kQ4_1) = MatMulInt8<Isa, PanelQ4_1<Isa>>;
  matmul(Format::kQ5_0) = MatMulInt8<Isa, PanelQ5_0<Isa>>;
  matmul(Format::kQ5_1) = MatMulInt8<Isa, PanelQ5_1<Isa>>;
  matmul(Format::kQ8_0) = MatMulInt8<Isa, PanelQ8_0<Isa>>;
  matmul(Format::kQ4_K) = MatMulInt8<Isa, PanelQ4_K<Isa>>;
  matmul(Format::kQ5_K) = MatMulInt8<Isa, PanelQ5_K<Isa>>;
  matmul(Format::kQ6_K) = MatMulInt8<Isa, PanelQ6_K<Isa>>;
  set.quantize = QuantizeAvx2::Quantize;
  set.attention = Attention<Widen>;
  set.rms_norm = Ops<Widen>::RmsNorm;
  set.add = Ops<Widen>::Add;
  set.scale = Ops<Widen>::Scale;
  set.silu_mul = Ops<Widen>::SiluMul;
  set.gelu_mul = Ops<Widen>::GeluMul;
  set.softcap = Ops<Widen>::Softcap;
  set.rope = Ops<Widen>::Rope;
  set.to_half = Ops<Widen>::ToHalf;
  set.argmax = Ops<Widen>::Argmax;
  return set;
}

}  // namespace

extern const KernelSet kAvx2Kernels;
constinit const KernelSet kAvx2Kernels = MakeAvx2Kernels();

}  // namespace slm
