// LoRA adapters on the command line of the programs.

#include "adapter_options.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "support/fixture.h"
#include "support/run_program.h"
#include "support/test_data.h"
#include "tools/tool_test.h"

namespace slm::test {
namespace {

const std::string kAdapter = DataPath("lora/llama3/adapter.gguf").string();

TEST(AdapterOptionsTest, FileAndWeight) {
  using Parsed = std::pair<std::string, float>;
  EXPECT_EQ(tools::ParseAdapter("a.gguf"), Parsed("a.gguf", 1.0f));
  EXPECT_EQ(tools::ParseAdapter("a.gguf=0.5"), Parsed("a.gguf", 0.5f));
  EXPECT_EQ(tools::ParseAdapter("a=b.gguf=-2"), Parsed("a=b.gguf", -2.0f));
  EXPECT_EQ(tools::ParseAdapter("a=b.gguf"), Parsed("a=b.gguf", 1.0f));
  EXPECT_EQ(tools::ParseAdapter("a=3=1"), Parsed("a=3", 1.0f));
  EXPECT_EQ(tools::ParseAdapter("a="), Parsed("a=", 1.0f));
}

// The last rows of what `slm-inspect logits` writes, against PEFT's.
TEST(AdapterOptionsTest, LogitsOfAnAdaptedModel) {
  const TemporaryFolder folder;
  const std::string out = (folder.path() / "logits.npy").string();
  const ProgramResult result =
      RunProgram({SLM_INSPECT, "logits", Model("llama3"), "--tokens", DataPath("models/llama3/prompt.json").string(),
                  "--out", out, "--kv", "f32", "--lora", kAdapter + "=0.25", "--lora", kAdapter + "=0.75"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const NpyArray logits = ReadNpy(out), expected = ReadNpy(DataPath("lora/llama3/logits.npy"));
  EXPECT_LT(Compare(std::span(logits.values).last(expected.values.size()), expected.values).max_abs, 1e-3);
}

TEST(AdapterOptionsTest, NothingIsWrittenOverAnAdapter) {
  const TemporaryFolder folder;
  const std::string adapter = folder.Write("adapter.gguf", ReadFile(kAdapter)), before = ReadFile(adapter);
  const ProgramResult logits =
      RunProgram({SLM_INSPECT, "logits", Model("llama3"), "--tokens", DataPath("models/llama3/prompt.json").string(),
                  "--out", adapter, "--lora", adapter + "=0.5"});
  EXPECT_EQ(logits.exit_code, 1) << logits.err;
  EXPECT_TRUE(Contains(logits.err, "adapter.gguf")) << logits.err;
  const ProgramResult plot =
      RunProgram({SLM_BENCH, Model("llama3"), "-d", "0,1", "--plot", adapter, "--lora", adapter});
  EXPECT_EQ(plot.exit_code, 1) << plot.err;
  EXPECT_EQ(ReadFile(adapter), before);
}

TEST(AdapterOptionsTest, RefusesAnotherModels) {
  const ProgramResult result =
      RunProgram({SLM_CHAT, "-m", Model("gemma3"), "--raw", "-n", "1", "--lora", kAdapter, "a"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_TRUE(Contains(result.err, "is an adapter for architecture \"llama\", and the model is \"gemma3\""))
      << result.err;
}

// What is set in a conversation is what --lora gives from its beginning, and none is the model alone again.
TEST(AdapterOptionsTest, SetInAConversation) {
  const auto answers = [](std::vector<std::string> more, const std::string& input) {
    std::vector<std::string> arguments = {SLM_CHAT, "-m", Model("llama3"), "--raw", "-i", "--temp", "0",
                                          "-n",     "6",  "--threads",     "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const ProgramResult result = RunProgram(arguments, input);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  };
  const std::string base = answers({}, "hello\n"), adapted = answers({"--lora", kAdapter}, "hello\n");
  EXPECT_NE(base, adapted);
  EXPECT_EQ(answers({}, "/set lora " + kAdapter + "\nhello\n"), adapted);
  EXPECT_EQ(answers({"--lora", kAdapter}, "/set lora none\nhello\n"), base);
  EXPECT_EQ(answers({}, "/set lora [\"" + kAdapter + "=0.5\", \"" + kAdapter + "=0\"]\nhello\n"),
            answers({"--lora", kAdapter + "=0.5"}, "hello\n"));
  const ProgramResult listed = RunProgram({SLM_CHAT, "-m", Model("llama3"), "--raw", "-i", "--lora", kAdapter},
                                          "/set lora missing.gguf\n/set\n");
  EXPECT_TRUE(Contains(listed.err, "missing.gguf")) << listed.err;
  EXPECT_TRUE(Contains(listed.err, "lora                  [\"" + kAdapter + "\"]")) << listed.err;
}

}  // namespace
}  // namespace slm::test
