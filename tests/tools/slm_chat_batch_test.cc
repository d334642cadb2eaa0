// slm-chat as a program that answers without a conversation: prompt files, many files, long texts, JSON.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "support/json.h"
#include "support/run_program.h"
#include "support/run_terminal.h"
#include "support/test_data.h"
#include "support/tiny_model.h"
#include "tools/tool_test.h"

namespace slm::test {

namespace fs = std::filesystem;

namespace {

using Json = nlohmann::json;

class SlmChatBatch : public testing::Test {
 protected:
  // Prompts come from a folder of the test, and the user has none.
  ProgramResult Chat(std::vector<std::string> arguments, std::string_view input = {}) {
    arguments.insert(arguments.begin(), {SLM_CHAT, "--threads", "1"});
    return RunProgram(std::move(arguments), input,
                      {"SLM_PROMPTS=" + prompts_.path().string(), "XDG_CONFIG_HOME=" + user_.path().string()});
  }

  std::string Write(const std::string& name, std::string_view text) { return files_.Write(name, text); }
  std::string WritePrompt(const std::string& name, const std::string& settings, const std::string& body) {
    return prompts_.Write(name + ".md",
                          "---\nname: " + name + "\ndescription: Test of " + name + "\n" + settings + "---\n" + body);
  }
  fs::path out() const { return out_.path() / "answers"; }
  std::string Answer(const std::string& name) const { return ReadFile(out() / name); }

  TemporaryFolder prompts_, user_, files_, out_;
};

TEST_F(SlmChatBatch, ThePromptsThatComeWithItAreFound) {
  const ProgramResult list =
      RunProgram({SLM_CHAT, "--list-prompts"}, {}, {"SLM_PROMPTS=", "XDG_CONFIG_HOME=" + user_.path().string()});
  EXPECT_EQ(list.exit_code, 0) << list.err;
  for (const char* name : {"summary", "blog-analysis", "copyedit", "email-interview"}) {
    EXPECT_TRUE(Contains(list.out, name)) << list.out;
  }
  EXPECT_EQ(list.err, "");
}

TEST_F(SlmChatBatch, TheUsersPromptsComeFirst) {
  WritePrompt("p", "", "Shipped.");
  fs::create_directories(user_.path() / "slm-chat/prompts");
  user_.Write("slm-chat/prompts/p.md", "---\nname: p\ndescription: Mine\n---\nMine: {{text}}!");
  EXPECT_EQ(Chat({"--print-prompt", "--prompt", "p", "hello"}).out, "Mine: hello!\n");
  const ProgramResult path =
      Chat({"--print-prompt", "--prompt", (prompts_.path() / "p.md").string(), "hello"}, "from input\n");
  EXPECT_EQ(path.out, "Shipped.\n\nfrom input\n\nhello\n");
  const ProgramResult list = Chat({"--list-prompts"});
  EXPECT_TRUE(Contains(list.out, "Mine")) << list.out;
  EXPECT_FALSE(Contains(list.out, "Test of p")) << list.out;
}

TEST_F(SlmChatBatch, AFileIsThePromptsText) {
  WritePrompt("p", "", "Read:\n\n{{text}}\n\nDone.");
  const std::string a = Write("a.md", "Text a.\n");
  EXPECT_EQ(Chat({"--print-prompt", "--prompt", "p", "-f", a}).out, "Read:\n\nText a.\n\nDone.\n");
  EXPECT_EQ(Chat({"--print-prompt", "--prompt", "p", "-f", a, "-f", a}).out,
            "Read:\n\nFile a.md:\n\nText a.\n\nFile a.md:\n\nText a.\n\nDone.\n");
  const ProgramResult none = Chat({"-m", ChatMl(), "--prompt", "p"});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_TRUE(Contains(none.err, "about a text")) << none.err;
}

TEST_F(SlmChatBatch, TheCommandLineWinsOverSettings) {
  WritePrompt("p", "settings:\n  temp: 0\n  max-tokens: 3\n", "Say: {{text}}");
  const auto chat = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"-m", ChatMl(), "--prompt", "p", "hello", "--stats", "-v"});
    return Chat(more);
  };
  const ProgramResult plain = chat({});
  EXPECT_EQ(plain.exit_code, 0) << plain.err;
  EXPECT_TRUE(Contains(plain.err, "answer: 3 tokens")) << plain.err;
  EXPECT_TRUE(Contains(plain.err, "temp 0,")) << plain.err;
  EXPECT_TRUE(Contains(plain.err, "p.md")) << plain.err;
  EXPECT_EQ(plain.out, chat({}).out) << "temperature 0";
  const ProgramResult other = chat({"-n", "5", "--temp", "0.5"});
  EXPECT_TRUE(Contains(other.err, "answer: 5 tokens")) << other.err;
  EXPECT_TRUE(Contains(other.err, "temp 0.5")) << other.err;
  EXPECT_EQ(Chat({"-m", ChatMl(), "--prompt", "q", "x"}).exit_code, 1);
  WritePrompt("bad", "settings:\n  warmth: 3\n", "x");
  EXPECT_TRUE(Contains(Chat({"-m", ChatMl(), "--prompt", "bad", "x"}).err, "warmth"));
}

