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
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kBF16 = 30,
};

// One more than the largest id; tables indexed by Format have this many entries.
inline constexpr std::size_t kFormatIdEnd = 31;

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

// 256 weights a block. Q4_K and Q5_K: eight sub-blocks of 32 with 6-bit scales and minimums packed into `scales`; Q6_K:
// sixteen sub-blocks of 16.
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

static_assert(sizeof(BlockQ4_0) == 18);
static_assert(sizeof(BlockQ4_1) == 20);
static_assert(sizeof(BlockQ5_0) == 22);
static_assert(sizeof(BlockQ5_1) == 24);
static_assert(sizeof(BlockQ8_0) == 34);
static_assert(sizeof(BlockQ4_K) == 144);
static_assert(sizeof(BlockQ5_K) == 176);
static_assert(sizeof(BlockQ6_K) == 210);

// What the other operand of a matrix product with this format is: float rows, or rows quantized to int8.
enum class Activation : std::uint8_t { kFloat, kInt8 };

struct FormatInfo {
  Format format;
  const char* name;          // as in the field: "Q4_K"
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
// Q4_0)", "IQ4_XS", or nullptr if nobody ever used the id.
const char* UnsupportedFormatName(std::uint32_t id);

float HalfToFloat(Half half);
Half FloatToHalf(float value);  // rounds to nearest even; overflows to infinity
float Bfloat16ToFloat(Half bits);

}  // namespace slm

#endif  // SLM_KERNELS_FORMATS_H_
