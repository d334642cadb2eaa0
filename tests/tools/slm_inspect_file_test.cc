// slm-inspect info, tensors and check on files that can't be run, on split models, and what info says of memory.

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "slm/machine.h"
#include "slm/session.h"
#include "support/json.h"
#include "support/run_program.h"
#include "support/test_data.h"
#include "support/tiny_model.h"

namespace slm::test {

namespace {

using Json = nlohmann::json;

std::string Fixture(const std::string& name) { return DataPath("models/" + name + "/model.gguf").string(); }

ProgramResult Inspect(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), SLM_INSPECT);
  return RunProgram(std::move(arguments));
}

Json OutputJson(const ProgramResult& result) {
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return ParseJson(result.out);
}

void ExpectHas(const std::string& text, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
}

// --- Files that can't be run ---

TEST(SlmInspectOther, UnknownArchitecture) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("other.gguf", TinyModel({.architecture = "abacus"}).Build());
  const ProgramResult text = Inspect({"info", path});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  ExpectHas(text.out, {"architecture       abacus", "runs               no: architecture \"abacus\" is not supported",
                       "F32", "abacus.block_count [u32] = 2"});
  EXPECT_EQ(text.out.find("memory for"), std::string::npos);
  const Json json = OutputJson(Inspect({"info", path, "--json"}));
  EXPECT_EQ(json["runs"], false);
  EXPECT_NE(json["reason"].get<std::string>().find("abacus"), std::string::npos);
  EXPECT_EQ(json["reason"].get<std::string>().find(path), std::string::npos);
  EXPECT_FALSE(json.contains("memory"));
  EXPECT_FALSE(json["metadata"].empty());
  EXPECT_FALSE(OutputJson(Inspect({"tensors", path, "--json"})).empty());
  EXPECT_EQ(Inspect({"check", path}).exit_code, 0);
}

TEST(SlmInspectOther, VocabularyOnly) {
  TinyGguf file;
  file.Set("general.architecture", "llama").Set("tokenizer.ggml.model", "llama");
  file.Set("tokenizer.ggml.tokens", std::vector<std::string>{"<unk>", "a"});
  const TemporaryFolder folder;
  const std::string path = folder.Write("vocabulary.gguf", file.Build());
  const ProgramResult text = Inspect({"info", path});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  ExpectHas(text.out, {"runs               no: the file holds metadata only", "parameters         0",
                       "tokenizer.ggml.tokens [array of string]"});
  const ProgramResult tensors = Inspect({"tensors", path});
  EXPECT_EQ(tensors.exit_code, 0) << tensors.err;
  EXPECT_EQ(tensors.out, "");
}

TEST(SlmInspectOther, AVocabularyIsEnoughForText) {
  TinyGguf file;
  file.Set("general.architecture", "llama").Set("tokenizer.ggml.model", "llama");
  file.Set("tokenizer.ggml.tokens", std::vector<std::string>{"<unk>", "<s>", "</s>", "a", "b", "<|im_start|>"});
  file.Set("tokenizer.ggml.scores", std::vector<float>{0, 0, 0, -1, -2, 0});
  file.Set("tokenizer.ggml.token_type", std::vector<std::int32_t>{2, 3, 3, 1, 1, 3});
  file.Set("tokenizer.ggml.add_space_prefix", false);
  const TemporaryFolder folder;
  const std::string path = folder.Write("vocabulary.gguf", file.Build());
  const ProgramResult ids = RunProgram({SLM_INSPECT, "tokenize", path}, "ab");
  EXPECT_EQ(ids.out, "[3,4]\n") << ids.err;
  EXPECT_EQ(ids.exit_code, 0);
  const ProgramResult text = RunProgram({SLM_INSPECT, "detokenize", path}, "[3,4,3]");
  EXPECT_EQ(text.out, "aba") << text.err;
  const std::string chat = folder.Write("chat.json", R"({"messages": [{"role": "user", "content": "ab"}]})");
  const ProgramResult render = RunProgram({SLM_INSPECT, "render", path, "--context", chat});
  EXPECT_EQ(render.exit_code, 0) << render.err;
  EXPECT_NE(render.out.find("<|im_start|>user\nab"), std::string::npos) << render.out;
  EXPECT_NE(render.err.find("built in for ChatML"), std::string::npos) << render.err;
}