TEST_F(SlmChatBatch, AnInterviewBeginsWithTheModel) {
  WritePrompt("ask", "settings:\n  interactive: true\n  temp: 0\n  max-tokens: 4\n",
              "# System\nAsk.\n# User\nHi\n# Assistant\nWho?\n# User\nNext. {{text}}");
  const ProgramResult result = Chat({"-m", ChatMl(), "--prompt", "ask", "--stats"}, "one\ntwo\n");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  std::size_t answers = 0;
  for (std::size_t at = 0; (at = result.err.find("answer: ", at)) != std::string::npos; ++at) ++answers;
  EXPECT_EQ(answers, 3u) << result.err;
}

TEST_F(SlmChatBatch, ExamplesAreNoMessagesOfTheUser) {
  WritePrompt("ask", "settings:\n  temp: 0\n  max-tokens: 4\n",
              "# System\nAsk.\n# User\nExample\n# Assistant\nWhat?\n# User\nNow me: {{text}}");
  const std::vector<std::string> arguments = {"-m", ChatMl(), "-i", "--prompt", "ask", "one"};
  const ProgramResult result = Chat(arguments, "/undo\n/undo\n/edit 1 x\n");
  EXPECT_TRUE(Contains(result.err, "Taken back: Now me: one")) << result.err;
  EXPECT_TRUE(Contains(result.err, "There is nothing to take back")) << result.err;
  EXPECT_TRUE(Contains(result.err, "There is no message to edit yet")) << result.err;
  EXPECT_FALSE(Contains(result.err, "Example")) << result.err;
}

TEST_F(SlmChatBatch, EachFileGetsTheAnswerItWouldGetAlone) {
  WritePrompt("p", "settings:\n  max-tokens: 8\n", "# System\nBe brief.\n# User\nRead this text now: {{text}}");
  const std::string a = Write("a.md", "The first text.");
  const std::string b = Write("b.txt", "And the second one.");
  const ProgramResult each = Chat({"-m", ChatMl(), "--prompt", "p", "--seed", "5", "--out-dir", out().string(),
                                   "--json", "--parallel", "1", "--each", a, b});
  EXPECT_EQ(each.exit_code, 0) << each.err;
  EXPECT_TRUE(Contains(each.err, "2 answered, 0 skipped")) << each.err;
  for (const auto& [input, output] : {std::pair(a, "a.md"), std::pair(b, "b.txt.md")}) {
    EXPECT_EQ(Answer(output), Chat({"-m", ChatMl(), "--prompt", "p", "--seed", "5", "-f", input}).out);
  }
  const std::vector<Json> lines = ParseJsonLines(each.out);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["file"], a);
  EXPECT_EQ(lines[0]["cached_tokens"], 0);
  EXPECT_GT(lines[1]["cached_tokens"], 20) << "the beginning that both have";
  EXPECT_LT(lines[1]["prompt_tokens"], lines[0]["prompt_tokens"]);
  EXPECT_EQ(lines[1]["output"], (out() / "b.txt.md").string());
  EXPECT_EQ(lines[1]["seed"], 5);
  EXPECT_EQ(lines[1]["generated_tokens"], 8);
  EXPECT_EQ(lines[1]["finish_reason"], "max_tokens");

  const ProgramResult again =
      Chat({"-m", ChatMl(), "--prompt", "p", "--seed", "5", "--out-dir", out().string(), "--each", a, b});
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_EQ(again.out, "");
  EXPECT_TRUE(Contains(again.err, "0 answered, 2 skipped")) << again.err;
  const ProgramResult warmer = Chat(
      {"-m", ChatMl(), "--prompt", "p", "--seed", "5", "--temp", "0.1", "--out-dir", out().string(), "--each", a, b});
  EXPECT_TRUE(Contains(warmer.err, "2 answered, 0 skipped")) << warmer.err;
}

