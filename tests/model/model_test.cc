// Opening a model: options, files that are no model, and what a handle says of its file.

#include "slm/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "dispatch.h"
#include "support/fixture.h"
#include "support/test_data.h"
#include "support/tiny_architecture.h"
#include "support/tiny_model.h"

namespace slm::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

void ExpectFails(const Result<Model>& model, StatusCode code, const testing::Matcher<std::string>& message) {
  EXPECT_EQ(model.status().code(), code) << model.status().message();
  EXPECT_THAT(model.status().message(), message);
}

// Sets SLM_KERNELS for a scope.
class ScopedKernels {
 public:
  explicit ScopedKernels(const char* value) {
    if (const char* old = std::getenv("SLM_KERNELS")) old_ = old;
    setenv("SLM_KERNELS", value, 1);
  }
  ~ScopedKernels() {
    if (old_) {
      setenv("SLM_KERNELS", old_->c_str(), 1);
    } else {
      unsetenv("SLM_KERNELS");
    }
  }

 private:
  std::optional<std::string> old_;
};

TEST(ModelTest, FilesThatCanNotBeOpened) {
  ExpectFails(Model::Open("/no/such/file.gguf"), StatusCode::kNotFound, HasSubstr("/no/such/file.gguf"));
  ExpectFails(Model::Open(testing::TempDir()), StatusCode::kIoError, HasSubstr(testing::TempDir()));
}

TEST(ModelTest, MessagesNameTheFileOnce) {
  for (const TinyModel& tiny : {TinyModel().Erase("llama.block_count"), TinyModel().AddTensor("extra", {32}),
                                TinyModel().Set("general.architecture", "mamba")}) {
    const std::string message = tiny.Open().status().message();
    const std::size_t first = message.find("tiny_model_");
    EXPECT_NE(first, std::string::npos) << message;
    EXPECT_EQ(message.find("tiny_model_", first + 1), std::string::npos) << message;
  }
}

TEST(ModelTest, FilesThatAreNoWholeModel) {
  ExpectFails(TinyModel().Set("general.type", "adapter").Open(), StatusCode::kUnsupported, HasSubstr("adapter"));
  EXPECT_TRUE(TinyModel().Set("split.count", std::uint16_t{1}).Open().ok());
  EXPECT_TRUE(TinyModel().Set("general.type", "model").Open().ok());
}

TEST(ModelTest, VocabularyAndEmbeddingMustHaveOneSize) {
  for (const std::uint64_t rows : {39, 41}) {
    ExpectFails(TinyModel().AddTensor("token_embd.weight", {32, rows}).Open(), StatusCode::kCorruptFile,
                AllOf(HasSubstr("tokenizer.ggml.tokens"), HasSubstr("40"), HasSubstr(std::to_string(rows))));
  }
}

// What a vocabulary's architecture says about it, opened with the model or alone, also where nothing can run the model.
TEST(ModelTest, VocabulariesHaveTheQuirksOfTheirArchitecture) {
  const auto path = std::filesystem::path(testing::TempDir()) / "model_test_quirks.gguf";
  const auto stripped = [&](TinyModel tiny) {
    std::ofstream(path, std::ios::binary) << tiny.Set("tokenizer.ggml.add_space_prefix", false).Build();
    const ModelFile file = ModelFile::Open(path).value();
    const auto with_space = Tokenizer::Open(file)->Encode("</s> 7", {.parse_special = true}).value();
    if (const Result<Model> model = Model::Open(file); model.ok()) {
      EXPECT_EQ(model->tokenizer().Encode("</s> 7", {.parse_special = true}).value(), with_space);
    }
    return with_space == Tokenizer::Open(file)->Encode("</s>7", {.parse_special = true}).value();
  };
  EXPECT_TRUE(stripped(TinyArchitecture("phi3")));
  EXPECT_FALSE(stripped(TinyModel()));
  EXPECT_FALSE(stripped(TinyModel().Set("general.architecture", "mamba")));
  std::filesystem::remove(path);
  for (const Architecture& row : AllArchitectures()) {
    std::string warnings;
    const auto log = [&](LogLevel, std::string_view message) { warnings.append(message); };
    ASSERT_TRUE(TinyArchitecture(row).Open({.log = log}).ok());
    const bool gemma = row.name.starts_with("gemma") && row.name != "gemma4";
    EXPECT_EQ(warnings.find("add_space_prefix") != std::string::npos, gemma) << row.name;
  }
}

