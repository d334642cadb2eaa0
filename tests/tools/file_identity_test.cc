#include "file_identity.h"

#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <string>

#include "support/run_program.h"

namespace slm::tools {
namespace {

namespace fs = std::filesystem;

class FileIdentityTest : public testing::Test {
 protected:
  void SetUp() override {
    before_ = fs::current_path();
    fs::current_path(folder_.path());
    here_ = fs::current_path();
  }
  void TearDown() override { fs::current_path(before_); }

  fs::path Resolved(const fs::path& path) {
    const Result<fs::path> resolved = ResolvePath(path);
    EXPECT_TRUE(resolved.ok()) << resolved.status().message();
    return resolved.ok() ? *resolved : fs::path();
  }

  test::TemporaryFolder folder_;
  fs::path before_, here_;
};

// However a file is called, before it is there and after.
TEST_F(FileIdentityTest, OneFileHasOnePath) {
  fs::create_directory("sub");
  fs::create_symlink("sub", "linked");
  fs::create_symlink("new", "link");
  fs::create_symlink(here_ / "link", "link-to-link");
  const std::array<fs::path, 9> names = {"new",         "./new",         "sub/../new",
                                         here_ / "new", "linked/../new", here_ / "./new",
                                         "link",        "link-to-link",  fs::path("..") / here_.filename() / "new"};
  for (const fs::path& name : names) EXPECT_EQ(Resolved(name), here_ / "new") << name;
  folder_.Write("new", "x");
  for (const fs::path& name : names) EXPECT_EQ(Resolved(name), here_ / "new") << name;
  EXPECT_EQ(Resolved("linked/later"), here_ / "sub" / "later");
}

TEST_F(FileIdentityTest, FollowsLinksThatLeadNowhereYet) {
  fs::create_symlink("later", "folder");
  fs::create_symlink("folder/deep/down", "file");
  EXPECT_EQ(Resolved("folder/x"), here_ / "later" / "x");
  EXPECT_EQ(Resolved("file"), here_ / "later" / "deep" / "down");
  fs::create_symlink("round", "and");
  fs::create_symlink("and", "round");
  EXPECT_EQ(ResolvePath("round").status().code(), StatusCode::kIoError);
  EXPECT_EQ(ResolvePath("and/x").status().code(), StatusCode::kIoError);
}

TEST_F(FileIdentityTest, SamePlaceOnTheDisk) {
  folder_.Write("a", "x");
  folder_.Write("b", "x");
  fs::create_hard_link("a", "other-name");
  EXPECT_TRUE(IsSameFile(here_ / "a", here_ / "other-name"));
  EXPECT_FALSE(IsSameFile(here_ / "a", here_ / "b"));
  EXPECT_TRUE(IsSameFile(here_ / "none", here_ / "none"));
  EXPECT_FALSE(IsSameFile(here_ / "none", here_ / "a"));
}

TEST_F(FileIdentityTest, OutputsDoNotReplaceInputs) {
  folder_.Write("in", "x");
  fs::create_symlink("in", "link");
  const std::array<std::string, 3> inputs = {"in", "-", ""};
  for (const char* const output : {"in", "./in", "link"}) {
    EXPECT_EQ(CheckOutput(output, inputs).code(), StatusCode::kInvalidArgument) << output;
  }
  EXPECT_TRUE(CheckOutput("out", inputs).ok());
}

}  // namespace
}  // namespace slm::tools
