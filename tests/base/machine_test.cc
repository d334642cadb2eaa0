// Machines as /proc and /sys of Linux describe them.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/machine_query.h"

namespace slm {
namespace {

namespace fs = std::filesystem;

std::vector<std::int32_t> Range(std::int32_t first, std::int32_t end) {
  std::vector<std::int32_t> numbers(static_cast<std::size_t>(end - first));
  std::iota(numbers.begin(), numbers.end(), first);
  return numbers;
}

// An empty tree, to which tests add what the machine says.
class DescribeMachineTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::path(testing::TempDir()) / ("slm_machine_" + std::to_string(::getpid()) + test->name());
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  void TearDown() override { fs::remove_all(root_); }

  void Write(const fs::path& file, std::string_view text) const {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file, std::ios::binary) << text << '\n';
  }

  void WriteProcessor(std::int32_t processor, const std::string& file, std::string_view text) const {
    Write(Cat("sys/devices/system/cpu/cpu", processor, "/", file), text);
  }

  // Processors first..end - 1 are cores of `threads` neighbours.
  void WriteCores(std::int32_t first, std::int32_t end, std::int32_t threads) const {
    for (std::int32_t i = first; i < end; ++i) {
      const std::int32_t core = first + (i - first) / threads * threads;
      WriteProcessor(i, "topology/thread_siblings_list",
                     threads == 1 ? std::to_string(core) : Cat(core, "-", core + threads - 1));
    }
  }

  void WriteHybrid(std::string_view performance, std::string_view efficient) const {
    Write("sys/devices/cpu_core/cpus", performance);
    Write("sys/devices/cpu_atom/cpus", efficient);
  }

  void WriteSpeeds(const std::string& file, const std::vector<int>& speeds) const {
    for (std::size_t i = 0; i < speeds.size(); ++i)
      WriteProcessor(static_cast<std::int32_t>(i), file, std::to_string(speeds[i]));
  }

  Machine Describe(std::vector<std::int32_t> allowed) const {
    return DescribeMachine({.root = root_, .allowed = std::move(allowed)});
  }

  fs::path root_;
};

// --- Case B57: the default count of threads ---

TEST_F(DescribeMachineTest, HybridWithoutSmt) {
  WriteCores(0, 20, 1);
  WriteHybrid("0-7", "8-19");
  const Machine machine = Describe(Range(0, 20));
  EXPECT_EQ(machine.processors, 20);
  EXPECT_EQ(machine.cores, 20);
  EXPECT_EQ(machine.performance_cores, 8);
  EXPECT_EQ(machine.quota, 0);
  EXPECT_EQ(machine.default_threads, 8);
}

TEST_F(DescribeMachineTest, TwoThreadsACore) {
  WriteCores(0, 8, 2);
  const Machine machine = Describe(Range(0, 8));
  EXPECT_EQ(machine.processors, 8);
  EXPECT_EQ(machine.cores, 4);
  EXPECT_EQ(machine.performance_cores, 4);
  EXPECT_EQ(machine.default_threads, 4);
}

TEST_F(DescribeMachineTest, QuotaOfTwo) {
  WriteCores(0, 8, 1);
  Write("proc/self/cgroup", "0::/box");
  Write("sys/fs/cgroup/box/cpu.max", "200000 100000");
  const Machine machine = Describe(Range(0, 8));
  EXPECT_EQ(machine.cores, 8);
  EXPECT_EQ(machine.quota, 2);
  EXPECT_EQ(machine.default_threads, 2);
}

TEST_F(DescribeMachineTest, AffinityToTwo) {
  WriteCores(0, 16, 1);
  const Machine machine = Describe({3, 9});
  EXPECT_EQ(machine.processors, 2);
  EXPECT_EQ(machine.cores, 2);
  EXPECT_EQ(machine.default_threads, 2);
}

// --- Cores ---

