// Models split into several files: found by their names, checked against each other, seen as one.

#include "file/split_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "slm/model_file.h"
#include "tiny_gguf.h"

namespace slm::test {
namespace {

namespace fs = std::filesystem;

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// What a part says of itself; empty: the key is absent.
struct Keys {
  std::optional<std::uint16_t> number;
  std::optional<std::uint16_t> count;
  std::optional<std::int32_t> tensors;
};

TinyGguf Part(const Keys& keys) {
  TinyGguf part;
  if (keys.number) part.Set("split.no", *keys.number);
  if (keys.count) part.Set("split.count", *keys.count);
  if (keys.tensors) part.Set("split.tensors.count", *keys.tensors);
  return part;
}

// A folder with a model of 4 tensors in 3 parts, which tests then spoil.
class SplitFileTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(testing::TempDir()) / ("slm_split_" + std::to_string(::getpid()) + test->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    Write(kFirst,
          Part({0, 3, 4}).Set("general.architecture", "llama").Set("general.name", "Tiny").AddF32("a", {2}, kData));
    Write(kSecond, Part({1, 3, 4}).AddF32("b", {2}, kData).AddF32("c", {1}, std::span(kData).first(1)));
    Write(kThird, Part({2, 3, 4}).AddF32("d", {2}, kData));
  }
  void TearDown() override { fs::remove_all(folder_); }

  void Write(std::string_view name, const TinyGguf& file) const { file.Write(folder_ / name); }
  Result<ModelFile> Open(std::string_view name) const { return ModelFile::Open(folder_ / name); }

  void ExpectFails(StatusCode code, const testing::Matcher<std::string>& message,
                   std::string_view open = kFirst) const {
    const Result<ModelFile> file = Open(open);
    EXPECT_EQ(file.status().code(), code);
    EXPECT_THAT(file.status().message(), message);
  }

  static constexpr std::string_view kFirst = "tiny-00001-of-00003.gguf";
  static constexpr std::string_view kSecond = "tiny-00002-of-00003.gguf";
  static constexpr std::string_view kThird = "tiny-00003-of-00003.gguf";
  static constexpr float kData[] = {1, 2};
  fs::path folder_;
};

TEST_F(SplitFileTest, OpeningAnyPartOpensAll) {
  for (const std::string_view name : {kFirst, kSecond, kThird}) {
    const Result<ModelFile> file = Open(name);
    ASSERT_TRUE(file.ok()) << file.status().message();
    EXPECT_EQ(file->name(), "Tiny");
    EXPECT_EQ(file->architecture(), "llama");
    std::vector<std::string> names;
    std::vector<std::size_t> parts;
    for (const TensorInfo& tensor : file->tensors()) {
      names.emplace_back(tensor.name);
      parts.push_back(tensor.part);
    }
    EXPECT_THAT(names, ElementsAre("a", "b", "c", "d"));
    EXPECT_THAT(parts, ElementsAre(0, 1, 1, 2));
    EXPECT_EQ(file->parameter_count(), 7u);
  }
}

TEST_F(SplitFileTest, SizesAndPathsAreThoseOfTheParts) {
  const ModelFile file = Open(kSecond).value();
  ASSERT_EQ(file.parts().size(), 3u);
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    const fs::path path = folder_ / std::vector{kFirst, kSecond, kThird}[i];
    EXPECT_EQ(file.parts()[i].path, path.string());
    EXPECT_EQ(file.parts()[i].size, fs::file_size(path));
    total += fs::file_size(path);
  }
  EXPECT_EQ(file.size(), total);
  // An offset counts from the beginning of the tensor's own part.
  for (const TensorInfo& tensor : file.tensors())
    EXPECT_LE(tensor.file_offset + tensor.size, file.parts()[tensor.part].size) << tensor.name;
}

TEST_F(SplitFileTest, DataIsThatOfTheTensorsOwnPart) {
  const float other[] = {5, 7};
  Write(kThird, Part({2, 3, 4}).AddF32("d", {2}, other));
  std::vector<GgufPart> parts = OpenAllParts(OpenPart(folder_ / kFirst).value()).value();
  ASSERT_EQ(parts.size(), 3u);
  GgufFile file = parts[0].gguf;
  ASSERT_TRUE(file.AddPart(parts[1].gguf).ok());
  ASSERT_TRUE(file.AddPart(parts[2].gguf).ok());
  const auto value = [&](const char* name) {
    float number;
    std::memcpy(&number, file.FindTensor(name)->data.data() + sizeof(float), sizeof(number));
    return number;
  };
  EXPECT_EQ(value("a"), 2);
  EXPECT_EQ(value("d"), 7);
}

