// Files that slm-chat writes, however their paths are spelled: relative, absolute, through links that lead somewhere or
// not yet.

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "support/run_program.h"
#include "support/test_data.h"
#include "support/tiny_model.h"
#include "tools/tool_test.h"

namespace slm::test {

namespace {

namespace fs = std::filesystem;

class SlmChatFiles : public testing::Test {
 protected:
  void SetUp() override {
    if (std::string_view(SLM_TEST_EMULATOR) != "") GTEST_SKIP() << "the shell can't start an emulated program";
  }

  // Runs a program in the folder.
  ProgramResult Run(const std::vector<std::string>& arguments, std::string_view input = {}) {
    std::vector<std::string> command = {"/bin/sh", "-c", "cd \"$1\" && shift && exec \"$@\"", "sh",
                                        folder_.path().string()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return RunProgram(command, input);
  }
  ProgramResult Chat(std::vector<std::string> more, std::string_view input = {}) {
    std::vector<std::string> arguments = {SLM_CHAT, "-m", model_, "--temp", "0", "-n", "3", "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Run(arguments, input);
  }
  // The ways to call a file of the folder.
  std::vector<std::string> NamesOf(const std::string& name) {
    fs::create_directories(folder_.path() / "sub");
    fs::remove(folder_.path() / "link");
    fs::create_symlink(name, folder_.path() / "link");
    return {name, "./" + name, "sub/../" + name, (folder_.path() / name).string(), "link"};
  }

  const TemporaryFolder folder_;
  const std::string model_ = DataPath("models/llama_f16/model.gguf").string();
};

TEST_F(SlmChatFiles, ASessionKeepsEveryAnswer) {
  for (const std::string& name : NamesOf("new.session")) {
    fs::remove(folder_.path() / "new.session");
    const ProgramResult first = Chat({"--session", name, "-i"}, "One\nTwo\n");
    EXPECT_EQ(first.err, "") << name;
    const ProgramResult again = Chat({"--session", name, "-i"}, "Three\n/undo\n/undo\n/undo\n");
    EXPECT_TRUE(Contains(again.err, "4 messages")) << name << "\n" << again.err;
    EXPECT_TRUE(Contains(again.err, "Taken back: Three\nTaken back: Two\nTaken back: One\n")) << name << again.err;
    EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(folder_.path() / "new.session"))) << name;
  }
  EXPECT_TRUE(fs::is_symlink(folder_.path() / "link"));
}

TEST_F(SlmChatFiles, SavesAgainToWhatItSaved) {
  for (const std::string& name : NamesOf("s1.chat")) {
    for (const std::string& second : NamesOf("s1.chat")) {
      fs::remove(folder_.path() / "s1.chat");
      const ProgramResult result = Chat({"-i"}, "One\n/save " + name + "\nTwo\n/save " + second + "\n");
      EXPECT_EQ(result.err, "Saved to " + name + ".\nSaved to " + second + ".\n");
    }
  }
  const ProgramResult loaded = Chat({"-i"}, "/load ./s1.chat\nThree\n/save link\n/save s1.chat\n");
  EXPECT_TRUE(Contains(loaded.err, "Saved to link.\nSaved to s1.chat.\n")) << loaded.err;
  EXPECT_TRUE(fs::is_symlink(folder_.path() / "link"));
}

// Of a conversation that was loaded before, too.
TEST_F(SlmChatFiles, AnotherConversationStays) {
  EXPECT_EQ(Chat({"--session", "a", "One"}).exit_code, 0);
  EXPECT_EQ(Chat({"--session", "b", "Two"}).exit_code, 0);
  const std::string a = ReadFile(folder_.path() / "a"), b = ReadFile(folder_.path() / "b");
  EXPECT_TRUE(Contains(Chat({"-i"}, "/load a\n/load b\n/save a\n").err, "a exists and is not of this conversation"));
  EXPECT_EQ(ReadFile(folder_.path() / "a"), a);
  const ProgramResult moved = Chat({"-i", "--session", "a"}, "/load b\nThree\n");
  EXPECT_TRUE(Contains(moved.err, "answers are now saved there")) << moved.err;
  EXPECT_EQ(ReadFile(folder_.path() / "a"), a);
  EXPECT_NE(ReadFile(folder_.path() / "b"), b);
}

TEST_F(SlmChatFiles, OtherFilesStay) {
  folder_.Write("other", "text");
  for (const std::string& name : NamesOf("other")) {
    EXPECT_TRUE(Contains(Chat({"-i"}, "One\n/save " + name + "\n").err, "is not of this conversation")) << name;
    EXPECT_EQ(Chat({"--session", name, "Hi"}).exit_code, 1) << name;
  }
  EXPECT_EQ(ReadFile(folder_.path() / "other"), "text");
}

TEST_F(SlmChatFiles, AnswersGoThroughLinks) {
  folder_.Write("post.txt", "A post.");
  fs::create_symlink("answers", folder_.path() / "out");
  const auto run = [this](const std::string& folder, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"--out-dir", folder, "Hi", "--each", "post.txt"});
    return Chat(more);
  };
  EXPECT_EQ(run("out").exit_code, 0);
  EXPECT_TRUE(fs::is_symlink(folder_.path() / "out"));
  EXPECT_TRUE(fs::exists(folder_.path() / "answers/post.txt.md"));
  for (const std::string& name : {std::string("answers"), std::string("./answers"), std::string("sub/../answers"),
                                  (folder_.path() / "answers").string(), std::string("out")}) {
    fs::create_directories(folder_.path() / "sub");
    EXPECT_TRUE(Contains(run(name).err, "1 skipped")) << name;
  }
  // An answer that is a link stays one.
  fs::rename(folder_.path() / "answers/post.txt.md", folder_.path() / "elsewhere.md");
  fs::create_symlink("../elsewhere.md", folder_.path() / "answers/post.txt.md");
  EXPECT_EQ(run("out", {"--overwrite"}).exit_code, 0);
  EXPECT_TRUE(fs::is_symlink(folder_.path() / "answers/post.txt.md"));
}

