#include "energy_meter.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>

#include "support/run_program.h"

namespace slm::tools {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kRange = 262'143'328'850;  // of Intel packages, microjoules

class EnergyMeterTest : public testing::Test {
 protected:
  std::string Root() const { return folder_.path().string(); }

  void Write(const std::string& zone, const std::string& file, std::string_view text) const {
    fs::create_directories(folder_.path() / zone);
    folder_.Write(zone + "/" + file, text);
  }

  void WriteZone(const std::string& zone, const std::string& name, std::uint64_t energy) const {
    Write(zone, "name", name + "\n");
    Write(zone, "max_energy_range_uj", std::to_string(kRange) + "\n");
    SetEnergy(zone, energy);
  }

  void SetEnergy(const std::string& zone, std::uint64_t energy) const {
    Write(zone, "energy_uj", std::to_string(energy) + "\n");
  }

  // There are no joules, and the reason has these parts.
  static void ExpectNone(const EnergyMeter& meter, std::initializer_list<std::string> parts) {
    EXPECT_TRUE(std::isnan(meter.Joules()));
    for (const std::string& part : parts) EXPECT_NE(meter.reason().find(part), std::string::npos) << meter.reason();
  }

  const test::TemporaryFolder folder_;
};

TEST_F(EnergyMeterTest, CountsFromWhenItWasMade) {
  WriteZone("intel-rapl:0", "package-0", 5'000'000);
  const EnergyMeter meter(Root());
  EXPECT_EQ(meter.reason(), "");
  EXPECT_EQ(meter.Joules(), 0);
  SetEnergy("intel-rapl:0", 7'500'000);
  EXPECT_DOUBLE_EQ(meter.Joules(), 2.5);
  EXPECT_DOUBLE_EQ(meter.Joules(), 2.5);
  SetEnergy("intel-rapl:0", 8'000'000);
  EXPECT_DOUBLE_EQ(meter.Joules(), 3);
}

TEST_F(EnergyMeterTest, CounterStartsAgainAtItsRange) {
  WriteZone("intel-rapl:0", "package-0", kRange - 1'000'000);
  const EnergyMeter meter(Root());
  SetEnergy("intel-rapl:0", 500'000);
  EXPECT_DOUBLE_EQ(meter.Joules(), 1.5);
  SetEnergy("intel-rapl:0", kRange);
  EXPECT_DOUBLE_EQ(meter.Joules(), 1 + 1e-6 * kRange);
  SetEnergy("intel-rapl:0", 0);
  EXPECT_DOUBLE_EQ(meter.Joules(), 1 + 1e-6 * kRange);
}

TEST_F(EnergyMeterTest, SumsPackagesAndNothingElse) {
  const char* const kPackages[] = {"intel-rapl:0", "intel-rapl:1"};
  const char* const kOthers[] = {"intel-rapl:0:0", "intel-rapl:0:1", "intel-rapl:0:2", "intel-rapl:2",
                                 "intel-rapl-mmio:0"};
  WriteZone("intel-rapl:0", "package-0", 0);
  WriteZone("intel-rapl:0:0", "core", 0);
  WriteZone("intel-rapl:0:1", "uncore", 0);
  WriteZone("intel-rapl:0:2", "dram", 0);
  WriteZone("intel-rapl:1", "package-1", 0);
  WriteZone("intel-rapl:2", "psys", 0);
  WriteZone("intel-rapl-mmio:0", "package-0", 0);  // the same package, read in another way
  Write("intel-rapl", "enabled", "1\n");           // the control type itself, no zone
  const EnergyMeter meter(Root());
  EXPECT_EQ(meter.reason(), "");
  for (const char* zone : kPackages) SetEnergy(zone, 1'000'000);
  for (const char* zone : kOthers) SetEnergy(zone, 50'000'000);
  EXPECT_DOUBLE_EQ(meter.Joules(), 2);
}

// In the kernel's folder zones are links.
TEST_F(EnergyMeterTest, FollowsLinks) {
  WriteZone("devices/rapl0", "package-0", 0);
  fs::create_directories(folder_.path() / "class");
  fs::create_directory_symlink(folder_.path() / "devices/rapl0", folder_.path() / "class/intel-rapl:0");
  const EnergyMeter meter((folder_.path() / "class").string());
  SetEnergy("devices/rapl0", 4'000'000);
  EXPECT_DOUBLE_EQ(meter.Joules(), 4);
}

TEST_F(EnergyMeterTest, SaysThatThereIsNoInterface) {
  const std::string missing = Root() + "/missing";
  ExpectNone(EnergyMeter(missing), {missing, "does not exist"});
}

TEST_F(EnergyMeterTest, EmptyRootIsTheSystems) {
  const EnergyMeter meter("");
  if (meter.reason().empty()) {
    EXPECT_GE(meter.Joules(), 0);
  } else {
    ExpectNone(meter, {EnergyMeter::kSystemRoot});
  }
}

TEST_F(EnergyMeterTest, SaysThatNoPackageIsCounted) {
  WriteZone("intel-rapl:0", "psys", 1);
  ExpectNone(EnergyMeter(Root()), {Root(), "package"});
}

// Linux lets only root read the counter, since it tells attackers what is computed.
TEST_F(EnergyMeterTest, SaysWhatNeedsPermission) {
  constexpr uid_t kNobody = 65534;
  WriteZone("intel-rapl:0", "package-0", 1);
  const fs::path counter = folder_.path() / "intel-rapl:0/energy_uj";
  fs::permissions(counter, fs::perms::none);
  fs::permissions(folder_.path(), fs::perms::all);
  const uid_t user = geteuid();
  if (user == 0) {
    ASSERT_EQ(seteuid(kNobody), 0);
  }
  const EnergyMeter meter(Root());
  ASSERT_EQ(seteuid(user), 0);
  ExpectNone(meter, {counter.string(), "Permission denied", "root"});
}

TEST_F(EnergyMeterTest, SaysWhatIsDamaged) {
  for (const char* file : {"energy_uj", "max_energy_range_uj"}) {
    for (const char* text : {"", "\n", "-1\n", "1 2\n", "many\n", "99999999999999999999\n"}) {
      WriteZone("intel-rapl:0", "package-0", 1);
      Write("intel-rapl:0", file, text);
      ExpectNone(EnergyMeter(Root()), {Root() + "/intel-rapl:0/" + file});
    }
    fs::remove(folder_.path() / "intel-rapl:0" / file);
    ExpectNone(EnergyMeter(Root()), {file, "No such file"});
    fs::create_directory(folder_.path() / "intel-rapl:0" / file);
    ExpectNone(EnergyMeter(Root()), {file, "directory"});
    fs::remove(folder_.path() / "intel-rapl:0" / file);
  }
}

// A sum without one of the packages would be wrong.
TEST_F(EnergyMeterTest, AllPackagesOrNone) {
  WriteZone("intel-rapl:0", "package-0", 1);
  WriteZone("intel-rapl:1", "package-1", 1);
  Write("intel-rapl:1", "energy_uj", "?\n");
  const EnergyMeter meter(Root());
  ExpectNone(meter, {"intel-rapl:1/energy_uj"});
}

TEST_F(EnergyMeterTest, CounterLostOnTheWayIsNoFigure) {
  WriteZone("intel-rapl:0", "package-0", 1);
  const EnergyMeter meter(Root());
  Write("intel-rapl:0", "energy_uj", "?\n");
  EXPECT_TRUE(std::isnan(meter.Joules()));
  SetEnergy("intel-rapl:0", 2);
  EXPECT_TRUE(std::isnan(meter.Joules()));
}

// A counter beyond its own range that falls: how often it has started again can't be known.
TEST_F(EnergyMeterTest, CounterBeyondItsRangeIsNoFigure) {
  WriteZone("intel-rapl:0", "package-0", 2000);
  Write("intel-rapl:0", "max_energy_range_uj", "1000\n");
  const EnergyMeter meter(Root());
  SetEnergy("intel-rapl:0", 100);
  EXPECT_TRUE(std::isnan(meter.Joules()));
}

}  // namespace
}  // namespace slm::tools
