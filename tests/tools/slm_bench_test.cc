// slm-bench as a program. Nothing here depends on how fast anything is.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/test_data.h"
#include "tools/run_program.h"

namespace slm::test {

namespace {

using Json = nlohmann::json;

std::string Model(const std::string& name) { return DataPath("models/" + name + "/model.gguf").string(); }

ProgramResult Bench(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), SLM_BENCH);
  return RunProgram(std::move(arguments));
}

Json BenchJson(std::vector<std::string> arguments) {
  arguments.emplace_back("--json");
  const ProgramResult result = Bench(std::move(arguments));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return Json::parse(result.out);
}

TEST(SlmBench, JsonHasEveryFigure) {
  const Json json = BenchJson({Model("gemma3"), "-p", "20", "-n", "4", "-r", "3", "-t", "2", "--kernels", "scalar"});
  EXPECT_EQ(json["kernels"], "scalar");
  EXPECT_EQ(json["threads"], 2);
  EXPECT_EQ(json["kv"], "f16");
  EXPECT_EQ(json["depth"], 0);
  EXPECT_EQ(json["repetitions"], 3);
  EXPECT_EQ(json["prompt_tokens"], 20);
  EXPECT_EQ(json["generate_tokens"], 4);
  EXPECT_EQ(json["architecture"], "gemma3");
  EXPECT_EQ(json["file_size"], std::filesystem::file_size(Model("gemma3")));
  for (const char* key : {"load_s", "gbps", "peak_rss_bytes", "kv_bytes", "bytes_per_token"}) {
    EXPECT_GT(json.at(key).get<double>(), 0) << key;
  }
  EXPECT_EQ(json["logits_hash"].get<std::string>().size(), 16u);
  for (const std::string part : {"prompt", "generate"}) {
    EXPECT_EQ(json.at(part + "_tps_runs").size(), 3u);
    EXPECT_LE(json.at(part + "_tps_min"), json.at(part + "_tps"));
    EXPECT_LE(json.at(part + "_tps"), json.at(part + "_tps_max"));
    EXPECT_GE(json.at(part + "_tps_stdev").get<double>(), 0);
  }
}

TEST(SlmBench, HashDependsOnWhatIsComputedOnly) {
  const std::vector<std::string> base = {Model("gemma3"), "-p", "20", "-n", "4", "-r", "1"};
  const auto hash = [&base](std::vector<std::string> more) {
    more.insert(more.begin(), base.begin(), base.end());
    return BenchJson(more)["logits_hash"].get<std::string>();
  };
  const std::string one_thread = hash({"-t", "1"});
  EXPECT_EQ(hash({"-t", "3"}), one_thread);
  EXPECT_NE(hash({"-d", "10"}), one_thread);
  EXPECT_NE(hash({"--kv", "f32"}), one_thread);
}

// Depth is well beyond the model's sliding window, where a session can't be wound back and reads the text again.
TEST(SlmBench, RepeatsAtADepthBeyondTheWindow) {
  const Json json = BenchJson({Model("gemma3"), "-p", "40", "-n", "3", "-r", "2", "-d", "50"});
  EXPECT_EQ(json["depth"], 50);
  EXPECT_EQ(json["prompt_tps_runs"].size(), 2u);
}

TEST(SlmBench, ZeroSkipsAPart) {
  const Json prompt_only = BenchJson({Model("gemma3"), "-p", "5", "-n", "0", "-r", "1"});
  EXPECT_TRUE(prompt_only["generate_tps"].is_null());
  EXPECT_TRUE(prompt_only["gbps"].is_null());
  EXPECT_TRUE(prompt_only["prompt_tps"].is_number());
  const Json generate_only = BenchJson({Model("gemma3"), "-p", "0", "-n", "2", "-r", "1"});
  EXPECT_TRUE(generate_only["prompt_tps"].is_null());
  EXPECT_TRUE(generate_only["generate_tps"].is_number());
}

TEST(SlmBench, TableNamesConditionsAndResults) {
  const ProgramResult result = Bench({Model("gemma3"), "-p", "5", "-n", "2", "-r", "1", "--kernels", "scalar"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  for (const char* part : {"gemma3", "kernels scalar", "threads", "KV f16", "depth 0", "prompt", "generate", "GB/s",
                           "load", "peak memory", "logits hash"}) {
    EXPECT_NE(result.out.find(part), std::string::npos) << part << "\n" << result.out;
  }
}

TEST(SlmBench, FirstToken) {
  const Json json = BenchJson({Model("gemma3"), "--first-token"});
  EXPECT_EQ(json["prompt_tokens"], 64);
  EXPECT_GE(json["first_token_s"], json["load_s"]);
  EXPECT_LT(json["token"], 448);
  EXPECT_EQ(BenchJson({Model("gemma3"), "--first-token", "-p", "7"})["prompt_tokens"], 7);
}

TEST(SlmBench, HelpHasExamples) {
  const ProgramResult result = Bench({"--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_NE(result.out.find("Examples:\n  "), std::string::npos);
}

TEST(SlmBench, Failures) {
  struct Case {
    std::vector<std::string> arguments;
    int exit_code;
    const char* part;
  };
  const Case cases[] = {
      {{}, 2, "MODEL"},
      {{Model("gemma3"), "--frobnicate"}, 2, "--frobnicate"},
      {{Model("gemma3"), "-r", "0"}, 2, "-r"},
      {{Model("gemma3"), "-p", "-3"}, 2, "-p"},
      {{Model("gemma3"), "--kv", "q8"}, 2, "--kv"},
      {{Model("gemma3"), "-p", "0", "-n", "0"}, 1, "nothing to measure"},
      {{Model("gemma3"), "--kernels", "abacus"}, 1, "abacus"},
      {{"missing.gguf"}, 1, "missing.gguf"},
      {{"missing.gguf", "--first-token"}, 1, "missing.gguf"},
  };
  for (const Case& c : cases) {
    const ProgramResult result = Bench(c.arguments);
    EXPECT_EQ(result.exit_code, c.exit_code) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(result.err.rfind("slm-bench: ", 0), 0u) << result.err;
    EXPECT_NE(result.err.find(c.part), std::string::npos) << result.err;
  }
}

}  // namespace

}  // namespace slm::test
