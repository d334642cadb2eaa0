// The table of formats, made from lists of their types.

#ifndef SLM_KERNELS_FORMAT_TABLE_H_
#define SLM_KERNELS_FORMAT_TABLE_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "formats.h"
#include "unpack.h"
#include "unpack_iq.h"
#include "unpack_k.h"

namespace slm {

template <class... A, class... B>
constexpr TypeList<A..., B...> operator+(TypeList<A...>, TypeList<B...>) {
  return {};
}

// Every format the kernels know.
using KnownFormats = decltype(basic::Formats() + k::Formats() + iq::Formats());

// FormatInfo::to_float.
template <class F>
void ToFloat(const void* blocks, std::int64_t n, float* out) {
  using Block = typename F::Block;
  if constexpr (F::kActivation == Activation::kFloat) {
    for (std::int64_t i = 0; i < n; ++i) out[i] = F::ToFloat(BlockAt<Block>(blocks, i));
  } else {
    for (std::int64_t begin = 0; begin < n; begin += F::kElements) {
      UnpackedBlock unpacked;
      F::Unpack(BlockAt<Block>(blocks, begin / F::kElements), unpacked);
      for (int i = 0; i < F::kElements; ++i) {
        const int group = i / F::kGroup;
        float x = unpacked.scales[group] * static_cast<float>(unpacked.codes[i] - F::kZero);
        if constexpr (F::kZero == 0) x += unpacked.minimums[group];
        out[begin + i] = x;
      }
    }
  }
}

// FormatInfo::find_bad_block.
template <class F>
std::int64_t FindBadBlock(const void* blocks, std::int64_t n_blocks) {
  for (std::int64_t i = 0; i < n_blocks; ++i) {
    if (!F::IsFinite(BlockAt<typename F::Block>(blocks, i))) return i;
  }
  return -1;
}

// By ascending id.
template <class... F>
constexpr auto MakeFormatTable(TypeList<F...>) {
  std::array<FormatInfo, sizeof...(F)> table = {FormatInfo{
      F::kFormat, F::kName, F::kElements, sizeof(typename F::Block), F::kActivation, ToFloat<F>, FindBadBlock<F>}...};
  std::ranges::sort(table, {}, &FormatInfo::format);
  return table;
}

}  // namespace slm

#endif  // SLM_KERNELS_FORMAT_TABLE_H_
