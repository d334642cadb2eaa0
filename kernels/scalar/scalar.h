// The functions of the scalar kernel set. What each does is written at its KernelSet member.

#ifndef SLM_KERNELS_SCALAR_SCALAR_H_
#define SLM_KERNELS_SCALAR_SCALAR_H_

#include <cstdint>

#include "kernels.h"

namespace slm::scalar {

void MatMulF32(const MatMulTask& task);
void MatMulF16(const MatMulTask& task);
void MatMulBF16(const MatMulTask& task);
void MatMulQ4_0(const MatMulTask& task);
void MatMulQ4_1(const MatMulTask& task);
void MatMulQ5_0(const MatMulTask& task);
void MatMulQ5_1(const MatMulTask& task);
void MatMulQ8_0(const MatMulTask& task);
void MatMulQ4_K(const MatMulTask& task);
void MatMulQ5_K(const MatMulTask& task);
void MatMulQ6_K(const MatMulTask& task);
void MatMulQ2_K(const MatMulTask& task);
void MatMulQ3_K(const MatMulTask& task);
void MatMulIQ2_XXS(const MatMulTask& task);
void MatMulIQ2_XS(const MatMulTask& task);
void MatMulIQ3_XXS(const MatMulTask& task);
void MatMulIQ1_S(const MatMulTask& task);
void MatMulIQ4_NL(const MatMulTask& task);
void MatMulIQ3_S(const MatMulTask& task);
void MatMulIQ2_S(const MatMulTask& task);
void MatMulIQ4_XS(const MatMulTask& task);
void MatMulIQ1_M(const MatMulTask& task);
void MatMulTQ1_0(const MatMulTask& task);
void MatMulTQ2_0(const MatMulTask& task);
void MatMulMXFP4(const MatMulTask& task);

void Quantize(const float* x, std::int64_t n, ActivationBlock* out);
void Attention(const AttentionTask& task);
void AttentionPart(const AttentionTask& task, std::int64_t part, float* sums);
void AttentionMerge(const AttentionTask& task, float* sums, std::int64_t stride, std::int64_t parts);

void RmsNorm(const float* x, const float* weight, std::int64_t n, float eps, float* out);
void Add(float* x, const float* y, std::int64_t n);
void Scale(float* x, float factor, std::int64_t n);
void SiluMul(const float* gate, const float* up, std::int64_t n, float* out);
void GeluMul(const float* gate, const float* up, std::int64_t n, float* out);
void Softcap(float* x, float cap, std::int64_t n);
void Rope(float* head, const float* cos, const float* sin, std::int64_t n, RopePairs pairs);
void ToHalf(const float* x, std::int64_t n, Half* out);
void ToQ8_0(const float* x, std::int64_t n, BlockQ8_0* out);
std::uint64_t Int8Peak(std::uint64_t rounds);

}  // namespace slm::scalar

#endif  // SLM_KERNELS_SCALAR_SCALAR_H_
