// slm-chat as a program: what it reads, what it prints where, and how it ends.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "support/run_program.h"
#include "support/run_terminal.h"
#include "support/test_data.h"
#include "tools/tool_test.h"

namespace slm::test {

namespace {

ProgramResult Chat(std::vector<std::string> arguments, std::string_view input = {},
                   const std::vector<std::string>& environment = {}) {
  arguments.insert(arguments.begin(), {SLM_CHAT, "--threads", "1"});
  return RunProgram(std::move(arguments), input, environment);
}

// Runs a line of the shell in which $CHAT is the program.
ProgramResult Shell(const std::string& line) {
  return RunProgram({"/bin/sh", "-c", line}, {}, {std::string("CHAT=") + SLM_CHAT, "SLM_MODEL=" + ChatMl()});
}

void ExpectFailure(const ProgramResult& result, int exit_code, const std::vector<std::string>& parts) {
  EXPECT_EQ(result.exit_code, exit_code) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err.rfind("slm-chat: ", 0), 0u) << result.err;
  for (const std::string& part : parts)
    EXPECT_NE(result.err.find(part), std::string::npos) << part << "\n" << result.err;
}

TEST(SlmChatUsage, HelpAndVersion) {
  const ProgramResult help = Chat({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_TRUE(Contains(help.out, "Examples:\n  slm-chat"));
  EXPECT_EQ(help.err, "");
  const ProgramResult version = Chat({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_EQ(version.out.rfind("slm-chat ", 0), 0u);
}

TEST(SlmChatUsage, WrongCommandLinesGiveExitCode2) {
  ExpectFailure(Chat({"--frobnicate"}), 2, {"--frobnicate"});
  ExpectFailure(Chat({"-m", ChatMl(), "--temp", "hot", "Hi"}), 2, {"--temp"});
  ExpectFailure(Chat({"-m", ChatMl(), "--temp", "-1", "Hi"}), 2, {"temperature", "-1"});
  ExpectFailure(Chat({"-m", ChatMl(), "--top-p", "2", "Hi"}), 2, {"top_p"});
  ExpectFailure(Chat({"-m", ChatMl(), "--logit-bias", "7", "Hi"}), 2, {"--logit-bias", "TOKEN"});
  ExpectFailure(Chat({"-m", ChatMl(), "-n", "-2", "Hi"}), 2, {"--max-tokens", "-2"});
  ExpectFailure(Chat({"-m", ChatMl(), "--kv", "q8", "Hi"}), 2, {"--kv"});
  ExpectFailure(Chat({"-m", ChatMl(), "--shift-keep", "4", "Hi"}), 2, {"--shift-keep", "-n"});
  ExpectFailure(Chat({"-m", ChatMl(), "--color", "pink", "Hi"}), 2, {"--color"});
  ExpectFailure(Chat({"-m", ChatMl(), "--raw", "--session", "x", "Hi"}), 2, {"--session"});
  ExpectFailure(Chat({"-m", ChatMl(), "--raw", "--system", "x", "Hi"}), 2, {"--system"});
  ExpectFailure(Chat({"-m", ChatMl()}), 2, {"no prompt"});
  ExpectFailure(Chat({"Hi"}, {}, {"SLM_MODEL="}), 2, {"-m", "SLM_MODEL"});
}

TEST(SlmChatInput, FilesThenStandardInputThenWords) {
  const TemporaryFolder folder;
  const std::string a = folder.Write("a.md", "\xEF\xBB\xBF# A\n\nText of a.\n\n");
  const std::string b = folder.Write("b.txt", "Text of b.");
  const ProgramResult result =
      Chat({"--print-prompt", "--file", a, "Compare", "-f", b, "the two."}, "from standard input\n");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(
      result.out,
      "File a.md:\n\n# A\n\nText of a.\n\nFile b.txt:\n\nText of b.\n\nfrom standard input\n\nCompare the two.\n");
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(Chat({"--print-prompt"}, "only this\n").out, "only this\n");
  EXPECT_EQ(Chat({"--print-prompt", "only", "this"}).out, "only this\n");
}

TEST(SlmChatInput, WhatIsNotUtf8IsReplacedAndSaid) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("latin1.txt", "caf\xE9 noir");
  const ProgramResult result = Chat({"--print-prompt", "--file", path});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out, "File latin1.txt:\n\ncaf\xEF\xBF\xBD noir\n");
  EXPECT_TRUE(Contains(result.err, "latin1.txt")) << result.err;
  EXPECT_TRUE(Contains(result.err, "byte 3")) << result.err;
  // A damaged file is still answered.
  EXPECT_EQ(Chat({"-m", ChatMl(), "--temp", "0", "-n", "3", "--file", path}).exit_code, 0);
}

TEST(SlmChatInput, FilesThatCantBeRead) {
  const TemporaryFolder folder;
  ExpectFailure(Chat({"-m", ChatMl(), "--file", "nowhere.md", "Hi"}), 1, {"nowhere.md", "No such file"});
  ExpectFailure(Chat({"-m", ChatMl(), "--file", folder.path().string(), "Hi"}), 1,
                {folder.path().string(), "directory"});
  ExpectFailure(Chat({"-m", ChatMl(), "--system", "@nowhere.md", "Hi"}), 1, {"nowhere.md"});
  ExpectFailure(Chat({"-m", "nowhere.gguf", "Hi"}), 1, {"nowhere.gguf"});
  ExpectFailure(Chat({"-m", folder.Write("text.gguf", "no model"), "Hi"}), 1, {"text.gguf"});
}

TEST(SlmChatAnswer, OnlyTheAnswerIsOnStandardOutput) {
  const ProgramResult result = Chat({"-m", ChatMl(), "--temp", "0", "-n", "5", "The time"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.err, "");
  ASSERT_GT(result.out.size(), 1u);
  EXPECT_EQ(result.out.back(), '\n');
  EXPECT_FALSE(Contains(result.out, "\x1b"));

  const ProgramResult verbose =
      Chat({"--temp", "0", "-n", "5", "--verbose", "--stats", "The time"}, {}, {"SLM_MODEL=" + ChatMl()});
  EXPECT_EQ(verbose.exit_code, 0);
  EXPECT_EQ(verbose.out, result.out);
  for (const char* part : {"llama_f16", "kernels", "threads", "context of 256", "seed",
                           "chat template: the model's file", "answer: 5 tokens", "tokens/s"}) {
    EXPECT_TRUE(Contains(verbose.err, part)) << part << "\n" << verbose.err;
  }
}

TEST(SlmChatAnswer, SeedsDecide) {
  const auto answer = [](const std::string& seed) {
    return Chat({"-m", ChatMl(), "--temp", "1.5", "--top-k", "0", "--min-p", "0", "-n", "30", "--seed", seed, "Hi"})
        .out;
  };
  EXPECT_EQ(answer("7"), answer("7"));
  EXPECT_NE(answer("7"), answer("8"));
  // The seed that was chosen is said, and gives the answer again.
  const ProgramResult random = Chat({"-m", ChatMl(), "--temp", "1.5", "-n", "30", "-v", "Hi"});
  const std::size_t at = random.err.find("seed ");
  ASSERT_NE(at, std::string::npos) << random.err;
  const std::string seed = random.err.substr(at + 5, random.err.find('\n', at) - at - 5);
  EXPECT_EQ(Chat({"-m", ChatMl(), "--temp", "1.5", "-n", "30", "--seed", seed, "Hi"}).out, random.out) << seed;
}

TEST(SlmChatAnswer, SamplingOptionsReachTheSampler) {
  const std::vector<std::string> greedy = {"-m", ChatMl(), "--temp", "0", "-n", "30", "-v"};
  const auto answer = [&](std::vector<std::string> more) {
    more.insert(more.begin(), greedy.begin(), greedy.end());
    more.push_back("Hi");
    return Chat(more);
  };
  const ProgramResult plain = answer({});
  const ProgramResult penalized = answer({"--presence-penalty", "50", "--repeat-last-n", "-1"});
  EXPECT_NE(penalized.out, plain.out);
  EXPECT_TRUE(Contains(penalized.err, "repeat-last-n -1, presence-penalty 50")) << penalized.err;
  const ProgramResult dry = answer({"--dry-multiplier", "50", "--dry-allowed-length", "1", "--dry-penalty-last-n", "-1",
                                    "--dry-sequence-breaker", "\\n", "--dry-sequence-breaker", "?"});
  EXPECT_EQ(dry.exit_code, 0) << dry.err;
  EXPECT_TRUE(Contains(dry.err, "dry-sequence-breaker [\"\\n\",\"?\"]")) << dry.err;
  ExpectFailure(Chat({"-m", ChatMl(), "--logit-bias", "999999-inf", "Hi"}), 1, {"999999"});
}

TEST(SlmChatAnswer, TheLastOfAnOptionCounts) {
  const ProgramResult result = Chat(
      {"-m", ChatMl(), "--temp", "0", "-n", "2", "-v", "Hi", "--temp", "0.5", "--seed", "4", "-n", "3", "--seed", "7"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(Contains(result.err, "temp 0.5,")) << result.err;
  EXPECT_TRUE(Contains(result.err, "seed 7\n")) << result.err;
  EXPECT_EQ(result.out, Chat({"-m", ChatMl(), "--temp", "0.5", "-n", "3", "--seed", "7", "Hi"}).out);
}

TEST(SlmChatAnswer, LimitsAndStopStrings) {
  const ProgramResult none = Chat({"-m", ChatMl(), "-n", "0", "Hi"});
  EXPECT_EQ(none.exit_code, 0);
  EXPECT_EQ(none.out, "");
  const std::string whole = Chat({"-m", ChatMl(), "--temp", "0", "-n", "20", "The time"}).out;
  const std::string stop = whole.substr(2, 2);
  EXPECT_EQ(Chat({"-m", ChatMl(), "--temp", "0", "-n", "20", "--stop", "unseen", "--stop", stop, "The time"}).out,
            whole.substr(0, whole.find(stop)) + "\n");
}

TEST(SlmChatAnswer, TemplatesAndPlainText) {
  const TemporaryFolder folder;
  EXPECT_EQ(Chat({"-m", Model("gemma3"), "--system", "Be brief.", "--temp", "0", "-n", "5", "Hi"}).exit_code, 0);
  const std::string mine =
      folder.Write("mine.jinja", "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}");
  const ProgramResult given =
      Chat({"-m", ChatMl(), "--template", mine, "--temp", "0", "-n", "5", "-v", "--stats", "Hi"});
  EXPECT_EQ(given.exit_code, 0) << given.err;
  EXPECT_TRUE(Contains(given.err, "chat template: the given chat template")) << given.err;
  ExpectFailure(Chat({"-m", ChatMl(), "--template", folder.Write("bad.jinja", "{% if %}"), "Hi"}), 1, {"line 1"});
  ExpectFailure(Chat({"-m", ChatMl(), "--template", "nowhere.jinja", "Hi"}), 1, {"nowhere.jinja"});
  const ProgramResult raw = Chat({"-m", Model("llama_spm"), "--raw", "--temp", "0", "-n", "5", "Hi"});
  EXPECT_EQ(raw.exit_code, 0) << raw.err;
  EXPECT_GT(raw.out.size(), 1u);
}

TEST(SlmChatContext, ATooLongPromptNamesBothNumbers) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "A sentence that takes some room. ";
  const ProgramResult result = Chat({"-m", ChatMl(), "--ctx", "64", text});
  ExpectFailure(result, 1, {" 64", "tokens", "--ctx", "256"});
  std::string counted = result.err.substr(result.err.find(" has ") + 5);
  EXPECT_GT(std::stoi(counted), 500) << result.err;
  ExpectFailure(Chat({"-m", ChatMl(), "--raw", text}), 1, {"256", "--ctx"});
}

TEST(SlmChatContext, AnAnswerThatFillsItIsSaid) {
  const ProgramResult result = Chat({"-m", ChatMl(), "--temp", "0", "--ctx", "64", "The time"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_GT(result.out.size(), 1u);
  EXPECT_TRUE(Contains(result.err, "context of 64 tokens is full")) << result.err;
}

TEST(SlmChatContext, GrowsForOneLongPrompt) {
  const TemporaryFolder folder;
  const std::string model = WithContextLength(ChatMl(), folder, 20000);
  const std::string text(6000, 'x');
  const ProgramResult grown = Chat({"-m", model, "--temp", "0", "-n", "2", "-v"}, text);
  EXPECT_EQ(grown.exit_code, 0) << grown.err;
  EXPECT_FALSE(Contains(grown.err, "context of 4096")) << grown.err;
  EXPECT_TRUE(Contains(Chat({"-m", model, "-n", "2", "-v", "Hi"}).err, "context of 4096"));
  ExpectFailure(Chat({"-m", model, "--ctx", "4096", "-n", "2"}, text), 1, {"4096", "--ctx", "20000"});
  const ProgramResult beyond = Chat({"-m", model, "--ctx", "30000", "-n", "2", "Hi"});
  EXPECT_EQ(beyond.exit_code, 0);
  EXPECT_TRUE(Contains(beyond.err, "warning")) << beyond.err;
}

TEST(SlmChatConversation, ATurnALine) {
  const std::string first = Chat({"-m", ChatMl(), "--temp", "0", "-n", "6", "One"}).out;
  const std::string second = Chat({"-m", ChatMl(), "--temp", "0", "-n", "6", "Two"}).out;
  const std::vector<std::string> interactive = {"-m", ChatMl(), "--temp", "0", "-n", "6", "-i"};
  const ProgramResult result = Chat(interactive, "One\n\n  \nTwo\n/reset\nTwo\r\n/quit\nnot read\n");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(result.out.rfind(first, 0), 0u);
  ASSERT_GE(result.out.size(), first.size() + second.size());
  EXPECT_EQ(result.out.substr(result.out.size() - second.size()), second) << "after /reset nothing is known";
  EXPECT_GT(result.out.size(), first.size() + second.size());

  std::vector<std::string> with_prompt = interactive;
  with_prompt.push_back("One");
  EXPECT_EQ(Chat(with_prompt, "/reset\nTwo\n").out, first + second);

  std::string too_long(3000, 'x');
  const ProgramResult failing = Chat(interactive, "One\n" + too_long + "\n/reset\nTwo\n");
  EXPECT_EQ(failing.exit_code, 0);
  EXPECT_EQ(failing.out, first + second) << "a turn that fails doesn't end the conversation";
  EXPECT_TRUE(Contains(failing.err, "256"));
}

// What commands say is on standard error.
TEST(SlmChatConversation, CommandsInAPipe) {
  const std::vector<std::string> interactive = {"-m", ChatMl(), "--temp", "0", "-n", "6", "-i"};
  const std::string one = Chat(interactive, "One\n").out;
  const ProgramResult result = Chat(interactive,
                                    "/system Be brief.\n/system\n/system \n/help\n/set temp 2\n/set\n/set temp 0\n"
                                    "/set top-q 1\n/set ctx x\n/foo\n/file\n/undo\n/retry\n/edit\n/stats\n/reset 1\n");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out, "");
  for (const char* part : {"Be brief.\n", "  /retry", "temp                  2\n", "top-q", "ctx needs a whole number",
                           "no command /foo. /help", "/reset takes no argument", "all answers"}) {
    EXPECT_TRUE(Contains(result.err, part)) << part << "\n" << result.err;
  }
  EXPECT_FALSE(Contains(result.err, "\x1b"));
  EXPECT_EQ(Chat(interactive, "One\n/retry\n").out, one + one) << "greedy";
  EXPECT_EQ(Chat(interactive, "Two\n/edit One\n").out.substr(Chat(interactive, "Two\n").out.size()), one);
  const ProgramResult undone = Chat(interactive, "Two\n/undo\nOne\n/stats\n");
  EXPECT_TRUE(undone.out.ends_with(one));
  EXPECT_TRUE(Contains(undone.err, "Taken back: Two\n"));
  EXPECT_TRUE(Contains(undone.err, "all answers           2: ")) << undone.err;
}

TEST(SlmChatConversation, MessagesOfSeveralLinesInAPipe) {
  const std::vector<std::string> interactive = {"-m", ChatMl(), "--temp", "0", "-n", "6", "-i"};
  const ProgramResult block = Chat(interactive, "\"\"\"\nOne\n\n/undo\n\"\"\"\n/undo\n//slash\r\n/undo\n");
  EXPECT_TRUE(Contains(block.err, "Taken back: One\n\n/undo\nTaken back: /slash\n")) << block.err;
  const ProgramResult backslash = Chat(interactive, "One\\\nTwo\n/undo\nx\xFFy\n/undo\n");
  EXPECT_TRUE(Contains(backslash.err, "Taken back: One\nTwo\n")) << backslash.err;
  EXPECT_TRUE(Contains(backslash.err, "warning: the line is not UTF-8")) << backslash.err;
  EXPECT_TRUE(Contains(backslash.err, "Taken back: x\xEF\xBF\xBDy\n")) << backslash.err;
}

TEST(SlmChatConversation, SetChangesWhatComes) {
  const std::vector<std::string> interactive = {"-m", ChatMl(), "--temp", "0", "-n", "6", "-i"};
  const std::string one = Chat(interactive, "One\n").out;
  const ProgramResult shorter = Chat(interactive, "/set max-tokens 2\nOne\n");
  EXPECT_LT(shorter.out.size(), one.size());
  const ProgramResult larger = Chat(interactive, "One\n/set ctx 128\n/stats\n/retry\n/stats\n/set ctx 99999999999\n");
  EXPECT_EQ(larger.out, one + one);
  EXPECT_TRUE(Contains(larger.err, "A context of 128 tokens takes ")) << larger.err;
  EXPECT_TRUE(Contains(larger.err, "of 128 tokens")) << larger.err;
  const std::string whole = Chat(interactive, "The time\n").out;
  const std::string stop = whole.substr(2, 2);
  EXPECT_EQ(Chat(interactive, "/set stop " + stop + "\nThe time\n").out, whole.substr(0, whole.find(stop)) + "\n");
  std::string long_text(700, 'x');
  const ProgramResult full = Chat(interactive, long_text + "\n");
  EXPECT_TRUE(Contains(full.err, "/set ctx N")) << full.err;
}

TEST(SlmChatConversation, ForgetsOnlyOnRequest) {
  const std::string text = std::string(40, 'x') + "\n";
  const std::vector<std::string> arguments = {"-m", ChatMl(), "--temp", "0", "-n", "6", "-i", "--ctx", "128"};
  const ProgramResult full = Chat(arguments, text + text + text);
  EXPECT_TRUE(Contains(full.err, "128")) << full.err;
  EXPECT_TRUE(Contains(full.err, "/set ctx N")) << full.err;
  EXPECT_TRUE(Contains(full.err, "--forget-oldest")) << full.err;
  std::vector<std::string> forgetting = arguments;
  forgetting.push_back("--forget-oldest");
  const ProgramResult forgot = Chat(forgetting, text + text + text);
  EXPECT_TRUE(Contains(forgot.err, "did not fit: the model has not read them")) << forgot.err;
  EXPECT_GT(forgot.out.size(), full.out.size());
}

TEST(SlmChatSession, GoesOnFromAFile) {
  const TemporaryFolder folder;
  const std::string session = (folder.path() / "talk.session").string();
  const auto talk = [&](const std::string& input, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"-m", ChatMl(), "--temp", "0", "-n", "6", "--session", session});
    if (!input.empty()) more.push_back("-i");
    return Chat(more, input);
  };
  const std::string both = Chat({"-m", ChatMl(), "--temp", "0", "-n", "6", "-i"}, "One\nTwo\n").out;
  const ProgramResult first = talk("", {"One"});
  EXPECT_EQ(first.exit_code, 0) << first.err;
  const ProgramResult second = talk("Two\n");
  EXPECT_EQ(first.out + second.out, both);
  EXPECT_TRUE(Contains(second.err, "talk.session: 2 messages")) << second.err;

  const std::string copy = (folder.path() / "copy").string();
  const ProgramResult saved =
      talk("/save " + copy + "\n/save " + copy + "\n/save " + folder.Write("other", "text") + "\n");
  EXPECT_TRUE(Contains(saved.err, "Saved to " + copy + ".\nSaved to " + copy + ".\n")) << saved.err;
  EXPECT_TRUE(Contains(saved.err, "is not of this conversation")) << saved.err;
  EXPECT_EQ(ReadFile(folder.path() / "other"), "text");
  const ProgramResult loaded = Chat({"-m", ChatMl(), "-i"}, "/load " + copy + "\n/undo\n/load nowhere\n");
  EXPECT_TRUE(Contains(loaded.err, "4 messages")) << loaded.err;
  EXPECT_TRUE(Contains(loaded.err, "Taken back: Two\n")) << loaded.err;
  EXPECT_TRUE(Contains(loaded.err, "nowhere")) << loaded.err;
  const ProgramResult switched = talk("/load " + copy + "\n/undo\n/stats\n/load " + copy + "\n/undo\nTwo\n");
  EXPECT_FALSE(Contains(switched.err, "is not of this conversation")) << switched.err;

  ExpectFailure(talk("", {"--ctx", "100", "Hi"}), 1, {"talk.session", "256", "100"});
  ExpectFailure(Chat({"-m", Model("gemma3"), "--session", session, "Hi"}), 1, {"talk.session", "another model"});
  std::string bytes = ReadFile(session);
  bytes[bytes.size() / 2] ^= 1;
  ExpectFailure(Chat({"-m", ChatMl(), "--session", folder.Write("flipped", bytes), "Hi"}), 1, {"flipped"});
}

TEST(SlmChatOutput, ClosedPipesAndFullDisks) {
  if (IsEmulated()) GTEST_SKIP() << "the shell can't start an emulated program";
  const ProgramResult closed = Shell("\"$CHAT\" --temp 0 Hi </dev/null | true");  // gone before the first word
  EXPECT_EQ(closed.exit_code, 0);
  EXPECT_EQ(closed.err, "") << "a reader that leaves is nothing to talk about";
  const ProgramResult full = Shell("\"$CHAT\" --temp 0 Hi </dev/null >/dev/full");
  EXPECT_EQ(full.exit_code, 1);
  EXPECT_TRUE(Contains(full.err, "standard output")) << full.err;
}

class SlmChatTerminal : public testing::Test {
 protected:
  void SetUp() override {
    if (IsEmulated()) GTEST_SKIP() << "an emulated program can't be tested on a terminal";
  }

  // A model whose most likely token is never the end of its turn.
  std::vector<std::string> Endless() {
    return {SLM_CHAT, "-m", Model("gemma3_linear"), "--temp", "0", "--ctx", "200000", "--threads", "1"};
  }
};

// TERM=dumb: nothing is edited, and Ctrl-C is a signal.
TEST_F(SlmChatTerminal, TalksInTurnsOnADumbTerminal) {
  Terminal terminal({"env", "TERM=dumb", SLM_CHAT, "-m", ChatMl(), "--temp", "0", "-n", "4", "--threads", "1"});
  ASSERT_TRUE(terminal.WaitFor("> ")) << terminal.screen();
  terminal.Type("/help\n");
  ASSERT_TRUE(terminal.WaitFor("/reset")) << terminal.screen();
  ASSERT_TRUE(terminal.WaitFor("> ")) << terminal.screen();
  terminal.Type("Hello\n");
  ASSERT_TRUE(terminal.WaitFor("\n> ")) << terminal.screen();
  terminal.Type("\x03");
  EXPECT_EQ(terminal.Wait(), 130) << terminal.screen();
  EXPECT_FALSE(Contains(terminal.screen(), "\x1b")) << terminal.screen();
}

TEST_F(SlmChatTerminal, ControlCEndsASingleAnswerWith130) {
  std::vector<std::string> arguments = Endless();
  arguments.push_back("Hello");
  Terminal terminal(arguments);
  ASSERT_TRUE(terminal.WaitForMore(400)) << terminal.screen();
  terminal.Type("\x03");
  EXPECT_EQ(terminal.Wait(), 130) << terminal.screen();
}

// A terminal obeys them; a pipe gets them as they are.
TEST_F(SlmChatTerminal, ShowsNoControlCharactersOfTheModel) {
  const auto is_control = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\r' && c != '\t';
  };
  const std::vector<std::string> arguments = {"-m", ChatMl(),  "--temp", "50",     "--top-k", "0", "--top-p",
                                              "1",  "--min-p", "0",      "--seed", "1",       "Hi"};
  EXPECT_GT(std::ranges::count_if(Chat(arguments).out, is_control), 0);
  std::vector<std::string> on_terminal = arguments;
  on_terminal.insert(on_terminal.begin(), SLM_CHAT);
  Terminal terminal(on_terminal);
  EXPECT_EQ(terminal.Wait(), 0);
  EXPECT_GT(terminal.screen().size(), 10u);
  EXPECT_EQ(std::ranges::count_if(terminal.screen(), is_control), 0) << terminal.screen();
}

TEST_F(SlmChatTerminal, ShowsHowFarALongPromptIs) {
  const TemporaryFolder folder;
  const std::string file = folder.Write("long.txt", std::string(150000, 'x'));
  std::vector<std::string> arguments = Endless();
  arguments.insert(arguments.end(), {"-n", "3", "--file", file});
  Terminal terminal(arguments);
  EXPECT_TRUE(terminal.WaitFor("Reading: ")) << terminal.screen();
  EXPECT_TRUE(terminal.WaitFor("tokens/s")) << terminal.screen();
  EXPECT_TRUE(terminal.WaitFor("s left")) << terminal.screen();
  terminal.Type("\x03");
  EXPECT_TRUE(terminal.WaitFor("\r\x1b[K")) << "cleared";
  EXPECT_TRUE(terminal.WaitFor("stopped")) << terminal.screen();
  EXPECT_EQ(terminal.Wait(), 130);
}

TEST(RealSlmChat, AnswersAPost) {
  const auto model = RealModel("smollm2-135m");
  if (!model) GTEST_SKIP() << "the model smollm2-135m is not in the model cache";
  const TemporaryFolder folder;
  const std::string post = folder.Write("post.md",
                                        "# The bridge\n\nThe old bridge over the river was closed on Monday. The town "
                                        "will build a new one, which takes two years.\n");
  const ProgramResult result =
      Chat({"-m", model->string(), "--temp", "0", "-n", "60", "--file", post, "Summarise this."});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_TRUE(Contains(result.out, "bridge")) << result.out;
  EXPECT_EQ(result.out.back(), '\n');
}

TEST(SlmChatAnswer, AFullContextEndsTheAnswerOrShifts) {
  const std::vector<std::string> fixed = {"-m",     ChatMl(), "--raw",        "-c", "64",
                                          "--temp", "0",      "--ignore-eos", "-n", "150"};
  const auto run = [&fixed](std::vector<std::string> more) {
    more.insert(more.begin(), fixed.begin(), fixed.end());
    more.push_back("The town has a river");
    return Chat(more);
  };
  const ProgramResult full = run({});
  EXPECT_EQ(full.exit_code, 0);
  EXPECT_TRUE(Contains(full.err, "the context of 64 tokens is full")) << full.err;
  const ProgramResult shifted = run({"--shift-keep", "4"});
  EXPECT_EQ(shifted.exit_code, 0);
  EXPECT_TRUE(Contains(shifted.err, "the model went on without ")) << shifted.err;
  EXPECT_FALSE(Contains(shifted.err, "is full;")) << shifted.err;
  EXPECT_GT(shifted.out.size(), full.out.size());
}

}  // namespace

}  // namespace slm::test
