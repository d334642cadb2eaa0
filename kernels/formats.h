// The weight formats of GGUF files: ids, block layouts and the table that describes them.
// Source of the layouts: the GGUF file format (ggml); see docs/add-a-format.md.

#ifndef SLM_KERNELS_FORMATS_H_
#define SLM_KERNELS_FORMATS_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace slm {

// Values are the tensor type ids stored in GGUF files.
enum class Format : std::uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kIQ2_XXS = 16,
  kIQ2_XS = 17,
  kIQ3_XXS = 18,
  kIQ1_S = 19,
  kIQ4_NL = 20,
  kIQ3_S = 21,
  kIQ2_S = 22,
  kIQ4_XS = 23,
  kIQ1_M = 29,
  kBF16 = 30,
  kTQ1_0 = 34,
  kTQ2_0 = 35,
  kMXFP4 = 39,
};

// One more than the largest id; tables indexed by Format have this many entries.
inline constexpr std::size_t kFormatIdEnd = 40;

// An IEEE half or bfloat16 as stored.
using Half = std::uint16_t;

// 32 weights a block. In the 4- and 5-bit formats byte i of qs holds weight i in its low and weight i + 16 in its high
// nibble; bit i of qh is the fifth bit of weight i.
struct BlockQ4_0 {  // x = d * (q - 8)
  Half d;
  std::uint8_t qs[16];
};
struct BlockQ4_1 {  // x = d * q + m
  Half d;
  Half m;
  std::uint8_t qs[16];
};
struct BlockQ5_0 {  // x = d * (q - 16)
  Half d;
  std::uint8_t qh[4];
  std::uint8_t qs[16];
};
struct BlockQ5_1 {  // x = d * q + m
  Half d;
  Half m;
  std::uint8_t qh[4];
  std::uint8_t qs[16];
};
struct BlockQ8_0 {  // x = d * q
  Half d;
  std::int8_t qs[32];
};
struct BlockIQ4_NL {  // x = d * kIq4Codes[q], but for the zero point
  Half d;
  std::uint8_t qs[16];
};
struct BlockMXFP4 {  // x = 2^(e - 128) * kMxfp4Codes[q], but for the zero point
  std::uint8_t e;
  std::uint8_t qs[16];
};

// 256 weights a block. Q4_K and Q5_K: eight sub-blocks of 32 with 6-bit scales and minimums packed into `scales`; the
// others: sixteen sub-blocks of 16, with 4-bit scales and minimums (Q2_K) or signed scales of 6 (Q3_K) or 8 bits.
struct BlockQ2_K {  // x = d * scale * q - dmin * min
  std::uint8_t scales[16];
  std::uint8_t qs[64];
  Half d;
  Half dmin;
};
struct BlockQ3_K {  // x = d * scale * (q - 4)
  std::uint8_t hmask[32];
  std::uint8_t qs[64];
  std::uint8_t scales[12];
  Half d;
};
struct BlockQ4_K {  // x = d * scale * q - dmin * min
  Half d;
  Half dmin;
  std::uint8_t scales[12];
  std::uint8_t qs[128];
};
struct BlockQ5_K {  // x = d * scale * q - dmin * min
  Half d;
  Half dmin;
  std::uint8_t scales[12];
  std::uint8_t qh[32];
  std::uint8_t qs[128];
};
struct BlockQ6_K {  // x = d * scale * (q - 32)
  std::uint8_t ql[128];
  std::uint8_t qh[64];
  std::int8_t scales[16];
  Half d;
};

// 256 weights a block, -1, 0 or 1 times d.
struct BlockTQ1_0 {
  std::uint8_t qs[48];
  std::uint8_t qh[4];
  Half d;
};
struct BlockTQ2_0 {
  std::uint8_t qs[64];
  Half d;
};

// 256 weights a block, whose codes are looked up in tables: IQ4_XS as IQ4_NL, the others four or eight at once
// (iq_grids.h), with signs of their own but in IQ1. Each 16 or 32 have a scale of a few bits.
struct BlockIQ4_XS {
  Half d;
  std::uint16_t scales_h;
  std::uint8_t scales_l[4];
  std::uint8_t qs[128];
};
struct BlockIQ3_XXS {
  Half d;
  std::uint8_t qs[64];
  std::uint16_t signs_and_scales[16];
};
struct BlockIQ3_S {
  Half d;
  std::uint8_t qs[64];
  std::uint8_t qh[8];
  std::uint8_t signs[32];
  std::uint8_t scales[4];
};
struct BlockIQ2_XXS {
  Half d;
  std::uint16_t qs[32];  // for each 32 weights two with indices and two with signs and a scale
};
struct BlockIQ2_XS {
  Half d;
  std::uint16_t qs[32];
  std::uint8_t scales[8];
};
struct BlockIQ2_S {
  Half d;
  std::uint8_t qs[32];
  std::uint8_t signs[32];
  std::uint8_t qh[8];
  std::uint8_t scales[8];
};
struct BlockIQ1_S {
  Half d;
  std::uint8_t qs[32];
  std::uint16_t qh[8];
};
struct BlockIQ1_M {
  std::uint8_t qs[32];
  std::uint8_t qh[16];
  std::uint16_t scales[4];  // four of 3 bits each, and in the top 4 bits a part of d
};

// What the other operand of a matrix product with this format is: float rows, or rows quantized to int8.
enum class Activation : std::uint8_t { kFloat, kInt8 };

struct FormatInfo {
  Format format;
  const char* name;  // as in the field: "Q4_K"
  std::uint32_t block_elements;
  std::uint32_t block_bytes;
  Activation activation;
  // Exactly what the format defines, in float: `n` weights (a multiple of block_elements) from `blocks` to `out`.
  void (*to_float)(const void* blocks, std::int64_t n, float* out);
  // Index of the first block among `n_blocks` that holds a scale (or element) that is not finite, or -1.
  std::int64_t (*find_bad_block)(const void* blocks, std::int64_t n_blocks);
};

// Every format the kernels know, by ascending id.
std::span<const FormatInfo> AllFormats();

// The entry with this GGUF id, or nullptr.
const FormatInfo* FindFormat(std::uint32_t id);

inline std::size_t RowBytes(const FormatInfo& format, std::int64_t columns) {
  return static_cast<std::size_t>(columns) / format.block_elements * format.block_bytes;
}

// Name and history of a tensor type id this library does not compute with: "Q4_0_4_4 (removed from GGUF; re-quantise to
// Q4_0)", "NVFP4", or nullptr if nobody ever used the id.
const char* UnsupportedFormatName(std::uint32_t id);

float HalfToFloat(Half half);
Half FloatToHalf(float value);  // rounds to nearest even; overflows to infinity
float Bfloat16ToFloat(Half bits);

}  // namespace slm

#endif  // SLM_KERNELS_FORMATS_H_
