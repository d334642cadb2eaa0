// A model is the same wherever its bytes are: in a file, in the parts of a split one, in memory, behind a descriptor.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "slm/model.h"
#include "slm/model_file.h"
#include "support/fixture.h"
#include "support/tiny_model.h"

namespace slm::test {
namespace {

namespace fs = std::filesystem;

class ModelSourceTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(testing::TempDir()) / ("slm_source_" + std::to_string(::getpid()) + test->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  static std::vector<float> Logits(const Model& model) {
    const Token tokens[] = {3, 17, 4, 39, 5, 5, 8};
    return AllLogits(model, {.threads = 1}, tokens);
  }
  void ExpectSame(const Result<Model>& model) const {
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_TRUE(SameBits(Logits(*model), Logits(tiny_.Open().value())));
    EXPECT_EQ(model->bytes_per_token(), tiny_.Open()->bytes_per_token());
  }

  const TinyModel tiny_{{.tied = false}};
  fs::path folder_;
};

TEST_F(ModelSourceTest, MemoryAtAnyAddress) {
  const std::string built = tiny_.Build();
  for (const std::size_t shift : {0, 1, 4}) {
    std::vector<std::byte> bytes(shift + built.size());
    std::memcpy(bytes.data() + shift, built.data(), built.size());
    ExpectSame(Model::Open(ModelFile::FromMemory(std::span(bytes).subspan(shift), "tiny").value()));
  }
}

TEST_F(ModelSourceTest, Descriptor) {
  const fs::path path = folder_ / "tiny.gguf";
  std::ofstream(path, std::ios::binary) << tiny_.Build();
  const int descriptor = ::open(path.c_str(), O_RDONLY);
  const Result<ModelFile> file = ModelFile::FromDescriptor(descriptor, "tiny");
  ::close(descriptor);
  fs::remove(path);
  ASSERT_TRUE(file.ok()) << file.status().message();
  ExpectSame(Model::Open(*file));
}

TEST_F(ModelSourceTest, Parts) {
  for (const std::size_t parts : {2, 3, 20}) {
    std::string name;
    const std::vector<TinyGguf> files = tiny_.Split(parts);
    for (std::size_t i = 0; i < parts; ++i) {
      const auto five_digits = [](std::size_t n) { return std::string(n < 10 ? "0000" : "000") + std::to_string(n); };
      name = "tiny-" + five_digits(i + 1) + "-of-" + five_digits(parts) + ".gguf";
      files[i].Write(folder_ / name);
    }
    ExpectSame(Model::Open(folder_ / name));  // the last
  }
}

TEST_F(ModelSourceTest, ModelOutlivesTheFileHandle) {
  const fs::path path = folder_ / "tiny.gguf";
  std::ofstream(path, std::ios::binary) << tiny_.Build();
  std::optional<ModelFile> file(ModelFile::Open(path).value());
  const Result<Model> model = Model::Open(*file);
  file.reset();
  fs::remove(path);
  ExpectSame(model);
}

TEST_F(ModelSourceTest, AFileReplacedByRenamingIsNotTheOneInUse) {
  const fs::path path = folder_ / "tiny.gguf";
  std::ofstream(path, std::ios::binary) << tiny_.Build();
  const Result<Model> model = Model::Open(path);
  std::ofstream(folder_ / "new.gguf", std::ios::binary) << "short";
  fs::rename(folder_ / "new.gguf", path);
  ExpectSame(model);
}

// What can't be run can be looked into, and the reason is a failure of Model::Open alone.
TEST_F(ModelSourceTest, FilesThatCanNotBeRunCanBeOpened) {
  const fs::path path = folder_ / "other.gguf";
  const auto expect = [&](const TinyModel& tiny, const char* reason) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << tiny.Build();
    const Result<ModelFile> file = ModelFile::Open(path);
    ASSERT_TRUE(file.ok()) << file.status().message();
    const Result<Model> model = Model::Open(*file);
    EXPECT_EQ(model.status().code(), StatusCode::kUnsupported);
    EXPECT_THAT(model.status().message(),
                testing::AllOf(testing::StartsWith(path.string() + ": "), testing::HasSubstr(reason)));
  };
  expect(TinyModel().Set("general.architecture", "abacus"), "architecture \"abacus\" is not supported");
  expect(TinyModel().Set("general.type", "adapter"), "type \"adapter\"");
  expect(TinyModel().SetTensor("blk.0.attn_q.weight", 31, {32, 64}, std::string(1152, '\0')), "Q4_0_4_4");
}

}  // namespace
}  // namespace slm::test