// Linux often numbers the second threads after all first ones.
TEST_F(DescribeMachineTest, SiblingsFarApart) {
  for (std::int32_t i = 0; i < 8; ++i) {
    const std::string first = std::to_string(i % 4);
    WriteProcessor(i, "topology/thread_siblings_list", first + "," + std::to_string(i % 4 + 4));
  }
  EXPECT_EQ(Describe(Range(0, 8)).cores, 4);
  EXPECT_EQ(Describe({1, 5}).cores, 1);
  EXPECT_EQ(Describe({5, 6}).cores, 2);
}

TEST_F(DescribeMachineTest, CoreNumbersWithoutSiblings) {
  for (std::int32_t i = 0; i < 8; ++i) {
    WriteProcessor(i, "topology/physical_package_id", std::to_string(i / 4));
    WriteProcessor(i, "topology/core_id", std::to_string(i / 2 % 2));
  }
  EXPECT_EQ(Describe(Range(0, 8)).cores, 4);
}

TEST_F(DescribeMachineTest, BothSiblingsOfOneCore) {
  WriteCores(0, 8, 2);
  const Machine machine = Describe({2, 3});
  EXPECT_EQ(machine.processors, 2);
  EXPECT_EQ(machine.cores, 1);
  EXPECT_EQ(machine.default_threads, 1);
}

TEST_F(DescribeMachineTest, HybridWithSmt) {
  WriteCores(0, 12, 2);
  WriteCores(12, 20, 1);
  WriteHybrid("0-11", "12-19");
  const Machine machine = Describe(Range(0, 20));
  EXPECT_EQ(machine.cores, 14);
  EXPECT_EQ(machine.performance_cores, 6);
  EXPECT_EQ(machine.default_threads, 6);
  // The second thread of a core stands for it where the first is not allowed.
  EXPECT_EQ(Describe({1, 3, 12}).performance_cores, 2);
}

TEST_F(DescribeMachineTest, EfficientCoresOnlyAreUsed) {
  WriteCores(0, 20, 1);
  WriteHybrid("0-7", "8-19");
  const Machine machine = Describe({9, 10, 11});
  EXPECT_EQ(machine.performance_cores, 3);
  EXPECT_EQ(machine.default_threads, 3);
}

TEST_F(DescribeMachineTest, ClassesByCapacity) {
  WriteSpeeds("cpu_capacity", {400, 400, 400, 400, 1024, 1024, 1024, 1024});
  EXPECT_EQ(Describe(Range(0, 8)).performance_cores, 4);
  EXPECT_EQ(Describe(Range(0, 8)).default_threads, 4);
  EXPECT_EQ(Describe(Range(0, 4)).performance_cores, 4);
  EXPECT_EQ(Describe(Range(2, 6)).performance_cores, 2);
}

TEST_F(DescribeMachineTest, OfThreeClassesTheSlowestIsLeftOut) {
  WriteSpeeds("cpu_capacity", {200, 200, 200, 606, 606, 606, 606, 1024});
  EXPECT_EQ(Describe(Range(0, 8)).performance_cores, 5);
}

TEST_F(DescribeMachineTest, ClassesByFrequency) {
  WriteSpeeds("cpu_capacity", std::vector<int>(12, 1024));  // what Linux says where nobody has told it
  std::vector<int> frequencies(12, 3300000);
  std::fill_n(frequencies.begin(), 4, 5157895);
  WriteSpeeds("cpufreq/cpuinfo_max_freq", frequencies);
  EXPECT_EQ(Describe(Range(0, 12)).performance_cores, 4);
}

TEST_F(DescribeMachineTest, ClassesByHighestPerformance) {
  WriteSpeeds("acpi_cppc/highest_perf", {68, 68, 43, 43, 43});
  EXPECT_EQ(Describe(Range(0, 5)).performance_cores, 2);
}

