// Compiled without instruction-set flags: it must run on any machine to find out what the machine can do.

#include "dispatch.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace slm {

// The kernels of an instruction set, by family of formats (isa/).
namespace basic {
extern const KernelSet kAvx2, kAvxVnni, kAvx512Vnni, kNeon, kNeonDotProd, kNeonI8mm;
}
namespace k {
extern const KernelSet kAvx2, kAvxVnni, kAvx512Vnni, kNeon, kNeonDotProd, kNeonI8mm;
}
namespace iq {
extern const KernelSet kAvx2, kAvxVnni, kAvx512Vnni, kNeon, kNeonDotProd, kNeonI8mm;
}
extern const KernelSet kScalarKernels;

namespace {

#if defined(__x86_64__)

struct CpuidRegisters {
  std::uint32_t eax = 0;
  std::uint32_t ebx = 0;
  std::uint32_t ecx = 0;
  std::uint32_t edx = 0;
};

// All zero for a leaf the processor does not have.
CpuidRegisters Cpuid(std::uint32_t leaf, std::uint32_t subleaf) {
  CpuidRegisters r;
  __get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx);
  return r;
}

// XCR0: the register states the operating system saves when it switches threads. The instruction exists only where
// CPUID reports OSXSAVE.
std::uint32_t EnabledStates() {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

bool HasAll(std::uint32_t word, std::uint32_t bits) { return (word & bits) == bits; }

std::uint32_t DetectCpuFeatures() {
  // Bit positions from the processor manuals (Intel SDM volume 2, CPUID; volume 1, chapter 13 for XCR0).
  constexpr std::uint32_t kFma = 1u << 12, kOsxsave = 1u << 27, kAvx = 1u << 28, kF16c = 1u << 29;  // leaf 1, ecx
  constexpr std::uint32_t kAvx2 = 1u << 5;                                                          // leaf 7, ebx
  constexpr std::uint32_t kAvx512FDqCdBwVl = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31;  // leaf 7, ebx
  constexpr std::uint32_t kAvx512Vnni = 1u << 11;                                                   // leaf 7, ecx
  constexpr std::uint32_t kAvxVnni = 1u << 4;                                                       // leaf 7.1, eax
  constexpr std::uint32_t kXmmYmmStates = 1u << 1 | 1u << 2;                                        // XCR0
  constexpr std::uint32_t kZmmStates = 1u << 5 | 1u << 6 | 1u << 7;                                 // XCR0

  const CpuidRegisters leaf1 = Cpuid(1, 0);
  if (!HasAll(leaf1.ecx, kOsxsave)) return 0;
  const std::uint32_t states = EnabledStates();
  if (!HasAll(states, kXmmYmmStates)) return 0;

  const CpuidRegisters leaf7 = Cpuid(7, 0);
  // eax of leaf 7 is the number of its last subleaf.
  const CpuidRegisters leaf7_1 = leaf7.eax >= 1 ? Cpuid(7, 1) : CpuidRegisters{};
  std::uint32_t features = 0;
  if (HasAll(leaf1.ecx, kAvx | kFma | kF16c) && HasAll(leaf7.ebx, kAvx2)) features |= kCpuAvx2;
  if (HasAll(leaf7_1.eax, kAvxVnni)) features |= kCpuAvxVnni;
  if (HasAll(states, kZmmStates) && HasAll(leaf7.ebx, kAvx512FDqCdBwVl) && HasAll(leaf7.ecx, kAvx512Vnni)) {
    features |= kCpuAvx512Vnni;
  }
  return features;
}

#elif defined(__aarch64__) && defined(__linux__)

std::uint32_t DetectCpuFeatures() {
  std::uint32_t features = 0;
  if ((getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0) features |= kCpuNeonDotProd;
  if ((getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0) features |= kCpuNeonI8mm;
  return features;
}

#elif defined(__aarch64__) && defined(__APPLE__)

bool HasFeature(const char* name) {
  int value = 0;
  std::size_t size = sizeof(value);
  return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
}

std::uint32_t DetectCpuFeatures() {
  std::uint32_t features = 0;
  if (HasFeature("hw.optional.arm.FEAT_DotProd")) features |= kCpuNeonDotProd;
  if (HasFeature("hw.optional.arm.FEAT_I8MM")) features |= kCpuNeonI8mm;
  return features;
}

#else

std::uint32_t DetectCpuFeatures() { return 0; }

#endif

// The families' parts of a set, the first of which has what is not products; formats without SIMD code run the scalar
// set's. (Unused where no set but the scalar one is built.)
[[maybe_unused]] KernelSet Assemble(std::initializer_list<KernelSet> parts) {
  KernelSet set = *parts.begin();
  for (const KernelSet& part : parts) set = WithProducts(set, part.matmul);
  return WithProducts(set, kScalarKernels.matmul);
}

}  // namespace

std::uint32_t CpuFeatures() {
  static const std::uint32_t kFeatures = DetectCpuFeatures();
  return kFeatures;
}

KernelSet WithProducts(KernelSet set, const KernelSet::MatMulTable& products) {
  std::ranges::transform(set.matmul, products, set.matmul.begin(),
                         [](auto own, auto other) { return own != nullptr ? own : other; });
  return set;
}

std::span<const KernelSet* const> AllKernelSets() {
  static const std::array kSets = {
#ifdef SLM_HAVE_X86_64_SETS
      Assemble({basic::kAvx512Vnni, k::kAvx512Vnni, iq::kAvx512Vnni}),
#ifdef SLM_HAVE_AVX_VNNI_SET
      Assemble({basic::kAvxVnni, k::kAvxVnni, iq::kAvxVnni}),
#endif
      Assemble({basic::kAvx2, k::kAvx2, iq::kAvx2}),
#endif
#ifdef SLM_HAVE_ARM64_SETS
      Assemble({basic::kNeonI8mm, k::kNeonI8mm, iq::kNeonI8mm}),
      Assemble({basic::kNeonDotProd, k::kNeonDotProd, iq::kNeonDotProd}),
      Assemble({basic::kNeon, k::kNeon, iq::kNeon}),
#endif
      kScalarKernels,
  };
  static const auto kPointers = [] {
    std::array<const KernelSet*, kSets.size()> pointers;
    std::ranges::transform(kSets, pointers.begin(), [](const KernelSet& set) { return &set; });
    return pointers;
  }();
  return kPointers;
}

const KernelSet* FindKernelSet(std::string_view name) {
  const auto found = std::ranges::find(AllKernelSets(), name, [](const KernelSet* set) { return set->name; });
  return found == AllKernelSets().end() ? nullptr : *found;
}

std::size_t L1DataBytes() {
  constexpr long kLeast = 32768;
#ifdef _SC_LEVEL1_DCACHE_SIZE
  static const auto kBytes = static_cast<std::size_t>(std::max(::sysconf(_SC_LEVEL1_DCACHE_SIZE), kLeast));
  return kBytes;
#else
  return kLeast;
#endif
}

bool CanRun(const KernelSet& set) { return (set.needs & ~CpuFeatures()) == 0; }

const KernelSet& BestKernelSet() {
  return **std::ranges::find_if(AllKernelSets(), [](const KernelSet* set) { return CanRun(*set); });
}

}  // namespace slm