TEST(ModelTest, KernelsByOption) {
  for (const KernelSet* set : AllKernelSets()) {
    const Result<Model> model = TinyModel().Open({.kernels = set->name});
    EXPECT_EQ(model.ok(), CanRun(*set)) << set->name;
    if (model.ok()) {
      EXPECT_EQ(model->kernels(), set->name);
    } else {
      ExpectFails(model, StatusCode::kInvalidArgument, AllOf(HasSubstr(set->name), HasSubstr("lacks")));
    }
  }
  ExpectFails(TinyModel().Open({.kernels = "mmx"}), StatusCode::kInvalidArgument,
              AllOf(HasSubstr("mmx"), HasSubstr("scalar"), Not(HasSubstr("SLM_KERNELS"))));
}

TEST(ModelTest, KernelsByEnvironment) {
  {
    const ScopedKernels environment("scalar");
    EXPECT_EQ(TinyModel().Open()->kernels(), "scalar");
    // The option goes first.
    EXPECT_EQ(TinyModel().Open({.kernels = BestKernelSet().name})->kernels(), BestKernelSet().name);
  }
  {
    const ScopedKernels environment("mmx");
    ExpectFails(TinyModel().Open(), StatusCode::kInvalidArgument,
                AllOf(HasSubstr("mmx"), HasSubstr("SLM_KERNELS"), HasSubstr("scalar")));
  }
  {
    const ScopedKernels environment("");
    EXPECT_EQ(TinyModel().Open()->kernels(), BestKernelSet().name);
  }
}

TEST(ModelTest, SaysWhatTheFileHolds) {
  TinyModel tiny({.tied = false});
  tiny.Set("general.name", "Tiny");
  tiny.Set("tokenizer.chat_template", "{{ messages }}");
  const Model model = tiny.Open().value();
  EXPECT_EQ(model.name(), "Tiny");
  EXPECT_EQ(model.architecture(), "llama");
  EXPECT_EQ(model.file().chat_template(), "{{ messages }}");
  EXPECT_EQ(model.vocab_size(), 40);
  EXPECT_EQ(model.context_length(), 64);
  EXPECT_EQ(model.layer_count(), 2);
  EXPECT_EQ(model.file().size(), tiny.Build().size());

  // Of a layer: two norms, q and output of 32 x 64, k and v of 32 x 32, three products of 32 x 64.
  constexpr std::uint64_t kLayer = 2 * 32 + 2 * 32 * 64 + 2 * 32 * 32 + 3 * 32 * 64;
  constexpr std::uint64_t kEmbedding = 32 * 40;
  EXPECT_EQ(model.file().parameter_count(), 2 * kEmbedding + 32 + 2 * kLayer);
  // A token takes one row of the embedding, and all of the output head.
  EXPECT_EQ(model.bytes_per_token(), 4 * (32 + kEmbedding + 32 + 2 * kLayer));
  EXPECT_EQ(TinyModel().Open()->bytes_per_token(), 4 * (kEmbedding + 32 + 2 * kLayer));
}

TEST(ModelTest, BytesPerTokenOfQuantizedWeights) {
  const Model model = OpenOrThrow(FindFixture("q4_k").model());
  std::uint64_t bytes = 0;
  for (const TensorInfo& tensor : model.file().tensors()) bytes += tensor.size;
  EXPECT_EQ(model.bytes_per_token(), bytes);                                   // tied
  EXPECT_LT(model.bytes_per_token() * 8, model.file().parameter_count() * 5);  // below 5 bits a weight
}