TEST_F(DescribeMachineTest, FavouredCoresAreNoClass) {
  WriteSpeeds("acpi_cppc/highest_perf", {236, 231, 226, 216, 211, 206, 201, 196, 186, 181, 176, 166});
  WriteSpeeds("cpufreq/cpuinfo_max_freq", {6000000, 6000000, 5700000, 5700000, 5700000, 5250000, 5250000, 5250000,
                                           5250000, 5250000, 5250000, 5250000});
  EXPECT_EQ(Describe(Range(0, 12)).performance_cores, 12);
}

TEST_F(DescribeMachineTest, FavouredClustersAreNoClass) {
  WriteSpeeds("cpufreq/cpuinfo_max_freq", {3417600, 3417600, 3417600, 3417600, 4012800, 4012800, 4012800, 4012800});
  EXPECT_EQ(Describe(Range(0, 8)).performance_cores, 8);
}

TEST_F(DescribeMachineTest, NoCoreWorksAlone) {
  WriteSpeeds("cpu_capacity", {400, 400, 400, 400, 600, 600, 600, 1024});
  EXPECT_EQ(Describe(Range(0, 8)).performance_cores, 4);
  EXPECT_EQ(Describe(Range(4, 8)).performance_cores, 4);
  EXPECT_EQ(Describe({7}).performance_cores, 1);
}

// Beside the efficient cores of some laptops there are slower ones still, counted by the same device.
TEST_F(DescribeMachineTest, SlowestCoresAreLeftOutAmongEfficientOnes) {
  WriteHybrid("0-3", "4-13");
  std::vector<int> frequencies(14, 3800000);
  std::fill_n(frequencies.begin(), 4, 4800000);
  std::fill_n(frequencies.end() - 2, 2, 2500000);
  WriteSpeeds("cpufreq/cpuinfo_max_freq", frequencies);
  EXPECT_EQ(Describe(Range(0, 14)).performance_cores, 4);
  EXPECT_EQ(Describe(Range(4, 14)).performance_cores, 8);
}

TEST_F(DescribeMachineTest, SpeedsThatAreNotToldForAllSayNothing) {
  WriteSpeeds("cpu_capacity", {1024, 400, 400});
  EXPECT_EQ(Describe(Range(0, 4)).performance_cores, 4);
}

// --- Quotas ---

TEST_F(DescribeMachineTest, QuotaOfAParentGroup) {
  Write("proc/self/cgroup", "0::/slice/box/inner");
  Write("sys/fs/cgroup/slice/cpu.max", "350000 100000");
  Write("sys/fs/cgroup/slice/box/cpu.max", "max 100000");
  Write("sys/fs/cgroup/slice/box/inner/cpu.max", "max 100000");
  const Machine machine = Describe(Range(0, 8));
  EXPECT_DOUBLE_EQ(machine.quota, 3.5);
  EXPECT_EQ(machine.default_threads, 3);
}

TEST_F(DescribeMachineTest, LeastQuotaOfAllGroupsCounts) {
  Write("proc/self/cgroup", "0::/a/b/c");
  Write("sys/fs/cgroup/cpu.max", "700000 100000");
  Write("sys/fs/cgroup/a/cpu.max", "500000 100000");
  Write("sys/fs/cgroup/a/b/cpu.max", "200000 50000");
  Write("sys/fs/cgroup/a/b/c/cpu.max", "600000 100000");
  EXPECT_EQ(Describe(Range(0, 8)).quota, 4);
}

TEST_F(DescribeMachineTest, NoQuota) {
  Write("proc/self/cgroup", "0::/box");
  Write("sys/fs/cgroup/box/cpu.max", "max 100000");
  const Machine machine = Describe(Range(0, 8));
  EXPECT_EQ(machine.quota, 0);
  EXPECT_EQ(machine.default_threads, 8);
}

TEST_F(DescribeMachineTest, QuotaBelowOneAndAboveAll) {
  Write("proc/self/cgroup", "0::/box");
  Write("sys/fs/cgroup/box/cpu.max", "50000 100000");
  EXPECT_DOUBLE_EQ(Describe(Range(0, 8)).quota, 0.5);
  EXPECT_EQ(Describe(Range(0, 8)).default_threads, 1);
  Write("sys/fs/cgroup/box/cpu.max", "9223372036854775807 1");
  EXPECT_EQ(Describe(Range(0, 8)).default_threads, 8);
}

