// A file that is written whole or not at all, whatever gets in the way.

#include "file/atomic_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "support/test_data.h"

namespace slm::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class AtomicFileTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(testing::TempDir()) / ("slm_atomic_" + std::to_string(::getpid()) + test->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path path() const { return folder_ / "file"; }
  std::ptrdiff_t FilesInFolder() const { return std::distance(fs::directory_iterator(folder_), {}); }
  static Status WriteAll(AtomicFile& file, std::string_view text, std::size_t piece) {
    for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) {
      const Status status = file.Write(std::as_bytes(std::span(text.substr(0, piece))));
      if (!status.ok()) return status;
    }
    return {};
  }
  Status Save(std::string_view text, std::size_t piece = 1000) const {
    Result<AtomicFile> file = AtomicFile::Create(path());
    if (!file.ok()) return file.status();
    const Status status = WriteAll(*file, text, piece);
    return status.ok() ? file->Commit() : status;
  }

  fs::path folder_;
};

// Pieces smaller and larger than the buffer.
TEST_F(AtomicFileTest, HoldsWhatWasWritten) {
  std::string text;
  for (int i = 0; text.size() < 1'500'000; ++i) text += std::to_string(i);
  for (const std::size_t piece : {std::size_t{7}, std::size_t{100'000}, std::size_t{400'000}, text.size()}) {
    ASSERT_TRUE(Save(text, piece).ok());
    EXPECT_EQ(ReadFile(path()), text) << piece;
  }
  ASSERT_TRUE(Save("").ok());
  EXPECT_EQ(ReadFile(path()), "");
  EXPECT_EQ(FilesInFolder(), 1);
}

TEST_F(AtomicFileTest, OnlyItsOwnerMayReadIt) {
  std::ofstream(path()) << "readable";
  fs::permissions(path(), fs::perms(0644));
  const mode_t mask = ::umask(0);
  ASSERT_TRUE(Save("private").ok());
  ::umask(mask);
  EXPECT_EQ(fs::status(path()).permissions(), fs::perms(0600));
}

TEST_F(AtomicFileTest, UncommittedLeavesTheOldFile) {
  ASSERT_TRUE(Save("old").ok());
  {
    AtomicFile file = AtomicFile::Create(path()).value();
    ASSERT_TRUE(WriteAll(file, std::string(1'000'000, 'x'), 1000).ok());
    EXPECT_EQ(FilesInFolder(), 2);
    EXPECT_EQ(ReadFile(path()), "old");
    AtomicFile moved = std::move(file);
  }
  EXPECT_EQ(ReadFile(path()), "old");
  EXPECT_EQ(FilesInFolder(), 1);
}

TEST_F(AtomicFileTest, RefusesWhatIsNoFile) {
  const Status folder = AtomicFile::Create(folder_).status();
  EXPECT_EQ(folder.code(), StatusCode::kIoError);
  EXPECT_THAT(folder.message(), HasSubstr(folder_.string()));
  const Status missing = AtomicFile::Create(folder_ / "nowhere" / "file").status();
  EXPECT_EQ(missing.code(), StatusCode::kNotFound);
  EXPECT_THAT(missing.message(), HasSubstr("nowhere/file: No such file"));
  ASSERT_EQ(::mkfifo(path().c_str(), 0600), 0);
  EXPECT_EQ(AtomicFile::Create(path()).status().code(), StatusCode::kIoError);
  EXPECT_TRUE(fs::is_fifo(path()));
  EXPECT_EQ(FilesInFolder(), 1);
}

// A limit on the size of files stands in for a full disk, in a process of its own.
TEST_F(AtomicFileTest, AFailedWriteLeavesTheOldFileAndNothingElse) {
  ASSERT_TRUE(Save("old").ok());
  for (const std::size_t size : {std::size_t{100'000}, std::size_t{2'000'000}}) {  // fails in Commit, and in Write
    const pid_t child = ::fork();
    if (child == 0) {
      ::signal(SIGXFSZ, SIG_IGN);
      const rlimit limit = {10'000, 10'000};
      ::setrlimit(RLIMIT_FSIZE, &limit);
      const Status status = Save(std::string(size, 'x'));
      const bool told = status.code() == StatusCode::kIoError &&
                        status.message().find("file: File too large; ") != std::string::npos &&
                        status.message().find("unchanged") != std::string::npos;
      ::_exit(told ? 0 : 1);
    }
    int state = 0;
    ASSERT_EQ(::waitpid(child, &state, 0), child);
    EXPECT_TRUE(WIFEXITED(state) && WEXITSTATUS(state) == 0);
    EXPECT_EQ(ReadFile(path()), "old");
    EXPECT_EQ(FilesInFolder(), 1);
  }
}

}  // namespace
}  // namespace slm::test