TEST(ModelTest, BytesPerTokenCountTheExpertsInUse) {
  const auto bytes = [](std::uint32_t used) {
    return TinyModel({.experts = 5, .experts_used = used}).Open()->bytes_per_token();
  };
  constexpr std::uint64_t kExpert = 4 * 3 * 32 * 64;
  for (const std::uint32_t used : {1u, 2u, 4u}) EXPECT_EQ(bytes(used) + 2 * (5 - used) * kExpert, bytes(5));
  EXPECT_EQ(bytes(1), TinyModel().Open()->bytes_per_token() + 2 * 4 * 32 * 5);  // and the router
}

TEST(ModelTest, ListsTensorsAndMetadata) {
  const Model model = TinyModel().Set("general.name", "Tiny").Open().value();
  const std::vector<TensorInfo> tensors = model.file().tensors();
  ASSERT_EQ(tensors.size(), 2u + 2 * 9);
  EXPECT_EQ(tensors[0].name, "token_embd.weight");
  EXPECT_EQ(tensors[0].format, "F32");
  EXPECT_EQ(tensors[0].shape, (std::vector<std::uint64_t>{32, 40}));
  EXPECT_EQ(tensors[0].size, 4u * 32 * 40);
  EXPECT_EQ(tensors[1].file_offset, tensors[0].file_offset + tensors[0].size);
  const std::vector<MetadataEntry> metadata = model.file().metadata();
  const auto name = std::ranges::find(metadata, "general.name", &MetadataEntry::key);
  ASSERT_NE(name, metadata.end());
  EXPECT_EQ(name->type, "string");
  EXPECT_THAT(name->value, HasSubstr("Tiny"));
}

TEST(ModelTest, NameOfTheFileWhereItHasNone) {
  EXPECT_THAT(std::string(TinyModel().Open()->name()), HasSubstr("tiny_model_"));
}

TEST(ModelTest, FindBadNumbersNamesTensorAndBlock) {
  EXPECT_TRUE(TinyModel().Open()->file().FindBadNumbers().empty());
  TinyModel tiny;
  tiny.SetValue("blk.1.ffn_up.weight", 77, std::nanf(""));
  tiny.SetValue("output_norm.weight", 3, std::numeric_limits<float>::infinity());
  // The third block of 32 weights; its scale is infinite.
  std::string blocks(64 * sizeof(BlockQ4_0), '\0');
  const Half infinity = 0x7C00;
  blocks.replace(2 * sizeof(BlockQ4_0), sizeof(infinity), reinterpret_cast<const char*>(&infinity), sizeof(infinity));
  tiny.SetTensor("blk.0.ffn_gate.weight", static_cast<std::uint32_t>(Format::kQ4_0), {32, 64}, blocks);
  const std::vector<BadNumber> found = tiny.Open()->file().FindBadNumbers();
  ASSERT_EQ(found.size(), 3u);  // in file order
  EXPECT_EQ(found[0].tensor, "output_norm.weight");
  EXPECT_EQ(found[0].element, 3u);
  EXPECT_EQ(found[1].tensor, "blk.0.ffn_gate.weight");
  EXPECT_EQ(found[1].block, 2u);
  EXPECT_EQ(found[1].element, 64u);
  EXPECT_EQ(found[2].tensor, "blk.1.ffn_up.weight");
  EXPECT_EQ(found[2].block, 77u);
}

// A header that says nothing wrong, cut short at every length, is refused and never read past its end.
TEST(ModelTest, TruncatedFiles) {
  const std::string bytes = TinyModel({.layers = 1}).Build();
  const auto path = std::filesystem::path(testing::TempDir()) / "model_test_truncated.gguf";
  for (std::size_t size = 0; size < bytes.size(); size += 997) {
    std::ofstream(path, std::ios::binary | std::ios::trunc).write(bytes.data(), static_cast<std::streamsize>(size));
    EXPECT_FALSE(Model::Open(path).ok()) << size;
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace slm::test
