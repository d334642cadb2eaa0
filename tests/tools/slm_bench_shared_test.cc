// slm-bench --rows, --parallel and --speculate. Nothing here depends on how fast anything is.

#include <gtest/gtest.h>

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench_shared.h"
#include "slm/generate.h"
#include "support/json.h"
#include "support/run_program.h"
#include "support/test_data.h"
#include "tools/tool_test.h"

namespace slm::test {

namespace {

using Json = nlohmann::json;

constexpr char kText[] = "One two three. One two three. One two three. One two";

ProgramResult Bench(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), SLM_BENCH);
  return RunProgram(std::move(arguments));
}

std::string Out(std::vector<std::string> arguments) {
  const ProgramResult result = Bench(std::move(arguments));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return result.out;
}

int Count(const std::string& text, const std::string& part) {
  int found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(SlmBenchShared, RowsAndConversations) {
  const Json json =
      ParseJson(Out({Model("gemma3"), "--rows", "3,1,3", "--parallel", "1,4", "-n", "6", "-r", "2", "--json"}));
  ASSERT_EQ(json["rows"].size(), 2u);
  ASSERT_EQ(json["parallel"].size(), 2u);
  EXPECT_EQ(json["rows"][1]["rows"], 3);
  EXPECT_EQ(json["parallel"][1]["conversations"], 4);
  for (const char* part : {"rows", "parallel"}) {
    EXPECT_EQ(json[part][0]["cost"], 1.0);
    for (const Json& rate : json[part]) {
      const double count = rate.at(part[0] == 'r' ? "rows" : "conversations").get<double>();
      EXPECT_NEAR(rate["tps"].get<double>(), count / rate["step_s"].get<double>(), 1e-6 * rate["tps"].get<double>());
      EXPECT_GT(rate["cost"].get<double>(), 0);
      EXPECT_LE(rate["tps_min"], rate["tps"]);
      EXPECT_LE(rate["tps"], rate["tps_max"]);
    }
  }
  EXPECT_EQ(json["speculate"].size(), 0u);
  EXPECT_EQ(json["repetitions"], 2);
  EXPECT_EQ(json["architecture"], "gemma3");
}

TEST(SlmBenchShared, TextAndMarkdown) {
  const TemporaryFolder folder;
  const std::string text = folder.Write("text.txt", kText);
  const std::vector<std::string> base = {
      Model("gemma3"), "--rows", "1,2",       "--parallel", "2",       "-n", "4", "-r", "1",
      "--speculate",   text,     "--kernels", "scalar",     "--format"};
  for (const std::string format : {"text", "md"}) {
    std::vector<std::string> arguments = base;
    arguments.push_back(format);
    const std::string out = Out(arguments);
    for (const char* part : {"kernels scalar", "rows a step", "ms a step", "conversations", "4 tokens after a text of ",
                             "plain tokens/s", "greedy", "temperature 0.8"}) {
      EXPECT_NE(out.find(part), std::string::npos) << part << "\n" << out;
    }
    EXPECT_EQ(Count(out, "|---|---:|"), format == "md" ? 3 : 0) << out;
  }
}

// A dot and a bar for each number; a list that is not given has no panel.
TEST(SlmBenchShared, Plot) {
  const TemporaryFolder folder;
  const std::string plot = (folder.path() / "plot.svg").string();
  Out({Model("gemma3"), "--rows", "1,2,4", "--parallel", "1,2", "-n", "4", "-r", "1", "--plot", plot});
  std::string svg = ReadFile(plot);
  EXPECT_EQ(Count(svg, "<polyline "), 2);
  EXPECT_EQ(Count(svg, "class=\"spread first\""), 3);
  EXPECT_EQ(Count(svg, "class=\"spread second\""), 2);
  EXPECT_EQ(Count(svg, "rows of one text"), 1);
  EXPECT_EQ(Count(svg, "nan") + Count(svg, "inf\""), 0);
  Out({Model("gemma3"), "--parallel", "1,2", "-n", "4", "-r", "1", "--plot", plot});
  svg = ReadFile(plot);
  EXPECT_EQ(Count(svg, "<polyline "), 1);
  EXPECT_EQ(Count(svg, "rows of one text"), 0);
}

// What any application would be given for the text, by FNV-1a.
std::string HashOfPlainText(const std::string& model_path, double temperature, int tokens) {
  const Result<slm::Model> model = slm::Model::Open(model_path);
  Result<Session> session = Session::Create(*model);
  const Result<std::vector<Token>> prompt = model->tokenizer().Encode(kText, {.add_special = true, .at_end = false});
  Sampler sampler({.temperature = static_cast<float>(temperature), .seed = 1}, &model->tokenizer());
  const Result<GenerateResult> result =
      Generate(*session, sampler, *prompt, {.max_tokens = tokens, .ignore_end = true, .guess_tokens = 0}, {});
  EXPECT_TRUE(result.ok()) << result.status().message();
  std::uint64_t hash = 14695981039346656037u;
  for (const char c : result->text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  char text[17];
  std::snprintf(text, sizeof(text), "%016" PRIx64, hash);
  return text;
}

TEST(SlmBenchShared, SpeculationWritesTheTextOfPlainGeneration) {
  const TemporaryFolder folder;
  const std::string text = folder.Write("text.txt", kText);
  for (const char* threads : {"1", "2"}) {
    const Json json =
        ParseJson(Out({Model("gemma3"), "--speculate", text, "-n", "40", "-r", "2", "-t", threads, "--json"}));
    EXPECT_GT(json["prompt_tokens"], 10);
    ASSERT_EQ(json["speculate"].size(), 2u);
    for (std::size_t i = 0; i < 2; ++i) {
      const Json& one = json["speculate"][i];
      const double temperature = i == 0 ? 0 : 0.8;
      EXPECT_EQ(one["temperature"], temperature);
      EXPECT_EQ(one["text_hash"], HashOfPlainText(Model("gemma3"), temperature, 40));
      const double guessed = one["guessed"], accepted = one["accepted"];
      EXPECT_LE(accepted, guessed);
      EXPECT_EQ(one["steps"], 40 - accepted);
      EXPECT_EQ(one["acceptance"].is_null(), guessed == 0);
      EXPECT_GT(one["plain_tps"].get<double>(), 0);
      EXPECT_GT(one["guessing_tps"].get<double>(), 0);
      EXPECT_LE(one["gain_min"], one["gain"]);
      EXPECT_LE(one["gain"], one["gain_max"]);
    }
  }
}

// A draft changes no text.
TEST(SlmBenchShared, Draft) {
  const TemporaryFolder folder;
  const std::string text = folder.Write("text.txt", kText);
  const std::vector<std::string> base = {Model("gemma3"), "--speculate", text, "-n", "20", "-r", "1", "--json"};
  std::vector<std::string> with_draft = base;
  with_draft.insert(with_draft.end(), {"--draft", Model("gemma3")});
  const Json plain = ParseJson(Out(base)), drafted = ParseJson(Out(with_draft));
  EXPECT_EQ(plain["draft"], "");
  EXPECT_EQ(drafted["draft"], Model("gemma3"));
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(plain["speculate"][i]["text_hash"], drafted["speculate"][i]["text_hash"]);
  }
}

TEST(SlmBenchShared, AnotherTextIsAnError) {
  EXPECT_TRUE(tools::CheckSameText("", "", "greedy").ok());
  EXPECT_TRUE(tools::CheckSameText("abc", "abc", "greedy").ok());
  for (const char* other : {"abX", "ab", "abcd", ""}) {
    const Status status = tools::CheckSameText("abc", other, "greedy");
    EXPECT_FALSE(status.ok());
    const std::string byte = other == std::string("abcd") ? "3" : *other == 'a' ? "2" : "0";
    EXPECT_NE(status.message().find("from byte " + byte + " on (of 3)"), std::string::npos) << status.message();
  }
}

TEST(SlmBenchShared, Failures) {
  const TemporaryFolder folder;
  const std::string empty = folder.Write("empty.txt", "");
  const std::string short_text = folder.Write("short.txt", kText);
  std::string lines;
  for (int i = 0; i < 50; ++i) lines += kText;
  const std::string text = folder.Write("long.txt", lines);
  struct Case {
    std::vector<std::string> arguments;
    int exit_code;
    std::vector<std::string> parts;
  };
  const Case cases[] = {
      {{"--rows", "0"}, 2, {"--rows"}},
      {{"--rows", "2", "--format", "csv"}, 1, {"--rows"}},
      {{"--parallel", "2", "-n", "0"}, 1, {"-n is 0"}},
      {{"--rows", "2,2", "--plot", "plot.svg"}, 1, {"at least two"}},
      {{"--speculate", text, "--plot", "plot.svg"}, 1, {"at least two"}},
      {{"--speculate", "missing.txt"}, 1, {"missing.txt"}},
      {{"--speculate", folder.path().string()}, 1, {folder.path().string()}},
      {{"--speculate", empty}, 1, {"is empty"}},
      {{"--speculate", text, "-n", "7"}, 1, {"long.txt has ", " tokens, and 7 ", "context length is 256"}},
      {{"--rows", "2", "--draft", Model("gemma3")}, 2, {"--draft", "--speculate"}},
      {{"--speculate", short_text, "--draft", "missing.gguf"}, 1, {"missing.gguf"}},
      {{"--speculate", short_text, "--draft", Model("ministral3")}, 1, {"--draft ", "another vocabulary"}},
      {{"--speculate", text, "--rows", "1,2", "--plot", text}, 1, {text}},
  };
  for (const Case& c : cases) {
    std::vector<std::string> arguments = c.arguments;
    arguments.insert(arguments.begin(), Model("gemma3"));
    const ProgramResult result = Bench(arguments);
    EXPECT_EQ(result.exit_code, c.exit_code) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(result.err.rfind("slm-bench: ", 0), 0u) << result.err;
    for (const std::string& part : c.parts) EXPECT_NE(result.err.find(part), std::string::npos) << result.err;
  }
}

}  // namespace

}  // namespace slm::test
