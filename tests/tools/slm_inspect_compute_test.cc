// slm-inspect as a program: logits and greedy.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/json.h"
#include "support/run_program.h"
#include "support/test_data.h"

namespace slm::test {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

std::string File(const std::string& model, const std::string& name) {
  return DataPath("models/" + model + "/" + name).string();
}

ProgramResult Inspect(std::vector<std::string> arguments, std::string_view input = {}) {
  arguments.insert(arguments.begin(), SLM_INSPECT);
  return RunProgram(std::move(arguments), input);
}

// Runs `logits` and returns the path of the file it wrote.
std::string Logits(const TemporaryFolder& folder, const std::string& model, std::vector<std::string> options = {}) {
  std::string out = (folder.path() / ("logits" + std::to_string(options.size()) + ".npy")).string();
  std::vector<std::string> arguments = {
      "logits", File(model, "model.gguf"), "--tokens", File(model, "prompt.json"), "--out", out};
  arguments.insert(arguments.end(), options.begin(), options.end());
  const ProgramResult result = Inspect(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err, "");
  return out;
}

double StandardDeviation(const std::vector<float>& values) {
  double mean = 0, squares = 0;
  for (const double value : values) mean += value / static_cast<double>(values.size());
  for (const double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(values.size()));
}

class SlmInspectCompute : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Models, SlmInspectCompute,
                         testing::Values("gemma3", "gemma3_linear", "gemma3n", "gemma4_e", "llama3", "llama_bf16",
                                         "llama_f16", "llama_linear", "llama_spm", "nemo", "phi3_longrope"));

TEST_P(SlmInspectCompute, LogitsAreThoseOfTheReference) {
  const TemporaryFolder folder;
  const NpyArray logits = ReadNpy(Logits(folder, GetParam()));
  const NpyArray reference = ReadNpy(File(GetParam(), "logits.npy"));
  ASSERT_EQ(logits.shape, reference.shape);
  double difference = 0;
  for (std::size_t i = 0; i < logits.values.size(); ++i) {
    difference = std::max(difference, std::abs(static_cast<double>(logits.values[i]) - reference.values[i]));
  }
  // Weights in 16 bits: a kernel may round its other operand to them. See docs/numerics.md.
  const bool half = std::string(GetParam()) == "llama_f16" || std::string(GetParam()) == "llama_bf16";
  EXPECT_LE(difference, (half ? 2e-2 : 2e-3) * StandardDeviation(reference.values));
}

TEST_P(SlmInspectCompute, ChunksGiveTheSameFile) {
  const TemporaryFolder folder;
  const std::string whole = ReadFile(Logits(folder, GetParam()));
  for (const char* chunk : {"1", "7", "1000"}) {
    EXPECT_EQ(ReadFile(Logits(folder, GetParam(), {"--chunk", chunk})), whole) << chunk;
  }
}

TEST_P(SlmInspectCompute, GreedyIsThatOfTheReference) {
  const Json expected = ParseJson(ReadFile(File(GetParam(), "greedy.json")));
  const ProgramResult result = Inspect({"greedy", File(GetParam(), "model.gguf"), "--tokens",
                                        File(GetParam(), "prompt.json"), "-n", std::to_string(expected.size())});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(ParseJson(result.out), expected);
}

TEST(SlmInspectLogits, TokensFromStandardInput) {
  const TemporaryFolder folder;
  const std::string out = (folder.path() / "stdin.npy").string();
  const ProgramResult result = Inspect({"logits", File("gemma3", "model.gguf"), "--tokens", "-", "--out", out},
                                       ReadFile(File("gemma3", "prompt.json")));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(ReadFile(out), ReadFile(Logits(folder, "gemma3")));
}

TEST(SlmInspectLogits, ThreadsAndChunksTogetherGiveTheSameFile) {
  const TemporaryFolder folder;
  const std::string one = ReadFile(Logits(folder, "gemma3", {"--threads", "1"}));
  EXPECT_EQ(ReadFile(Logits(folder, "gemma3", {"--threads", "3", "--chunk", "5"})), one);
}

TEST(SlmInspectLogits, KvTypeMatters) {
  const TemporaryFolder folder;
  const std::string f32 = ReadFile(Logits(folder, "llama3", {"--kv", "f32"}));
  EXPECT_EQ(ReadFile(Logits(folder, "llama3")), f32);
  EXPECT_NE(ReadFile(Logits(folder, "llama3", {"--kv", "f16"})), f32);
}

