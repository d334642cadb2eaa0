// The kernels: single-threaded functions on plain pointers. They know nothing of models, files, threads or text.
//
// A KernelSet is a table of them for one instruction set. "scalar" is the reference: complete, spelled out, run
// anywhere. The other sets compute the same integers exactly and the same floats up to rounding.
//
// Two promises every set keeps, and tests check:
//   - The result for a token does not depend, in any bit, on which other tokens are in the same call (as long as all
//     numbers are finite: NaN may spread to the rows of an attention call that do not look at it).
//   - The result for a weight row does not depend on row_begin and row_end, so that any split over threads gives the
//     same.

#ifndef SLM_KERNELS_KERNELS_H_
#define SLM_KERNELS_KERNELS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "formats.h"

namespace slm {

// 32 activations of a row as int8, with one scale for the row and an integer factor for each 8 of them, so that a large
// value costs only its own neighbours precision: x[i] is about scale * factors[i / 8] * q[i]. A dot product with
// integer codes over the block is then exact in 32 bits: sum over g of factors[g] * (codes . q over group g). The sums
// carry the weights' zero points and minimums: sum = sum over i of factors[i / 8] * q[i], half_sum the same over
// each 16.
struct ActivationBlock {
  std::int8_t q[32];           // -127..127
  std::int16_t factors[4][2];  // 1..4095, each twice: multiply-add instructions take 16-bit pairs
  float scale;                 // the same in all blocks of a row
  std::int32_t sum;
  std::int32_t half_sum[2];
};
static_assert(sizeof(ActivationBlock) == 64);

// out[token * out_stride + row] = sum over columns of weight[row][column] * activation[token][column],
// for row_begin <= row < row_end and 0 <= token < tokens.
struct MatMulTask {
  const std::byte* weights = nullptr;  // row r begins at weights + r * row_bytes; no alignment beyond the block's
  std::size_t row_bytes = 0;
  std::int64_t columns = 0;  // a multiple of the format's block
  std::int64_t row_begin = 0;
  std::int64_t row_end = 0;
  // By the format's FormatInfo::activation: float[tokens][stride], or ActivationBlock[tokens][stride] with
  // stride >= columns / 32. The stride counts floats or blocks.
  const void* activations = nullptr;
  std::int64_t activation_stride = 0;
  std::int64_t tokens = 0;
  float* out = nullptr;
  std::int64_t out_stride = 0;
  std::byte* scratch = nullptr;  // MatMulScratchBytes(columns) bytes, 64-byte aligned, not shared between threads
};

// Products of up to so many tokens are bound by memory rather than by arithmetic.
inline constexpr std::int64_t kFewTokens = 16;

// Of the processor; the least of any that is met, 32 KB, where the system doesn't say.
std::size_t L1DataBytes();

// Enough scratch for any set and format.
std::size_t MatMulScratchBytes(std::int64_t columns);

// How a cache stores keys and values: the row of a head as floats, halves, or BlockQ8_0 of 32.
enum class CacheFormat : std::uint8_t { kF32, kF16, kQ8_0 };

// Bytes of n elements, a multiple of 32 for kQ8_0.
std::size_t CacheBytes(CacheFormat format, std::int64_t n);

// Keys are taken in parts of this many positions, part i from position i * kAttentionPart on.
inline constexpr std::int64_t kAttentionPart = 128;

// Query heads (rows times heads) that share the work of reading keys and values. Of a larger task groups of as many are
// computed one after the other.
inline constexpr std::int64_t kAttentionQueries = 96;

// Attention of consecutive positions of one sequence, for the query heads that share one key/value head.
//   score[p] = softcap(scale * dot(query, key[p])), p in max(0, position - window + 1) .. position
//   out      = sum over p of softmax(score)[p] * value[p]
// Keys and values live in rings: position p is cell p % cells. Every position the queries look at must be in its cell.
//
// A part of the keys gives an AttentionSums for each query head, and these are merged in ascending order. So the parts
// of one row can be computed on several threads (attention_part), and once merged (attention_merge) give the bits that
// `attention` does.
struct AttentionTask {
  // Query head h of row r at queries + r * query_stride + h * head_dim; out likewise. Row r is at first_position + r.
  const float* queries = nullptr;
  std::int64_t query_stride = 0;
  float* out = nullptr;
  std::int64_t out_stride = 0;
  std::int64_t rows = 0;
  std::int64_t heads = 0;
  std::int64_t head_dim = 0;   // of queries and keys
  std::int64_t value_dim = 0;  // of values and out; out of head h begins at h * value_dim
  std::int64_t first_position = 0;
  std::int64_t window = 0;  // positions a query sees, itself included; 0: all before it
  // Cell c of this key/value head at keys + c * key_stride; strides in bytes.
  const std::byte* keys = nullptr;
  const std::byte* values = nullptr;
  std::int64_t key_stride = 0;
  std::int64_t value_stride = 0;
  std::int64_t cells = 0;
  CacheFormat cache_format = CacheFormat::kF16;
  float scale = 1;
  float softcap = 0;             // 0: none
  std::byte* scratch = nullptr;  // AttentionScratchBytes(head_dim, value_dim) bytes, 64-byte aligned
};

std::size_t AttentionScratchBytes(std::int64_t head_dim, std::int64_t value_dim);

// What some of the keys add to a query head: `max` of their scores, `total` of exp(score - max), and after this header
// the sum of exp(score - max) * value, padded. AttentionSumsFloats(value_dim) floats in all, 64-byte aligned.
struct alignas(64) AttentionSums {
  float max;
  float total;

