// What GgufWriter writes, read by the GgufFile of this library and compared byte for byte with TinyGguf's, which shares
// no code with it.

#include "file/gguf_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <string>
#include <vector>

#include "slm/model_file.h"
#include "support/test_data.h"
#include "tiny_gguf.h"

namespace slm::test {
namespace {

using ::testing::HasSubstr;

class GgufWriterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        std::filesystem::path(::testing::TempDir()) / ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
};

std::vector<float> Numbers(std::size_t count) {
  std::vector<float> numbers(count);
  for (std::size_t i = 0; i < count; ++i) numbers[i] = static_cast<float>(i) / 8;
  return numbers;
}

TEST_F(GgufWriterTest, WritesWhatTheFormatSays) {
  GgufMetadata metadata;
  metadata.Set("general.architecture", "llama");
  metadata.Set("llama.block_count", 2u);
  metadata.Set("replaced", "soon");
  metadata.Set("some.f32", 0.5f);
  metadata.Set("some.flag", true);
  metadata.Set("some.texts", std::vector<std::string>{"a", "", "bcd"});
  metadata.Set("some.ids", std::vector<std::int32_t>{-1, 7});
  metadata.Set("some.flags", std::vector<bool>{true, false});
  metadata.Set("replaced", std::uint64_t{9});
  metadata.Set("general.alignment", 64u);  // of the file it came from
  metadata.Set("dropped", 1u);
  metadata.Remove("dropped");
  EXPECT_TRUE(metadata.Has("replaced"));
  EXPECT_FALSE(metadata.Has("dropped"));

  const std::vector<float> a = Numbers(6), b = Numbers(5);
  Result<GgufWriter> writer =
      GgufWriter::Create(folder_ / "model.gguf", metadata, {{"a", Format::kF32, {3, 2}}, {"b", Format::kF32, {5}}});
  ASSERT_TRUE(writer.ok()) << writer.status().message();
  std::vector<float> all = a;
  all.insert(all.end(), b.begin(), b.end());
  const auto bytes = std::as_bytes(std::span(all));
  ASSERT_TRUE(writer->Write(bytes.first(10)).ok());  // in pieces that have nothing to do with tensors
  ASSERT_TRUE(writer->Write(bytes.subspan(10)).ok());
  EXPECT_FALSE(std::filesystem::exists(folder_ / "model.gguf"));
  ASSERT_TRUE(writer->Commit().ok());

  TinyGguf expected;
  expected.Set("general.architecture", "llama").Set("llama.block_count", 2u).Set("replaced", std::uint64_t{9});
  expected.Set("some.f32", 0.5f).Set("some.flag", true);
  expected.Set("some.texts", std::vector<std::string>{"a", "", "bcd"});
  expected.Set("some.ids", std::vector<std::int32_t>{-1, 7});
  expected.SetRaw("some.flags", 9, RawBytes().U32(7).U64(2).U8(1).U8(0).str());
  expected.AddF32("a", {3, 2}, a).AddF32("b", {5}, b);
  const std::string written = ReadFile(folder_ / "model.gguf");
  EXPECT_EQ(written, expected.Build());
  EXPECT_EQ(writer->total_bytes(), written.size());
}

TEST_F(GgufWriterTest, CopiesAFilesMetadata) {
  const std::filesystem::path path = DataPath("models/llama_f16/model.gguf");
  const std::string bytes = ReadFile(path);
  const Result<GgufFile> file = GgufFile::Parse(std::as_bytes(std::span(bytes)), "file");
  ASSERT_TRUE(file.ok()) << file.status().message();
  const GgufMetadata copy(*file);
  EXPECT_EQ(copy.Bytes(), bytes.substr(24, copy.Bytes().size()));  // after magic, version and two counts
  EXPECT_EQ(copy.size(), file->entries().size());
}

TEST_F(GgufWriterTest, SplitsLargeModels) {
  GgufMetadata metadata;
  metadata.Set("general.architecture", "llama");
  const std::vector<float> numbers = Numbers(16);  // 64 bytes
  Result<GgufWriter> writer =
      GgufWriter::Create(folder_ / "model.gguf", metadata,
                         {{"a", Format::kF32, {16}}, {"b", Format::kF32, {16}}, {"c", Format::kF32, {16}}}, 130);
  ASSERT_TRUE(writer.ok()) << writer.status().message();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(writer->Write(std::as_bytes(std::span(numbers))).ok());
  ASSERT_TRUE(writer->Commit().ok());
  EXPECT_THAT(writer->paths(),
              ::testing::ElementsAre(folder_ / "model-00001-of-00002.gguf", folder_ / "model-00002-of-00002.gguf"));
  const Result<ModelFile> file = ModelFile::Open(writer->paths().front());
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->size(), writer->total_bytes());
  ASSERT_EQ(file->tensors().size(), 3u);
  EXPECT_EQ(file->tensors()[1].part, 0u);
  EXPECT_EQ(file->tensors()[2].part, 1u);
}

TEST_F(GgufWriterTest, LeavesNothingBehindUnfinished) {
  {
    Result<GgufWriter> writer = GgufWriter::Create(folder_ / "model.gguf", {}, {{"a", Format::kF32, {16}}});
    ASSERT_TRUE(writer.ok()) << writer.status().message();
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(GgufWriterTest, TheFileIsReadableAsTheUmaskSays) {
  const ::mode_t before = ::umask(022);
  Result<GgufWriter> writer = GgufWriter::Create(folder_ / "model.gguf", {}, {});
  ::umask(before);
  ASSERT_TRUE(writer.ok() && writer->Commit().ok());
  struct ::stat info = {};
  ASSERT_EQ(::stat((folder_ / "model.gguf").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0644u);
}

TEST_F(GgufWriterTest, RefusesWhatNoReaderTakes) {
  const auto refusal = [&](TensorHeader tensor) {
    const Result<GgufWriter> writer = GgufWriter::Create(folder_ / "model.gguf", {}, {std::move(tensor)});
    return writer.ok() ? "none" : writer.status().message();
  };
  EXPECT_THAT(refusal({"", Format::kF32, {1}}), HasSubstr("its name has 0 bytes"));
  EXPECT_THAT(refusal({std::string(64, 'x'), Format::kF32, {1}}), HasSubstr("its name has 64 bytes"));
  EXPECT_THAT(refusal({"a", Format::kF32, {}}), HasSubstr("1 to 4 dimensions"));
  EXPECT_THAT(refusal({"a", Format::kF32, {2, 0}}), HasSubstr("none of them 0"));
  EXPECT_THAT(refusal({"a", Format::kQ8_0, {33}}), HasSubstr("its rows of 33 numbers are no whole blocks of 32"));
  const Result<GgufWriter> twice =
      GgufWriter::Create(folder_ / "model.gguf", {}, {{"a", Format::kF32, {1}}, {"a", Format::kF32, {1}}});
  ASSERT_FALSE(twice.ok());
  EXPECT_THAT(twice.status().message(), HasSubstr("there are two of that name"));
}

TEST_F(GgufWriterTest, SaysWhenTheDiskHasNoRoom) {
  const Result<GgufWriter> writer =
      GgufWriter::Create(folder_ / "model.gguf", {}, {{"a", Format::kF32, {std::uint64_t{1} << 44}}});
  ASSERT_FALSE(writer.ok());
  EXPECT_EQ(writer.status().code(), StatusCode::kIoError);
  EXPECT_THAT(writer.status().message(), HasSubstr("the disk has room for"));
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

}  // namespace
}  // namespace slm::test