// The header is padded so that the numbers begin at a multiple of 64 bytes, as NumPy's own files do.
TEST(SlmInspectLogits, HeaderIsNumpyVersion1) {
  const TemporaryFolder folder;
  const std::string bytes = ReadFile(Logits(folder, "gemma3"));
  EXPECT_EQ(bytes.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  const std::size_t header = 10 + static_cast<unsigned char>(bytes[8]) + 256u * static_cast<unsigned char>(bytes[9]);
  EXPECT_EQ(header % 64, 0u);
  EXPECT_EQ(bytes[header - 1], '\n');
  EXPECT_EQ(bytes.size(), header + 56 * 448 * sizeof(float));
}

TEST(SlmInspectLogits, LongerThanTrainedIsOnlyWarnedAbout) {
  const TemporaryFolder folder;
  const Json info = ParseJson(Inspect({"info", File("llama_linear", "model.gguf"), "--json"}).out);
  const std::size_t trained = info["context_length"];
  const std::string tokens = folder.Write("tokens.json", Json(std::vector<int>(trained + 3, 5)).dump());
  const ProgramResult result = Inspect({"greedy", File("llama_linear", "model.gguf"), "--tokens", tokens, "-n", "2"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(ParseJson(result.out).size(), 2u);
  EXPECT_NE(result.err.find("warning"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find(std::to_string(trained)), std::string::npos) << result.err;
}

class SlmInspectBadTokens : public testing::Test {
 protected:
  // Both commands refuse these tokens; `parts` are in the message, and no file appears.
  void ExpectRefused(const std::string& tokens, const std::vector<std::string>& parts) {
    const std::string out = (folder_.path() / "out.npy").string();
    for (const std::vector<std::string>& arguments :
         {std::vector<std::string>{"logits", File("gemma3", "model.gguf"), "--tokens", tokens, "--out", out},
          std::vector<std::string>{"greedy", File("gemma3", "model.gguf"), "--tokens", tokens, "-n", "3"}}) {
      const ProgramResult result = Inspect(arguments);
      EXPECT_EQ(result.exit_code, 1) << result.err;
      EXPECT_EQ(result.out, "");
      for (const std::string& part : parts) {
        EXPECT_NE(result.err.find(part), std::string::npos) << part << "\n" << result.err;
      }
    }
    EXPECT_FALSE(fs::exists(out));
  }

  TemporaryFolder folder_;
};

TEST_F(SlmInspectBadTokens, MissingFile) {
  const std::string path = (folder_.path() / "missing.json").string();
  ExpectRefused(path, {path, "No such file"});
}
TEST_F(SlmInspectBadTokens, NotJson) { ExpectRefused(folder_.Write("t.json", "[1, 2,"), {"t.json", "JSON", "byte 7"}); }
TEST_F(SlmInspectBadTokens, NotAnArray) { ExpectRefused(folder_.Write("t.json", "3"), {"t.json", "array", "number"}); }
TEST_F(SlmInspectBadTokens, Empty) { ExpectRefused(folder_.Write("t.json", "[]"), {"t.json", "no tokens"}); }
TEST_F(SlmInspectBadTokens, OutsideTheVocabulary) {
  ExpectRefused(folder_.Write("t.json", "[1, 2, 448]"), {"t.json", "element 2", "448", "447"});
}
TEST_F(SlmInspectBadTokens, Negative) { ExpectRefused(folder_.Write("t.json", "[-5]"), {"element 0", "-5"}); }
TEST_F(SlmInspectBadTokens, NotANumber) { ExpectRefused(folder_.Write("t.json", "[1, null]"), {"element 1", "null"}); }
TEST_F(SlmInspectBadTokens, DeeplyNested) {
  ExpectRefused(folder_.Write("t.json", std::string(100000, '[') + std::string(100000, ']')), {"element 0"});
}

TEST(SlmInspectLogits, OutputThatCannotBeWritten) {
  const TemporaryFolder folder;
  const std::string folder_as_file = folder.path().string();
  const std::string in_missing_folder = (folder.path() / "missing" / "out.npy").string();
  for (const std::string& out : {folder_as_file, in_missing_folder, std::string("/dev/null")}) {
    const ProgramResult result =
        Inspect({"logits", File("gemma3", "model.gguf"), "--tokens", File("gemma3", "prompt.json"), "--out", out});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.err.find(out), std::string::npos) << result.err;
  }
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(SlmInspectLogits, AFailedRunLeavesTheOldFileAlone) {
  const TemporaryFolder folder;
  const std::string out = folder.Write("out.npy", "old");
  // Finite weights whose products are not: the first token's logits can't be computed.
  std::string model = ReadFile(File("llama_spm", "model.gguf"));
  for (const Json& tensor : ParseJson(Inspect({"tensors", File("llama_spm", "model.gguf"), "--json"}).out)) {
    if (tensor["name"] != "output_norm.weight") continue;
    for (std::size_t byte = 0; byte < tensor["size"].get<std::size_t>(); ++byte) {
      model[tensor["offset"].get<std::size_t>() + byte] = "\xff\xff\x7f\x7f"[byte % 4];  // the largest float
    }
  }
  const ProgramResult result =
      Inspect({"logits", folder.Write("huge.gguf", model), "--tokens", File("llama_spm", "prompt.json"), "--out", out});
  EXPECT_EQ(result.exit_code, 1) << result.err;
  EXPECT_EQ(ReadFile(out), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 2);
}

TEST(SlmInspectLogits, ALinkStaysALink) {
  const TemporaryFolder folder;
  const fs::path target = folder.Write("target.npy", "old");
  const fs::path link = folder.path() / "link.npy";
  fs::create_symlink(target, link);
  const ProgramResult result = Inspect(
      {"logits", File("gemma3", "model.gguf"), "--tokens", File("gemma3", "prompt.json"), "--out", link.string()});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(ReadNpy(target).shape, (std::vector<std::size_t>{56, 448}));
}

TEST(SlmInspectGreedy, ZeroIdsAreAnEmptyArray) {
  const ProgramResult result =
      Inspect({"greedy", File("gemma3", "model.gguf"), "--tokens", File("gemma3", "prompt.json"), "-n", "0"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "[]\n");
}

TEST(SlmInspectGreedy, UnknownKernels) {
  const ProgramResult result = Inspect({"greedy", File("gemma3", "model.gguf"), "--tokens",
                                        File("gemma3", "prompt.json"), "-n", "1", "--kernels", "abacus"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.err.find("abacus"), std::string::npos) << result.err;
}

}  // namespace

}  // namespace slm::test