TEST_F(SlmChatFiles, NoAnswerReplacesWhatIsRead) {
  const std::string prompt = "---\nname: post\ndescription: x\n---\nSay {{text}}\n";
  folder_.Write("post.md", prompt);
  fs::create_directories(folder_.path() / "posts");
  folder_.Write("posts/post.md", "A post.");
  for (const std::string& name : {std::string("post.md"), (folder_.path() / "post.md").string()}) {
    const ProgramResult result = Chat({"--prompt", name, "--out-dir", ".", "--overwrite", "--each", "posts/post.md"});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_TRUE(Contains(result.err, "one of the files that are read")) << result.err;
    EXPECT_EQ(Chat({"-f", name, "Hi", "--out-dir", ".", "--overwrite", "--each", "posts/post.md"}).exit_code, 1);
  }
  EXPECT_EQ(ReadFile(folder_.path() / "post.md"), prompt);
}

TEST_F(SlmChatFiles, LogitsAndPlotsGoThroughLinks) {
  folder_.Write("tokens.json", "[1, 2]");
  folder_.Write("model.gguf", ReadFile(model_));
  fs::create_symlink("real.npy", folder_.path() / "link.npy");
  const auto logits = [this](const std::string& out) {
    return Run({SLM_INSPECT, "logits", "model.gguf", "--tokens", "tokens.json", "--out", out});
  };
  EXPECT_EQ(logits("link.npy").exit_code, 0);
  EXPECT_EQ(logits("link.npy").exit_code, 0);
  EXPECT_TRUE(fs::is_symlink(folder_.path() / "link.npy"));
  EXPECT_TRUE(fs::exists(folder_.path() / "real.npy"));
  fs::create_symlink("model.gguf", folder_.path() / "m");
  for (const char* const out : {"model.gguf", "./tokens.json", "m"}) {
    EXPECT_TRUE(Contains(logits(out).err, "which is read")) << out;
  }
  const ProgramResult plot =
      Run({SLM_BENCH, "model.gguf", "-p", "2", "-n", "0", "-r", "1", "-d", "0,4", "--no-peaks", "--plot", "m"});
  EXPECT_TRUE(Contains(plot.err, "which is read")) << plot.err;
  EXPECT_EQ(ReadFile(folder_.path() / "model.gguf"), ReadFile(model_));
}

