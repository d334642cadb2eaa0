#include "slm/version.h"

#include <gtest/gtest.h>

namespace slm {
namespace {

TEST(VersionTest, IsThatOfThePackage) { EXPECT_EQ(Version(), SLM_PACKAGE_VERSION); }

}  // namespace
}  // namespace slm
