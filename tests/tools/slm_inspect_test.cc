// slm-inspect as a program: info, tensors, check, tokenize, detokenize, and how every command fails.

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "support/json.h"
#include "support/run_program.h"
#include "support/test_data.h"
#include "tools/tool_test.h"

namespace slm::test {

namespace {

using Json = nlohmann::json;

std::string Quantized(const std::string& name) { return DataPath("quantized/" + name + "/model.gguf").string(); }

ProgramResult Inspect(std::vector<std::string> arguments, std::string_view input = {},
                      const std::vector<std::string>& environment = {}) {
  arguments.insert(arguments.begin(), SLM_INSPECT);
  return RunProgram(std::move(arguments), input, environment);
}

// One sentence on standard error that begins with the program's name and holds every one of `parts`; nothing on
// standard output.
void ExpectFailure(const ProgramResult& result, int exit_code, const std::vector<std::string>& parts) {
  EXPECT_EQ(result.exit_code, exit_code) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err.rfind("slm-inspect: ", 0), 0u) << result.err;
  EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << result.err;
  for (const std::string& part : parts)
    EXPECT_NE(result.err.find(part), std::string::npos) << part << "\n" << result.err;
}

Json OutputJson(const ProgramResult& result) {
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return ParseJson(result.out);
}

TEST(SlmInspectHelp, EveryCommandHasExamples) {
  const ProgramResult root = Inspect({"--help"});
  EXPECT_EQ(root.exit_code, 0);
  for (const std::string command : {"info", "tensors", "check", "tokenize", "detokenize", "logits", "greedy"}) {
    EXPECT_NE(root.out.find("  " + command), std::string::npos) << command;
    const ProgramResult help = Inspect({command, "--help"});
    EXPECT_EQ(help.exit_code, 0);
    EXPECT_NE(help.out.find("Examples:\n  "), std::string::npos) << command;
    EXPECT_EQ(help.err, "");
  }
}

TEST(SlmInspectUsage, WrongCommandLinesGiveExitCode2) {
  ExpectFailure(Inspect({}), 2, {"command", "--help"});
  ExpectFailure(Inspect({"info"}), 2, {"MODEL"});
  ExpectFailure(Inspect({"frobnicate", Model("gemma3")}), 2, {"frobnicate"});
  ExpectFailure(Inspect({"info", Model("gemma3"), "--frobnicate"}), 2, {"--frobnicate"});
  ExpectFailure(Inspect({"greedy", Model("gemma3"), "--tokens", "x.json", "-n", "many"}), 2, {"-n"});
  ExpectFailure(Inspect({"greedy", Model("gemma3"), "--tokens", "x.json", "-n", "-1"}), 2, {"-n"});
  ExpectFailure(Inspect({"logits", Model("gemma3"), "--tokens", "x.json", "--out", "x", "--kv", "q8"}), 2, {"--kv"});
}

TEST(SlmInspectOpen, EveryCommandRefusesFilesThatAreNoModels) {
  const TemporaryFolder folder;
  const std::string missing = (folder.path() / "missing.gguf").string();
  const std::string whole = ReadFile(Model("gemma3"));
  const std::string truncated = folder.Write("truncated.gguf", whole.substr(0, whole.size() - 1000));
  const std::string text = folder.Write("text.gguf", "This is no model.\n");
  const std::string tokens = folder.Write("tokens.json", "[1, 2]");
  const std::string out = (folder.path() / "out.npy").string();
  for (const std::string& model : {missing, truncated, text}) {
    for (const std::string command : {"info", "tensors", "check", "tokenize", "detokenize"}) {
      ExpectFailure(Inspect({command, model}, "[1]"), 1, {model});
    }
    ExpectFailure(Inspect({"logits", model, "--tokens", tokens, "--out", out}), 1, {model});
    ExpectFailure(Inspect({"greedy", model, "--tokens", tokens, "-n", "2"}), 1, {model});
  }
  ExpectFailure(Inspect({"info", truncated}), 1, {"truncated", "1000"});
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST(SlmInspectInfo, TellsWhatTheModelIs) {
  const ProgramResult result = Inspect({"info", Model("gemma3")});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  for (const char* part : {"architecture       gemma3", "422208", "vocabulary         448", "layers             7",
                           "BOS", "EOS", "end of generation", "tokenizer          llama", "kernels", "bytes per token",
                           "chat template", "\nF32 ", "gemma3.block_count [u32] = 7"}) {
    EXPECT_NE(result.out.find(part), std::string::npos) << part << "\n" << result.out;
  }
}

TEST(SlmInspectInfo, AllShowsLongValues) {
  const ProgramResult brief = Inspect({"info", Model("gemma3")});
  const ProgramResult all = Inspect({"info", Model("gemma3"), "--all"});
  EXPECT_EQ(all.exit_code, 0) << all.err;
  EXPECT_GT(all.out.size(), brief.out.size());
}

TEST(SlmInspectInfo, JsonHoldsTheSame) {
  const Json info = OutputJson(Inspect({"info", Model("llama_f16"), "--json"}));
  EXPECT_EQ(info["architecture"], "llama");
  EXPECT_EQ(info["file_size"], std::filesystem::file_size(Model("llama_f16")));
  EXPECT_EQ(info["vocab_size"], 448);
  EXPECT_EQ(info["layers"], 3);
  EXPECT_EQ(info["tokenizer"], "gpt2");
  EXPECT_EQ(info["pre_tokenizer"], "smollm");
  EXPECT_TRUE(info["end_of_generation"].is_array());
  std::set<std::string> formats;
  std::uint64_t weights = 0;
  for (const Json& format : info["formats"]) {
    formats.insert(format["format"]);
    weights += format["weights"].get<std::uint64_t>();
  }
  EXPECT_EQ(formats, (std::set<std::string>{"F16", "F32"}));
  EXPECT_EQ(info["parameters"], weights);
  EXPECT_LE(info["bytes_per_token"], info["file_size"]);
}

TEST(SlmInspectInfo, KernelsAreChosenByOptionThenEnvironment) {
  const std::string model = Model("gemma3");
  EXPECT_EQ(OutputJson(Inspect({"info", model, "--json", "--kernels", "scalar"}))["kernels"], "scalar");
  EXPECT_EQ(OutputJson(Inspect({"info", model, "--json"}, "", {"SLM_KERNELS=scalar"}))["kernels"], "scalar");
  EXPECT_EQ(OutputJson(Inspect({"info", model, "--json", "--kernels", "scalar"}, "", {"SLM_KERNELS=none"}))["kernels"],
            "scalar");
  ExpectFailure(Inspect({"info", model, "--kernels", "abacus"}), 1, {"abacus", "scalar"});
  ExpectFailure(Inspect({"info", model}, "", {"SLM_KERNELS=abacus"}), 1, {"abacus", "SLM_KERNELS", "scalar"});
}

TEST(SlmInspectTensors, OneLineEach) {
  const ProgramResult result = Inspect({"tensors", Quantized("q4_0")});
  const Json json = OutputJson(Inspect({"tensors", Quantized("q4_0"), "--json"}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  std::istringstream lines(result.out);
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    std::istringstream words(line);
    std::string name, format, shape;
    std::uint64_t offset = 0, size = 0;
    words >> name >> format >> shape >> offset >> size;
    const Json& tensor = json.at(count);
    EXPECT_EQ(tensor["name"], name);
    EXPECT_EQ(tensor["format"], format);
    EXPECT_EQ(tensor["offset"], offset);
    EXPECT_EQ(tensor["size"], size);
    std::string joined;
    for (const Json& n : tensor["shape"]) {
      if (!joined.empty()) joined += 'x';
      joined += std::to_string(n.get<int>());
    }
    EXPECT_EQ(shape, joined);
  }
  EXPECT_EQ(count, json.size());
  EXPECT_EQ(json.at(0)["shape"].size(), json.at(0)["name"] == "token_embd.weight" ? 2u : 1u);
}

TEST(SlmInspectTensors, OffsetsAreThoseOfTheFile) {
  const Json tensors = OutputJson(Inspect({"tensors", Model("gemma3"), "--json"}));
  const std::uint64_t file_size = std::filesystem::file_size(Model("gemma3"));
  std::uint64_t end = 0;
  for (const Json& tensor : tensors) {
    const std::uint64_t begin = tensor["offset"];
    EXPECT_GE(begin, end);
    end = begin + tensor["size"].get<std::uint64_t>();
  }
  EXPECT_LE(end, file_size);
  EXPECT_LT(file_size - end, 32u);
}

// A copy of `model` with two bytes of a tensor replaced.
std::string Damage(const TemporaryFolder& folder, const std::string& model, const std::string& tensor,
                   std::uint64_t byte, std::uint16_t bits) {
  std::string bytes = ReadFile(model);
  for (const Json& entry : OutputJson(Inspect({"tensors", model, "--json"}))) {
    if (entry["name"] != tensor) continue;
    std::memcpy(bytes.data() + entry["offset"].get<std::uint64_t>() + byte, &bits, sizeof(bits));
    return folder.Write("damaged.gguf", bytes);
  }
  throw std::runtime_error("no tensor " + tensor);
}

TEST(SlmInspectCheck, SoundFilesAreOk) {
  for (const std::string& model : {Model("gemma3"), Model("llama_bf16"), Quantized("q4_0"), Quantized("q6_k_gemma3")}) {
    const ProgramResult result = Inspect({"check", model});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.out.rfind("ok", 0), 0u) << result.out;
    EXPECT_EQ(result.err, "");
  }
}

TEST(SlmInspectCheck, NamesTensorAndBlock) {
  struct Case {
    std::string model, tensor;
    std::uint64_t byte;
    std::uint16_t bits;
    std::string block;
  };
  const Case cases[] = {
      {Quantized("q4_0"), "blk.0.ffn_up.weight", 3 * 18, 0x7e00, "block 3 "},  // NaN scale
      {Quantized("q4_0"), "blk.0.ffn_up.weight", 0, 0x7c00, "block 0 "},       // infinite scale
      {Quantized("q6_k_gemma3"), "blk.0.ffn_down.weight", 2 * 210 + 208, 0xfe00,
       "block 2 "},                                                                // the scale is at the end
      {Model("gemma3"), "blk.1.attn_norm.weight", 5 * 4 + 2, 0x7f80, "block 5 "},  // an infinite float
  };
  for (const Case& c : cases) {
    const TemporaryFolder folder;
    const ProgramResult result = Inspect({"check", Damage(folder, c.model, c.tensor, c.byte, c.bits)});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.out.find(c.tensor), std::string::npos) << result.out;
    EXPECT_NE(result.out.find(c.block), std::string::npos) << result.out;
    EXPECT_NE(result.err.find("1 tensor holds"), std::string::npos) << result.err;
  }
}

class SlmInspectText : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Models, SlmInspectText, testing::Values("gemma3", "llama_spm", "llama_f16"));