// A download that was given its size in advance.
TEST(SlmInspectOther, StretchesOfEqualWeightsAreWarnedAbout) {
  constexpr std::size_t kRows = 4096;
  const auto check = [](const std::string& data) {
    TinyModel tiny;
    tiny.SetTensor("blk.0.extra.weight", static_cast<std::uint32_t>(Format::kQ8_0), {256, kRows}, data);
    const TemporaryFolder folder;
    return Inspect({"check", folder.Write("model.gguf", tiny.Build())});
  };
  std::string data;
  for (std::size_t block = 0; block < kRows * 8; ++block) {  // 34 bytes each: a scale, 32 numbers
    data += std::string("\x00\x3c", 2);
    for (std::size_t i = 0; i < 32; ++i) data += static_cast<char>((block * 7 + block / 251 + i * i) % 127);
  }
  const ProgramResult sound = check(data);
  EXPECT_EQ(sound.exit_code, 0);
  EXPECT_EQ(sound.err, "");
  for (const std::string& filling : {std::string(34 * 8, '\0'), data.substr(0, 34 * 8)}) {
    std::string incomplete = data;
    const std::size_t stretch = 300 << 10;
    for (std::size_t at = 34 * 800; at < 34 * 800 + stretch; at += filling.size()) {
      incomplete.replace(at, filling.size(), filling);
    }
    const ProgramResult warned = check(incomplete);
    EXPECT_EQ(warned.exit_code, 0) << warned.err;
    ExpectHas(warned.out, {"ok: "});
    ExpectHas(warned.err, {"warning: tensor blk.0.extra.weight repeats the same weights", "download"});
  }
  data.replace(34 * 800, 34 * 400, std::string(34 * 400, '\0'));  // 13 kB: rows of unused tokens
  EXPECT_EQ(check(data).err, "");
}

TEST(SlmInspectOther, FormatsThatCanNotBeRead) {
  TinyModel tiny;
  tiny.SetTensor("blk.0.ffn_up.weight", 31, {32, 64}, std::string(1152, '\0'));
  tiny.SetTensor("blk.1.ffn_up.weight", 99, {32, 64}, std::string(100, '\0'));
  const TemporaryFolder folder;
  const std::string path = folder.Write("formats.gguf", tiny.Build());
  const ProgramResult info = Inspect({"info", path});
  EXPECT_EQ(info.exit_code, 0) << info.err;
  ExpectHas(info.out, {"runs               no: tensor blk.0.ffn_up.weight has format Q4_0_4_4", "\nunknown (id 99)"});
  const ProgramResult tensors = Inspect({"tensors", path});
  EXPECT_EQ(tensors.exit_code, 0) << tensors.err;
  ExpectHas(tensors.out, {"Q4_0_4_4", "unknown (id 99)", "       unknown\n"});
  for (const Json& tensor : OutputJson(Inspect({"tensors", path, "--json"}))) {
    EXPECT_EQ(tensor["size"].is_null(), tensor["format"] != "F32") << tensor;
  }
  const ProgramResult check = Inspect({"check", path});
  EXPECT_EQ(check.exit_code, 0) << check.err;
  ExpectHas(check.out, {"18 tensors are finite", "not read: 2 tensors"});
}

TEST(SlmInspectOther, OtherKindsOfGguf) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("lora.gguf", TinyModel().Set("general.type", "adapter").Build());
  ExpectHas(Inspect({"info", path}).out,
            {"runs               no: this is a GGUF file of type \"adapter\", not a model"});
}

// --- Split models ---

class SlmInspectSplit : public testing::Test {
 protected:
  void SetUp() override {
    const std::vector<TinyGguf> files = TinyModel().Set("general.name", "Tiny").Split(3);
    for (std::size_t i = 0; i < files.size(); ++i) paths_.push_back(folder_.Write(Name(i), files[i].Build()));
  }
  static std::string Name(std::size_t index) { return "tiny-0000" + std::to_string(index + 1) + "-of-00003.gguf"; }

  const TemporaryFolder folder_;
  std::vector<std::string> paths_;
};

TEST_F(SlmInspectSplit, AnyPartShowsTheWhole) {
  std::uint64_t size = 0;
  for (const std::string& path : paths_) size += std::filesystem::file_size(path);
  for (const std::string& path : paths_) {
    const ProgramResult text = Inspect({"info", path});
    EXPECT_EQ(text.exit_code, 0) << text.err;
    ExpectHas(text.out, {"name               Tiny", "in 3 parts", std::to_string(size), "fits"});
    const Json json = OutputJson(Inspect({"info", path, "--json"}));
    EXPECT_EQ(json["file_size"], size);
    EXPECT_EQ(json["runs"], true);
    EXPECT_EQ(json["memory"]["weight_bytes"], size);
    ASSERT_EQ(json["parts"].size(), 3u);
    EXPECT_EQ(json["parts"][2]["path"], paths_[2]);
    EXPECT_EQ(json["parts"][2]["size"], std::filesystem::file_size(paths_[2]));
  }
}

