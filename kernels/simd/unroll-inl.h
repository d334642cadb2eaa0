// A loop whose index is a constant: instructions take the number of a lane, or of a shift, as one.

#ifndef SLM_KERNELS_SIMD_UNROLL_INL_H_
#define SLM_KERNELS_SIMD_UNROLL_INL_H_

#include <type_traits>
#include <utility>

namespace slm {
namespace {

// Calls f with std::integral_constant<int, i> for 0 <= i < kCount.
template <int kCount, class F>
[[gnu::always_inline]] inline void ForEach(const F& f) {
  [&]<int... i>(std::integer_sequence<int, i...>) __attribute__((always_inline)) {
    (f(std::integral_constant<int, i>()), ...);
  }
  (std::make_integer_sequence<int, kCount>());
}

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_UNROLL_INL_H_
