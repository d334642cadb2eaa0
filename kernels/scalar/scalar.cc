#include "scalar/scalar.h"

#include "kernels.h"
#include "scalar/matmul.h"

namespace slm {
namespace {

constexpr KernelSet MakeScalarKernels() {
  KernelSet set{};
  set.name = "scalar";
  set.needs = 0;
  set.matmul = scalar::MakeMatMulTable(KnownFormats());
  set.quantize = scalar::Quantize;
  set.attention = scalar::Attention;
  set.attention_part = scalar::AttentionPart;
  set.attention_merge = scalar::AttentionMerge;
  set.rms_norm = scalar::RmsNorm;
  set.add = scalar::Add;
  set.add_low_rank = scalar::AddLowRank;
  set.add_low_rank_f16 = scalar::AddLowRankF16;
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