TEST_F(SlmInspectSplit, TensorsTellTheirPart) {
  ExpectHas(Inspect({"tensors", paths_[1]}).out, {"  part 1\n", "  part 2\n", "  part 3\n"});
  for (const Json& tensor : OutputJson(Inspect({"tensors", paths_[1], "--json"}))) {
    const std::size_t part = tensor["part"].get<std::size_t>() - 1;
    ASSERT_LT(part, 3u);
    EXPECT_LE(tensor["offset"].get<std::uint64_t>() + tensor["size"].get<std::uint64_t>(),
              std::filesystem::file_size(paths_[part]));
  }
}

TEST_F(SlmInspectSplit, EveryCommandNamesAMissingPart) {
  std::filesystem::remove(paths_[1]);
  for (const char* command : {"info", "tensors", "check", "tokenize"}) {
    const ProgramResult result = Inspect({command, paths_[0]});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.out, "");
    ExpectHas(result.err, {"slm-inspect: ", Name(1) + " is missing"});
  }
}

// --- Memory ---

TEST(SlmInspectMemory, IsWhatTheLibraryEstimates) {
  const std::string path = Fixture("gemma3n");
  const Model model = Model::Open(path).value();
  for (const auto& [name, type] : {std::pair("f16", KvType::kF16), {"f32", KvType::kF32}}) {
    const Json memory = OutputJson(Inspect({"info", path, "--json", "--context", "777", "--kv", name}))["memory"];
    const MemoryEstimate needed = EstimateMemory(model, {.context_length = 777, .kv_type = type}).value();
    EXPECT_EQ(memory["context_length"], 777);
    EXPECT_EQ(memory["kv"], name);
    EXPECT_EQ(memory["weight_bytes"], needed.weight_bytes);
    EXPECT_EQ(memory["kv_bytes"], needed.kv_bytes);
    EXPECT_EQ(memory["scratch_bytes"], needed.scratch_bytes);
    EXPECT_EQ(memory["total_bytes"], needed.total_bytes());
    EXPECT_EQ(memory["machine_bytes"], DescribeMachine().memory_bytes);
    EXPECT_EQ(memory["fits"], "yes");
  }
}

TEST(SlmInspectMemory, ForPeople) {
  const ProgramResult result = Inspect({"info", Fixture("gemma3")});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  ExpectHas(result.out, {"\nmemory for 256 tokens of context, keys and values in f16\nweights            ",
                         "mapped from the file\nkeys and values    ", "\nworking memory     ", "\ntotal              ",
                         "\navailable          ", "\nfits               yes\n"});
}

TEST(SlmInspectMemory, WhatIsTooMuchIsSaid) {
  const ProgramResult result = Inspect({"info", Fixture("llama3"), "--context", "2147483647"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  ExpectHas(result.out, {"memory for 2147483647 tokens", "fits               no: ", "--context"});
  ExpectHas(result.err, {"warning: the model was trained for"});
}

TEST(SlmInspectMemory, OptionsThatMakeNoSense) {
  for (const char* context : {"0", "-1", "many", "2147483648"})
    EXPECT_EQ(Inspect({"info", Fixture("gemma3"), "--context", context}).exit_code, 2) << context;
  EXPECT_EQ(Inspect({"info", Fixture("gemma3"), "--kv", "q4"}).exit_code, 2);
  const ProgramResult q8 = Inspect({"info", Fixture("gemma3"), "--kv", "q8_0"});
  EXPECT_EQ(q8.exit_code, 1);
  ExpectHas(q8.err, {"multiples of 32"});
}

// --- Cases from the field ---

// B42: what a file called Q4_K_M really holds.
TEST(SlmInspectFieldCases, MixtureOfARealModel) {
  const auto path = RealModel("gemma-3-270m");
  if (!path) GTEST_SKIP() << "the model is not in the cache: tools/fetch-model gemma-3-270m";
  const Json info = OutputJson(Inspect({"info", path->string(), "--json"}));
  std::vector<std::pair<std::string, int>> mixture;
  double bits = 0;
  for (const Json& share : info["formats"]) {
    mixture.emplace_back(share["format"], share["tensors"]);
    bits += share["bits_per_weight"].get<double>() * share["weights"].get<double>();
  }
  const std::vector<std::pair<std::string, int>> expected = {
      {"Q8_0", 10}, {"Q5_0", 81}, {"Q4_K", 27}, {"Q6_K", 9}, {"F32", 109}};
  EXPECT_EQ(mixture, expected);
  // Not the 4.8 the name promises.
  EXPECT_NEAR(bits / info["parameters"].get<double>(), 7.358, 0.001);
}

}  // namespace

}  // namespace slm::test
