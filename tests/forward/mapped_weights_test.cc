// Weights stay the file's own pages: read when they are needed, never copied or locked, dropped and read again at any
// time. That is what lets a file larger than memory run.

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "file/model_file_impl.h"
#include "slm/model_file.h"
#include "support/fixture.h"
#include "support/memory_map.h"
#include "tiny_gguf.h"

namespace slm::test {
namespace {

namespace fs = std::filesystem;

class MappedWeightsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists("/proc/self/smaps")) GTEST_SKIP() << "the system does not tell what is in memory";
    path_ = fs::path(testing::TempDir()) / ("slm_mapped_weights_" + std::to_string(::getpid()) + ".gguf");
  }
  void TearDown() override { fs::remove(path_); }

  // Gives the pages back to the system, as it takes them itself when memory is short.
  static void Drop(const Model& model) {
    for (const MappedFile& mapping : Internal::Impl(model.file()).mappings) {
      void* const begin = const_cast<std::byte*>(mapping.bytes().data());
      ASSERT_EQ(::madvise(begin, mapping.bytes().size(), MADV_DONTNEED), 0);
    }
  }

  fs::path path_;
};

TEST_F(MappedWeightsTest, OpeningReadsNoWeights) {
  constexpr std::size_t kBytes = 16 << 20;
  TinyGguf().AddTensor("big", Format::kF32, {kBytes / 4}, std::string(kBytes, '\0')).Write(path_);
  const ModelFile file = ModelFile::Open(path_).value();
  const std::optional<MapUse> use = FindMapUse(path_);
  ASSERT_TRUE(use);
  EXPECT_GE(use->size, kBytes);
  EXPECT_LT(use->resident, kBytes / 4);  // the header, and the large page it may lie in
}

TEST_F(MappedWeightsTest, RunningCopiesAndLocksNothing) {
  fs::copy(FindFixture("q4_0").model(), path_);
  const Model model = OpenOrThrow(path_);
  AllLogits(model, {.threads = 2}, FindFixture("q4_0").Prompt());
  const std::optional<MapUse> use = FindMapUse(path_);
  ASSERT_TRUE(use);
  EXPECT_GT(use->resident, 0u);
  EXPECT_EQ(use->anonymous, 0u);
  EXPECT_EQ(use->locked, 0u);
}

TEST_F(MappedWeightsTest, PagesThatWereDroppedAreReadAgain) {
  const Fixture fixture = FindFixture("q4_0");
  fs::copy(fixture.model(), path_);
  const Model model = OpenOrThrow(path_);
  const std::vector<Token> prompt = fixture.Prompt();
  const std::vector<float> expected = AllLogits(model, {.threads = 2}, prompt);
  Drop(model);
  EXPECT_EQ(FindMapUse(path_)->resident, 0u);
  EXPECT_TRUE(SameBits(AllLogits(model, {.threads = 2}, prompt), expected));
  // In the middle of a text too.
  Session session = SessionOrThrow(model, {.threads = 2});
  std::vector<float> last;
  for (const Token token : prompt) {
    const std::span<const float> logits = session.Append({&token, 1}).value();
    last.assign(logits.begin(), logits.end());
    Drop(model);
  }
  EXPECT_TRUE(SameBits(last, std::span(expected).last(last.size())));
}

}  // namespace
}  // namespace slm::test