// Names that would steer a terminal are shown escaped, wherever they come from.
TEST_F(SlmChatFiles, NamesDoNotSteerTheTerminal) {
  const std::string evil =
      "\x1b]8;;https://attack.example\x07"
      "e\x1b[31m\xC2\x9B"
      "2J";
  const auto is_clean = [](const ProgramResult& result) {
    return !Contains(result.out + result.err, "\x1b") && !Contains(result.out + result.err, "\x07") &&
           !Contains(result.out + result.err, "\xC2\x9B");
  };
  TinyModel tiny;
  tiny.Set("general.name", evil).Set("general.sampling." + evil, 1.0f).Set("tokenizer.ggml.pre", evil);
  tiny.Set("general.sampling.top_k", evil).Set("tokenizer.chat_template", "{{ raise_exception('\x1b[31m\x07no') }}");
  const std::string named = folder_.Write("named.gguf", tiny.Build());
  tiny.AddTensor("blk.0." + evil + ".weight", {4});
  const std::string model = folder_.Write(std::string("m") + "\x1b[31m.gguf", tiny.Build());
  folder_.Write(evil.substr(0, 4) + "x.txt", "text");
  fs::create_directories(folder_.path() / "config/slm-chat/prompts");
  folder_.Write("config/slm-chat/prompts/p\x1b[1m.md", "---\nname: p\x1b[1m\ndescription: \"a\\u001b[31m\"\n---\nx\n");
  folder_.Write("config/slm-chat/prompts/q.md", "---\nname: q\nevil\x1b[1m: 1\n---\nx\n");

  std::vector<std::vector<std::string>> commands = {
      {SLM_BENCH, named, "-p", "2", "-n", "1", "-r", "1", "--no-peaks"},
      {SLM_BENCH, named, "-p", "2", "-n", "1", "-r", "1", "--no-peaks", "--format", "csv"},
      {SLM_BENCH, named, "-p", "2", "-n", "1", "-r", "1", "--no-peaks", "--format", "json"},
      {SLM_BENCH, model},
      {SLM_CHAT, "-m", named, "-v", "--raw", "-n", "1", "3"},
      {SLM_CHAT, "-m", named, "-v", "3"},
      {SLM_CHAT, "-m", model, "3"},
      {SLM_CHAT, "-m", named, "--session", evil, "3"},
      {SLM_CHAT, "-m", named, "--kv", evil, "3"},
      {SLM_CHAT, "-m", named, "--frob" + evil, "3"},
      {SLM_CHAT, "-m", named, "--prompt", evil, "3"},
      {SLM_CHAT, "-m", named, "-f", evil + ".txt", "3"},
      {SLM_CHAT, "-m", named, "--raw", "hi", "--out-dir", "o", "--each", evil + ".md"},
      {"/usr/bin/env", "XDG_CONFIG_HOME=" + (folder_.path() / "config").string(), SLM_CHAT, "--list-prompts"}};
  for (const std::string& file : {named, model}) {
    for (const char* const command : {"info", "tensors", "check"}) commands.push_back({SLM_INSPECT, command, file});
    for (const char* const command : {"info", "tensors"}) commands.push_back({SLM_INSPECT, command, file, "--json"});
  }
  for (const std::vector<std::string>& command : commands) {
    const ProgramResult result = Run(command);
    EXPECT_NE(result.out + result.err, "");
    EXPECT_TRUE(is_clean(result)) << testing::PrintToString(command) << "\n" << result.out << result.err;
  }
}

}  // namespace

}  // namespace slm::test