TEST_F(SlmChatBatch, WordsAreAPromptToo) {
  const std::string a = Write("a.md", "The first text.");
  const ProgramResult each =
      Chat({"-m", ChatMl(), "--seed", "5", "-n", "6", "Sum it up.", "--out-dir", out().string(), "--each", a});
  EXPECT_EQ(each.exit_code, 0) << each.err;
  EXPECT_EQ(each.out, "");
  EXPECT_EQ(Answer("a.md"), Chat({"-m", ChatMl(), "--seed", "5", "-n", "6", "-f", a, "Sum it up."}).out);
}

TEST_F(SlmChatBatch, FailingFilesAreSaidAndTheRestIsDone) {
  const std::string good = Write("good.md", "A text.");
  const std::vector<std::string> files = {Write("zero.md", std::string("a\0b", 3)), Write("empty.md", ""), "nowhere.md",
                                          Write("long.md", std::string(3000, 'x')), good};
  std::vector<std::string> arguments = {"-m", ChatMl(), "-n", "3", "--json", "--out-dir", out().string(), "--each"};
  arguments.insert(arguments.end(), files.begin(), files.end());
  const ProgramResult result = Chat(arguments);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_TRUE(Contains(result.err, "1 answered, 0 skipped because they were answered before, 4 failed")) << result.err;
  const std::vector<Json> lines = ParseJsonLines(result.out);
  ASSERT_EQ(lines.size(), 5u);
  const char* const reasons[] = {"byte 1 is zero", "empty", "No such file", "256"};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(lines[i]["file"], files[i]);
    EXPECT_TRUE(Contains(lines[i]["error"], reasons[i])) << lines[i];
    EXPECT_TRUE(Contains(result.err, reasons[i])) << result.err;
  }
  EXPECT_FALSE(lines[4].contains("error"));
  EXPECT_TRUE(fs::exists(out() / "good.md"));
  EXPECT_FALSE(fs::exists(out() / "long.md"));
}

TEST_F(SlmChatBatch, WrongUsage) {
  const std::string a = Write("a.md", "x");
  EXPECT_EQ(Chat({"-m", ChatMl(), "--each", a}).exit_code, 2);
  EXPECT_EQ(Chat({"-m", ChatMl(), "--out-dir", out().string(), "x"}).exit_code, 2);
  EXPECT_EQ(Chat({"-m", ChatMl(), "-i", "--out-dir", out().string(), "--each", a}).exit_code, 2);
  EXPECT_EQ(Chat({"-m", ChatMl(), "--long", "cut", "x"}).exit_code, 2);
  EXPECT_EQ(Chat({"-m", ChatMl(), "--raw", "--prompt", "p", "x"}).exit_code, 2);
  const ProgramResult onto = Chat({"-m", ChatMl(), "--out-dir", files_.path().string(), "--each", a});
  EXPECT_EQ(onto.exit_code, 1);
  EXPECT_EQ(ReadFile(a), "x");
  EXPECT_TRUE(Contains(onto.err, "replace")) << onto.err;
}

