// The sum of a vector's lanes, whose name in xsimd changed with version 9.

#ifndef SLM_KERNELS_SIMD_SUM_INL_H_
#define SLM_KERNELS_SIMD_SUM_INL_H_

#include <xsimd/xsimd.hpp>

namespace slm {
namespace {

template <class Batch>
inline float Sum(const Batch& values) {
#if XSIMD_VERSION_MAJOR >= 9
  return xsimd::reduce_add(values);
#else
  return xsimd::hadd(values);
#endif
}

}  // namespace
}  // namespace slm

#endif  // SLM_KERNELS_SIMD_SUM_INL_H_