TEST_F(SplitFileTest, MissingPartsAreNamed) {
  fs::remove(folder_ / kThird);
  ExpectFails(StatusCode::kNotFound,
              AllOf(HasSubstr("part 1 of a model split into 3"), HasSubstr(std::string(kThird) + " is missing"),
                    Not(HasSubstr(std::string(kSecond) + ","))));
  fs::remove(folder_ / kFirst);
  ExpectFails(
      StatusCode::kNotFound,
      AllOf(HasSubstr("part 2 of"), HasSubstr(std::string(kFirst) + ", " + std::string(kThird) + " are missing")),
      kSecond);
}

TEST_F(SplitFileTest, ManyMissingPartsAreCounted) {
  const std::string name = "many-00100-of-60000.gguf";
  Write(name, Part({99, 60000, {}}));
  ExpectFails(StatusCode::kNotFound,
              AllOf(HasSubstr("many-00001-of-60000.gguf, many-00002-of-60000.gguf"), HasSubstr("and 59994 more")),
              name);
}

TEST_F(SplitFileTest, NamesMustSayWhichPartItIs) {
  const std::string expected = "-00002-of-00003.gguf";
  for (const std::string name :
       {"tiny.gguf", "tiny-00001-of-00002.gguf", "tiny-2-of-3.gguf", "tiny-00002-of-00003.gguf.1"}) {
    fs::copy(folder_ / kSecond, folder_ / name);
    ExpectFails(StatusCode::kNotFound,
                AllOf(HasSubstr(name), HasSubstr("part 2 of a model split into 3"), HasSubstr(expected),
                      HasSubstr("original names")),
                name);
  }
}

TEST_F(SplitFileTest, PartsJoinedEndToEndAreRecognised) {
  std::ofstream joined(folder_ / "joined.gguf", std::ios::binary);
  for (const std::string_view name : {kFirst, kSecond, kThird})
    joined << std::ifstream(folder_ / name, std::ios::binary).rdbuf();
  joined.close();
  ExpectFails(StatusCode::kCorruptFile, AllOf(HasSubstr("joined end to end"), HasSubstr("file of its own")),
              "joined.gguf");
}

TEST_F(SplitFileTest, AnotherPartUnderTheNameIsSaid) {
  fs::copy(folder_ / kThird, folder_ / kSecond, fs::copy_options::overwrite_existing);
  ExpectFails(StatusCode::kCorruptFile,
              AllOf(HasSubstr(std::string(kSecond)), HasSubstr("expected part 2 of 3 (split.no 1, split.count 3)"),
                    HasSubstr("found split.no 2, split.count 3"), HasSubstr("do not belong together")));
}

TEST_F(SplitFileTest, APartOfAnotherSplitIsSaid) {
  Write(kSecond, Part({1, 4, 4}).AddF32("b", {2}, kData));
  ExpectFails(StatusCode::kCorruptFile,
              AllOf(HasSubstr(std::string(kSecond)), HasSubstr("found split.no 1, split.count 4")));
  Write(kSecond, TinyGguf().AddF32("b", {2}, kData));
  ExpectFails(StatusCode::kCorruptFile,
              AllOf(HasSubstr(std::string(kSecond)), HasSubstr("found a file that is no part")));
}

TEST_F(SplitFileTest, APartOfAnotherArchitectureIsSaid) {
  Write(kSecond, Part({1, 3, 4}).Set("general.architecture", "gemma3").AddF32("b", {2}, kData).AddF32("c", {2}, kData));
  ExpectFails(StatusCode::kCorruptFile,
              AllOf(HasSubstr(std::string(kSecond)), HasSubstr("expected a part of a model of architecture \"llama\""),
                    HasSubstr("found \"gemma3\"")));
  // Saying the same, or nothing, is fine.
  Write(kSecond, Part({1, 3, 4}).Set("general.architecture", "llama").AddF32("b", {2}, kData).AddF32("c", {2}, kData));
  EXPECT_TRUE(Open(kFirst).ok());
}

