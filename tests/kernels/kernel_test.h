// What the kernel tests share: suites over the tables of kernel sets and formats, and random data for them.

#ifndef SLM_TESTS_KERNELS_KERNEL_TEST_H_
#define SLM_TESTS_KERNELS_KERNEL_TEST_H_

#include <gtest/gtest.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "dispatch.h"
#include "formats.h"
#include "kernels.h"

namespace slm::test {

using Random = std::mt19937;

// Half the distance from 1 to the next float: the largest relative error of one rounding.
inline constexpr double kRounding = 0x1p-24;

// Why this run leaves a kernel set out: the machine can't run it, or SLM_KERNELS names another. Empty if it doesn't.
std::string ReasonToSkip(const KernelSet& set);

// A test that runs once for every kernel set.
class KernelSetTest : public ::testing::TestWithParam<const KernelSet*> {
 protected:
  void SetUp() override {
    if (const std::string reason = ReasonToSkip(kernels()); !reason.empty()) GTEST_SKIP() << reason;
  }
  const KernelSet& kernels() const { return *GetParam(); }
};

// A test that runs once for every pair of a kernel set and a weight format.
class KernelFormatTest : public ::testing::TestWithParam<std::tuple<const KernelSet*, FormatInfo>> {
 protected:
  void SetUp() override {
    if (const std::string reason = ReasonToSkip(kernels()); !reason.empty()) GTEST_SKIP() << reason;
  }
  const KernelSet& kernels() const { return *std::get<0>(GetParam()); }
  const FormatInfo& format() const { return std::get<1>(GetParam()); }
  KernelSet::MatMulFn matmul() const { return kernels().matmul[static_cast<std::size_t>(format().format)]; }
};

inline auto EverySet() { return ::testing::ValuesIn(AllKernelSets().begin(), AllKernelSets().end()); }
inline auto EveryFormat() { return ::testing::ValuesIn(AllFormats().begin(), AllFormats().end()); }

// Names of the instances, for INSTANTIATE_TEST_SUITE_P: "avx2", "Q4_K", "avx2_Q4_K".
struct InstanceName {
  std::string operator()(const ::testing::TestParamInfo<const KernelSet*>& info) const { return info.param->name; }
  std::string operator()(const ::testing::TestParamInfo<FormatInfo>& info) const { return info.param.name; }
  std::string operator()(const ::testing::TestParamInfo<std::tuple<const KernelSet*, FormatInfo>>& info) const {
    return std::string(std::get<0>(info.param)->name) + "_" + std::get<1>(info.param).name;
  }
};

// Normally distributed.
std::vector<float> RandomFloats(std::size_t n, Random& random);

// Blocks of random bits whose weights are all finite, the largest of each block between 2^-6 and 2^6.
std::vector<std::byte> RandomBlocks(const FormatInfo& format, std::size_t n_blocks, Random& random);

// What KernelSet::quantize has to make of a row, whose length is a multiple of 32.
std::vector<ActivationBlock> QuantizedRow(std::span<const float> x);

// Marks memory that a kernel must leave alone: a NaN no computation produces.
inline constexpr std::uint32_t kCanaryBits = 0x7FABCDEF;
inline float Canary() { return std::bit_cast<float>(kCanaryBits); }
inline bool IsCanary(float x) { return std::bit_cast<std::uint32_t>(x) == kCanaryBits; }

}  // namespace slm::test

// gtest prints parameters by these.
namespace slm {
inline void PrintTo(const FormatInfo& format, std::ostream* os) { *os << format.name; }
}  // namespace slm

#endif  // SLM_TESTS_KERNELS_KERNEL_TEST_H_