struct TextCase {
  std::string text;
  Json ids;
};

std::vector<TextCase> TextCases(const std::string& model) {
  std::vector<TextCase> cases;
  std::istringstream lines(ReadFile(DataPath("models/" + model + "/tokenize.jsonl")));
  for (std::string line; std::getline(lines, line);) {
    const Json json = ParseJson(line);
    cases.push_back({json["text"], json["ids"]});
  }
  return cases;
}

TEST_P(SlmInspectText, LinesOfJsonGiveTheReferenceIds) {
  const std::vector<TextCase> cases = TextCases(GetParam());
  ASSERT_FALSE(cases.empty());
  std::string input;
  for (const TextCase& c : cases) input += Json(c.text).dump() + "\n";
  const ProgramResult result = Inspect({"tokenize", Model(GetParam()), "--jsonl"}, input);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  std::istringstream lines(result.out);
  for (const TextCase& c : cases) {
    std::string line;
    ASSERT_TRUE(std::getline(lines, line));
    EXPECT_EQ(ParseJson(line), c.ids) << c.text;
  }
  EXPECT_EQ(lines.peek(), std::istringstream::traits_type::eof());
}

TEST_P(SlmInspectText, TextOnStandardInputGivesTheReferenceIds) {
  for (const TextCase& c : TextCases(GetParam())) {
    EXPECT_EQ(OutputJson(Inspect({"tokenize", Model(GetParam())}, c.text)), c.ids) << c.text;
  }
}

