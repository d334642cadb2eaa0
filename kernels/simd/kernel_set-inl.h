// Fills a KernelSet from one instruction set's vocabularies.

#ifndef SLM_KERNELS_SIMD_KERNEL_SET_INL_H_
#define SLM_KERNELS_SIMD_KERNEL_SET_INL_H_

#include <cstddef>
#include <cstdint>

#include "kernels.h"
#include "simd/attention-inl.h"
#include "simd/matmul_float-inl.h"
#include "simd/matmul_int8-inl.h"
#include "simd/ops-inl.h"
#include "simd/store_q8_0-inl.h"
#include "simd/unpack-inl.h"
#include "simd/unpack_iq-inl.h"
#include "simd/unpack_k-inl.h"

namespace slm {
namespace {

// Isa: integer products (int8_*-inl.h). Widen: vectors of floats (widen_*-inl.h).
template <class Isa, class Widen>
constexpr KernelSet MakeKernelSet(const char* name, std::uint32_t needs,
                                  void (*quantize)(const float*, std::int64_t, ActivationBlock*)) {
  KernelSet set{};
  set.name = name;
  set.needs = needs;
  const auto matmul = [&set](Format format) -> KernelSet::MatMulFn& {
    return set.matmul[static_cast<std::size_t>(format)];
  };
  matmul(Format::kF32) = MatMulFloat<Widen, F32Weights>;
  matmul(Format::kF16) = MatMulFloat<Widen, F16Weights>;
  matmul(Format::kBF16) = MatMulFloat<Widen, BF16Weights>;
  matmul(Format::kQ4_0) = MatMulInt8<Isa, RunsQ4_0>;
  matmul(Format::kQ4_1) = MatMulInt8<Isa, RunsQ4_1>;
  matmul(Format::kQ5_0) = MatMulInt8<Isa, RunsQ5_0>;
  matmul(Format::kQ5_1) = MatMulInt8<Isa, RunsQ5_1>;
  matmul(Format::kQ8_0) = MatMulInt8<Isa, RunsQ8_0>;
  matmul(Format::kIQ4_NL) = MatMulInt8<Isa, RunsIQ4_NL>;
  matmul(Format::kMXFP4) = MatMulInt8<Isa, RunsMXFP4>;
  matmul(Format::kQ2_K) = MatMulInt8<Isa, RunsQ2_K>;
  matmul(Format::kQ3_K) = MatMulInt8<Isa, RunsQ3_K>;
  matmul(Format::kQ4_K) = MatMulInt8<Isa, RunsQ4_K>;
  matmul(Format::kQ5_K) = MatMulInt8<Isa, RunsQ5_K>;
  matmul(Format::kQ6_K) = MatMulInt8<Isa, RunsQ6_K>;
  matmul(Format::kTQ1_0) = MatMulInt8<Isa, RunsTQ1_0>;
  matmul(Format::kTQ2_0) = MatMulInt8<Isa, RunsTQ2_0>;
  matmul(Format::kIQ1_S) = MatMulInt8<Isa, RunsIQ1_S>;
  matmul(Format::kIQ1_M) = MatMulInt8<Isa, RunsIQ1_M>;
  matmul(Format::kIQ2_XXS) = MatMulInt8<Isa, RunsIQ2_XXS>;
  matmul(Format::kIQ2_XS) = MatMulInt8<Isa, RunsIQ2_XS>;
  matmul(Format::kIQ2_S) = MatMulInt8<Isa, RunsIQ2_S>;
  matmul(Format::kIQ3_XXS) = MatMulInt8<Isa, RunsIQ3_XXS>;
  matmul(Format::kIQ3_S) = MatMulInt8<Isa, RunsIQ3_S>;
  matmul(Format::kIQ4_XS) = MatMulInt8<Isa, RunsIQ4_XS>;
  set.quantize = quantize;
  set.attention = Attention<Widen>;
  set.attention_part = AttentionPart<Widen>;
  set.attention_merge = AttentionMerge<Widen>;
  set.rms_norm = Ops<Widen>::RmsNorm;
  set.add = Ops<Widen>::Add;
  set.scale = Ops<Widen>::Scale;
  set.silu_mul = Ops<Widen>::SiluMul;
  set.gelu_mul = Ops<Widen>::GeluMul;
  set.softcap = Ops<Widen>::Softcap;
  set.rope = Ops<Widen>::Rope;
  set.to_half = Ops<Widen>::ToHalf;
  set.to_q8_0 = StoreQ8_0;
  set.int8_peak = Isa::Peak;
  return set;
}

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_KERNEL_SET_INL_H_