TEST_F(SlmChatBatch, JsonOfOneAnswerAndOfTurns) {
  const ProgramResult one = Chat({"-m", ChatMl(), "--seed", "3", "-n", "4", "--json", "Hi"});
  EXPECT_EQ(one.exit_code, 0);
  EXPECT_EQ(one.err, "");
  const std::vector<Json> lines = ParseJsonLines(one.out);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["text"].get<std::string>() + "\n", Chat({"-m", ChatMl(), "--seed", "3", "-n", "4", "Hi"}).out);
  EXPECT_TRUE(lines[0]["file"].is_null());
  for (const char* key : {"model", "finish_reason", "prompt_tokens", "cached_tokens", "generated_tokens",
                          "prompt_seconds", "generate_seconds", "joules", "seed"}) {
    EXPECT_TRUE(lines[0].contains(key)) << key;
  }
  const std::vector<Json> turns = ParseJsonLines(Chat({"-m", ChatMl(), "-n", "4", "--json", "-i"}, "One\nTwo\n").out);
  ASSERT_EQ(turns.size(), 2u);
  EXPECT_GT(turns[1]["cached_tokens"], 0);
}

TEST_F(SlmChatBatch, WhatIsNotUtf8IsReplacedAndSaid) {
  const std::string cut = Write("cut.md", "caf\xC3");  // in the middle of a character
  const ProgramResult each = Chat({"-m", ChatMl(), "-n", "2", "--out-dir", out().string(), "--each", cut});
  EXPECT_EQ(each.exit_code, 0) << each.err;
  const std::size_t first = each.err.find("cut.md is not UTF-8 at byte 3");
  EXPECT_NE(first, std::string::npos) << each.err;
  EXPECT_EQ(each.err.find("is not UTF-8", first + 10), std::string::npos) << "said once\n" << each.err;
  const ProgramResult input = Chat({"--print-prompt"}, "\xE2\x82 and \xF0\x9F\x98");
  EXPECT_EQ(input.out, "\uFFFD and \uFFFD\n");
  EXPECT_TRUE(Contains(input.err, "standard input is not UTF-8 at byte 0")) << input.err;
  EXPECT_TRUE(Contains(Chat({"--print-prompt"}, std::string_view("a\0b", 3)).err, "byte 1 is zero"));
}

std::string Sentences(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "Sentence " + std::to_string(i) + " of it. ";
  return text;
}

TEST_F(SlmChatBatch, ALongTextIsRefusedOrSplit) {
  const std::string text = Write("long.md", Sentences(60));
  const std::vector<std::string> common = {"-m", ChatMl(), "-n", "8", "--json", "-f", text, "Sum it up."};
  const ProgramResult refused = Chat(common);
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_EQ(refused.out, "");
  for (const char* part : {"The prompt has ", "256", "no more than", "--long split"}) {
    EXPECT_TRUE(Contains(refused.err, part)) << refused.err;
  }
  std::vector<std::string> arguments = common;
  arguments.insert(arguments.end(), {"--long", "split"});
  const ProgramResult split = Chat(arguments);
  EXPECT_EQ(split.exit_code, 0) << split.err;
  const std::vector<Json> lines = ParseJsonLines(split.out);
  ASSERT_EQ(lines.size(), 1u);
  const Json& parts = lines[0]["parts"];
  ASSERT_GT(parts.size(), 2u);
  EXPECT_TRUE(Contains(split.err, "reading it in " + std::to_string(parts.size()) + " parts")) << split.err;
  EXPECT_TRUE(Contains(split.err, "merging")) << split.err;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    EXPECT_LE(parts[i]["prompt_tokens"].get<int>() + 8, 256);
    EXPECT_EQ(parts[i]["begin"].get<int>() > 0, i > 0);
    if (i > 0) {
      EXPECT_LT(parts[i]["begin"], parts[i - 1]["end"]);
    }
  }
}

