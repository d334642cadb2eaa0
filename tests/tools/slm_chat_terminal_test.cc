// slm-chat as a person uses it: in a terminal, with keys, pasted text, Ctrl-C and windows that change their size.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/run_program.h"
#include "support/run_terminal.h"
#include "support/run_tmux.h"
#include "support/test_data.h"
#include "tools/tool_test.h"

namespace slm::test {

namespace {

std::size_t Count(const std::string& text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

class SlmChatTmux : public testing::Test {
 protected:
  void SetUp() override {
    if (std::string_view(SLM_TEST_EMULATOR) != "") GTEST_SKIP() << "an emulated program can't be tested on a terminal";
    if (!SLM_TEST_LINE_EDITOR) GTEST_SKIP() << "slm-chat was built without libedit";
    if (!Tmux::IsInstalled()) GTEST_SKIP() << "tmux is not installed; tools/packages test installs it";
  }

  void Start(const std::vector<std::string>& more, const std::string& model = Model("llama_f16")) {
    std::vector<std::string> arguments = {SLM_CHAT, "-m", model, "--temp", "0", "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    StartProgram(arguments);
    ASSERT_TRUE(IsReady());
  }
  void StartProgram(const std::vector<std::string>& arguments) {
    tmux_.emplace(arguments, std::vector<std::string>{"LC_ALL=C.UTF-8",
                                                      "NO_COLOR=", "XDG_STATE_HOME=", "HOME=" + home_.path().string()});
  }
  // Answers noise without an end.
  void StartEndless(std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"--ctx", "200000"});
    Start(more, Model("gemma3_linear"));
  }

  // Whether an empty prompt waits.
  bool IsReady() {
    return tmux_->WaitUntil([](const std::string& screen) { return screen.ends_with("\n>\n"); });
  }
  // Types a line and waits until all that follows has been shown.
  void Say(const std::string& text) {
    tmux_->Type(text);
    tmux_->Press({"Enter"});
    ASSERT_TRUE(tmux_->WaitUntil([&](const std::string& screen) {
      return Contains(screen, text) && screen.ends_with("\n>\n");
    })) << tmux_->Screen();
  }
  // What the model was told last, as /undo shows it.
  void ExpectLastMessage(const std::string& text) {
    ASSERT_TRUE(IsReady()) << tmux_->Screen();
    Say("/undo");
    EXPECT_TRUE(tmux_->WaitFor("Taken back: " + text + "\n")) << tmux_->Screen();
  }

  TemporaryFolder home_;
  std::optional<Tmux> tmux_;
};

TEST_F(SlmChatTmux, EditsALine) {
  Start({"-n", "4"});
  tmux_->Type("Helo wrld");
  tmux_->Press({"Left", "Left", "Left"});
  tmux_->Type("o");
  tmux_->Press({"C-a", "Right", "Right", "Right"});
  tmux_->Type("l");
  tmux_->Press({"End"});
  tmux_->Type("! gone");
  tmux_->Press({"C-w", "BSpace"});
  ASSERT_TRUE(tmux_->WaitFor("> Hello world!")) << tmux_->Screen();
  tmux_->Press({"C-b", "C-k", "Enter"});
  ExpectLastMessage("Hello world");
}

TEST_F(SlmChatTmux, HistoryComesBack) {
  Start({"-n", "4"});
  Say("the first");
  Say("the second");
  tmux_->Press({"Up", "Up"});
  ASSERT_TRUE(tmux_->WaitUntil([](const std::string& screen) { return screen.ends_with("> the first\n"); }));
  tmux_->Press({"C-a", "M-f", "C-k"});
  tmux_->Type(" third");
  tmux_->Press({"Enter"});
  ExpectLastMessage("the third");
  tmux_->Press({"C-d"});
  EXPECT_EQ(tmux_->Wait(), 0);

  const std::filesystem::path file = home_.path() / ".local/state/slm-chat/history";
  struct stat status = {};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  Start({"-n", "4"});
  tmux_->Press({"Up", "Up"});
  EXPECT_TRUE(tmux_->WaitFor("> the third")) << tmux_->Screen();
}

TEST_F(SlmChatTmux, HistoryMayBeALink) {
  const std::filesystem::path link = home_.path() / ".local/state/slm-chat/history";
  const std::filesystem::path kept = home_.path() / "kept/history";
  std::filesystem::create_directories(link.parent_path());
  std::filesystem::create_symlink(kept, link);  // which leads nowhere yet
  for (const char* const text : {"the first", "the second"}) {
    Start({"-n", "4"});
    Say(text);
    EXPECT_TRUE(std::filesystem::is_symlink(link));
    EXPECT_TRUE(Contains(ReadFile(kept), std::string(text).substr(4))) << ReadFile(kept);
  }
  EXPECT_TRUE(Contains(ReadFile(kept), "first"));
}

TEST_F(SlmChatTmux, NoHistoryLeavesNoTrace) {
  Start({"-n", "4", "--no-history"});
  Say("a secret");
  tmux_->Press({"Up"});  // the conversation's own lines are still there
  EXPECT_TRUE(tmux_->WaitUntil([](const std::string& screen) { return screen.ends_with("> a secret\n"); }));
  EXPECT_TRUE(std::filesystem::is_empty(home_.path()));
}

TEST_F(SlmChatTmux, DeletesWholeCharacters) {
  Start({"-n", "4"});
  tmux_->Type("aé😀b");
  tmux_->Press({"Left", "BSpace"});
  ASSERT_TRUE(tmux_->WaitFor("> aéb")) << tmux_->Screen();
  tmux_->Press({"BSpace"});
  tmux_->Type("ß日");
  ASSERT_TRUE(tmux_->WaitFor("> aß日b")) << tmux_->Screen();
  tmux_->Press({"Enter"});
  ExpectLastMessage("aß日b");
}

TEST_F(SlmChatTmux, PastedLinesAreOneMessage) {
  Start({"-n", "4"});
  tmux_->Paste("one é\n/quit\n\tthree");
  ASSERT_TRUE(tmux_->WaitFor("> one é\n/quit\n        three\n")) << tmux_->Screen();
  tmux_->Press({"Up"});
  tmux_->Type("+");
  ASSERT_TRUE(tmux_->WaitFor("/quit+")) << tmux_->Screen();
  tmux_->Press({"Enter"});
  ExpectLastMessage("one é\n/quit+\n        three");
  Say("/stats");
  EXPECT_TRUE(tmux_->WaitFor("all answers           1:")) << tmux_->Screen();
  tmux_->Press({"C-d"});
  EXPECT_EQ(tmux_->Wait(), 0);
  Start({"-n", "4"});  // and one entry of the history
  tmux_->Press({"Up", "Up", "Up"});
  EXPECT_TRUE(tmux_->WaitFor("> one é\n/quit+\n        three\n")) << tmux_->Screen();
}

TEST_F(SlmChatTmux, PastedTextMayBeLongerThanTheScreen) {
  std::string text = "first";
  for (int i = 0; i < 500; ++i) text += "\nline " + std::to_string(i) + " é";
  Start({"-n", "4", "--ctx", "20000"}, Model("gemma3_linear"));
  tmux_->Paste(text + " last");
  ASSERT_TRUE(tmux_->WaitUntil([](const std::string& screen) { return screen.ends_with(" last\n"); }));
  tmux_->Press({"Enter"});
  ExpectLastMessage(text + " last");
}

TEST_F(SlmChatTmux, MessagesOfSeveralLines) {
  Start({"-n", "4"});
  tmux_->Type("one\\");
  tmux_->Press({"Enter"});
  tmux_->Type("two");
  tmux_->Press({"M-Enter"});
  tmux_->Type("three");
  tmux_->Press({"Enter"});
  ExpectLastMessage("one\ntwo\nthree");
  for (const char* const line : {"\"\"\"", "first", "", "/last", "\"\"\""}) {
    tmux_->Type(line);
    tmux_->Press({"Enter"});
  }
  ExpectLastMessage("first\n\n/last");
}

TEST_F(SlmChatTmux, EditsAnEarlierMessage) {
  Start({"-n", "4"});
  Say("The first");
  Say("The second");
  tmux_->Type("/edit 1");
  tmux_->Press({"Enter"});
  ASSERT_TRUE(tmux_->WaitUntil([](const std::string& screen) { return screen.ends_with("/edit 1\n> The first\n"); }))
      << tmux_->Screen();
  tmux_->Type("born");
  tmux_->Press({"Enter"});
  ExpectLastMessage("The firstborn");
  Say("/undo");
  EXPECT_TRUE(tmux_->WaitUntil([](const std::string& screen) { return Count(screen, "Taken back") == 1; }));
  Say("/edit");
  EXPECT_TRUE(tmux_->WaitFor("no message to edit")) << tmux_->Screen();
}

TEST_F(SlmChatTmux, CommandsAndCompletion) {
  const TemporaryFolder folder;
  const std::string notes = folder.Write("my notes.txt", "Some notes.\n");
  Start({"-n", "4"});
  tmux_->Type("/he");
  tmux_->Press({"Tab", "Enter"});
  ASSERT_TRUE(tmux_->WaitFor("/quit")) << tmux_->Screen();
  for (const char* const name : {"/system", "/file", "/save", "/load", "/undo", "/retry", "/edit", "/stats", "/set"}) {
    EXPECT_TRUE(Contains(tmux_->Screen(), std::string("\n  ") + name)) << name;
  }
  Say("/frobnicate");
  EXPECT_TRUE(Contains(tmux_->Screen(), "no command /frobnicate. /help")) << tmux_->Screen();
  tmux_->Type("/file " + (folder.path() / "my").string());
  tmux_->Press({"Tab", "Enter"});
  EXPECT_TRUE(tmux_->WaitFor("tokens")) << tmux_->Screen();
  Say("//slash");
  Say("/undo");
  EXPECT_TRUE(tmux_->WaitFor("Taken back: File my notes.txt:\n\nSome notes.\n\n/slash\n")) << tmux_->Screen();
  Say("/retry");
  EXPECT_TRUE(tmux_->WaitFor("slm-chat: ")) << tmux_->Screen();
  tmux_->Type("/quit");
  tmux_->Press({"Enter"});
  EXPECT_EQ(tmux_->Wait(), 0);
}

TEST_F(SlmChatTmux, ControlCClearsTheLineAndTwiceEnds) {
  Start({"-n", "4"});
  tmux_->Type("something long that is not sent");
  tmux_->Press({"Left", "Left", "C-c"});
  ASSERT_TRUE(tmux_->WaitFor("not sent^C\n")) << tmux_->Screen();
  ASSERT_TRUE(IsReady()) << tmux_->Screen();
  tmux_->Press({"C-c"});
  ASSERT_TRUE(tmux_->WaitFor("Ctrl-C once more")) << tmux_->Screen();
  ASSERT_TRUE(IsReady()) << tmux_->Screen();
  Say("Hello");  // begins anew
  tmux_->Press({"C-c"});
  ASSERT_TRUE(tmux_->WaitUntil([](const std::string& screen) {
    return Count(screen, "Ctrl-C once more") == 2 && screen.ends_with("\n>\n");
  })) << tmux_->Screen();
  tmux_->Press({"C-c"});
  EXPECT_EQ(tmux_->Wait(), 130);
}

TEST_F(SlmChatTmux, ControlCStopsAnAnswerOnly) {
  StartEndless({"--stats"});
  for (std::size_t turn = 1; turn <= 2; ++turn) {
    tmux_->Type("Hello");
    tmux_->Press({"Enter"});
    // Some lines of the answer below the question.
    ASSERT_TRUE(tmux_->WaitUntil([&](const std::string& screen) {
      return Count(screen, "> Hello\n") == turn && screen.size() > screen.rfind("> Hello\n") + 300;
    })) << tmux_->Screen();
    tmux_->Press({"C-c"});
    ASSERT_TRUE(tmux_->WaitUntil([&](const std::string& screen) {
      return Count(screen, "[stopped]\n") == turn && screen.ends_with("\n>\n");
    })) << tmux_->Screen();
    EXPECT_EQ(Count(tmux_->Screen(), "cancelled]"), turn);
    ExpectLastMessage("Hello");  // what there was of the answer is part of the conversation
  }
}

TEST_F(SlmChatTmux, ControlCStopsTheReadingOfAPrompt) {
  std::string text;
  for (int i = 0; i < 25000; ++i) text += "some words ";
  const std::string file = home_.Write("long.txt", text);
  StartEndless();
  Say("/file " + file);
  tmux_->Type("Summarise this");
  tmux_->Press({"Enter"});
  ASSERT_TRUE(tmux_->WaitFor("Reading: ")) << tmux_->Screen();
  EXPECT_TRUE(tmux_->WaitFor("s left")) << tmux_->Screen();
  tmux_->Press({"C-c"});
  ASSERT_TRUE(tmux_->WaitFor("[stopped before the first word")) << tmux_->Screen();
  ASSERT_TRUE(IsReady()) << tmux_->Screen();
  EXPECT_FALSE(Contains(tmux_->Screen(), "Reading: ")) << "erased";
  Say("/undo");
  EXPECT_FALSE(Contains(tmux_->Screen(), "Taken back")) << "the conversation is as it was";
  Say("/file");  // still there for the next try
  EXPECT_TRUE(tmux_->WaitFor("long.txt: ")) << tmux_->Screen();
}

TEST_F(SlmChatTmux, ResizingKeepsTheLine) {
  const std::string text = "abcdefghij-klmnopqrst-uvwxyz0123-456789ABCD-EFGHIJKLMN-OPQRSTUVWX-YZabcdefgh-ijklmnopqr";
  Start({"-n", "4"});
  tmux_->Type(text);
  const auto shown_once = [&](std::size_t columns) {
    std::string wrapped = "\n";
    for (const char character : "> " + text) {
      wrapped += character;
      if (wrapped.size() - wrapped.rfind('\n') > columns) wrapped += '\n';
    }
    if (!wrapped.ends_with('\n')) wrapped += '\n';
    return tmux_->WaitUntil([&](const std::string& screen) { return screen.ends_with("\n" + wrapped); });
  };
  ASSERT_TRUE(shown_once(80)) << tmux_->Screen();
  for (const int columns : {50, 100, 33, 71}) {
    tmux_->Resize(columns, 24);
    EXPECT_TRUE(shown_once(static_cast<std::size_t>(columns))) << tmux_->Screen();
  }
  tmux_->Press({"C-a"});
  tmux_->Type("X");
  tmux_->Press({"Enter"});
  ASSERT_TRUE(IsReady()) << tmux_->Screen();
  tmux_->Resize(200, 24);
  ExpectLastMessage("X" + text);
}

TEST_F(SlmChatTmux, ResizingDuringAnAnswer) {
  StartEndless();
  tmux_->Type("Hello");
  tmux_->Press({"Enter"});
  ASSERT_TRUE(tmux_->WaitUntil([](const std::string& screen) { return screen.size() > 500; })) << tmux_->Screen();
  tmux_->Resize(40, 20);
  const std::size_t before = tmux_->Screen().size();
  ASSERT_TRUE(tmux_->WaitUntil([&](const std::string& screen) { return screen.size() > before + 200; }));
  tmux_->Press({"C-c"});
  ASSERT_TRUE(tmux_->WaitFor("[stopped]")) << tmux_->Screen();
  ASSERT_TRUE(IsReady()) << tmux_->Screen();
  tmux_->Type("a text that is longer than forty columns wide");
  ASSERT_TRUE(tmux_->WaitFor("\n> a text that is longer than forty colum\nns wide\n")) << tmux_->Screen();
}

TEST_F(SlmChatTmux, SuspendsAndGoesOn) {
  StartProgram({"/bin/sh", "-c", "PS1='shell$ ' exec sh -i"});
  ASSERT_TRUE(tmux_->WaitFor("shell$")) << tmux_->Screen();
  tmux_->Type(std::string(SLM_CHAT) + " --temp 0 -n 4 --no-history -m " + Model("llama_f16"));
  tmux_->Press({"Enter"});
  ASSERT_TRUE(IsReady()) << tmux_->Screen();
  tmux_->Type("half a");
  ASSERT_TRUE(tmux_->WaitFor("> half a")) << tmux_->Screen();
  tmux_->Press({"C-z"});
  ASSERT_TRUE(tmux_->WaitFor("Stopped")) << tmux_->Screen();
  tmux_->Type("fg");
  tmux_->Press({"Enter"});
  ASSERT_TRUE(tmux_->WaitUntil([](const std::string& screen) { return screen.ends_with("\n> half a\n"); }))
      << tmux_->Screen();
  tmux_->Paste(" word\nand more");
  tmux_->Press({"Enter"});
  ExpectLastMessage("half a word\nand more");
}

// The lines of /stats that count the last answer.
std::string LastPrompt(const std::string& screen) {
  const std::size_t start = screen.rfind("last prompt");
  if (start == std::string::npos) return "";
  const std::size_t end = screen.find("from the cache", start);
  return screen.substr(start, end - start);
}

class SlmChatKilled : public SlmChatTmux {
 protected:
  // The counts of a second answer, where the process of the first may have been killed.
  std::string SecondPrompt(const std::string& model, const std::string& session, bool kill) {
    const std::vector<std::string> arguments = {"-n", "8", "--session", session};
    Start(arguments, model);
    Say("The first question is this one.");
    if (kill) {
      ::kill(tmux_->process(), SIGKILL);
      Start(arguments, model);
      EXPECT_TRUE(tmux_->WaitFor("2 messages")) << tmux_->Screen();
    }
    Say("And another one.");
    Say("/stats");
    EXPECT_TRUE(tmux_->WaitFor("energy")) << tmux_->Screen();
    return LastPrompt(tmux_->Screen());
  }

