#include "dispatch.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>

#include "kernels/kernel_test.h"

namespace slm::test {
namespace {

TEST(Dispatch, ScalarIsTheLastSetAndRunsAnywhere) {
  const KernelSet& last = *AllKernelSets().back();
  EXPECT_STREQ(last.name, "scalar");
  EXPECT_EQ(last.needs, 0u);
  EXPECT_TRUE(CanRun(last));
}

TEST(Dispatch, FindsEverySetByItsName) {
  std::set<std::string> names;
  for (const KernelSet* set : AllKernelSets()) {
    EXPECT_EQ(FindKernelSet(set->name), set);
    EXPECT_TRUE(names.insert(set->name).second) << set->name << " twice";
  }
}

TEST(Dispatch, FindsNothingByOtherNames) {
  for (const char* name : {"", "Scalar", "scalar ", "scala", "avx1024"})
    EXPECT_EQ(FindKernelSet(name), nullptr) << name;
}

TEST(Dispatch, BestIsTheFirstThatRuns) {
  for (const KernelSet* set : AllKernelSets()) {
    if (!CanRun(*set)) continue;
    EXPECT_EQ(&BestKernelSet(), set);
    break;
  }
}

TEST(Dispatch, SetRunsOnlyWithEveryFeatureItNeeds) {
  KernelSet set = {};
  set.needs = CpuFeatures();
  EXPECT_TRUE(CanRun(set));
  set.needs |= 1u << 31;  // no feature has this bit
  EXPECT_FALSE(CanRun(set));
}

TEST(Dispatch, SetsHaveEveryFunctionAndFormat) {
  const std::set<std::string> without_simd_code = {};  // names of formats
  const KernelSet& scalar = *AllKernelSets().back();
  for (const KernelSet* set : AllKernelSets()) {
    SCOPED_TRACE(set->name);
    for (std::uint32_t id = 0; id < kFormatIdEnd; ++id) {
      const FormatInfo* format = FindFormat(id);
      ASSERT_EQ(set->matmul[id] != nullptr, format != nullptr) << "format " << id;
      if (format == nullptr || set == &scalar) continue;
      EXPECT_EQ(set->matmul[id] == scalar.matmul[id], without_simd_code.contains(format->name)) << format->name;
    }
    EXPECT_TRUE(set->quantize && set->attention && set->rms_norm && set->add && set->scale && set->silu_mul &&
                set->gelu_mul && set->softcap && set->rope && set->to_half);
  }
}

#if defined(__x86_64__)
// The compiler's run-time library reads the processor by itself.
TEST(Dispatch, FeaturesAgreeWithTheCompilersRuntime) {
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  EXPECT_EQ((CpuFeatures() & kCpuAvx2) != 0, avx2);
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
  EXPECT_EQ((CpuFeatures() & kCpuAvx512Vnni) != 0, avx512);
}
#endif

#if defined(__aarch64__) && defined(__linux__)
// Linux lets programs read the identification registers, too.
TEST(Dispatch, FeaturesAgreeWithTheIdRegisters) {
  std::uint64_t isar0 = 0, isar1 = 0;
  asm("mrs %0, id_aa64isar0_el1" : "=r"(isar0));
  asm("mrs %0, id_aa64isar1_el1" : "=r"(isar1));
  EXPECT_EQ((CpuFeatures() & kCpuNeonDotProd) != 0, (isar0 >> 44 & 15) != 0);
  EXPECT_EQ((CpuFeatures() & kCpuNeonI8mm) != 0, (isar1 >> 52 & 15) != 0);
}
#endif

// Otherwise a misspelt SLM_KERNELS would skip every kernel test and pass.
TEST(Dispatch, EnvironmentNamesASetThatRuns) {
  const char* wanted = std::getenv("SLM_KERNELS");
  if (wanted == nullptr) GTEST_SKIP() << "SLM_KERNELS is not set: every set this machine can run is tested";
  const KernelSet* set = FindKernelSet(wanted);
  ASSERT_NE(set, nullptr) << wanted;
  EXPECT_TRUE(CanRun(*set)) << wanted;
}

}  // namespace
}  // namespace slm::test
