#include "scalar/scalar.h"

#include "kernels.h"

namespace slm {
namespace {

constexpr KernelSet MakeScalarKernels() {
  KernelSet set{};
  set.name = "scalar";
  set.needs = 0;
  const auto matmul = [&set](Format format) -> KernelSet::MatMulFn& {
    return set.matmul[static_cast<std::size_t>(format)];
  };
  matmul(Format::kF32) = scalar::MatMulF32;
  matmul(Format::kF16) = scalar::MatMulF16;
  matmul(Format::kBF16) = scalar::MatMulBF16;
  matmul(Format::kQ4_0) = scalar::MatMulQ4_0;
  matmul(Format::kQ4_1) = scalar::MatMulQ4_1;
  matmul(Format::kQ5_0) = scalar::MatMulQ5_0;
  matmul(Format::kQ5_1) = scalar::MatMulQ5_1;
  matmul(Format::kQ8_0) = scalar::MatMulQ8_0;
  matmul(Format::kQ4_K) = scalar::MatMulQ4_K;
  matmul(Format::kQ5_K) = scalar::MatMulQ5_K;
  matmul(Format::kQ6_K) = scalar::MatMulQ6_K;
  matmul(Format::kQ2_K) = scalar::MatMulQ2_K;
  matmul(Format::kQ3_K) = scalar::MatMulQ3_K;
  matmul(Format::kIQ2_XXS) = scalar::MatMulIQ2_XXS;
  matmul(Format::kIQ2_XS) = scalar::MatMulIQ2_XS;
  matmul(Format::kIQ3_XXS) = scalar::MatMulIQ3_XXS;
  matmul(Format::kIQ1_S) = scalar::MatMulIQ1_S;
  matmul(Format::kIQ4_NL) = scalar::MatMulIQ4_NL;
  matmul(Format::kIQ3_S) = scalar::MatMulIQ3_S;
  matmul(Format::kIQ2_S) = scalar::MatMulIQ2_S;
  matmul(Format::kIQ4_XS) = scalar::MatMulIQ4_XS;
  matmul(Format::kIQ1_M) = scalar::MatMulIQ1_M;
  matmul(Format::kTQ1_0) = scalar::MatMulTQ1_0;
  matmul(Format::kTQ2_0) = scalar::MatMulTQ2_0;
  matmul(Format::kMXFP4) = scalar::MatMulMXFP4;
  set.quantize = scalar::Quantize;
  set.attention = scalar::Attention;
  set.attention_part = scalar::AttentionPart;
  set.attention_merge = scalar::AttentionMerge;
  set.rms_norm = scalar::RmsNorm;
  set.add = scalar::Add;
  set.scale = scalar::Scale;
  set.silu_mul = scalar::SiluMul;
  set.gelu_mul = scalar::GeluMul;
  set.softcap = scalar::Softcap;
  set.rope = scalar::Rope;
  set.to_half = scalar::ToHalf;
  set.to_q8_0 = scalar::ToQ8_0;
  set.int8_peak = scalar::Int8Peak;
  return set;
}

}  // namespace

extern const KernelSet kScalarKernels;
constinit const KernelSet kScalarKernels = MakeScalarKernels();

}  // namespace slm