TEST_P(SlmInspectText, DetokenizeGivesTheTextBack) {
  for (const char* text : {"Hello, world!", "line one\nline two\n", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", ""}) {
    const ProgramResult ids = Inspect({"tokenize", Model(GetParam())}, text);
    ASSERT_EQ(ids.exit_code, 0) << ids.err;
    const ProgramResult result = Inspect({"detokenize", Model(GetParam())}, ids.out);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.out, text);
  }
}

TEST_P(SlmInspectText, BytesThatAreNotUtf8AreKept) {
  const std::string text = "a\xff\xc3z";
  const ProgramResult ids = Inspect({"tokenize", Model(GetParam())}, text);
  ASSERT_EQ(ids.exit_code, 0) << ids.err;
  EXPECT_EQ(Inspect({"detokenize", Model(GetParam())}, ids.out).out, text);
}

TEST(SlmInspectTokenize, BosAndControlTokensOnlyWhenAsked) {
  const std::string model = Model("gemma3");
  const Json info = OutputJson(Inspect({"info", model, "--json"}));
  const int bos = info["bos"]["id"];
  const std::string bos_text = info["bos"]["text"];
  const Json plain = OutputJson(Inspect({"tokenize", model}, "Hello"));
  Json expected = plain;
  expected.insert(expected.begin(), bos);
  EXPECT_EQ(OutputJson(Inspect({"tokenize", model, "--bos"}, "Hello")), expected);
  EXPECT_EQ(OutputJson(Inspect({"tokenize", model, "--special"}, bos_text)), Json({bos}));
  const Json typed = OutputJson(Inspect({"tokenize", model}, bos_text));
  EXPECT_EQ(std::count(typed.begin(), typed.end(), bos), 0);
  EXPECT_EQ(Inspect({"detokenize", model}, Json({bos}).dump()).out, "");
  EXPECT_EQ(Inspect({"detokenize", model, "--special"}, Json({bos}).dump()).out, bos_text);
}