TEST_F(DescribeMachineTest, QuotaOfVersionOne) {
  Write("proc/self/cgroup", "5:cpuset:/box\n4:cpuacct,cpu:/docker/box\n0::/");
  Write("sys/fs/cgroup/cpu/docker/box/cpu.cfs_quota_us", "300000");
  Write("sys/fs/cgroup/cpu/docker/box/cpu.cfs_period_us", "100000");
  Write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1");
  Write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000");
  EXPECT_EQ(Describe(Range(0, 8)).quota, 3);
  EXPECT_EQ(Describe(Range(0, 8)).default_threads, 3);
}

TEST_F(DescribeMachineTest, QuotaOfVersionOneMountedUnderBothNames) {
  Write("proc/self/cgroup", "4:cpu,cpuacct:/box");
  Write("sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us", "200000");
  Write("sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us", "100000");
  EXPECT_EQ(Describe(Range(0, 8)).default_threads, 2);
}

TEST_F(DescribeMachineTest, QuotasAreRoundedDown) {
  Write("proc/self/cgroup", "0::/box");
  Write("sys/fs/cgroup/box/cpu.max", "150000 100000");
  EXPECT_EQ(Describe(Range(0, 8)).default_threads, 1);
  Write("sys/fs/cgroup/box/cpu.max", "299999 100000");
  EXPECT_EQ(Describe(Range(0, 8)).default_threads, 2);
}

// A container sees its own group at the top, but may be told the host's path.
TEST_F(DescribeMachineTest, QuotaOfAContainerWithThePathOfTheHost) {
  Write("proc/self/cgroup", "4:cpu,cpuacct:/docker/0123abcd\n");
  Write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000");
  Write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000");
  EXPECT_EQ(Describe(Range(0, 8)).quota, 2);
}

TEST_F(DescribeMachineTest, GroupOutsideTheTreeIsNotFollowed) {
  Write("proc/self/cgroup", "0::/../../../elsewhere");
  Write("elsewhere/cpu.max", "100000 100000");
  EXPECT_EQ(Describe(Range(0, 8)).quota, 0);
}

// --- What is missing, damaged or hostile ---

TEST_F(DescribeMachineTest, NothingIsTold) {
  const Machine machine = Describe(Range(0, 6));
  EXPECT_EQ(machine.processor, "");
  EXPECT_EQ(machine.processors, 6);
  EXPECT_EQ(machine.cores, 6);
  EXPECT_EQ(machine.performance_cores, 6);
  EXPECT_EQ(machine.quota, 0);
  EXPECT_EQ(machine.default_threads, 6);
}

TEST_F(DescribeMachineTest, DamagedListsSayNothing) {
  for (const char* list : {"", "x", "0-", "-3", "3-0", "0-3x", "0,,1", "0-999999999", "99999999999999999999", "0 1",
                           "0-1-2", "0x3", ",", "8192"}) {
    WriteProcessor(0, "topology/thread_siblings_list", list);
    WriteProcessor(1, "topology/thread_siblings_list", list);
    WriteHybrid(list, "2-3");
    EXPECT_EQ(Describe(Range(0, 4)).cores, 4) << list;
    EXPECT_EQ(Describe(Range(0, 4)).performance_cores, 4) << list;
  }
}

TEST_F(DescribeMachineTest, SiblingsWithoutTheProcessorItselfSayNothing) {
  for (std::int32_t i = 0; i < 4; ++i) WriteProcessor(i, "topology/thread_siblings_list", "7");
  EXPECT_EQ(Describe(Range(0, 4)).cores, 4);
}

