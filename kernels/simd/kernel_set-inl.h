// Fills a KernelSet from one instruction set's vocabularies, a family of formats at a time.

#ifndef SLM_KERNELS_SIMD_KERNEL_SET_INL_H_
#define SLM_KERNELS_SIMD_KERNEL_SET_INL_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernels.h"
#include "simd/attention-inl.h"
#include "simd/matmul_float-inl.h"
#include "simd/matmul_int8-inl.h"
#include "simd/ops-inl.h"
#include "simd/quantize-inl.h"
#include "simd/store_q8_0-inl.h"
#include "simd/unpack-inl.h"
#include "simd/unpack_iq-inl.h"
#include "simd/unpack_k-inl.h"

namespace slm {
namespace {

// The product of a format; nullptr if there is no SIMD code for it.
template <class Isa, class Widen, class F>
constexpr KernelSet::MatMulFn Product() {
  if constexpr (requires { SimdRows<F>::kBits; }) {
    return MatMulInt8<Isa, SimdRows<F>>;
  } else if constexpr (requires { LoadWeights<Widen>(F(), nullptr); }) {
    return MatMulFloat<Widen, F>;
  } else {
    return nullptr;
  }
}

// What no format has a part in.
template <class Isa, class Widen, class Quantize>
constexpr void SetOtherKernels(KernelSet& set) {
  set.quantize = QuantizeRow<Quantize>;
  set.attention = Attention<Widen>;
  set.attention_part = AttentionPart<Widen>;
  set.attention_merge = AttentionMerge<Widen>;
  set.rms_norm = Ops<Widen>::RmsNorm;
  set.add = Ops<Widen>::Add;
  set.add_low_rank = Ops<Widen>::template AddLowRank<float>;
  set.add_low_rank_f16 = Ops<Widen>::template AddLowRank<Half>;
  set.scale = Ops<Widen>::Scale;
  set.silu_mul = Ops<Widen>::SiluMul;
  set.gelu_mul = Ops<Widen>::GeluMul;
  set.softcap = Ops<Widen>::Softcap;
  set.rope = Ops<Widen>::Rope;
  set.to_half = Ops<Widen>::ToHalf;
  set.to_q8_0 = StoreQ8_0;
  set.int8_peak = Isa::Peak;
}

// What an instruction set has for a family of formats: the products, and with the basic ones all other kernels.
// Isa: integer products (int8_*-inl.h). Widen: vectors of floats (widen_*-inl.h). Quantize: quantize_*-inl.h.
template <class Isa, class Widen, class Quantize, class... F>
constexpr KernelSet MakeKernels(TypeList<F...>, const char* name, std::uint32_t needs) {
  KernelSet set{};
  set.name = name;
  set.needs = needs;
  ((set.matmul[static_cast<std::size_t>(F::kFormat)] = Product<Isa, Widen, F>()), ...);
  if constexpr (std::is_same_v<TypeList<F...>, basic::Formats>) SetOtherKernels<Isa, Widen, Quantize>(set);
  return set;
}

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_KERNEL_SET_INL_H_