TEST_F(SlmChatBatch, ALargerContextSaysWhatItTakes) {
  const std::string model = WithContextLength(ChatMl(), files_, 20000);
  const ProgramResult grown = Chat({"-m", model, "-n", "2"}, std::string(6000, 'x'));
  EXPECT_EQ(grown.exit_code, 0) << grown.err;
  EXPECT_TRUE(Contains(grown.err, "context of ")) << grown.err;
  EXPECT_TRUE(Contains(grown.err, "MB of cache")) << grown.err;
  EXPECT_EQ(Chat({"-m", model, "-n", "2", "Hi"}).err, "");
}

TEST_F(SlmChatBatch, AContextThatIsMoreThanTheMemoryIsAnError) {
  const std::string model = WithContextLength(ChatMl(), files_, 2'000'000'000);
  const ProgramResult result = Chat({"-m", model, "-n", "1900000000", "Hi"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.out, "");
  for (const char* part : {"GB of memory", "are free", "--ctx", "--long split"}) {
    EXPECT_TRUE(Contains(result.err, part)) << result.err;
  }
}

class SlmChatBatchStopped : public SlmChatBatch {
 protected:
  void SetUp() override {
    if (IsEmulated()) GTEST_SKIP() << "an emulated program can't be stopped like this";
    for (char name = 'a'; name <= 'e'; ++name) {
      files_list_.push_back(Write(std::string(1, name) + ".md", std::string("The text ") + name + "."));
    }
  }

  // Answers that take long enough to be stopped in.
  std::vector<std::string> Arguments(const fs::path& folder) {
    std::vector<std::string> arguments = {"-m",   Endless(),    "--temp", "0",         "--ctx",         "7000",  "-n",
                                          "6000", "--parallel", "1",      "--out-dir", folder.string(), "--each"};
    arguments.insert(arguments.end(), files_list_.begin(), files_list_.end());
    return arguments;
  }

  // The second run does what is left, and all answers are as if nothing had happened.
  void ExpectGoesOn() {
    const ProgramResult rest = Chat(Arguments(out()));
    EXPECT_EQ(rest.exit_code, 0) << rest.err;
    EXPECT_FALSE(Contains(rest.err, "0 skipped")) << rest.err;
    EXPECT_FALSE(Contains(rest.err, "5 skipped")) << rest.err;
    const fs::path whole = out_.path() / "whole";
    EXPECT_EQ(Chat(Arguments(whole)).exit_code, 0);
    for (const std::string& file : files_list_) {
      const fs::path name = fs::path(file).filename();
      EXPECT_EQ(ReadFile(out() / name), ReadFile(whole / name)) << name;
    }
    for (const auto& entry : fs::directory_iterator(out())) EXPECT_NE(entry.path().extension(), ".part");
  }

  std::vector<std::string> files_list_;
};

TEST_F(SlmChatBatchStopped, ByControlC) {
  std::vector<std::string> arguments = Arguments(out());
  arguments.insert(arguments.begin(), {SLM_CHAT, "--threads", "1"});
  Terminal terminal(arguments);
  ASSERT_TRUE(terminal.WaitFor("1 of 5")) << terminal.screen();
  EXPECT_TRUE(Contains(terminal.screen(), "left.")) << "how long it takes\n" << terminal.screen();
  terminal.Type("\x03");
  EXPECT_EQ(terminal.Wait(), 130) << terminal.screen();
  EXPECT_TRUE(Contains(terminal.screen(), "run the same command again")) << terminal.screen();
  ExpectGoesOn();
}

TEST_F(SlmChatBatchStopped, ByKill) {
  std::string command = "\"$CHAT\" --threads 1";
  for (const std::string& argument : Arguments(out())) command += " '" + argument + "'";
  command += " & while ! [ -e '" + (out() / "b.md").string() + "' ]; do sleep 0.01; done; kill -9 $!; wait $!";
  const ProgramResult killed =
      RunProgram({"/bin/sh", "-c", command}, {}, {std::string("CHAT=") + SLM_CHAT, "XDG_CONFIG_HOME=/nowhere"});
  EXPECT_EQ(killed.exit_code, 128 + 9) << killed.err;
  ExpectGoesOn();
}

TEST_F(SlmChatBatch, AnotherTextOfATemplateIsAnotherPrompt) {
  const std::string file = Write("a.md", "Text.");
  const auto skips = [&](const std::string& source) {
    const std::string path = Write("t.jinja", source);
    const ProgramResult result =
        Chat({"-m", ChatMl(), "-n", "2", "--template", path, "--out-dir", out().string(), "Hi", "--each", file});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return Contains(result.err, "1 skipped");
  };
  const std::string source = "{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}";
  EXPECT_FALSE(skips(source));
  EXPECT_TRUE(skips(source));
  EXPECT_FALSE(skips(source + "!"));
}

// Longer than a template may write: 17.6 MB, whose words are tokens of 8 kB.
TEST_F(SlmChatBatch, ATextOfManyMegabytesIsRefusedForItsTokens) {
  const std::string word = std::string(8191, 'w') + " ";
  std::vector<std::string> texts = {"<unk>", "<s>", "</s>", word};
  std::vector<std::int32_t> types = {2, 3, 3, 4};
  for (int i = 4; i < 40; ++i) {
    texts.push_back(std::to_string(i));
    types.push_back(1);
  }
  TinyModel tiny({.context = 4096});
  tiny.Set("tokenizer.ggml.tokens", texts).Set("tokenizer.ggml.token_type", types);
  tiny.Set("tokenizer.chat_template", "{% for m in messages %}{{ m.content }}{% endfor %}");
  const std::string model = Write("model.gguf", tiny.Build());
  std::string text;
  for (int i = 0; i < 2150; ++i) text += word;
  const std::string file = Write("long.txt", text);
  const ProgramResult refused =
      Chat({"-m", model, "--ctx", "2000", "-n", "4", "--temp", "0", "--ignore-eos", "-f", file, "--prompt",
            Write("p.md", "---\nname: p\ndescription: x\n---\n{{text}}\n"), "--long", "error"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_TRUE(Contains(refused.err, "The prompt has 215")) << refused.err;
  EXPECT_TRUE(Contains(refused.err, "the context holds only 2000")) << refused.err;
  EXPECT_FALSE(Contains(refused.err, "template")) << refused.err;
}

// B65 of the field cases: a text of 3,858 tokens and a context of 2048.
TEST_F(SlmChatBatch, RealATooLongTextIsNeverCut) {
  const auto model = RealModel("smollm2-135m");
  if (!model) GTEST_SKIP() << "the model smollm2-135m is not in the model cache";
  std::string text;
  for (int i = 0; i < 3858 - 60; ++i) text += " river";  // one token each
  const std::string file = Write("long.md", text);
  const ProgramResult result = Chat({"-m", model->string(), "--ctx", "2048", "-f", file, "Summarise this."});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.out, "");
  EXPECT_TRUE(Contains(result.err, "The prompt has 38")) << result.err;
  EXPECT_TRUE(Contains(result.err, "2048")) << result.err;
}

// The same answers, however many are written at a time.
TEST_F(SlmChatBatch, ParallelAnswersAreTheSame) {
  std::vector<std::string> arguments = {"-m", ChatMl(), "-n", "20", "--seed", "4", "--ignore-eos", "Tell.", "--each"};
  for (std::size_t i = 0; i < 6; ++i)
    arguments.push_back(Write("f" + std::to_string(i), "Text number " + std::to_string(i) + std::string(20 * i, '.')));
  std::vector<std::string> expected;
  for (const char* const parallel : {"1", "4", "0"}) {
    std::vector<std::string> all = arguments;
    all.insert(all.begin(), {"--overwrite", "--json", "--out-dir", out().string(), "--parallel", parallel});
    const ProgramResult result = Chat(all);
    ASSERT_EQ(result.exit_code, 0) << result.err;
    std::vector<std::string> texts;
    for (const Json& line : ParseJsonLines(result.out)) {
      texts.push_back(line["text"]);
      EXPECT_TRUE(Contains(ReadFile(line["output"].get<std::string>()), texts.back()));
    }
    ASSERT_EQ(texts.size(), 6u);
    if (expected.empty()) expected = texts;
    EXPECT_EQ(texts, expected) << parallel;
  }
}

}  // namespace

}  // namespace slm::test
