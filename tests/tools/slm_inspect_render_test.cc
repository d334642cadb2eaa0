// slm-inspect render, run as a program on the fixtures of chat templates.

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "support/json.h"
#include "support/run_program.h"
#include "support/test_data.h"
#include "support/tiny_model.h"
#include "tiny_gguf.h"

namespace slm::test {

namespace {

using nlohmann::ordered_json;

constexpr char kHi[] = R"({"messages": [{"role": "user", "content": "Hi"}], "add_generation_prompt": true})";

ProgramResult RunRender(std::vector<std::string> arguments, std::string_view input = {}) {
  arguments.insert(arguments.begin(), {SLM_INSPECT, "render"});
  return RunProgram(std::move(arguments), input);
}

// Renders `source` with `context` from standard input.
ProgramResult RenderText(std::string_view source, std::string_view context, std::vector<std::string> more = {}) {
  const TemporaryFolder folder;
  std::vector<std::string> arguments = {"--template", folder.Write("t.jinja", source), "--context", "-"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return RunRender(arguments, context);
}

void ExpectFails(const ProgramResult& result, int exit_code, const std::string& part) {
  EXPECT_EQ(result.exit_code, exit_code) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_TRUE(result.err.starts_with("slm-inspect: ")) << result.err;
  EXPECT_NE(result.err.find(part), std::string::npos) << result.err;
}

// The variables of a fixture's case; "now" in its extras is for --now.
ordered_json Context(const ordered_json& each) {
  ordered_json context = ordered_json::object();
  for (const char* key : {"messages", "tools", "bos_token", "eos_token", "add_generation_prompt"}) {
    if (each.contains(key)) context[key] = each[key];
  }
  if (each.contains("extra")) {
    for (const auto& [key, value] : each["extra"].items()) {
      if (key != "now") context[key] = value;
    }
  }
  return context;
}

class SlmInspectRenderFamily : public testing::TestWithParam<const char*> {};

TEST_P(SlmInspectRenderFamily, EveryCase) {
  const std::string base = DataPath("templates").string() + "/" + GetParam();
  std::istringstream lines(ReadFile(base + ".jsonl"));
  int rendered = 0, refused = 0;
  for (std::string line; std::getline(lines, line);) {
    const ordered_json each = ParseOrderedJson(line);
    std::vector<std::string> arguments = {"--template", base + ".jinja", "--context", "-"};
    if (each.contains("extra") && each["extra"].contains("now")) {
      arguments.insert(arguments.end(), {"--now", each["extra"]["now"].get<std::string>()});
    }
    const ProgramResult result = RunRender(arguments, Context(each).dump());
    if (each["rendered"].is_null()) {
      ExpectFails(result, 1, each.value("error", ""));
      ++refused;
    } else {
      EXPECT_EQ(result.exit_code, 0) << each["name"] << ": " << result.err;
      EXPECT_EQ(result.out, each["rendered"].get<std::string>()) << each["name"];
      ++rendered;
    }
  }
  EXPECT_GT(rendered, 20);
  EXPECT_GT(refused, 0);
}
INSTANTIATE_TEST_SUITE_P(Families, SlmInspectRenderFamily, testing::Values("gemma3", "llama32", "mistral_v3_tekken"));

TEST(SlmInspectRender, NowIsTheDayThatTheTemplateIsTold) {
  const ProgramResult result = RenderText("{{ strftime_now('%d %b %Y, %H:%M') }}", "{}", {"--now", "2024-02-29"});
  EXPECT_EQ(result.out, "29 Feb 2024, 00:00") << result.err;
  for (const char* day : {"2023-02-29", "yesterday", "2024-2-9", "2024-13-01", "2024-01-01 ", "-024-01-01",
                          "9999-12-31", "0001-01-01", "2262-04-13", "1600-01-01"}) {
    ExpectFails(RenderText("x", "{}", {"--now", day}), 2, "is no day");
  }
}

TEST(SlmInspectRender, TextIsWrittenAsItIs) {
  const ProgramResult result = RenderText("{{ a }}\n\n", R"({"a": "é\u0000\n<b>"})");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, std::string("é\0\n<b>\n", 8));
}

TEST(SlmInspectRender, OrderOfKeysIsKept) {
  const char* context = R"({"z": 1, "a": {"y": 1, "b": [{"d": 1, "c": 2.50}]}})";
  EXPECT_EQ(RenderText("{{ a | tojson }}", context).out, R"({"y": 1, "b": [{"d": 1, "c": 2.5}]})");
}

TEST(SlmInspectRender, OddJson) {
  // As in Python: of keys that are there twice the last value counts, in the place of the first.
  EXPECT_EQ(RenderText("{{ a | tojson }}", R"({"a": {"x": 1, "y": 2, "x": 3}})").out, R"({"x": 3, "y": 2})");
  EXPECT_EQ(RenderText("{{ a }}", R"({"a": 9223372036854775807})").out, "9223372036854775807");
  // Whole numbers of more than 64 bits become real ones.
  EXPECT_EQ(RenderText("{{ a }}", R"({"a": 100000000000000000000})").out, "1e+20");
  ExpectFails(RenderText("{{ a }}", R"({"a": NaN})"), 1, "not valid JSON");
  ExpectFails(RenderText("{{ a }}", R"({"a": 1e999})"), 1, "out of range");
  ExpectFails(RenderText("{{ a }}", "{\"a\": \"\xff\"}"), 1, "not valid JSON");
  ExpectFails(RenderText("{{ a }}", "[]"), 1, "must be a JSON object");
  ExpectFails(RenderText("{{ a }}", ""), 1, "not valid JSON");
  const std::string deep(100'000, '[');
  ExpectFails(RenderText("{{ a }}", "{\"a\": " + deep + std::string(100'000, ']') + "}"), 1, "nested");
}

TEST(SlmInspectRender, FailuresOfTemplatesHaveLineAndColumn) {
  ExpectFails(RenderText("a\n{{ b.c }}", "{}"), 1, "line 2, column 5: 'b' is undefined");
  ExpectFails(RenderText("{% if %}", "{}"), 1, "line 1, column 7: expected a value");
  ExpectFails(RenderText("{{ raise_exception('No ' ~ a) }}", R"({"a": "tools"})"), 1, "No tools");
}

TEST(SlmInspectRender, WrongUsage) {
  ExpectFails(RunRender({"--context", "-"}, kHi), 2, "MODEL or --template");
  ExpectFails(RenderText("x", kHi, {"--ids"}), 2, "MODEL, whose tokens --ids shows");
  ExpectFails(RenderText("x", kHi, {"--name", "rag"}), 2, "--name");
  ExpectFails(RunRender({"model.gguf"}), 2, "--context");
  ExpectFails(RunRender({"--template", "-", "--context", "-"}, kHi), 2, "can't both be standard input");
}

TEST(SlmInspectRender, FilesThatAreMissing) {
  ExpectFails(RunRender({"--template", "/none.jinja", "--context", "-"}, kHi), 1, "/none.jinja");
  ExpectFails(RenderText("x", kHi, {"--context", "/none.json"}), 1, "/none.json");  // the last of two counts
  const TemporaryFolder folder;
  ExpectFails(RunRender({"--template", folder.Write("t.jinja", "x"), "--context", "/none.json"}), 1, "/none.json");
  ExpectFails(RunRender({"/none.gguf", "--context", "-"}, kHi), 1, "/none.gguf");
}

// A vocabulary of five tokens without weights, with two templates.
TinyGguf VocabularyFile() {
  TinyGguf file;
  file.Set("general.architecture", std::string("abacus"));
  file.Set("tokenizer.ggml.model", std::string("llama"));
  file.Set("tokenizer.ggml.tokens", std::vector<std::string>{"<unk>", "<s>", "</s>", "H", "i"});
  file.Set("tokenizer.ggml.scores", std::vector<float>{0, 0, 0, -1, -2});
  file.Set("tokenizer.ggml.token_type", std::vector<std::int32_t>{2, 3, 3, 1, 1});
  file.Set("tokenizer.ggml.bos_token_id", std::uint32_t{1});
  file.Set("tokenizer.ggml.eos_token_id", std::uint32_t{2});
  file.Set("tokenizer.ggml.add_space_prefix", false);
  file.Set("tokenizer.chat_template", std::string("{{ bos_token }}{{ messages[0].content }}{{ eos_token }}"));
  file.Set("tokenizer.chat_template.loud", std::string("{{ messages[0].content | upper }}"));
  return file;
}

TEST(SlmInspectRender, ModelThatCannotBeRun) {
  const TemporaryFolder folder;
  const std::string model = folder.Write("v.gguf", VocabularyFile().Build());
  EXPECT_EQ(RunRender({model, "--context", "-"}, kHi).out, "<s>Hi</s>");
  EXPECT_EQ(RunRender({model, "--context", "-", "--ids"}, kHi).out, "[1,3,4,2]\n");
  EXPECT_EQ(RunRender({model, "--context", "-", "--name", "loud"}, kHi).out, "HI");
  ExpectFails(RunRender({model, "--context", "-", "--name", "quiet"}, kHi), 1, "no chat template called \"quiet\"");
  // What the context says itself stays, also an empty text or null.
  const char* own = R"( {"bos_token": null, "eos_token": "", "messages": [{"content": "</s>i"}]})";
  EXPECT_EQ(RunRender({model, "--context", "-"}, own).out, "None</s>i");
  // A conversation's "</s>" is three characters, none of them in this vocabulary, and a letter.
  EXPECT_EQ(RunRender({model, "--context", "-", "--ids"}, R"({"messages": [{"content": "</s>i"}]})").out,
            "[1,0,0,0,0,4,2]\n");
  const std::string other = folder.Write("t.jinja", "{{ eos_token }}{{ bos_token }}");
  EXPECT_EQ(RunRender({model, "--template", other, "--context", "-"}, "{}").out, "</s><s>");
}

TEST(SlmInspectRender, ModelWithoutATemplate) {
  const TemporaryFolder folder;
  const std::string model = folder.Write("tiny.gguf", TinyModel().Build());
  ExpectFails(RunRender({model, "--context", "-"}, kHi), 1, "chat template");
}

TEST(SlmInspectRender, RealModel) {
  const auto model = RealModel("smollm2-135m");
  if (!model) GTEST_SKIP() << "SmolLM2 is not in the model cache; tools/fetch-model gets it";
  const ProgramResult text = RunRender({model->string(), "--context", "-"}, kHi);
  EXPECT_NE(text.out.find("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"), std::string::npos) << text.err;
  const ProgramResult ids = RunRender({model->string(), "--context", "-", "--ids"}, kHi);
  const auto tokens = ParseOrderedJson(ids.out);
  EXPECT_EQ(tokens[0], 1) << ids.out;  // <|im_start|>
  EXPECT_EQ(tokens[tokens.size() - 4], 1) << ids.out;
}

}  // namespace
}  // namespace slm::test