  float* values() { return reinterpret_cast<float*>(this + 1); }
  const float* values() const { return reinterpret_cast<const float*>(this + 1); }
};

std::int64_t AttentionSumsFloats(std::int64_t value_dim);

// Where the two members of a rotated pair sit in a head.
enum class RopePairs : std::uint8_t {
  kInterleaved,  // (2i, 2i + 1), "norm"
  kHalves,       // (i, i + n / 2), "neox"
};

// Instruction-set extensions beyond the baseline of the architecture.
enum CpuFeature : std::uint32_t {
  kCpuAvx2 = 1u << 0,  // AVX2, FMA and F16C together, and the operating system saves the registers
  kCpuAvxVnni = 1u << 1,
  kCpuAvx512Vnni = 1u << 2,  // AVX-512 F, CD, BW, DQ, VL and VNNI
  kCpuNeonDotProd = 1u << 3,
  kCpuNeonI8mm = 1u << 4,
};

// Values of a panel of KernelSet::add_low_rank.
inline constexpr std::int64_t kLowRankPanel = 32;

struct KernelSet {
  const char* name;
  std::uint32_t needs;  // CpuFeature bits

  // Products by weight format, indexed by Format; nullptr for ids that are no format.
  using MatMulFn = void (*)(const MatMulTask&);
  using MatMulTable = std::array<MatMulFn, kFormatIdEnd>;
  MatMulTable matmul;

  // One row of n values, a multiple of 32. Bit-identical in every set; the steps are written down in
  // scalar/quantize.cc. Where an x is not finite, the row's q are 0 and its scale is NaN, so that the fault stays
  // visible.
  void (*quantize)(const float* x, std::int64_t n, ActivationBlock* out);

  void (*attention)(const AttentionTask&);
  // One part of the keys of a task of one row, which looks at some of them. The sums of head h go to
  // sums + h * AttentionSumsFloats(value_dim).
  void (*attention_part)(const AttentionTask&, std::int64_t part, float* sums);
  // Merges the sums of `parts` parts, part i at sums + i * stride, into those of the first, and writes what they give
  // to the task's out. More parts can be merged to these later.
  void (*attention_merge)(const AttentionTask&, float* sums, std::int64_t stride, std::int64_t parts);

  // out[i] = x[i] / sqrt(mean(x^2) + eps) * weight[i]; weight may be nullptr (all ones); out may be x.
  void (*rms_norm)(const float* x, const float* weight, std::int64_t n, float eps, float* out);
  // x[i] += y[i]
  void (*add)(float* x, const float* y, std::int64_t n);
  // x[i] += sum of factors[k] * b(k, i) over k = 0 .. rank - 1, in this order. b lies in whole panels of kLowRankPanel:
  // b(k, i) is panels[(i / kLowRankPanel * rank + k) * kLowRankPanel + i % kLowRankPanel].
  void (*add_low_rank)(float* x, const float* panels, const float* factors, std::int64_t rank, std::int64_t n);
  void (*add_low_rank_f16)(float* x, const Half* panels, const float* factors, std::int64_t rank, std::int64_t n);
  // x[i] *= factor
  void (*scale)(float* x, float factor, std::int64_t n);
  // out[i] = act(gate[i]) * up[i]; out may be gate or up. gelu is the tanh form.
  void (*silu_mul)(const float* gate, const float* up, std::int64_t n, float* out);
  void (*gelu_mul)(const float* gate, const float* up, std::int64_t n, float* out);
  // x[i] = cap * tanh(x[i] / cap)
  void (*softcap)(float* x, float cap, std::int64_t n);
  // Rotates the first n dimensions of one head by cos/sin [n / 2].
  void (*rope)(float* head, const float* cos, const float* sin, std::int64_t n, RopePairs pairs);
  // Rounds to nearest even.
  void (*to_half)(const float* x, std::int64_t n, Half* out);
  // n values, a multiple of 32, as blocks; those that hold infinity or NaN get a scale that is not finite.
  // Bit-identical in every set; the steps are written down in scalar/quantize.cc.
  void (*to_q8_0)(const float* x, std::int64_t n, BlockQ8_0* out);

  // Keeps the set's fastest int8 multiply-add instruction busy for `rounds` rounds, on registers alone, and returns how
  // many multiply-adds that were: what products are measured against.
  std::uint64_t (*int8_peak)(std::uint64_t rounds);
};

}  // namespace slm

#endif  // SLM_KERNELS_KERNELS_H_
