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