TEST_F(SplitFileTest, TensorsAreCounted) {
  Write(kSecond, Part({1, 3, 4}).AddF32("b", {2}, kData));
  ExpectFails(StatusCode::kCorruptFile,
              AllOf(HasSubstr("expected 4 tensors in all parts (split.tensors.count)"), HasSubstr("found 3")));
  // Also if only a later part says so.
  Write(kFirst, Part({0, 3, {}}).Set("general.architecture", "llama").AddF32("a", {2}, kData));
  ExpectFails(StatusCode::kCorruptFile,
              AllOf(HasSubstr(std::string(kSecond)), HasSubstr("expected 4 tensors"), HasSubstr("found 3")));
}

TEST_F(SplitFileTest, TensorsInTwoPartsAreNamed) {
  Write(kThird, Part({2, 3, 4}).AddF32("b", {2}, kData));
  ExpectFails(StatusCode::kCorruptFile,
              AllOf(HasSubstr(std::string(kFirst)), HasSubstr("tensor \"b\" occurs in two parts, 2 and 3")));
}

TEST_F(SplitFileTest, DamagedPartsAreNamed) {
  fs::resize_file(folder_ / kSecond, fs::file_size(folder_ / kSecond) - 32);
  ExpectFails(StatusCode::kCorruptFile, AllOf(HasSubstr(std::string(kSecond)), HasSubstr("file truncated")));
  std::ofstream(folder_ / kSecond, std::ios::binary | std::ios::trunc)
      << "version https://git-lfs.github.com/spec/v1\n";
  ExpectFails(StatusCode::kUnsupported, AllOf(HasSubstr(std::string(kSecond)), HasSubstr("Git-LFS pointer")));
}

TEST_F(SplitFileTest, KeysThatMakeNoSenseAreNamed) {
  const auto fails = [&](const TinyGguf& first, const std::string& key, const std::string& found) {
    Write(kFirst, first);
    ExpectFails(StatusCode::kCorruptFile,
                AllOf(HasSubstr(std::string(kFirst)), HasSubstr(key), HasSubstr("found " + found)));
  };
  fails(Part({3, 3, {}}), "expected split.no from 0 to 2", "3");
  fails(Part({{}, 3, {}}), "expected split.no from 0 to 2", "none");
  fails(TinyGguf().Set("split.count", "three"), "split.count", "three (string)");
  fails(TinyGguf().Set("split.count", -3), "split.count", "-3 (i32)");
  fails(Part({{}, 3, -1}).Set("split.no", std::uint16_t{0}), "split.tensors.count", "-1 (i32)");
}

// Even where the file's name agrees: nobody has looked for ten million files before that is said.
TEST_F(SplitFileTest, PartsAreBounded) {
  for (const std::string count : {"65536", "10000000", "18446744073709551615"}) {
    const std::string name = "part-00001-of-" + count + ".gguf";
    Write(name, TinyGguf().Set("split.no", 0u).Set("split.count", std::stoull(count)));
    ExpectFails(StatusCode::kCorruptFile, AllOf(HasSubstr("one of " + count), HasSubstr("at most 65535")), name);
  }
}

TEST_F(SplitFileTest, PartsAreLoadedIntoMemoryTogether) {
  const ModelFile file = ModelFile::Load(folder_ / kSecond).value();
  for (const std::string_view part : {kFirst, kSecond, kThird}) fs::resize_file(folder_ / part, 0);
  EXPECT_EQ(file.tensors().size(), 4u);
  EXPECT_TRUE(file.FindBadNumbers().empty());
}

TEST_F(SplitFileTest, OnePartIsAWholeModelUnderAnyName) {
  Write("whole.gguf", Part({0, 1, 1}).AddF32("a", {2}, kData));
  EXPECT_TRUE(Open("whole.gguf").ok());
  // A name alone makes no part.
  Write("whole-00001-of-00009.gguf", TinyGguf().AddF32("a", {2}, kData));
  EXPECT_EQ(Open("whole-00001-of-00009.gguf")->parts().size(), 1u);
}

}  // namespace
}  // namespace slm::test
