// Where slm-chat takes its settings from: the model's file, prompt files, the command line, /set.

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "support/json.h"
#include "support/run_program.h"
#include "support/test_data.h"
#include "support/tiny_model.h"
#include "tools/tool_test.h"

namespace slm::test {

namespace {

namespace fs = std::filesystem;

ProgramResult Chat(std::vector<std::string> arguments, std::string_view input = {}) {
  arguments.insert(arguments.begin(), {SLM_CHAT, "--threads", "1"});
  return RunProgram(std::move(arguments), input);
}

nlohmann::json OneRecord(const ProgramResult& result) {
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return ParseJson(result.out.substr(0, result.out.find('\n')));
}

// A model whose template writes what the variable says before the messages.
TinyModel WithTemplate() {
  TinyModel tiny;
  tiny.Set("tokenizer.chat_template",
           "{% if not enable_thinking is defined %}{% elif enable_thinking %}3333{% else %}4444444{% endif %}"
           "{% for m in messages %}{{ m.content }}{% endfor %}");
  return tiny;
}

// --- The model's file ---

TEST(SlmChatRecommended, FileThenPromptThenCommandLine) {
  const TemporaryFolder folder;
  TinyModel tiny = WithTemplate();
  tiny.Set("general.sampling.temp", 0.25f).Set("general.sampling.top_k", std::int32_t{7});
  tiny.Set("general.sampling.penalty_repeat", 1.5f).Set("general.sampling.penalty_last_n", std::int32_t{-1});
  tiny.Set("general.sampling.mirostat_tau", 3.0f);
  const std::string model = folder.Write("model.gguf", tiny.Build());
  const std::string prompt =
      folder.Write("p.md", "---\nname: p\ndescription: x\nsettings:\n  top_k: 9\n  temperature: 0.5\n---\n3\n");
  const auto verbose = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"-m", model, "-v", "-n", "1"});
    return Chat(more).err;
  };
  const std::string plain = verbose({"3"});
  EXPECT_TRUE(Contains(plain, "temp 0.25, top-k 7, top-p 0.95, min-p 0.05, repeat-penalty 1.5, repeat-last-n -1,"))
      << plain;
  EXPECT_TRUE(Contains(plain, "mirostat-ent 3")) << plain;
  EXPECT_TRUE(Contains(plain, "from the model's file")) << plain;
  EXPECT_FALSE(Contains(plain, "command line")) << plain;
  const std::string given = verbose({"--prompt", prompt, "--temp", "0.75"});
  EXPECT_TRUE(Contains(given, "temp 0.75, top-k 9,")) << given;
  EXPECT_TRUE(Contains(given,
                       "temp from the command line; top-k from the prompt file; repeat-penalty, repeat-last-n, "
                       "mirostat-ent from the model's file; the rest by default"))
      << given;
  EXPECT_TRUE(Contains(verbose({"3", "--top-k", "0"}), "top-k 0,"));
  EXPECT_TRUE(Contains(Chat({"-m", model, "-i"}, "/set\n").err, "top-k                 7\n"));
}

