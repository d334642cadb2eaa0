// A file looked into: from a path, memory and a descriptor, and what is shown of files that can't be run.

#include "slm/model_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "file/allocation_meter.h"
#include "file/model_file_impl.h"
#include "tiny_gguf.h"

namespace slm::test {
namespace {

namespace fs = std::filesystem;

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr float kData[] = {1, 2, 3, 4};

TinyGguf Tiny() {
  TinyGguf file;
  file.Set("general.architecture", "llama").Set("general.name", "Tiny").AddF32("a", {2, 2}, kData);
  return file;
}

// Bytes where malloc puts them, `shift` bytes further on.
class Memory {
 public:
  explicit Memory(std::string_view text, std::size_t shift = 0)
      : block_(static_cast<std::byte*>(std::malloc(text.size() + shift)), &std::free),
        size_(text.size()),
        shift_(shift) {
    std::memcpy(block_.get() + shift, text.data(), text.size());
  }
  std::span<std::byte> bytes() const { return {block_.get() + shift_, size_}; }

 private:
  std::unique_ptr<std::byte, decltype(&std::free)> block_;
  std::size_t size_;
  std::size_t shift_;
};

// A file that is gone at the end of the scope, and a descriptor of it.
class Descriptor {
 public:
  explicit Descriptor(std::string_view text, int flags = O_RDONLY) {
    path_ = fs::path(testing::TempDir()) / ("slm_model_file_" + std::to_string(::getpid()) + ".gguf");
    const int writer = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    EXPECT_EQ(::write(writer, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    ::close(writer);
    descriptor_ = ::open(path_.c_str(), flags);
  }
  ~Descriptor() {
    Close();
    fs::remove(path_);
  }
  void Close() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
  }
  int get() const { return descriptor_; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  int descriptor_ = -1;
};

void ExpectFails(const Result<ModelFile>& file, StatusCode code, const testing::Matcher<std::string>& message) {
  EXPECT_EQ(file.status().code(), code);
  EXPECT_THAT(file.status().message(), message);
}

void ExpectTiny(const ModelFile& file) {
  EXPECT_EQ(file.name(), "Tiny");
  EXPECT_EQ(file.architecture(), "llama");
  EXPECT_EQ(file.version(), 3u);
  EXPECT_EQ(file.size(), Tiny().Build().size());
  EXPECT_EQ(file.parameter_count(), 4u);
  ASSERT_EQ(file.tensors().size(), 1u);
  const TensorInfo tensor = file.tensors()[0];
  EXPECT_EQ(tensor.name, "a");
  EXPECT_EQ(tensor.format, "F32");
  EXPECT_THAT(tensor.shape, ElementsAre(2, 2));
  EXPECT_EQ(tensor.part, 0u);
  EXPECT_EQ(tensor.size, sizeof(kData));
  EXPECT_EQ(tensor.file_offset, file.size() - 32);
  EXPECT_EQ(std::memcmp(Internal::Impl(file).gguf.FindTensor("a")->data.data(), kData, sizeof(kData)), 0);
}

TEST(ModelFileTest, FromAPath) {
  const Descriptor on_disk(Tiny().Build());
  const ModelFile file = ModelFile::Open(on_disk.path()).value();
  ExpectTiny(file);
  ASSERT_EQ(file.parts().size(), 1u);
  EXPECT_EQ(file.parts()[0].path, on_disk.path().string());
}

// What is mapped would end the program here.
TEST(ModelFileTest, LoadedFilesMayBeCut) {
  const Descriptor on_disk(Tiny().Build());
  const ModelFile file = ModelFile::Load(on_disk.path()).value();
  std::filesystem::resize_file(on_disk.path(), 0);
  ExpectTiny(file);
  EXPECT_EQ(file.parts()[0].path, on_disk.path().string());
  ExpectFails(ModelFile::Load(on_disk.path()), StatusCode::kIoError, HasSubstr("is empty"));
  ExpectFails(ModelFile::Load("/no/such/file"), StatusCode::kNotFound, HasSubstr("/no/such/file"));
}

TEST(ModelFileTest, FromMemoryIsNotCopied) {
  const std::string text = Tiny().AddTensor("big", Format::kF32, {1 << 20}, std::string(4 << 20, '\0')).Build();
  const Memory memory(text);
  const std::size_t before = AllocatedBytes();
  const ModelFile file = ModelFile::FromMemory(memory.bytes(), "block").value();
  EXPECT_LT(AllocatedBytes() - before, 1u << 16);
  EXPECT_EQ(file.size(), text.size());
  EXPECT_EQ(file.parts()[0].path, "block");
  const std::span<const std::byte> data = Internal::Impl(file).gguf.FindTensor("big")->data;
  EXPECT_GE(data.data(), memory.bytes().data());
  EXPECT_LE(data.data() + data.size(), memory.bytes().data() + memory.bytes().size());
}

TEST(ModelFileTest, FromMemoryAtAnyAddress) {
  for (const std::size_t shift : {0, 1, 2, 3, 4, 8}) {
    const Memory memory(Tiny().Build(), shift);
    ExpectTiny(ModelFile::FromMemory(memory.bytes(), "block").value());
  }
}

TEST(ModelFileTest, FromADescriptorThatIsClosedThen) {
  Descriptor descriptor(Tiny().Build());
  ::lseek(descriptor.get(), 17, SEEK_SET);  // wherever it stands
  const Result<ModelFile> file = ModelFile::FromDescriptor(descriptor.get(), "asset");
  EXPECT_EQ(::lseek(descriptor.get(), 0, SEEK_CUR), 17);
  descriptor.Close();
  ASSERT_TRUE(file.ok()) << file.status().message();
  ExpectTiny(*file);
  EXPECT_EQ(file->parts()[0].path, "asset");
}

TEST(ModelFileTest, DescriptorsThatCanNotBeMapped) {
  ExpectFails(ModelFile::FromDescriptor(-1, "asset"), StatusCode::kIoError,
              AllOf(HasSubstr("asset"), HasSubstr("Bad file descriptor")));
  const Descriptor write_only(Tiny().Build(), O_WRONLY);
  ExpectFails(ModelFile::FromDescriptor(write_only.get(), "asset"), StatusCode::kIoError,
              AllOf(HasSubstr("asset"), HasSubstr("Permission denied")));
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  ExpectFails(ModelFile::FromDescriptor(pipe_ends[0], "asset"), StatusCode::kIoError,
              AllOf(HasSubstr("asset"), HasSubstr("not a regular file")));
  ::close(pipe_ends[0]);
  ::close(pipe_ends[1]);
}

TEST(ModelFileTest, PartsOfSplitModelsNeedAPath) {
  const std::string text = Tiny().Set("split.no", std::uint16_t{0}).Set("split.count", std::uint16_t{3}).Build();
  const auto message =
      AllOf(HasSubstr("asset: "), HasSubstr("part 1 of a model split into 3"), HasSubstr("by its path"));
  const Memory memory(text);
  ExpectFails(ModelFile::FromMemory(memory.bytes(), "asset"), StatusCode::kUnsupported, message);
  const Descriptor descriptor(text);
  ExpectFails(ModelFile::FromDescriptor(descriptor.get(), "asset"), StatusCode::kUnsupported, message);
}

TEST(ModelFileTest, MessagesNameWhatWasOpened) {
  const std::string damaged = Tiny().Build().substr(0, 100);
  const Memory memory(damaged);
  ExpectFails(ModelFile::FromMemory(memory.bytes(), "block"), StatusCode::kCorruptFile,
              HasSubstr("block: file truncated"));
  ExpectFails(ModelFile::FromMemory({}, "block"), StatusCode::kCorruptFile, HasSubstr("block: file truncated"));
  const Descriptor descriptor("<!doctype html>");
  ExpectFails(ModelFile::FromDescriptor(descriptor.get(), "asset"), StatusCode::kUnsupported,
              AllOf(HasSubstr("asset: "), HasSubstr("HTML page")));
  ExpectFails(ModelFile::Open(descriptor.path()), StatusCode::kUnsupported, HasSubstr(descriptor.path().string()));
}

TEST(ModelFileTest, CopiesShareTheMapping) {
  std::optional<Descriptor> on_disk(Tiny().Build());
  std::optional<ModelFile> first(ModelFile::Open(on_disk->path()).value());
  const ModelFile second = *first;
  EXPECT_EQ(&Internal::Impl(second), &Internal::Impl(*first));
  first.reset();
  on_disk.reset();
  ExpectTiny(second);
}

TEST(ModelFileTest, NamesWhereTheFileHasNone) {
  const Descriptor on_disk(TinyGguf().AddF32("a", {4}, kData).Build());
  const ModelFile file = ModelFile::Open(on_disk.path()).value();
  EXPECT_EQ(file.name(), on_disk.path().filename().string());
  EXPECT_EQ(file.architecture(), "");
}

// Names of formats no release of this library reads: removed ones, and one nobody has defined.
TEST(ModelFileTest, UnknownFormatsAreNamedAndHaveNoSize) {
  const std::string text = Tiny()
                               .AddTensor("removed", 31, {32, 8}, std::string(144, '\0'))
                               .AddTensor("never", 99, {7}, std::string(5, '\0'))
                               .Build();
  const Memory memory(text);
  const ModelFile file = ModelFile::FromMemory(memory.bytes(), "block").value();
  const std::vector<TensorInfo> tensors = file.tensors();
  ASSERT_EQ(tensors.size(), 3u);
  EXPECT_EQ(tensors[1].format, "Q4_0_4_4");
  EXPECT_EQ(tensors[1].size, 0u);
  EXPECT_THAT(tensors[1].shape, ElementsAre(32, 8));
  EXPECT_EQ(tensors[2].format, "unknown (id 99)");
  EXPECT_EQ(tensors[2].size, 0u);
  EXPECT_EQ(file.parameter_count(), 4u + 32 * 8 + 7);
  EXPECT_TRUE(file.FindBadNumbers().empty());
}

TEST(ModelFileTest, FindBadNumbersNamesTensorAndBlock) {
  const float bad[] = {1, std::nanf(""), 2, INFINITY};
  const Memory memory(Tiny().AddTensor("unread", 99, {7}, "12345").AddF32("b", {4}, bad).Build());
  const std::vector<BadNumber> found = ModelFile::FromMemory(memory.bytes(), "block")->FindBadNumbers();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].tensor, "b");
  EXPECT_EQ(found[0].block, 1u);
  EXPECT_EQ(found[0].element, 1u);
}

TEST(ModelFileTest, MetadataIsRenderedForPeople) {
  const Memory memory(Tiny().Set("list", std::vector<std::int32_t>{1, 2}).Build());
  const ModelFile file = ModelFile::FromMemory(memory.bytes(), "block").value();
  const std::vector<MetadataEntry> metadata = file.metadata();
  ASSERT_EQ(metadata.size(), 3u);
  EXPECT_EQ(metadata[1].key, "general.name");
  EXPECT_EQ(metadata[1].type, "string");
  EXPECT_EQ(metadata[1].value, "Tiny");
  EXPECT_EQ(metadata[2].type, "array of i32");
  EXPECT_EQ(metadata[2].value, "[1, 2]");
}

}  // namespace
}  // namespace slm::test
