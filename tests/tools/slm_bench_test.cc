// slm-bench as a program. Nothing here depends on how fast anything is.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
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

ProgramResult Bench(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), SLM_BENCH);
  return RunProgram(std::move(arguments));
}

// Without the machine's peaks, which take two seconds.
Json BenchJson(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--json", "--no-peaks"});
  const ProgramResult result = Bench(std::move(arguments));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return ParseJson(result.out);
}

TEST(SlmBench, JsonHasEveryFigure) {
  const Json json = BenchJson({Model("gemma3"), "-p", "20", "-n", "4", "-r", "3", "-t", "2", "--kernels", "scalar"});
  EXPECT_EQ(json["kernels"], "scalar");
  EXPECT_EQ(json["threads"], 2);
  EXPECT_EQ(json["prompt_threads"], 2);
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
  EXPECT_GE(json["machine"]["processors"], json["machine"]["cores"]);
  EXPECT_TRUE(json["peaks"].is_null());
  ASSERT_EQ(json["results"].size(), 2u);
  for (const Json& result : json["results"]) {
    const std::string part = result["test"];
    EXPECT_EQ(result["tps"], json[part + "_tps"]);
    EXPECT_EQ(result["tokens"], json[part + "_tokens"]);
    EXPECT_TRUE(result["int8_share"].is_null());
    EXPECT_TRUE(result["read_share"].is_null());
    EXPECT_FALSE(result.contains("profile"));
  }
}

