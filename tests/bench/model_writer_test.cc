// Written files: what the library makes of them. The shapes are small relatives of the real ones.

#include "model_writer.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "file/gguf.h"
#include "slm/model.h"
#include "slm/session.h"
#include "support/test_data.h"

namespace slm::bench {
namespace {

namespace fs = std::filesystem;

ModelShape Small(const char* name, std::int32_t vocab_size) {
  ModelShape shape = *FindShape(name);
  shape.layers = 3;
  shape.embedding_length = 256;
  shape.feed_forward_length = 512;
  shape.heads = 4;
  shape.kv_heads = 2;
  shape.head_length = 64;
  shape.vocab_size = vocab_size;
  return shape;
}

// One of each kind of vocabulary, and columns that K formats don't divide.
std::vector<ModelShape> SmallShapes() {
  std::vector<ModelShape> shapes = {Small("gemma3-1b", 9000), Small("gemma3-4b", 9000), Small("llama3.1-8b", 2000),
                                    Small("mistral-7b", 4000)};
  shapes.front().embedding_length = 96;
  return shapes;
}

class ModelWriter : public testing::Test {
 protected:
  void SetUp() override {
    const testing::TestInfo& info = *testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(testing::TempDir()) / ("slm_model_writer_" + std::to_string(::getpid()) + info.name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // The path of the written file.
  std::string Write(const ModelShape& shape, Mixture mixture = Mixture::kQ4_K_M, std::uint64_t seed = 1) {
    const std::string path = (folder_ / (std::to_string(++files_) + ".gguf")).string();
    const Result<WrittenModel> written =
        WriteModel({.shape = &shape, .layers = shape.layers, .mixture = mixture, .seed = seed}, path,
                   [](std::uint64_t done, std::uint64_t total) { EXPECT_LE(done, total); });
    EXPECT_TRUE(written.ok()) << written.status().message();
    if (written.ok()) {
      EXPECT_EQ(written->bytes, fs::file_size(path));
      EXPECT_EQ(written->tensors, TensorsOf(shape, shape.layers, mixture).size());
    }
    return path;
  }

  fs::path folder_;
  int files_ = 0;
};

TEST_F(ModelWriter, FilesOpenAndComputeSaneLogits) {
  for (const ModelShape& shape : SmallShapes()) {
    for (const Mixture mixture : {Mixture::kQ4_K_M, Mixture::kQ4_0}) {
      SCOPED_TRACE(std::string(shape.name) + (mixture == Mixture::kQ4_0 ? " Q4_0" : " Q4_K_M"));
      std::string warnings;
      ModelOptions options;
      options.log = [&warnings](LogLevel level, std::string_view text) {
        if (level == LogLevel::kWarning) warnings += text;
      };
      const Result<Model> model = Model::Open(Write(shape, mixture), options);
      ASSERT_TRUE(model.ok()) << model.status().message();
      EXPECT_EQ(warnings, "");
      EXPECT_EQ(model->vocab_size(), shape.vocab_size);
      EXPECT_EQ(model->layer_count(), shape.layers);
      EXPECT_TRUE(model->file().FindBadNumbers().empty());

      Result<Session> session = Session::Create(*model, {.context_length = 16});
      ASSERT_TRUE(session.ok()) << session.status().message();
      const std::vector<Token> tokens = {1, 700, 800, 900};
      const Result<std::span<const float>> logits = session->Append(tokens);
      ASSERT_TRUE(logits.ok()) << logits.status().message();
      double squares = 0;
      for (const float logit : *logits) squares += static_cast<double>(logit) * logit;
      // Rows of deviation 1 / sqrt(d) times a normalised vector of length sqrt(d).
      EXPECT_NEAR(std::sqrt(squares / shape.vocab_size), 1, 0.25);
    }
  }
}

TEST_F(ModelWriter, TensorsAreThoseOfTheShape) {
  for (const ModelShape& shape : SmallShapes()) {
    const Result<Model> model = Model::Open(Write(shape));
    ASSERT_TRUE(model.ok()) << model.status().message();
    const std::vector<MadeTensor> expected = TensorsOf(shape, shape.layers, Mixture::kQ4_K_M);
    const std::vector<TensorInfo> found = model->file().tensors();
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(found[i].name, expected[i].name);
      EXPECT_EQ(found[i].format, FindFormat(static_cast<std::uint32_t>(expected[i].format))->name);
      EXPECT_EQ(found[i].shape, expected[i].shape);
      EXPECT_EQ(found[i].file_offset % 32, 0u);
    }
  }
}

TEST_F(ModelWriter, TextIsEncodedAndComesBack) {
  const std::string text = "The capital of France is Paris; 12345 \u00ed\u00fcber \u65e5\u672c \U0001f680\n\n  two";
  for (const ModelShape& shape : SmallShapes()) {
    SCOPED_TRACE(shape.name);
    const Result<Model> model = Model::Open(Write(shape));
    ASSERT_TRUE(model.ok()) << model.status().message();
    const Tokenizer& tokenizer = model->tokenizer();
    const Result<std::vector<Token>> tokens = tokenizer.Encode(text);
    ASSERT_TRUE(tokens.ok()) << tokens.status().message();
    EXPECT_EQ(tokenizer.Decode(*tokens), text);
    EXPECT_LT(tokens->size(), text.size()) << "no piece is longer than a byte";
    EXPECT_TRUE(tokenizer.bos().has_value());
    EXPECT_TRUE(tokenizer.adds_bos());
    EXPECT_FALSE(tokenizer.end_of_generation().empty());
  }
}

// Each token after the 256 bytes is what the merge of the same rank makes of two earlier tokens.
TEST_F(ModelWriter, MergesMakeThePieces) {
  const std::string bytes = test::ReadFile(Write(Small("llama3.1-8b", 2000)));
  const Result<GgufFile> file = GgufFile::Parse(std::as_bytes(std::span(bytes)), "llama3.1");
  ASSERT_TRUE(file.ok()) << file.status().message();
  const auto tokens = file->Find("tokenizer.ggml.tokens")->AsStrings().value();
  const auto merges = file->Find("tokenizer.ggml.merges")->AsStrings().value();
  ASSERT_EQ(merges.size(), 2000u - 256 - 256);
  std::set<std::string_view> known(tokens.begin(), tokens.begin() + 256);
  for (std::size_t i = 0; i < merges.size(); ++i) {
    const std::size_t space = merges[i].find(' ');
    const std::string_view left = merges[i].substr(0, space);
    const std::string_view right = merges[i].substr(space + 1);
    ASSERT_TRUE(known.contains(left) && known.contains(right)) << merges[i];
    ASSERT_EQ(tokens[256 + i], std::string(left).append(right));
    ASSERT_TRUE(known.insert(tokens[256 + i]).second) << merges[i];
  }
}

TEST_F(ModelWriter, ExpertsAreStacked) {
  const ModelShape shape = Small("mixtral-8x7b", 4000);
  const std::string bytes = test::ReadFile(Write(shape));
  const Result<GgufFile> file = GgufFile::Parse(std::as_bytes(std::span(bytes)), "mixtral");
  ASSERT_TRUE(file.ok()) << file.status().message();
  ASSERT_NE(file->Find("llama.expert_count"), nullptr);
  EXPECT_EQ(file->Find("llama.expert_count")->AsInt(), 8);
  EXPECT_EQ(file->Find("llama.expert_used_count")->AsInt(), 2);
  const GgufTensor* experts = file->FindTensor("blk.2.ffn_down_exps.weight");
  ASSERT_NE(experts, nullptr);
  EXPECT_EQ(experts->shape, (std::array<std::uint64_t, 4>{512, 256, 8, 1}));
  EXPECT_NE(file->FindTensor("blk.2.ffn_gate_inp.weight"), nullptr);
}

// Divisors by the formula of Llama 3.1's paper, worked out apart from this code for some of the 64 pairs.
TEST_F(ModelWriter, Llama31HasItsRopeFactors) {
  ModelShape shape = Small("llama3.1-8b", 2000);
  shape.head_length = 128;
  const std::string bytes = test::ReadFile(Write(shape));
  const Result<GgufFile> file = GgufFile::Parse(std::as_bytes(std::span(bytes)), "llama3.1");
  ASSERT_TRUE(file.ok()) << file.status().message();
  const GgufTensor* tensor = file->FindTensor("rope_freqs.weight");
  ASSERT_NE(tensor, nullptr);
  ASSERT_EQ(tensor->elements(), 64u);
  const auto* factors = reinterpret_cast<const float*>(tensor->data.data());
  EXPECT_FLOAT_EQ(factors[0], 1);
  EXPECT_NEAR(factors[30], 1.553415, 1e-5);
  EXPECT_NEAR(factors[32], 2.694530, 1e-5);
  EXPECT_FLOAT_EQ(factors[63], 8);
}

// FNV-1a of the file, so that no change goes unnoticed: figures measured on files of the same name must stay
// comparable.
TEST_F(ModelWriter, TheSameSeedMakesTheSameFileEverywhere) {
  const ModelShape shape = Small("mistral-7b", 4000);
  const std::string bytes = test::ReadFile(Write(shape));
  EXPECT_EQ(bytes, test::ReadFile(Write(shape)));
  EXPECT_NE(bytes, test::ReadFile(Write(shape, Mixture::kQ4_K_M, 2)));
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  EXPECT_EQ(hash, 0x9ac0f1bd816f1c2bu);
}

// Files that this process writes cannot grow beyond this many bytes while the object lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    old_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit = {bytes, old_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_ = {};
  void (*old_handler_)(int);
};

class ModelWriterFailure : public ModelWriter {
 protected:
  Status WriteTo(const fs::path& path) {
    const ModelShape shape = Small("mistral-7b", 4000);
    return WriteModel({.shape = &shape, .layers = 3, .mixture = Mixture::kQ4_0, .seed = 1}, path.string(),
                      [](std::uint64_t, std::uint64_t) {})
        .status();
  }
};

TEST_F(ModelWriterFailure, SaysWhichFileAndWhy) {
  const fs::path path = folder_ / "missing" / "a.gguf";
  const Status status = WriteTo(path);
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "cannot write " + path.string() + ": No such file or directory");
}

TEST_F(ModelWriterFailure, LeavesNoUnfinishedFile) {
  const fs::path path = folder_ / "large.gguf";
  Status status;
  {
    const FileSizeLimit limit(400'000);
    status = WriteTo(path);
  }
  EXPECT_EQ(status.code(), StatusCode::kIoError);
  EXPECT_NE(status.message().find("File too large"), std::string::npos) << status.message();
  EXPECT_FALSE(fs::exists(path));
  EXPECT_TRUE(WriteTo(path).ok());
  EXPECT_GT(fs::file_size(path), 400'000u);
}

TEST_F(ModelWriterFailure, LeavesDevicesWhereTheyAre) {
  const fs::path full = folder_ / "full.gguf";
  fs::create_symlink("/dev/full", full);
  const Status status = WriteTo(full);
  EXPECT_NE(status.message().find("it is a folder or device"), std::string::npos) << status.message();
  EXPECT_TRUE(fs::is_symlink(full));
}

}  // namespace
}  // namespace slm::bench
