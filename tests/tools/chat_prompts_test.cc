// Prompt files: what is in them, where they are found, and what is said about those that are not right.

#include "chat_prompts.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/run_program.h"
#include "support/test_data.h"

namespace slm::tools {

namespace fs = std::filesystem;

namespace {

constexpr char kFront[] = "---\nname: p\ndescription: A prompt.\n---\n";

Result<ChatPrompt> Parse(const std::string& contents) { return ParsePrompt(contents, "prompts/p.md"); }

void ExpectInvalid(const std::string& contents, const std::vector<std::string>& parts) {
  const Result<ChatPrompt> prompt = Parse(contents);
  ASSERT_EQ(prompt.status().code(), StatusCode::kInvalidArgument) << contents;
  EXPECT_NE(prompt.status().message().find("prompts/p.md"), std::string::npos) << prompt.status().message();
  for (const std::string& part : parts) {
    EXPECT_NE(prompt.status().message().find(part), std::string::npos) << part << "\n" << prompt.status().message();
  }
}

TEST(ChatPromptsTest, AllThereCanBe) {
  const Result<ChatPrompt> prompt = Parse(
      "---\nname: p\ndescription: 'A: prompt'\nsettings:\n  temp: 0.25\n  top-k: 7\n  max-tokens: 12\n"
      "  stop: [\"\\nEnd\", x]\n  interactive: true\n---\n\n# System\n\nBe brief.\n\nAlways.\n\n# User\nHow are you?\n"
      "# Assistant\nFine.\n# User\nRead:\n\n{{text}}\n\nWell?\n");
  ASSERT_TRUE(prompt.ok()) << prompt.status().message();
  EXPECT_EQ(prompt->name, "p");
  EXPECT_EQ(prompt->description, "A: prompt");
  ASSERT_EQ(prompt->settings.sampling.size(), 2u);
  EXPECT_EQ(prompt->settings.sampling[0].name, "temp");
  EXPECT_EQ(prompt->settings.sampling[0].value, "0.25");
  EXPECT_EQ(prompt->settings.max_tokens, 12);
  EXPECT_EQ(prompt->settings.stop, (std::vector<std::string>{"\nEnd", "x"}));
  EXPECT_TRUE(prompt->settings.interactive);
  EXPECT_TRUE(prompt->has_place);
  EXPECT_EQ(PromptMessages(*prompt, "\nThe {{text}}.\n\n"),
            (std::vector<Message>{{.role = Role::kSystem, .content = "Be brief.\n\nAlways."},
                                  {.role = Role::kUser, .content = "How are you?"},
                                  {.role = Role::kAssistant, .content = "Fine."},
                                  {.role = Role::kUser, .content = "Read:\n\nThe {{text}}.\n\nWell?"}}));
  EXPECT_EQ(PromptMessages(*prompt, "").back().content, "Read:\n\nWell?");
}

// What PyYAML makes of these values, or what is refused.
TEST(ChatPromptsTest, TextsOfTheFrontMatter) {
  const std::pair<std::string, std::optional<std::string>> texts[] = {
      {"What it says, briefly.", "What it says, briefly."},
      {"plain   # a comment", "plain"},
      {"a#b c:d", "a#b c:d"},
      {"-1 and ?x and :y", "-1 and ?x and :y"},
      {R"(it's "quoted" [here], {there})", R"(it's "quoted" [here], {there})"},
      {"'it''s: #1'", "it's: #1"},
      {"''''", "'"},
      {R"("a \"b\" # \u20ac\n"  # a comment)", "a \"b\" # \u20AC\n"},
      {R"("\x41")", std::nullopt},  // JSON has no such escape
      {"- ", std::nullopt},
      {"a: b", std::nullopt},
      {"a:", std::nullopt},
      {R"("a" b)", std::nullopt},
      {"'a'b", std::nullopt},
      {"\"a", std::nullopt},
      {"a\tb", std::nullopt},
      {">", std::nullopt},
      {"&a b", std::nullopt},
      {"!!str a", std::nullopt},
      {"@a", std::nullopt},
      {"{a: b}", std::nullopt},
  };
  for (const auto& [written, meant] : texts) {
    const Result<ChatPrompt> prompt = Parse("---\n# A comment\n\nname: p  \ndescription: " + written + "\n---\nx");
    ASSERT_EQ(prompt.ok(), meant.has_value()) << written << "\n" << prompt.status().message();
    if (meant) {
      EXPECT_EQ(prompt->description, *meant);
    } else {
      EXPECT_NE(prompt.status().message().find("line 5"), std::string::npos) << prompt.status().message();
    }
  }
}

TEST(ChatPromptsTest, ListsOfTheFrontMatter) {
  using Texts = std::vector<std::string>;
  const auto stop = [](const std::string& list) {
    const Result<ChatPrompt> prompt =
        Parse("---\nname: p\ndescription: d\nsettings:\n  temp: 0\n  stop: " + list + "\n---\nx");
    return prompt.ok() ? prompt->settings.stop : Texts{"error", prompt.status().message()};
  };
  EXPECT_EQ(stop("a b"), Texts{"a b"});
  EXPECT_EQ(stop(R"([ a b , 'c, d]', "]",-1 ] # e)"), (Texts{"a b", "c, d]", "]", "-1"}));
  for (const char* const list : {"[]", "[a", "[a,,b]", "[a,'']", "[a: b]", "[[a]]", "[a] b", "[a #b]"}) {
    EXPECT_EQ(stop(list).front(), "error") << list;
  }
  for (const char* const lines : {"a\n    b", "[a,\n    b]\n"}) EXPECT_EQ(stop(lines).front(), "error") << lines;
  EXPECT_EQ(stop("\n    - a, b  # c\n  - \"d\"\n\n  # e\n  - 'f'"), (Texts{"a, b", "d", "f"}));
  for (const char* const lines : {"[a]\n  - b", "\n  - ''", "\n  top-k: 1\n  - b", "\n  - [a]", "\n  - a: b", ""}) {
    EXPECT_EQ(stop(lines).front(), "error") << lines;
  }
  EXPECT_NE(stop("a\n    - b").back().find("line 7"), std::string::npos) << stop("a\n    - b").back();
  EXPECT_EQ(stop(std::string(990, 'a')), Texts{std::string(990, 'a')});
  EXPECT_EQ(stop(std::string(1000000, 'a')).front(), "error");
}

TEST(ChatPromptsTest, ABodyWithoutHeadingsIsTheUsers) {
  const Result<ChatPrompt> prompt = Parse(std::string(kFront) + "Say it in French.\r\n\r\n# Not a heading of ours\r\n");
  ASSERT_TRUE(prompt.ok()) << prompt.status().message();
  EXPECT_FALSE(prompt->has_place);
  EXPECT_EQ(PromptMessages(*prompt, "Hello"),
            (std::vector<Message>{
                {.role = Role::kUser, .content = "Say it in French.\n\n# Not a heading of ours\n\nHello"}}));
  EXPECT_EQ(PromptMessages({}, "words"), (std::vector<Message>{{.role = Role::kUser, .content = "words"}}));
}

TEST(ChatPromptsTest, MistakesInTheFrontMatterAreNamed) {
  ExpectInvalid("Just text.", {"\"---\""});
  ExpectInvalid("---\nname: p\n", {"missing"});
  ExpectInvalid("---\n---\nx", {"front matter"});
  ExpectInvalid("---\nname: q\ndescription: d\n---\nx", {"\"name\"", "\"p\"", "\"q\""});
  ExpectInvalid("---\nname: p\n---\nx", {"\"description\""});
  ExpectInvalid("---\nname: p\ndescription: d\nauthor: me\n---\nx", {"\"author\""});
  ExpectInvalid("---\nname: p\nname: p\ndescription: d\n---\nx", {"\"name\"", "twice"});
  ExpectInvalid("---\nname: [p]\ndescription: d\n---\nx", {"\"name\""});
  ExpectInvalid("---\n- name\n---\nx", {"front matter"});
  ExpectInvalid("---\nname: p\ndescription: d: e\n---\nx", {"line 3"});
  ExpectInvalid("---\nname: p\ndescription: " + std::string(5000, '[') + "\n---\nx", {});
  ExpectInvalid("---\n? [a, b]\n: c\n---\nx", {});
  ExpectInvalid("---\nname: *p\ndescription: d\n---\nx", {});
}

TEST(ChatPromptsTest, MistakesInTheSettingsAreNamed) {
  const auto with = [](const std::string& setting) {
    return "---\nname: p\ndescription: d\nsettings:\n  " + setting + "\n---\nx";
  };
  EXPECT_TRUE(Parse(with("temp: 1")).ok());
  ExpectInvalid(with("tmep: 1"), {"\"tmep\""});
  ExpectInvalid(with("temp: hot"), {"\"temp\"", "hot"});
  ExpectInvalid(with("temp: -1"), {"\"temp\""});
  ExpectInvalid(with("temp: [1]"), {"\"temp\""});
  ExpectInvalid(with("max-tokens: 0"), {"\"max-tokens\""});
  ExpectInvalid(with("max-tokens: many"), {"\"max-tokens\"", "many"});
  ExpectInvalid(with("stop: ['']"), {"\"stop\""});
  ExpectInvalid(with("interactive: yes"), {"\"interactive\""});
  ExpectInvalid("---\nname: p\ndescription: d\nsettings: warm\n---\nx", {"\"settings\""});
}

TEST(ChatPromptsTest, MistakesInTheBodyAreNamed) {
  const auto with = [](const std::string& body) { return kFront + body; };
  ExpectInvalid(with(""), {"empty"});
  ExpectInvalid(with("Intro\n# User\nx"), {"before the first heading", "Intro"});
  ExpectInvalid(with("# System\ns"), {"# User"});
  ExpectInvalid(with("# User\na\n# User\nb"), {"section 2", "# Assistant"});
  ExpectInvalid(with("# User\na\n# Assistant\nb"), {"last section"});
  ExpectInvalid(with("# User\na\n# System\nb"), {"section 2"});
  ExpectInvalid(with("# System\n\n# User\na"), {"empty"});
  ExpectInvalid(with("# System\n{{text}}\n# User\na"), {"{{text}}"});
  ExpectInvalid(with("{{text}} and {{text}}"), {"{{text}}"});
}

TEST(ChatPromptsTest, TheFirstFolderWins) {
  const test::TemporaryFolder mine;
  const test::TemporaryFolder shipped;
  const auto file = [](const std::string& name, const std::string& text) {
    return "---\nname: " + name + "\ndescription: " + text + "\n---\nx";
  };
  mine.Write("b.md", file("b", "mine"));
  shipped.Write("b.md", file("b", "shipped"));
  shipped.Write("a.md", file("a", "shipped"));
  shipped.Write("broken.md", "nothing");
  shipped.Write("notes.txt", "no prompt");
  const std::vector<fs::path> folders = {mine.path(), mine.path() / "absent", shipped.path()};

  std::vector<Status> problems;
  const std::vector<ChatPrompt> prompts = ListPrompts(folders, &problems);
  ASSERT_EQ(prompts.size(), 2u);
  EXPECT_EQ(prompts[0].name, "a");
  EXPECT_EQ(prompts[1].description, "mine");
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_NE(problems[0].message().find("broken.md"), std::string::npos);

  EXPECT_EQ(FindPrompt("b", folders)->description, "mine");
  EXPECT_EQ(FindPrompt("a", folders)->path, shipped.path() / "a.md");
  EXPECT_EQ(FindPrompt((shipped.path() / "b.md").string(), folders)->description, "shipped");
  EXPECT_EQ(FindPrompt("broken", folders).status().code(), StatusCode::kInvalidArgument);
  for (const char* name : {"c", "", "../b", "notes"}) {
    const Status status = FindPrompt(name, folders).status();
    EXPECT_EQ(status.code(), StatusCode::kNotFound) << name;
    EXPECT_NE(status.message().find("There are: a, b"), std::string::npos) << status.message();
  }
}

TEST(ChatPromptsTest, ThoseThatComeWithTheProgramAreValid) {
  std::vector<Status> problems;
  const std::vector<ChatPrompt> prompts = ListPrompts({test::DataPath("../../tools/chat/prompts")}, &problems);
  EXPECT_TRUE(problems.empty()) << problems[0].message();
  std::vector<std::string> names;
  for (const ChatPrompt& prompt : prompts) names.push_back(prompt.name);
  EXPECT_EQ(names, (std::vector<std::string>{"blog-analysis", "copyedit", "email-interview", "summary"}));
}

}  // namespace

}  // namespace slm::tools
