#include "file/mapped_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>

namespace slm {
namespace {

namespace fs = std::filesystem;

class MappedFileTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(testing::TempDir()) / ("slm_mapped_file_" + std::string(test->name()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path Write(const std::string& name, std::string_view text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }

  void ExpectFailure(const fs::path& path, StatusCode code, std::string_view reason) {
    const Result<MappedFile> file = MappedFile::Open(path);
    ASSERT_FALSE(file.ok());
    EXPECT_EQ(file.status().code(), code);
    EXPECT_NE(file.status().message().find(path.string()), std::string::npos) << file.status().message();
    EXPECT_NE(file.status().message().find(reason), std::string::npos) << file.status().message();
  }

  fs::path folder_;
};

std::string_view Text(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

TEST_F(MappedFileTest, HoldsTheBytesOfTheFile) {
  const std::string text = "GGUF" + std::string(10000, 'x') + "end";
  const Result<MappedFile> file = MappedFile::Open(Write("a.bin", text));
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(Text(*file), text);
}

TEST_F(MappedFileTest, OutlivesTheNameOfTheFile) {
  const fs::path path = Write("a.bin", "still here");
  const Result<MappedFile> file = MappedFile::Open(path);
  ASSERT_TRUE(file.ok());
  fs::remove(path);
  EXPECT_EQ(Text(*file), "still here");
}

TEST_F(MappedFileTest, MovingKeepsTheAddress) {
  Result<MappedFile> opened = MappedFile::Open(Write("a.bin", "first"));
  Result<MappedFile> other = MappedFile::Open(Write("b.bin", "second"));
  ASSERT_TRUE(opened.ok() && other.ok());
  const std::byte* const address = opened->bytes().data();
  MappedFile moved = *std::move(opened);
  EXPECT_EQ(moved.bytes().data(), address);
  EXPECT_TRUE(opened->bytes().empty());
  moved = *std::move(other);
  EXPECT_EQ(Text(moved), "second");
}

TEST_F(MappedFileTest, MissingFileIsNotFound) {
  ExpectFailure(folder_ / "none.gguf", StatusCode::kNotFound, "No such file");
  ExpectFailure(Write("file", "x") / "none.gguf", StatusCode::kNotFound, "Not a directory");
  ExpectFailure("", StatusCode::kNotFound, "No such file");
}

TEST_F(MappedFileTest, WhatIsNotAFileWithBytesIsNamed) {
  ExpectFailure(folder_, StatusCode::kIoError, "is a folder");
  ExpectFailure(Write("empty.gguf", ""), StatusCode::kIoError, "is empty");
  ExpectFailure("/dev/null", StatusCode::kIoError, "not a regular file");
}

TEST_F(MappedFileTest, NamedPipeDoesNotBlock) {
  const fs::path pipe = folder_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  ExpectFailure(pipe, StatusCode::kIoError, "not a regular file");
}

TEST_F(MappedFileTest, RefusalOfTheSystemIsPassedOn) {
  const fs::path path = Write("secret.gguf", "x");
  fs::permissions(path, fs::perms::none);
  if (std::ifstream(path).good()) GTEST_SKIP() << "this user may read every file";
  ExpectFailure(path, StatusCode::kIoError, "Permission denied");
}

}  // namespace
}  // namespace slm
