// A model's file that is cut while it is read.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "support/run_program.h"
#include "support/run_terminal.h"
#include "support/test_data.h"

namespace slm::test {

namespace {

namespace fs = std::filesystem;

class LostFile : public testing::Test {
 protected:
  void SetUp() override {
    if (std::string_view(SLM_TEST_EMULATOR) != "") GTEST_SKIP() << "an emulated program can't be tested on a terminal";
    // Its most likely token is never the end of its turn.
    fs::copy_file(DataPath("models/gemma3_linear/model.gguf"), model_);
  }

  const TemporaryFolder folder_;
  const fs::path model_ = folder_.path() / "cut.gguf";
};

TEST_F(LostFile, TheToolSaysWhichAndWhatToDo) {
  for (const char* const threads : {"1", "2"}) {
    fs::copy_file(DataPath("models/gemma3_linear/model.gguf"), model_, fs::copy_options::overwrite_existing);
    Terminal terminal(
        {SLM_CHAT, "-m", model_.string(), "--temp", "0", "--ctx", "200000", "--threads", threads, "Hello"});
    ASSERT_TRUE(terminal.WaitForMore(400)) << terminal.screen();
    fs::resize_file(model_, 4096);
    EXPECT_EQ(terminal.Wait(), 1) << terminal.screen();
    EXPECT_TRUE(terminal.WaitFor("slm-chat: the model's file " + model_.string() + " was cut")) << terminal.screen();
    EXPECT_TRUE(terminal.WaitFor("Get it again")) << terminal.screen();
  }
}

// What was shown and typed before stays usable: lines, and what is typed is shown.
TEST_F(LostFile, TheTerminalIsAsBefore) {
  Terminal terminal({"/bin/sh", "-c", "\"$@\"; echo code $?; stty -a", "sh", SLM_CHAT, "-m", model_.string(), "--temp",
                     "0", "--ctx", "200000", "--threads", "1", "--no-history"});
  ASSERT_TRUE(terminal.WaitFor("> ")) << terminal.screen();
  terminal.Type("Hello\n");
  ASSERT_TRUE(terminal.WaitForMore(400)) << terminal.screen();
  fs::resize_file(model_, 4096);
  EXPECT_TRUE(terminal.WaitFor("was cut")) << terminal.screen();
  EXPECT_TRUE(terminal.WaitFor("code 1")) << terminal.screen();
  EXPECT_TRUE(terminal.WaitFor(" icanon")) << terminal.screen();
  EXPECT_TRUE(terminal.WaitFor(" echo ")) << terminal.screen();
}

TEST_F(LostFile, InAPipe) {
  const ProgramResult result =
      RunProgram({"/bin/sh", "-c",
                  "{ \"$1\" -m \"$2\" --temp 0 --ctx 200000 --threads 1 --no-stdin Hello; echo \"code $?\" >&2; } | "
                  "{ head -c 400 >/dev/null; : >\"$2\"; cat >/dev/null; }",
                  "sh", SLM_CHAT, model_.string()});
  EXPECT_NE(result.err.find("slm-chat: the model's file " + model_.string() + " was cut"), std::string::npos)
      << result.err;
  EXPECT_NE(result.err.find("code 1\n"), std::string::npos) << result.err;
}

}  // namespace

}  // namespace slm::test
