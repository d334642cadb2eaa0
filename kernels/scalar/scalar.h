// The functions of the scalar kernel set. What each does is written at its KernelSet member.

#ifndef SLM_KERNELS_SCALAR_SCALAR_H_
#define SLM_KERNELS_SCALAR_SCALAR_H_

#include <cstdint>

#include "kernels.h"

namespace slm::scalar {

void Quantize(const float* x, std::int64_t n, ActivationBlock* out);
void Attention(const AttentionTask& task);
void AttentionPart(const AttentionTask& task, std::int64_t part, float* sums);
void AttentionMerge(const AttentionTask& task, float* sums, std::int64_t stride, std::int64_t parts);

void RmsNorm(const float* x, const float* weight, std::int64_t n, float eps, float* out);
void Add(float* x, const float* y, std::int64_t n);
void AddLowRank(float* x, const float* panels, const float* factors, std::int64_t rank, std::int64_t n);
void AddLowRankF16(float* x, const Half* panels, const float* factors, std::int64_t rank, std::int64_t n);
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