TEST(SlmChatRecommended, WhatCanNotBeFollowedIsSaid) {
  const TemporaryFolder folder;
  TinyModel tiny = WithTemplate();
  tiny.Set("general.sampling.temp", -1.0f).Set("general.sampling.top_k", "many").Set("general.sampling.top_p", 0.5f);
  tiny.Set("general.sampling.sequence", "kpt").Set("general.sampling.seed", std::uint32_t{5});
  const ProgramResult result = Chat({"-m", folder.Write("model.gguf", tiny.Build()), "-v", "-n", "1", "3"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(Contains(result.err, "temp 0.8, top-k 40, top-p 0.5,")) << result.err;
  for (const char* const key : {"temp", "top_k", "sequence", "seed"}) {
    EXPECT_TRUE(Contains(result.err, std::string("warning: the model's file recommends general.sampling.") + key))
        << key << result.err;
  }
}

// --- Seeds ---

TEST(SlmChatSeed, MinusOneIsAnotherOneEveryTime) {
  const auto answer = [](std::vector<std::string> more) {
    more.insert(more.end(), {"-m", ChatMl(), "--temp", "2", "--top-k", "0", "--top-p", "1", "--min-p", "0", "-n", "20",
                             "--json", "Hi"});
    return OneRecord(Chat(more));
  };
  std::set<std::uint64_t> seeds;
  std::set<std::string> texts;
  for (int i = 0; i < 3; ++i) {
    const nlohmann::json record = answer({"--seed", "-1"});
    seeds.insert(record["seed"].get<std::uint64_t>());
    texts.insert(record["text"].get<std::string>());
    EXPECT_EQ(answer({"--seed", record["seed"].dump()})["text"], record["text"]);
    EXPECT_LT(answer({})["seed"].get<std::uint64_t>(), std::uint64_t{1} << 53);
  }
  EXPECT_EQ(seeds.size(), 3u);
  EXPECT_EQ(texts.size(), 3u);
  for (const std::uint64_t seed : seeds) EXPECT_LT(seed, std::uint64_t{1} << 53);
}

TEST(SlmChatSeed, OutOfRangeIsAnError) {
  for (const char* const seed : {"18446744073709551616", "-2", "1.5", "0x10", "1e3", ""}) {
    const ProgramResult result = Chat({"-m", ChatMl(), "--seed", seed, "Hi"});
    EXPECT_EQ(result.exit_code, 2) << seed;
    EXPECT_TRUE(Contains(result.err, "from 0 to 18446744073709551615, or -1")) << result.err;
    const ProgramResult set =
        Chat({"-m", ChatMl(), "-i", "--seed", "7"}, std::string("/set seed ") + seed + "\n/set\n");
    EXPECT_TRUE(Contains(set.err, "from 0 to 18446744073709551615, or -1")) << set.err;
    EXPECT_TRUE(Contains(set.err, "seed                  7\n")) << set.err;
  }
  EXPECT_TRUE(Contains(Chat({"-m", ChatMl(), "-i", "--seed", "18446744073709551615"}, "/set\n").err,
                       "seed                  18446744073709551615\n"));
  EXPECT_FALSE(Contains(Chat({"-m", ChatMl(), "-i", "--seed", "7"}, "/set seed -1\n/set\n").err, "  7\n"));
}

// --- Texts ---

TEST(SlmChatTexts, EscapesMeanTheSameEverywhere) {
  const TemporaryFolder folder;
  const std::string prompt = folder.Write(
      "p.md", "---\nname: p\ndescription: x\nsettings:\n  stop: ['\\n', \"\\n\\n\", \"\\\\t\", 'a\\\\nb']\n---\nHi\n");
  EXPECT_TRUE(Contains(Chat({"-m", ChatMl(), "-i", "--prompt", prompt, "-n", "1"}, "/set\n").err,
                       R"(stop                  ["\n","\n\n","\t","a\\nb"])"));
  const ProgramResult given = Chat({"-m", ChatMl(), "-i", "--stop", "\\n", "--stop", "a\\\\nb", "--stop", "\\d",
                                    "--dry-sequence-breaker", "\\n", "--dry-sequence-breaker", "a\\\\nb"},
                                   "/set\n");
  EXPECT_TRUE(Contains(given.err, R"(stop                  ["\n","a\\nb","\\d"])")) << given.err;
  EXPECT_TRUE(Contains(given.err, R"(dry-sequence-breaker  ["\n","a\\nb"])")) << given.err;
  const auto set = [](const std::string& value) {
    return Chat({"-m", ChatMl(), "-i"}, "/set stop " + value + "\n/set dry-sequence-breaker " + value + "\n/set\n").err;
  };
  for (const auto& [value, shown] : {std::pair{"\\n", R"(["\n"])"}, std::pair{"a\\\\nb", R"(["a\\nb"])"},
                                     std::pair{R"(["\n", "b"])", R"(["\n","b"])"}, std::pair{"[END]", R"(["[END]"])"},
                                     std::pair{"none", "none"}, std::pair{"", "none"}}) {
    EXPECT_TRUE(Contains(set(value), std::string("stop                  ") + shown + "\n")) << set(value);
    EXPECT_TRUE(Contains(set(value), std::string("dry-sequence-breaker  ") + shown + "\n")) << set(value);
  }
}

TEST(SlmChatTexts, StopsAtALineBreak) {
  // Continues "3" with line breaks only: every token but one is banned.
  TinyModel tiny;
  std::vector<std::string> texts = {"<unk>", "<s>", "</s>", "\n"};
  for (int i = 4; i < 40; ++i) texts.push_back(std::to_string(i));
  tiny.Set("tokenizer.ggml.tokens", texts);
  const TemporaryFolder folder;
  const std::vector<std::string> arguments = {"-m",     folder.Write("model.gguf", tiny.Build()),
                                              "--raw",  "--temp",
                                              "0",      "-n",
                                              "4",      "--logit-bias",
                                              "3+1000", "--json",
                                              "5"};
  EXPECT_EQ(OneRecord(Chat(arguments))["text"], "\n\n\n\n");
  std::vector<std::string> stopped = arguments;
  stopped.insert(stopped.end(), {"--stop", "\\n"});
  EXPECT_EQ(OneRecord(Chat(stopped))["finish_reason"], "stop_string");
}

// --- The template's variables ---

TEST(SlmChatVariables, ReachTheTemplate) {
  const TemporaryFolder folder;
  const std::string model = folder.Write("model.gguf", WithTemplate().Build());
  const auto tokens = [&](std::vector<std::string> more, std::string_view input = {}) {
    more.insert(more.begin(), {"-m", model, "--temp", "0", "-n", "1", "--json"});
    return OneRecord(Chat(more, input))["prompt_tokens"].get<int>();
  };
  const int without = tokens({"3"});
  const int on = tokens({"3", "--var", "enable_thinking=true"});
  const int off =
      tokens({"3", "--var", "enable_thinking=true", "--var", "other=[1]", "--var", "enable_thinking=false"});
  EXPECT_GT(on, without);
  EXPECT_GT(off, on);
  for (const char* const list :
       {"enable_thinking=false", "[enable_thinking=false, 'a={\"b\":1}']", "\n  - a=1\n  - enable_thinking=false"}) {
    const std::string prompt =
        folder.Write("p.md", std::string("---\nname: p\ndescription: x\nsettings:\n  var: ") + list + "\n---\n3\n");
    EXPECT_EQ(tokens({"--prompt", prompt}), off) << list;
    EXPECT_EQ(tokens({"--prompt", prompt, "--var", "enable_thinking=true"}), on) << list;
  }
  EXPECT_EQ(tokens({"-i"}, "/set var enable_thinking=true\n3\n"), on);
  EXPECT_EQ(tokens({"-i", "--var", "enable_thinking=true"}, "/set var enable_thinking=false\n3\n"), off);
}

TEST(SlmChatVariables, SetKeepsTheConversation) {
  const TemporaryFolder folder;
  const std::string model = folder.Write("model.gguf", WithTemplate().Build());
  const ProgramResult result =
      Chat({"-m", model, "--temp", "0", "-n", "2", "-i"}, "3\n/set var enable_thinking=false\n/set\n4\n/undo\n/undo\n");
  EXPECT_TRUE(Contains(result.err, "var                   {\"enable_thinking\":false}\n")) << result.err;
  EXPECT_TRUE(Contains(result.err, "Taken back: 4\nTaken back: 3\n")) << result.err;
  const std::string session = (folder.path() / "s").string();
  EXPECT_EQ(Chat({"-m", model, "-n", "1", "--session", session, "--var", "enable_thinking=true", "3"}).exit_code, 0);
  const ProgramResult again = Chat({"-m", model, "-n", "1", "--session", session, "--var", "a=1", "3"});
  EXPECT_TRUE(Contains(again.err, "keeps the template's variables")) << again.err;
  const ProgramResult more = Chat({"-m", model, "-n", "1", "--session", session, "-i"}, "/set var a=1\n/set\n");
  EXPECT_TRUE(Contains(more.err, "var                   {\"enable_thinking\":true,\"a\":1}\n")) << more.err;
}

TEST(SlmChatVariables, MistakesAreSaid) {
  const TemporaryFolder folder;
  for (const auto& [value, said] :
       {std::pair{"x", "NAME=JSON"}, std::pair{"=1", "NAME=JSON"}, std::pair{"1a=1", "NAME=JSON"},
        std::pair{"a=b", "not valid JSON"}, std::pair{"a=", "not valid JSON"}, std::pair{"a=1e400", "out of range"},
        std::pair{"messages=[]", "can't be set"}, std::pair{"bos_token=\"\"", "can't be set"}}) {
    const ProgramResult result = Chat({"-m", ChatMl(), "--var", value, "Hi"});
    EXPECT_EQ(result.exit_code, 2) << value;
    EXPECT_TRUE(Contains(result.err, said)) << result.err;
    EXPECT_TRUE(Contains(Chat({"-m", ChatMl(), "-i"}, std::string("/set var ") + value + "\n").err, said)) << value;
    const std::string prompt =
        folder.Write("p.md", std::string("---\nname: p\ndescription: x\nsettings:\n  var: '") + value + "'\n---\nHi\n");
    const ProgramResult prompted = Chat({"-m", ChatMl(), "--prompt", prompt});
    EXPECT_EQ(prompted.exit_code, 1) << value;
    EXPECT_TRUE(Contains(prompted.err, said)) << prompted.err;
  }
  EXPECT_EQ(Chat({"-m", ChatMl(), "--raw", "--var", "a=1", "Hi"}).exit_code, 2);
  const std::string deep = "a=" + std::string(100000, '[') + std::string(100000, ']');
  EXPECT_TRUE(Contains(Chat({"-m", ChatMl(), "-i"}, "/set var " + deep + "\n").err, "nested more than 100 deep"));
  std::string many = "---\nname: p\ndescription: x\nsettings:\n  var:\n";
  for (int i = 0; i < 1001; ++i) many += "  - v" + std::to_string(i) + "=1\n";
  const ProgramResult refused = Chat({"-m", ChatMl(), "--prompt", folder.Write("many.md", many + "---\nHi\n")});
  EXPECT_TRUE(Contains(refused.err, "more than 1000 variables")) << refused.err;
}

// --- Names, ranges and words ---

TEST(SlmChatNames, AllNamesOfAnOptionAreOne) {
  const auto temp = [](std::vector<std::string> more) {
    more.insert(more.begin(), {"-m", ChatMl(), "-n", "1", "-v", "Hi"});
    return Chat(more).err;
  };
  EXPECT_TRUE(Contains(temp({"--temp", "0.5", "--temperature", "0.25"}), "temp 0.25,"));
  EXPECT_TRUE(Contains(temp({"--temperature", "0.25", "--temp", "0.5"}), "temp 0.5,"));
  EXPECT_TRUE(Contains(temp({"--mirostat-tau", "4"}), "mirostat-ent 4"));
  const TemporaryFolder folder;
  const std::string twice =
      folder.Write("p.md", "---\nname: p\ndescription: x\nsettings:\n  temp: 1\n  temperature: 2\n---\nHi\n");
  EXPECT_TRUE(Contains(Chat({"-m", ChatMl(), "--prompt", twice}).err, "is there twice"));
}

TEST(SlmChatNames, RangesAreSaid) {
  for (const auto& [option, range] :
       {std::pair{"--ctx", "from 1 to 2147483647"}, std::pair{"-n", "from -1 to 2147483647"},
        std::pair{"-t", "from 0 to 1024"}, std::pair{"--shift-keep", "from 0 to 2147483647"}}) {
    for (const char* const value : {"99999999999999999999", "-7", "many", "1.5", ""}) {
      const ProgramResult result = Chat({"-m", ChatMl(), option, value, "Hi"});
      EXPECT_EQ(result.exit_code, 2) << option << value;
      EXPECT_TRUE(Contains(result.err, range)) << result.err;
    }
  }
}

TEST(SlmChatNames, SessionsAreToldInTheWordsOfTheCommandLine) {
  const TemporaryFolder folder;
  const std::string session = (folder.path() / "s").string();
  ASSERT_EQ(Chat({"-m", ChatMl(), "-n", "1", "--session", session, "Hi"}).exit_code, 0);
  const std::string ctx = Chat({"-m", ChatMl(), "-n", "1", "--session", session, "--ctx", "100", "Hi"}).err;
  EXPECT_TRUE(Contains(ctx, "--ctx")) << ctx;
  EXPECT_FALSE(Contains(ctx, "SessionOptions")) << ctx;
  const std::string kv = Chat({"-m", ChatMl(), "-n", "1", "--session", session, "--kv", "f32", "Hi"}).err;
  EXPECT_TRUE(Contains(kv, "--kv")) << kv;
  EXPECT_FALSE(Contains(kv, "SessionOptions")) << kv;
  EXPECT_TRUE(Contains(Chat({"-m", ChatMl(), "-n", "1", "--shift-keep", "1000", "Hi"}).err, "--shift-keep is 1000"));
}

// --- Text without turns ---

TEST(SlmChatRaw, NothingEndsTheTextBeforeItIsContinued) {
  const TemporaryFolder folder;
  TinyModel tiny;
  tiny.Set("tokenizer.ggml.add_bos_token", true).Set("tokenizer.ggml.bos_token_id", std::uint32_t{1});
  tiny.Set("tokenizer.ggml.eos_token_id", std::uint32_t{2});
  const std::string without = folder.Write("a.gguf", tiny.Build());
  const std::string with = folder.Write("b.gguf", tiny.Set("tokenizer.ggml.add_eos_token", true).Build());
  const auto answer = [](const std::string& model, const std::string& text) {
    return Chat({"-m", model, "--raw", "--temp", "0", "-n", "3", "--json", text});
  };
  const nlohmann::json one = OneRecord(answer(without, "3"));
  const nlohmann::json two = OneRecord(answer(with, "3"));
  EXPECT_EQ(two["prompt_tokens"], one["prompt_tokens"]);
  EXPECT_EQ(two["text"], one["text"]);
  EXPECT_EQ(answer(with, "3").err, "");
  EXPECT_TRUE(Contains(answer(with, "<s>3").err, "warning: the text begins with \"<s>\""));
  EXPECT_EQ(RunProgram({SLM_INSPECT, "tokenize", with, "--bos"}, "3").out.substr(0, 3), "[1,");
  EXPECT_TRUE(RunProgram({SLM_INSPECT, "tokenize", with, "--bos"}, "3").out.ends_with(",2]\n"));
  EXPECT_TRUE(Contains(RunProgram({SLM_INSPECT, "tokenize", with, "--bos"}, "<s>3").err, "warning: the text begins"));
}

// --- The template that stands in ---

TEST(SlmChatTemplate, OneThatIsNotOfTheFileIsSaidOnce) {
  std::string bytes = ReadFile(ChatMl());
  bytes.replace(bytes.find("tokenizer.chat_template"), 23, "tokenizer.chat_other___");
  const TemporaryFolder folder;
  const std::string model = folder.Write("model.gguf", bytes);
  const ProgramResult result = Chat({"-m", model, "--temp", "0", "-n", "2", "-i"}, "Hi\nHi\n");
  const std::size_t said = result.err.find("no chat template");
  ASSERT_NE(said, std::string::npos) << result.err;
  EXPECT_TRUE(Contains(result.err, "built in for")) << result.err;
  EXPECT_EQ(result.err.find("no chat template", said + 1), std::string::npos) << result.err;
  EXPECT_EQ(Chat({"-m", ChatMl(), "--temp", "0", "-n", "2", "Hi"}).err, "");
}

// --- Standard input ---

TEST(SlmChatStandardInput, CanBeLeftAlone) {
  const ProgramResult read = Chat({"--print-prompt", "words"}, "input");
  EXPECT_EQ(read.out, "input\n\nwords\n");
  EXPECT_EQ(Chat({"--print-prompt", "--no-stdin", "words"}, "input").out, "words\n");
  EXPECT_EQ(Chat({"-m", ChatMl(), "--no-stdin"}, "input").exit_code, 2);
  EXPECT_EQ(Chat({"-m", ChatMl(), "--no-stdin", "-i"}, "input").exit_code, 2);
}

TEST(SlmChatStandardInput, WaitingIsSaid) {
  if (std::string_view(SLM_TEST_EMULATOR) != "") GTEST_SKIP() << "the shell can't start an emulated program";
  const auto shell = [](const std::string& line) {
    return RunProgram({"/bin/sh", "-c", line}, {}, {std::string("CHAT=") + SLM_CHAT, "SLM_MODEL=" + ChatMl()});
  };
  const ProgramResult waiting = shell("(sleep 2; echo late) | \"$CHAT\" --print-prompt words");
  EXPECT_EQ(waiting.out, "late\n\nwords\n");
  EXPECT_TRUE(Contains(waiting.err, "standard input")) << waiting.err;
  EXPECT_TRUE(Contains(waiting.err, "--no-stdin")) << waiting.err;
  const ProgramResult loop =
      shell("printf 'a\\nb\\n' | while read x; do \"$CHAT\" --no-stdin --print-prompt \"Say $x\"; done");
  EXPECT_EQ(loop.out, "Say a\nSay b\n");
  EXPECT_EQ(loop.err, "");
}

}  // namespace

}  // namespace slm::test