  void ExpectNothingIsReadTwice(const std::string& model) {
    const std::string undisturbed = SecondPrompt(model, (home_.path() / "a.session").string(), false);
    const std::string killed = SecondPrompt(model, (home_.path() / "b.session").string(), true);
    EXPECT_EQ(killed, undisturbed);
    EXPECT_FALSE(Contains(killed, ", 0 ")) << "the cache was used: " << killed;
    EXPECT_TRUE(Contains(killed, "(0 of them again)")) << killed;
  }
};

TEST_F(SlmChatKilled, SurvivesBeingKilled) { ExpectNothingIsReadTwice(Model("llama_f16")); }

TEST_F(SlmChatKilled, SurvivesBeingKilledWithARealModel) {
  const auto model = RealModel("smollm2-135m");
  if (!model) GTEST_SKIP() << "the model smollm2-135m is not in the model cache";
  ExpectNothingIsReadTwice(model->string());
}

TEST_F(SlmChatTmux, CharactersMayComeByteByByte) {
  Terminal terminal({"env", "LC_ALL=C.UTF-8", "HOME=" + home_.path().string(), SLM_CHAT, "-m", Model("llama_f16"),
                     "--no-history", "--temp", "0", "-n", "4"});
  ASSERT_TRUE(terminal.WaitFor("> ")) << terminal.screen();
  // The editor has taken each part before the next one comes: what was typed before it is shown.
  const std::vector<std::pair<std::string, std::string>> typed_and_shown = {
      {"caf\xC3", "caf"}, {"\xA9 \xF0", "é"}, {"\x9F", ""}, {"\x98\x80", "\U0001F600"}, {"x\xFFy", "\uFFFD"}};
  for (const auto& [typed, shown] : typed_and_shown) {
    terminal.Type(typed);
    ASSERT_TRUE(terminal.WaitFor(shown)) << terminal.screen();
  }
  terminal.Type("\r");
  ASSERT_TRUE(terminal.WaitFor("\x1b[?2004h")) << terminal.screen();
  terminal.Type("/undo\r");
  EXPECT_TRUE(terminal.WaitFor("Taken back: café \U0001F600x\uFFFDy")) << terminal.screen();
}

TEST_F(SlmChatTmux, ColoursOnlyWhereWanted) {
  const auto screen = [&](const std::vector<std::string>& environment, const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"env", "LC_ALL=C.UTF-8", "HOME=" + home_.path().string()};
    arguments.insert(arguments.end(), environment.begin(), environment.end());
    arguments.insert(arguments.end(), {SLM_CHAT, "-m", Model("llama_f16"), "--no-history", "--temp", "0", "-n", "4"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    Terminal terminal(arguments);
    EXPECT_TRUE(terminal.WaitFor("> ")) << terminal.screen();
    terminal.Type("\x04");
    EXPECT_EQ(terminal.Wait(), 0);
    return terminal.screen();
  };
  EXPECT_TRUE(Contains(screen({"NO_COLOR="}, {}), "\x1b[2m"));
  EXPECT_TRUE(Contains(screen({"NO_COLOR=1"}, {"--color", "always"}), "\x1b[1m> "));
  for (const std::string& plain : {screen({"NO_COLOR=1"}, {}), screen({}, {"--color", "never"})}) {
    EXPECT_FALSE(Contains(plain, "\x1b[1m")) << plain;
    EXPECT_FALSE(Contains(plain, "\x1b[2m")) << plain;
  }
  EXPECT_FALSE(Contains(screen({"TERM=dumb"}, {}), "\x1b")) << "nothing but text";
}

}  // namespace

}  // namespace slm::test