TEST(SlmInspectTokenize, ErrorsNameTheLine) {
  const std::string model = Model("gemma3");
  for (const char* bad : {"{\"text\": 1}", "12", "Hello", "\"open", "", "\"\xff\""}) {
    const ProgramResult result =
        Inspect({"tokenize", model, "--jsonl"}, std::string("\"good\"\n") + bad + "\n\"good\"\n");
    EXPECT_EQ(result.exit_code, 1) << bad;
    EXPECT_NE(result.err.find("line 2 "), std::string::npos) << result.err;
  }
}

TEST(SlmInspectDetokenize, RefusesWhatIsNoListOfIds) {
  const std::string model = Model("gemma3");
  ExpectFailure(Inspect({"detokenize", model}, "[1, 2"), 1, {"standard input", "JSON"});
  ExpectFailure(Inspect({"detokenize", model}, "{}"), 1, {"array", "object"});
  ExpectFailure(Inspect({"detokenize", model}, "[1, 448]"), 1, {"element 1", "448", "447"});
  ExpectFailure(Inspect({"detokenize", model}, "[-1]"), 1, {"element 0", "-1"});
  ExpectFailure(Inspect({"detokenize", model}, "[1.0]"), 1, {"element 0"});
  ExpectFailure(Inspect({"detokenize", model}, "[\"1\"]"), 1, {"element 0"});
  ExpectFailure(Inspect({"detokenize", model}, "[99999999999999999999]"), 1, {"element 0"});
}

}  // namespace

}  // namespace slm::test
