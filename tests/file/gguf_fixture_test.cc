// Files other programs wrote: two real models and the shared fixtures.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "file/gguf.h"
#include "file/mapped_file.h"
#include "support/test_data.h"

namespace slm {
namespace {

namespace fs = std::filesystem;

struct Opened {
  MappedFile map;
  GgufFile file;
};

Result<Opened> Open(const fs::path& path) {
  Result<MappedFile> map = MappedFile::Open(path);
  if (!map.ok()) return map.status();
  Result<GgufFile> file = GgufFile::Parse(map->bytes(), path.string());
  if (!file.ok()) return file.status();
  return Opened{*std::move(map), *std::move(file)};
}

std::map<std::string, int> CountFormats(const GgufFile& file) {
  std::map<std::string, int> counts;
  for (const GgufTensor& tensor : file.tensors()) {
    ++counts[tensor.format != nullptr ? tensor.format->name : "unknown " + std::to_string(tensor.type)];
  }
  return counts;
}

std::uint64_t DataBegin(const GgufFile& file) {
  return std::ranges::min(file.tensors(), {}, &GgufTensor::offset).offset;
}

std::int64_t Int(const GgufFile& file, std::string_view key) {
  const GgufValue* value = file.Find(key);
  EXPECT_TRUE(value != nullptr && value->AsInt()) << key;
  return value != nullptr ? value->AsInt().value_or(-1) : -1;
}

double Number(const GgufFile& file, std::string_view key) {
  const GgufValue* value = file.Find(key);
  EXPECT_TRUE(value != nullptr && value->AsDouble()) << key;
  return value != nullptr ? value->AsDouble().value_or(-1) : -1;
}

using Counts = std::map<std::string, int>;

TEST(GgufFixtureTest, Gemma3_270m) {
  const auto path = test::RealModel("gemma-3-270m");
  if (!path) GTEST_SKIP() << "the model is not in the cache: tools/fetch-model gemma-3-270m";
  const Result<Opened> opened = Open(*path);
  ASSERT_TRUE(opened.ok()) << opened.status().message();
  const GgufFile& file = opened->file;
  EXPECT_EQ(opened->map.bytes().size(), 253113024u);
  EXPECT_EQ(file.version(), 3u);
  EXPECT_EQ(file.alignment(), 32u);
  EXPECT_EQ(file.entries().size(), 33u);
  EXPECT_EQ(file.tensors().size(), 236u);
  EXPECT_EQ(DataBegin(file), 6525120u);
  EXPECT_EQ(file.Find("general.architecture")->AsString(), "gemma3");
  EXPECT_EQ(Int(file, "gemma3.context_length"), 32768);
  EXPECT_EQ(Int(file, "gemma3.embedding_length"), 640);
  EXPECT_EQ(Int(file, "gemma3.block_count"), 18);
  EXPECT_EQ(Int(file, "gemma3.feed_forward_length"), 2048);
  EXPECT_EQ(Int(file, "gemma3.attention.head_count"), 4);
  EXPECT_EQ(Int(file, "gemma3.attention.head_count_kv"), 1);
  EXPECT_EQ(Int(file, "gemma3.attention.key_length"), 256);
  EXPECT_EQ(Int(file, "gemma3.attention.value_length"), 256);
  EXPECT_EQ(Int(file, "gemma3.attention.sliding_window"), 512);
  EXPECT_FLOAT_EQ(static_cast<float>(Number(file, "gemma3.attention.layer_norm_rms_epsilon")), 1e-6f);
  EXPECT_EQ(Number(file, "gemma3.rope.freq_base"), 1e6);
  for (const char* absent : {"gemma3.rope.freq_base_swa", "gemma3.attention.sliding_window_pattern",
                             "gemma3.vocab_size", "tokenizer.chat_template", "general.alignment"}) {
    EXPECT_EQ(file.Find(absent), nullptr) << absent;
  }
  EXPECT_EQ(file.FindTensor("output.weight"), nullptr);
  EXPECT_EQ(CountFormats(file), (Counts{{"F32", 109}, {"Q5_0", 81}, {"Q4_K", 27}, {"Q8_0", 10}, {"Q6_K", 9}}));
  const auto tokens = file.Find("tokenizer.ggml.tokens")->AsStrings();
  ASSERT_TRUE(tokens.has_value());
  EXPECT_EQ(tokens->size(), file.FindTensor("token_embd.weight")->shape[1]);
  EXPECT_EQ((*tokens)[106], "<end_of_turn>");
  const auto types = file.Find("tokenizer.ggml.token_type")->AsInts();
  ASSERT_TRUE(types.has_value());
  EXPECT_EQ(std::ranges::count(*types, 1), 255474);
  EXPECT_EQ(std::ranges::count(*types, 3), 6249);
  EXPECT_EQ(std::ranges::count(*types, 6), 256);
}

TEST(GgufFixtureTest, SmolLm2_135m) {
  const auto path = test::RealModel("smollm2-135m");
  if (!path) GTEST_SKIP() << "the model is not in the cache: tools/fetch-model smollm2-135m";
  const Result<Opened> opened = Open(*path);
  ASSERT_TRUE(opened.ok()) << opened.status().message();
  const GgufFile& file = opened->file;
  EXPECT_EQ(file.Find("general.architecture")->AsString(), "llama");
  EXPECT_EQ(Int(file, "llama.block_count"), 30);
  EXPECT_EQ(Int(file, "llama.context_length"), 8192);
  EXPECT_EQ(Int(file, "llama.embedding_length"), 576);
  EXPECT_EQ(Int(file, "llama.feed_forward_length"), 1536);
  EXPECT_EQ(Int(file, "llama.attention.head_count"), 9);
  EXPECT_EQ(Int(file, "llama.attention.head_count_kv"), 3);
  EXPECT_EQ(Int(file, "llama.rope.dimension_count"), 64);
  EXPECT_EQ(Int(file, "llama.vocab_size"), 49152);
  EXPECT_EQ(Int(file, "general.file_type"), 3);
  EXPECT_EQ(Number(file, "llama.rope.freq_base"), 1e5);
  EXPECT_FLOAT_EQ(static_cast<float>(Number(file, "llama.attention.layer_norm_rms_epsilon")), 1e-5f);
  EXPECT_EQ(file.tensors().size(), 272u);
  EXPECT_EQ(CountFormats(file), (Counts{{"Q4_1", 210}, {"F32", 61}, {"Q8_0", 1}}));
  EXPECT_EQ(file.FindTensor("output.weight"), nullptr);
  EXPECT_EQ(file.FindTensor("token_embd.weight")->format->format, Format::kQ8_0);
  EXPECT_EQ(file.Find("llama.attention.key_length"), nullptr);
}

TEST(GgufFixtureTest, EverySharedFixtureOpens) {
  const auto root = test::SharedFixture("");
  if (!root) GTEST_SKIP() << "the shared fixtures are not beside this checkout";
  int files = 0;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(*root)) {
    if (entry.path().extension() != ".gguf") continue;
    SCOPED_TRACE(entry.path().string());
    ++files;
    const Result<Opened> opened = Open(entry.path());
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    EXPECT_NE(opened->file.Find("general.architecture"), nullptr);
    const bool vocabulary = entry.path().filename() == "vocab.gguf";
    EXPECT_EQ(opened->file.tensors().empty(), vocabulary);
    for (const GgufTensor& tensor : opened->file.tensors()) {
      EXPECT_TRUE(tensor.format != nullptr || UnsupportedFormatName(tensor.type) != nullptr) << tensor.name;
    }
  }
  EXPECT_GT(files, 0);
}

}  // namespace
}  // namespace slm
