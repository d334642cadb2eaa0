// slm-chat doing several things at a time: answers to choose from, and files, with what goes wrong among them.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "slm/machine.h"
#include "support/json.h"
#include "support/run_program.h"
#include "support/run_terminal.h"
#include "support/test_data.h"
#include "tools/tool_test.h"

namespace slm::test {

namespace fs = std::filesystem;

namespace {

using Json = nlohmann::json;

std::size_t Count(const std::string& text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

using Arguments = std::vector<std::string>;

Arguments operator+(Arguments left, const Arguments& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

ProgramResult Chat(const Arguments& arguments, std::string_view input = {}) {
  return RunProgram(Arguments{SLM_CHAT, "--threads", "1"} + arguments, input, {"XDG_CONFIG_HOME=/nowhere"});
}

// Words that differ with every seed.
const Arguments kWarm = {"--temp", "1.5", "--top-k", "0", "--min-p", "0", "--seed", "7"};

class SlmChatAnswers : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Models, SlmChatAnswers, testing::Values("llama_f16", "gemma3_linear", "llama_spm"));

// The k-th answer is what the k-th retry gives, however many are written at a time.
TEST_P(SlmChatAnswers, AreThoseOfRetries) {
  const Arguments common = Arguments{"-m", Model(GetParam()), "-n", "40", "--json"} + kWarm;
  const ProgramResult turns = Chat(common + Arguments{"-i"}, "Hello there\n/retry\n/retry\n/retry\n/retry\n");
  ASSERT_EQ(turns.exit_code, 0) << turns.err;
  const std::vector<Json> expected = ParseJsonLines(turns.out);
  ASSERT_EQ(expected.size(), 5u);
  for (const char* const parallel : {"0", "1", "2", "64"}) {
    const ProgramResult result =
        Chat(common + Arguments{"--answers", "5", "--parallel", parallel, "--no-stdin", "Hello there"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.err, "");
    const std::vector<Json> lines = ParseJsonLines(result.out);
    ASSERT_EQ(lines.size(), 5u);
    for (std::size_t k = 0; k < 5; ++k) {
      EXPECT_EQ(lines[k]["text"], expected[k]["text"]) << k << " of " << parallel;
      EXPECT_EQ(lines[k]["answer"], k + 1);
      EXPECT_EQ(lines[k]["seed"], 7 + k);
      EXPECT_EQ(lines[k]["prompt_tokens"], k == 0 ? expected[0]["prompt_tokens"] : Json(1)) << "it is read once";
    }
    EXPECT_NE(lines[0]["text"], lines[1]["text"]);
  }
}

TEST_P(SlmChatAnswers, OfATextThatIsContinued) {
  const Arguments common = Arguments{"-m", Model(GetParam()), "-n", "20", "--raw"} + kWarm;
  const std::vector<Json> lines = ParseJsonLines(Chat(common + Arguments{"--answers", "2", "--json", "Once"}).out);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[1]["text"].get<std::string>() + "\n", Chat(common + Arguments{"--seed", "8", "Once"}).out);
}

TEST(SlmChatSeveral, AnswersStandUnderHeadings) {
  const Arguments common = Arguments{"-m", ChatMl(), "-n", "10"} + kWarm;
  std::string expected;
  for (const char* const seed : {"7", "8", "9"}) {
    const std::string number(1, static_cast<char>(seed[0] - '6' + '0'));
    expected += (expected.empty() ? "" : "\n") + ("# Answer " + number) + " of 3, seed " + seed + "\n\n" +
                Chat(common + Arguments{"--seed", seed, "Hello"}).out;
  }
  const ProgramResult result = Chat(common + Arguments{"--answers", "3", "--stats", "Hello"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out, expected);
  EXPECT_EQ(Count(result.err, "answer: 10 tokens"), 3u) << result.err;
  EXPECT_TRUE(Contains(result.err, "[all answers: 30 tokens, ")) << result.err;
  EXPECT_TRUE(Contains(result.err, " tokens/s, 3 at a time]")) << result.err;
  EXPECT_EQ(Chat(common + Arguments{"--answers", "1", "Hello"}).out, Chat(common + Arguments{"Hello"}).out);
}

TEST(SlmChatSeveral, AnswersThatCantBe) {
  const auto refused = [](const Arguments& arguments, int exit_code, std::string_view part) {
    const ProgramResult result = Chat(Arguments{"-m", ChatMl(), "--answers", "3", "-n", "2"} + arguments);
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_TRUE(Contains(result.err, part)) << result.err;
    EXPECT_EQ(Count(result.err, "\n"), 1u) << "once\n" << result.err;
  };
  refused({"--temp", "0", "Hi"}, 2, "At temperature 0");
  refused({"-i", "Hi"}, 2, "--answers");
  refused({"--session", "x", "Hi"}, 2, "--answers");
  refused({"--out-dir", "x", "Hi", "--each", "y"}, 2, "--answers");
  refused({"--long", "split", "Hi"}, 2, "--answers");
  refused({}, 2, "--answers");
  refused({"--answers", "0", "Hi"}, 2, "from 1 to 1000");
  refused({"--parallel", "1000", "Hi"}, 2, "from 0 to 64");
  refused({std::string(2000, 'x')}, 1, "--long split");
}

TEST(SlmChatSeveral, WhatMemoryHasNoRoomForIsSaidBefore) {
  const std::uint64_t available = DescribeMachine().available_bytes;
  if (available == 0) GTEST_SKIP() << "the system does not say what memory there is";
  const TemporaryFolder folder;
  const std::string model = WithContextLength(ChatMl(), folder, 2'000'000'000);
  const std::uint64_t bytes_a_token = 384;
  const std::string context = std::to_string(std::min<std::uint64_t>(available / 4 / bytes_a_token, 1'900'000'000));
  const Arguments common = {"-m", model, "--ctx", context, "-n", "2", "--answers", "40", "Hi"};
  const ProgramResult result = Chat(common + Arguments{"--parallel", "40"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.out, "");
  for (const char* part : {"40 contexts of ", "GB of memory", "are free", "--parallel", "--ctx"}) {
    EXPECT_TRUE(Contains(result.err, part)) << result.err;
  }
  const ProgramResult fewer = Chat(common + Arguments{"--stats"});
  EXPECT_EQ(fewer.exit_code, 0) << fewer.err;
  EXPECT_FALSE(Contains(fewer.err, "8 at a time")) << fewer.err;
}

TEST(SlmChatSeveral, ControlCStopsAllAnswers) {
  if (IsEmulated()) GTEST_SKIP() << "an emulated program can't be tested on a terminal";
  Terminal terminal(Arguments{SLM_CHAT, "-m", Endless(), "--ctx", "100000", "--threads", "1", "--answers", "20",
                              "--parallel", "3", "--ignore-eos", "Hello"} +
                    kWarm);
  ASSERT_TRUE(terminal.WaitFor("# Answer 1 of 20")) << terminal.screen();
  ASSERT_TRUE(terminal.WaitForMore(400)) << terminal.screen();
  terminal.Type("\x03");
  EXPECT_EQ(terminal.Wait(), 130) << terminal.screen();
  EXPECT_LE(Count(terminal.screen(), "# Answer "), 3u) << terminal.screen();
  EXPECT_EQ(Count(terminal.screen(), "# Answer "), Count(terminal.screen(), "[stopped]")) << terminal.screen();
}

TEST(SlmChatSeveral, AFullDiskEndsAllAnswers) {
  if (IsEmulated()) GTEST_SKIP() << "the shell can't start an emulated program";
  const ProgramResult full =
      RunProgram({"/bin/sh", "-c", "\"$CHAT\" --temp 1 --ctx 100000 --answers 4 Hi </dev/null >/dev/full"}, {},
                 {std::string("CHAT=") + SLM_CHAT, "SLM_MODEL=" + Endless()});
  EXPECT_EQ(full.exit_code, 1);
  EXPECT_TRUE(Contains(full.err, "standard output")) << full.err;
}

// Files, several at a time.
class SlmChatEach : public testing::Test {
 protected:
  std::string Write(const std::string& name, std::string_view text) { return files_.Write(name, text); }
  fs::path out() const { return out_.path() / "answers"; }
  Arguments Each(const Arguments& files, const std::string& parallel = "3") {
    return Arguments{"--out-dir", out().string(), "--parallel", parallel, "--each"} + files;
  }

  TemporaryFolder files_, out_;
};

// What all prompts begin with is read by nobody but the first, before there are others.
TEST_F(SlmChatEach, WhatPromptsBeginWithIsReadOnce) {
  const std::string rules = Write("rules.txt", "These are the rules that all texts are held against, in many words.");
  Arguments files;
  for (std::size_t i = 0; i < 5; ++i)
    files.push_back(Write("f" + std::to_string(i), std::string(1, static_cast<char>('A' + i)) + " text."));
  const Arguments common = {"-m", ChatMl(), "-n", "8", "--seed", "5", "--system", "Be brief.", "-f", rules, "Check."};
  std::vector<Json> alone;
  for (const std::string& file : files)
    alone.push_back(ParseJsonLines(Chat(common + Arguments{"-f", file, "--json"}).out).at(0));
  for (const char* const parallel : {"1", "2", "5", "0"}) {
    const ProgramResult result = Chat(common + Arguments{"--json", "--overwrite"} + Each(files, parallel));
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const std::vector<Json> lines = ParseJsonLines(result.out);
    ASSERT_EQ(lines.size(), files.size());
    for (std::size_t i = 0; i < lines.size(); ++i) {
      EXPECT_EQ(lines[i]["text"], alone[i]["text"]) << i << " of " << parallel;
      const int read = lines[i]["prompt_tokens"], cached = lines[i]["cached_tokens"];
      EXPECT_EQ(read + cached, alone[i]["prompt_tokens"]);
      const bool reads_all = i == 0 && parallel[0] == '1';
      EXPECT_EQ(cached > 60, !reads_all) << i << " of " << parallel << ": " << cached;
    }
  }
}

TEST_F(SlmChatEach, SlidingWindowsReadOnceToo) {
  Arguments files;
  for (std::size_t i = 0; i < 4; ++i)
    files.push_back(Write("f" + std::to_string(i), std::string(100 + 40 * i, static_cast<char>('a' + i))));
  const Arguments common = {"-m",     Endless(),     "--ctx", "2000",   "-n", "60",
                            "--json", "--overwrite", "Tell.", "--seed", "4"};
  const std::vector<Json> one = ParseJsonLines(Chat(common + Each(files, "1")).out);
  const std::vector<Json> all = ParseJsonLines(Chat(common + Each(files, "4")).out);
  ASSERT_EQ(one.size(), 4u);
  ASSERT_EQ(all.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(all[i]["text"], one[i]["text"]);
    EXPECT_GT(all[i]["cached_tokens"], 5);
  }
}

TEST_F(SlmChatEach, FailingFilesAmongOthers) {
  fs::create_directories(files_.path() / "other");
  const Arguments files = {Write("a.md", "A text."),
                           Write("zero.md", std::string("a\0b", 3)),
                           Write("other/a.md", "Another text of this name."),
                           "nowhere.md",
                           Write("long.md", std::string(3000, 'x')),
                           Write("a.md", "A text."),
                           files_.path().string(),
                           Write("b.md", "The last text.")};
  const ProgramResult result = Chat(Arguments{"-m", ChatMl(), "-n", "6", "--json", "--seed", "3"} + Each(files, "64"));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_TRUE(Contains(result.err, "3 answered, 0 skipped because they were answered before, 4 failed")) << result.err;
  std::string told;
  for (const Json& line : ParseJsonLines(result.out)) told += line.contains("error") ? '-' : '+';
  EXPECT_EQ(told, "+-+---+") << "in the order of the files, each once";
  for (const std::size_t i : {2, 7}) {
    const std::string name = i == 2 ? "other/a.md" : "b.md";
    EXPECT_EQ(ReadFile(out() / name), Chat({"-m", ChatMl(), "-n", "6", "--seed", "3", "-f", files[i]}).out) << name;
  }
}

TEST_F(SlmChatEach, LongTextsSeveralAtATime) {
  Arguments files;
  for (const char name : {'a', 'b', 'c'}) {
    std::string text;
    for (int i = 0; i < 40; ++i) text += std::string("Sentence ") + name + std::to_string(i) + " of it. ";
    files.push_back(Write(std::string(1, name), text));
  }
  files.push_back(Write("short", "A text."));
  const Arguments common = {"-m",     ChatMl(), "-n", "8",           "--long", "split",
                            "--json", "--seed", "1",  "--overwrite", "Sum."};
  const std::vector<Json> one = ParseJsonLines(Chat(common + Each(files, "1")).out);
  const ProgramResult result = Chat(common + Each(files, "4"));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const std::vector<Json> all = ParseJsonLines(result.out);
  ASSERT_EQ(one.size(), 4u);
  ASSERT_EQ(all.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(all[i]["text"], one[i]["text"]) << i;
    if (i == 3) continue;
    EXPECT_EQ(all[i]["parts"].size(), one[i]["parts"].size());
    EXPECT_TRUE(Contains(result.err, files[i] + ": part 1 of ")) << "who it is about\n" << result.err;
  }
}

TEST_F(SlmChatEach, AFullDiskFailsFilesAndARunLaterGoesOn) {
  if (IsEmulated()) GTEST_SKIP() << "the shell can't start an emulated program";
  Arguments files;
  for (const char name : {'a', 'b', 'c', 'd'})
    files.push_back(Write(std::string(1, name), std::string("Text ") + name));
  const Arguments arguments =
      Arguments{"-m", Endless(), "--temp", "0", "--ctx", "3000", "-n", "2900", "--ignore-eos"} + Each(files, "2");
  std::string command = "ulimit -f 4; trap '' XFSZ; exec \"$0\" \"$@\"";  // no file may have more than 2 kB
  const ProgramResult full = RunProgram(Arguments{"/bin/sh", "-c", command, SLM_CHAT, "-t", "1"} + arguments);
  EXPECT_EQ(full.exit_code, 1) << full.err;
  EXPECT_TRUE(Contains(full.err, "0 answered, 0 skipped because they were answered before, 4 failed")) << full.err;
  EXPECT_EQ(Count(full.err, "Cannot write "), 4u) << full.err;
  for (const auto& entry : fs::directory_iterator(out())) ADD_FAILURE() << entry.path();
  const ProgramResult later = Chat(arguments);
  EXPECT_EQ(later.exit_code, 0) << later.err;
  EXPECT_TRUE(Contains(later.err, "4 answered, 0 skipped")) << later.err;
}

// Stopped or killed while three are answered: what is there stays, and the next run does the rest.
class SlmChatEachStopped : public SlmChatEach {
 protected:
  void SetUp() override {
    if (IsEmulated()) GTEST_SKIP() << "an emulated program can't be stopped like this";
    for (char name = 'a'; name <= 'h'; ++name)
      list_.push_back(Write(std::string(1, name), std::string("The text ") + name));
  }
  Arguments Run() {
    return Arguments{"-m", Endless(), "--temp", "0.8", "--seed", "2", "--ctx", "3000", "-n", "2500"} + Each(list_);
  }
  void ExpectGoesOn() {
    const ProgramResult rest = Chat(Run());
    EXPECT_EQ(rest.exit_code, 0) << rest.err;
    EXPECT_FALSE(Contains(rest.err, " 0 skipped")) << rest.err;
    EXPECT_FALSE(Contains(rest.err, " 8 skipped")) << rest.err;
    std::vector<std::string> answers;
    for (const std::string& file : list_)
      answers.push_back(ReadFile(out() / (fs::path(file).filename().string() + ".md")));
    EXPECT_EQ(Chat(Arguments{"--overwrite"} + Run()).exit_code, 0);
    for (std::size_t i = 0; i < list_.size(); ++i)
      EXPECT_EQ(answers[i], ReadFile(out() / (fs::path(list_[i]).filename().string() + ".md"))) << list_[i];
    for (const auto& entry : fs::directory_iterator(out())) EXPECT_NE(entry.path().extension(), ".part");
  }

  Arguments list_;
};

TEST_F(SlmChatEachStopped, ByControlC) {
  Terminal terminal(Arguments{SLM_CHAT, "--threads", "1"} + Run());
  ASSERT_TRUE(terminal.WaitFor("2 of 8")) << terminal.screen();
  terminal.Type("\x03");
  EXPECT_EQ(terminal.Wait(), 130) << terminal.screen();
  EXPECT_TRUE(Contains(terminal.screen(), "run the same command again")) << terminal.screen();
  ExpectGoesOn();
}

TEST_F(SlmChatEachStopped, ByKill) {
  const std::string command =
      "\"$0\" \"$@\" & while ! [ -e '" + (out() / "b.md").string() + "' ]; do sleep 0.01; done; kill -9 $!; wait $!";
  const ProgramResult killed = RunProgram(Arguments{"/bin/sh", "-c", command, SLM_CHAT, "-t", "1"} + Run());
  EXPECT_EQ(killed.exit_code, 128 + 9) << killed.err;
  ExpectGoesOn();
}

}  // namespace

}  // namespace slm::test