TEST_F(DescribeMachineTest, DamagedSpeedsSayNothing) {
  for (const char* speed : {"", "fast", "-5", "0", "1e9", "99999999999999999999", "1024 1024"}) {
    WriteSpeeds("cpu_capacity", {400, 400, 400, 400});
    WriteProcessor(0, "cpu_capacity", speed);
    EXPECT_EQ(Describe(Range(0, 4)).performance_cores, 4) << speed;
  }
}

TEST_F(DescribeMachineTest, DamagedQuotasSayNothing) {
  Write("proc/self/cgroup", "0::/box");
  for (const char* quota : {"", "100000", "100000 0", "-100000 100000", "100000 -1", "one two", "1 2 3", "0 100000",
                            "100000  100000", "99999999999999999999 1"}) {
    Write("sys/fs/cgroup/box/cpu.max", quota);
    EXPECT_EQ(Describe(Range(0, 4)).quota, 0) << quota;
  }
}

TEST_F(DescribeMachineTest, DamagedGroupsSayNothing) {
  std::string deep = "0::";
  for (int i = 0; i < 20000; ++i) deep += "/a";
  const std::string zeros(1000, '\0');
  for (const std::string& groups : {std::string(), std::string("0"), std::string("0:"), std::string(":::"), deep,
                                    "0::/" + std::string(300, 'x'), zeros, "0::/" + zeros, std::string("4:cpu")}) {
    Write("proc/self/cgroup", groups);
    EXPECT_EQ(Describe(Range(0, 4)).default_threads, 4) << groups.substr(0, 20);
  }
}

TEST_F(DescribeMachineTest, FoldersInPlaceOfFilesSayNothing) {
  for (const char* file : {"proc/cpuinfo", "proc/self/cgroup", "sys/devices/cpu_core/cpus", "sys/fs/cgroup/cpu.max",
                           "sys/devices/system/cpu/cpu0/topology/thread_siblings_list"})
    fs::create_directories(root_ / file);
  EXPECT_EQ(Describe(Range(0, 4)).default_threads, 4);
}

TEST_F(DescribeMachineTest, ImpossibleProcessorsAreLeftOut) {
  EXPECT_EQ(Describe({0, 1, 1, -1, 2147483647}).processors, 2);
  const Machine none = Describe({-1});
  EXPECT_EQ(none.processors, 1);
  EXPECT_EQ(none.cores, 1);
  EXPECT_EQ(none.performance_cores, 1);
  EXPECT_EQ(none.default_threads, 1);
}

// --- Names, and this machine ---

TEST_F(DescribeMachineTest, NameOfTheProcessor) {
  Write("proc/cpuinfo", "processor\t: 0\nmodel\t\t: 2\nmodel name\t: AMD Ryzen 7 7840U w/ Radeon  \nflags : a b\n");
  EXPECT_EQ(Describe({0}).processor, "AMD Ryzen 7 7840U w/ Radeon");
  Write("proc/cpuinfo", "processor\t: 0\nCPU implementer\t: 0x41\n");
  EXPECT_EQ(Describe({0}).processor, "");
  Write("proc/device-tree/model", std::string_view("Raspberry Pi 5 Model B Rev 1.0\0", 31));
  EXPECT_EQ(Describe({0}).processor, "Raspberry Pi 5 Model B Rev 1.0");
  Write("proc/cpuinfo", "model name : a\x1b[31mb");
  EXPECT_EQ(Describe({0}).processor, "");
  Write("proc/cpuinfo", "model name : " + std::string(100000, 'x'));
  EXPECT_EQ(Describe({0}).processor, std::string(128, 'x'));
}

TEST(DescribeThisMachine, CountsAreInOrder) {
  const Machine machine = DescribeMachine();
  EXPECT_GE(machine.default_threads, 1);
  EXPECT_LE(machine.default_threads, machine.performance_cores);
  EXPECT_LE(machine.performance_cores, machine.cores);
  EXPECT_LE(machine.cores, machine.processors);
  EXPECT_GE(machine.quota, 0);
#ifdef __linux__
  EXPECT_EQ(machine.processors, std::thread::hardware_concurrency());
#endif
}

}  // namespace
}  // namespace slm
