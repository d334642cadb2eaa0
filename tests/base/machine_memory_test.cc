// The memory of a machine and what a control group leaves of it, as Linux describes them.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "base/machine_query.h"

namespace slm {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMega = 1 << 20;

class MachineMemoryTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::path(testing::TempDir()) / ("slm_memory_" + std::to_string(::getpid()) + test->name());
    fs::remove_all(root_);
    fs::create_directories(root_);
    // 8000 MiB, of which 5000 are available.
    Write("proc/meminfo", "MemTotal:        8192000 kB\nMemFree:          100000 kB\nMemAvailable:    5120000 kB\n");
  }
  void TearDown() override { fs::remove_all(root_); }

  void Write(const fs::path& file, std::string_view text) const {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file, std::ios::binary) << text << '\n';
  }
  void WriteMegas(const fs::path& file, std::uint64_t megas) const { Write(file, std::to_string(megas * kMega)); }

  void Expect(std::uint64_t total_megas, std::uint64_t available_megas) const {
    const Machine machine = DescribeMachine({.root = root_, .allowed = {0}});
    EXPECT_EQ(machine.memory_bytes, total_megas * kMega);
    EXPECT_EQ(machine.available_bytes, available_megas * kMega);
  }

  fs::path root_;
};

TEST_F(MachineMemoryTest, WithoutALimit) { Expect(8000, 5000); }

TEST_F(MachineMemoryTest, LimitOfTheGroup) {
  Write("proc/self/cgroup", "0::/box");
  WriteMegas("sys/fs/cgroup/box/memory.max", 2000);
  WriteMegas("sys/fs/cgroup/box/memory.current", 700);
  Expect(2000, 1300);
  // What caches files is given up when something else is needed.
  Write("sys/fs/cgroup/box/memory.stat",
        "anon 104857600\nfile 629145600\ninactive_file 419430400\nactive_file 209715200\n");
  Expect(2000, 1900);
}

TEST_F(MachineMemoryTest, GroupThatIsFull) {
  Write("proc/self/cgroup", "0::/box");
  WriteMegas("sys/fs/cgroup/box/memory.max", 2000);
  WriteMegas("sys/fs/cgroup/box/memory.current", 2001);
  Expect(2000, 0);
}

TEST_F(MachineMemoryTest, TheMachineMayHaveLessThanTheGroupLeaves) {
  Write("proc/self/cgroup", "0::/box");
  WriteMegas("sys/fs/cgroup/box/memory.max", 6000);
  WriteMegas("sys/fs/cgroup/box/memory.current", 10);
  Expect(6000, 5000);
}

TEST_F(MachineMemoryTest, TheLeastOfAllGroupsAboveCounts) {
  Write("proc/self/cgroup", "0::/user/box");
  WriteMegas("sys/fs/cgroup/user/memory.max", 3000);
  WriteMegas("sys/fs/cgroup/user/memory.current", 2900);
  WriteMegas("sys/fs/cgroup/user/box/memory.max", 1000);
  WriteMegas("sys/fs/cgroup/user/box/memory.current", 10);
  Expect(1000, 100);
}

TEST_F(MachineMemoryTest, Version1) {
  Write("proc/self/cgroup", "9:memory:/box\n4:cpu,cpuacct:/\n");
  WriteMegas("sys/fs/cgroup/memory/box/memory.limit_in_bytes", 2000);
  WriteMegas("sys/fs/cgroup/memory/box/memory.usage_in_bytes", 700);
  Write("sys/fs/cgroup/memory/box/memory.stat",
        "inactive_file 1\ntotal_inactive_file 419430400\ntotal_active_file 209715200\n");
  Expect(2000, 1900);
}

TEST_F(MachineMemoryTest, NoLimitByEitherVersion) {
  Write("proc/self/cgroup", "0::/box\n9:memory:/box\n");
  Write("sys/fs/cgroup/box/memory.max", "max");
  Write("sys/fs/cgroup/memory/box/memory.limit_in_bytes", "9223372036854771712");
  Expect(8000, 5000);
}

TEST_F(MachineMemoryTest, DamagedLimitsSayNothing) {
  Write("proc/self/cgroup", "0::/box");
  for (const char* limit : {"", "-5", "2000M", "1e9", "99999999999999999999"}) {
    Write("sys/fs/cgroup/box/memory.max", limit);
    Expect(8000, 5000);
  }
}

TEST_F(MachineMemoryTest, NotTold) {
  for (const char* text :
       {"", "MemTotal: 8192000 kB", "MemAvailable: 5120000 kB", "MemTotal: many kB\nMemAvailable: 1 kB",
        "MemTotal: -1 kB\nMemAvailable: -2 kB", "MemTotal: 10 kB\nMemAvailable: 11 kB",
        "MemTotal: 9223372036854775807 kB\nMemAvailable: 9223372036854775807 kB"}) {
    Write("proc/meminfo", text);
    Expect(0, 0);
  }
  fs::remove(root_ / "proc/meminfo");
  Expect(0, 0);
}

TEST(MemoryOfThisMachine, IsKnown) {
#ifdef __linux__
  const Machine machine = DescribeMachine();
  EXPECT_GT(machine.memory_bytes, 64 * kMega);
  EXPECT_LE(machine.available_bytes, machine.memory_bytes);
#else
  GTEST_SKIP() << "only Linux is asked";
#endif
}

}  // namespace
}  // namespace slm