// Work does not depend on the time it takes: it follows from the model's shape.
TEST(SlmBench, RatesStandBesideTheMachinesPeaks) {
  const ProgramResult result = Bench({Model("gemma3"), "-p", "20", "-n", "4", "-r", "1", "-t", "1", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json json = ParseJson(result.out);
  const Json& peaks = json["peaks"];
  for (const char* key : {"int8_gmacs", "read_gbps"}) {
    EXPECT_GT(peaks["before"][key].get<double>(), 0);
    EXPECT_EQ(peaks["reference"][key], std::max(peaks["before"][key].get<double>(), peaks["after"][key].get<double>()));
  }
  for (const Json& measured : json["results"]) {
    const double tps = measured["tps"];
    EXPECT_NEAR(measured["int8_share"].get<double>() * peaks["reference"]["int8_gmacs"].get<double>(),
                measured["gmacs"].get<double>(), 1e-9);
    EXPECT_NEAR(measured["read_share"].get<double>() * peaks["reference"]["read_gbps"].get<double>(),
                measured["gbps"].get<double>(), 1e-9);
    if (measured["test"] != "generate") continue;
    const double bytes_per_token = measured["gbps"].get<double>() * 1e9 / tps;
    EXPECT_GE(bytes_per_token, json["bytes_per_token"].get<double>() * 0.99);  // and keys and values
    EXPECT_LE(bytes_per_token, json["bytes_per_token"].get<double>() * 1.5);
  }
}

// The memory that measuring the peaks takes is not the model's.
TEST(SlmBench, PeakMemoryIsTheModels) {
  const ProgramResult result = Bench({Model("gemma3"), "-p", "20", "-n", "4", "-r", "1", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_LT(ParseJson(result.out)["peak_rss_bytes"].get<double>(), 200e6);
}

TEST(SlmBench, ProfileByOperationAndLayer) {
  for (const std::string by : {"operation", "layer"}) {
    const Json json = BenchJson({Model("gemma3"), "-p", "20", "-n", "4", "-r", "1", "--profile", by});
    for (const Json& result : json["results"]) {
      const Json& profile = result["profile"];
      EXPECT_GT(profile["explained"].get<double>(), 0);
      EXPECT_LE(profile["explained"].get<double>(), 1);
      double share = 0, ms = 0, work = 0;
      for (const Json& row : profile["rows"]) {
        share += row["share"].get<double>();
        ms += row["ms"].get<double>();
        if (!row["gmacs"].is_null()) work += row["gmacs"].get<double>() * row["ms"].get<double>() * 1e6;
      }
      EXPECT_NEAR(share, profile["explained"].get<double>(), 1e-9);
      EXPECT_NEAR(ms, share * profile["wall_ms"].get<double>(), 1e-6);
      const double per = result["test"] == "prompt" ? 20 : 1;  // rows are of the whole prompt, or of one token
      EXPECT_NEAR(work, per * result["gmacs"].get<double>() * 1e9 / result["tps"].get<double>(), work * 1e-6);
      const std::string names = profile["rows"].dump();
      EXPECT_EQ(names.find("\"layer 0\"") != std::string::npos, by == "layer") << names;
    }
  }
}

TEST(SlmBench, SeveralDepthsGoUp) {
  const Json json = BenchJson({Model("gemma3"), "-p", "8", "-n", "3", "-r", "1", "-d", "40,0,40,7"});
  std::vector<std::string> tests;
  for (const Json& result : json["results"]) {
    tests.push_back(result["test"].get<std::string>() + " " + std::to_string(result["depth"].get<int>()));
  }
  EXPECT_EQ(tests,
            (std::vector<std::string>{"prompt 0", "generate 0", "prompt 7", "generate 7", "prompt 40", "generate 40"}));
  // A depth computes the same whatever came before it.
  ASSERT_EQ(json["logits_hashes"].size(), 3u);
  EXPECT_EQ(json["logits_hashes"][0], json["logits_hash"]);
  EXPECT_EQ(json["logits_hashes"][2],
            BenchJson({Model("gemma3"), "-p", "8", "-n", "3", "-r", "1", "-d", "40"})["logits_hash"]);
}

TEST(SlmBench, MarkdownAndCsv) {
  const std::vector<std::string> base = {Model("gemma3"), "-p", "5", "-n", "2", "-r", "1", "--no-peaks", "--format"};
  const auto lines_of = [&base](std::vector<std::string> more) {
    more.insert(more.begin(), base.begin(), base.end());
    const ProgramResult result = Bench(more);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    std::vector<std::string> lines;
    std::istringstream stream(result.out);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
  };
  const std::vector<std::string> markdown = lines_of({"md"});
  const auto header = std::find(markdown.begin(), markdown.end(), "| test | depth | tokens/s | ± stdev | min | max |");
  ASSERT_GT(markdown.end() - header, 3);
  EXPECT_EQ(header[1], "|---|---:|---:|---:|---:|---:|");
  EXPECT_EQ(header[2].rfind("| prompt 5 | 0 | ", 0), 0u) << header[2];
  EXPECT_EQ(header[3].rfind("| generate 2 | 0 | ", 0), 0u) << header[3];

  for (const bool profile : {false, true}) {
    const std::vector<std::string> csv = profile ? lines_of({"csv", "--profile", "operation"}) : lines_of({"csv"});
    ASSERT_GE(csv.size(), 3u);
    EXPECT_EQ(csv[0].rfind("model,architecture,kernels,threads,prompt_threads,kv,test,tokens,depth,", 0), 0u) << csv[0];
    for (const std::string& line : csv) {
      EXPECT_EQ(std::count(line.begin(), line.end(), ','), std::count(csv[0].begin(), csv[0].end(), ',')) << line;
    }
  }
}

// The name of a file can be anything.
TEST(SlmBench, PlotOverDepth) {
  const TemporaryFolder folder;
  const std::string model = folder.Write("<a>&\"b\", c.gguf", ReadFile(Model("gemma3")));
  const std::string plot = (folder.path() / "plot.svg").string();
  const ProgramResult result =
      Bench({model, "-p", "4", "-n", "2", "-r", "2", "-d", "0,8,16", "--no-peaks", "--plot", plot, "--format", "csv"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("\"\"b\"\", c.gguf\""), std::string::npos) << result.out;
  const std::string svg = ReadFile(plot);
  const auto count = [&svg](const std::string& part) {
    int found = 0;
    for (std::size_t at = svg.find(part); at != std::string::npos; at = svg.find(part, at + 1)) ++found;
    return found;
  };
  EXPECT_EQ(svg.rfind("<svg ", 0), 0u);
  EXPECT_EQ(svg.substr(svg.size() - 7), "</svg>\n");
  EXPECT_EQ(count("<polyline "), 2);
  EXPECT_EQ(count("class=\"spread first\""), 3);
  EXPECT_EQ(count("class=\"spread second\""), 3);
  EXPECT_EQ(count("&lt;a>&amp;"), 2);
  EXPECT_EQ(count("<a>"), 0);
  EXPECT_EQ(count("nan") + count("inf\""), 0);
  EXPECT_EQ(count("<text"), count("</text>"));
}

// A counter that stands still: no energy was used, which is a figure, while no counter is a reason.
TEST(SlmBench, EnergyComesFromPowercap) {
  const TemporaryFolder folder;
  const auto bench = [](const std::filesystem::path& root) {
    return BenchJson({Model("gemma3"), "-p", "4", "-n", "2", "-r", "1", "--energy-root", root.string()});
  };
  const Json without = bench(folder.path() / "missing");
  EXPECT_NE(without["energy_reason"], "");
  EXPECT_TRUE(without["results"][0]["joules_per_token"].is_null());

  std::filesystem::create_directory(folder.path() / "intel-rapl:0");
  folder.Write("intel-rapl:0/name", "package-0\n");
  folder.Write("intel-rapl:0/energy_uj", "1000000\n");
  folder.Write("intel-rapl:0/max_energy_range_uj", "262143328850\n");
  const Json with = bench(folder.path());
  EXPECT_EQ(with["energy_reason"], "");
  for (const Json& result : with["results"]) EXPECT_EQ(result["joules_per_token"], 0.0);
}

TEST(SlmBench, HashDependsOnWhatIsComputedOnly) {
  // Heads of 32 dimensions, which every kind of cache can store.
  const std::vector<std::string> base = {Model("ministral3"), "-p", "20", "-n", "4", "-r", "1"};
  const auto hash = [&base](std::vector<std::string> more) {
    more.insert(more.begin(), base.begin(), base.end());
    return BenchJson(more)["logits_hash"].get<std::string>();
  };
  const std::string one_thread = hash({"-t", "1"});
  EXPECT_EQ(hash({"-t", "3"}), one_thread);
  EXPECT_NE(hash({"-d", "10"}), one_thread);
  EXPECT_EQ(hash({"-t", "1", "--prompt-threads", "2"}), one_thread);
  EXPECT_NE(hash({"--kv", "f32"}), one_thread);
  EXPECT_NE(hash({"--kv", "q8_0"}), one_thread);
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
  const ProgramResult result = Bench({Model("gemma3"), "-p", "5", "-n", "2", "-r", "1", "--kernels", "scalar",
                                      "--no-peaks", "--profile", "operation"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  for (const char* part : {"gemma3", "kernels scalar", "threads", "KV f16", "prompt 5", "generate 2", "± stdev",
                           "GMAC/s", "GB/s", "load", "peak memory", "logits hash",
                           "Profile: prompt of 5 tokens at depth 0", "Profile: generated token at depth 0", "sum"}) {
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
      {{Model("gemma3"), "-d", "0,-1"}, 2, "-d"},
      {{Model("gemma3"), "--profile", "colour"}, 2, "--profile"},
      {{Model("gemma3"), "--format", "xml"}, 2, "--format"},
      {{Model("gemma3"), "--plot", "plot.svg"}, 1, "at least two depths"},
      {{Model("gemma3"), "--first-token", "--format", "csv"}, 1, "csv"},
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
