#include "slm/chat_template.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "chat/family_templates.h"
#include "chat/prompt_writer.h"
#include "slm/chat.h"
#include "support/json.h"
#include "support/test_data.h"
#include "support/tiny_model.h"

namespace slm::test {
namespace {

using nlohmann::ordered_json;

std::string Rendered(std::string_view source, std::string_view context) {
  const Result<ChatTemplate> chat_template = ChatTemplate::Parse(source);
  EXPECT_TRUE(chat_template.ok()) << chat_template.status().message();
  const Result<Prompt> prompt = chat_template->Render(context);
  return prompt.ok() ? prompt->text() : "failed: " + prompt.status().message();
}

// What the messages are for a chat with this template.
std::string Written(std::string_view source, const std::vector<Message>& messages, ChatOptions options = {}) {
  options.chat_template = source;
  const Model model = TinyModel().Open().value();
  const Result<PromptWriter> writer = PromptWriter::Create(model, options, std::chrono::system_clock::now());
  if (!writer.ok()) return "failed: " + writer.status().message();
  const Result<Prompt> prompt = writer->Write(messages);
  return prompt.ok() ? prompt->text() : "failed: " + prompt.status().message();
}

constexpr std::string_view kSimple =
    "{% for m in messages %}[{{ m.role }}: {{ m.content }}]{% endfor %}{{ '[' if add_generation_prompt }}";
// As Gemma 2's and Mistral v0's.
constexpr std::string_view kNoSystem =
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif %}"
    "[{{ m.role }}: {{ m.content | trim }}]{% endfor %}";
constexpr std::string_view kParts =
    "{% for m in messages %}[{% for part in m.content %}{{ part.type }}: {{ part.text }}{% endfor %}]{% endfor %}";

// The fixture families whose format a built-in template writes.
struct Family {
  const char* name;
  const char* fixture;
};
std::ostream& operator<<(std::ostream& out, const Family& family) { return out << family.name; }

class FamilyTemplateTest : public testing::TestWithParam<Family> {};

INSTANTIATE_TEST_SUITE_P(Families, FamilyTemplateTest,
                         testing::Values(Family{"Gemma", "gemma3"}, Family{"ChatML", "chatml"},
                                         Family{"Llama 3", "llama3"}, Family{"Mistral v3", "mistral_v3"},
                                         Family{"Mistral v3-tekken", "mistral_v3_tekken"}, Family{"Phi-3", "phi35"}));

// Turns of plain text that alternate, ready for an answer.
bool IsPlainConversation(const ordered_json& c) {
  // A case that fails has no rendered text, or null.
  if (!c.contains("rendered") || c["rendered"].is_null() || !c.value("add_generation_prompt", false)) return false;
  if (c.contains("tools") || c.contains("extra")) return false;
  std::string before = "assistant";
  for (const ordered_json& message : c["messages"]) {
    if (message.size() != 2 || !message["content"].is_string()) return false;
    const std::string role = message["role"];
    if (role != "system" && (role == before || (role != "user" && role != "assistant"))) return false;
    if (role == "system" && &message != &c["messages"][0]) return false;
    if (role != "system") before = role;
  }
  return before == "user";
}

TEST_P(FamilyTemplateTest, WritesWhatTheFamilysOwnTemplateWrites) {
  const std::string file = std::string("templates/") + GetParam().fixture + ".jsonl";
  std::filesystem::path path = DataPath(file);
  if (!std::filesystem::exists(path)) {
    const auto shared = SharedFixture(file);
    if (!shared) GTEST_SKIP() << "The shared fixtures are not beside this checkout.";
    path = *shared;
  }
  std::string_view source;
  for (const FamilyTemplate& family : FamilyTemplates()) {
    if (family.name == GetParam().name) source = family.source;
  }
  int compared = 0;
  std::istringstream lines(ReadFile(path));
  for (std::string line; std::getline(lines, line);) {
    const ordered_json c = ParseOrderedJson(line);
    if (!IsPlainConversation(c)) continue;
    ++compared;
    EXPECT_EQ(Rendered(source, c.dump()), c["rendered"].get<std::string>()) << c["name"];
  }
  EXPECT_GE(compared, 5);
}

TEST(FamilyTemplateTest, AreAllValid) {
  for (const FamilyTemplate& family : FamilyTemplates()) {
    const std::string text = Rendered(family.source, R"({"bos_token": "<s>", "eos_token": "</s>",
        "add_generation_prompt": true, "messages": [{"role": "user", "content": "Hi"}]})");
    EXPECT_NE(text.find("Hi"), std::string::npos) << family.name << ": " << text;
    EXPECT_NE(text.find(family.control_token == "[SYSTEM_PROMPT]" ? "[INST]"
                        : family.control_token == "<|assistant|>" ? "<|user|>"
                                                                  : family.control_token),
              std::string::npos)
        << family.name << ": " << text;
  }
}

TEST(ForModelTest, WithoutTemplateAndTurnTokens) {
  const Result<ChatTemplate> chat_template = ChatTemplate::ForModel(TinyModel().Open().value());
  ASSERT_EQ(chat_template.status().code(), StatusCode::kUnsupported);
  EXPECT_NE(chat_template.status().message().find("Give it a template"), std::string::npos);
}

TEST(RenderTest, ContextsThatAreNone) {
  EXPECT_EQ(Rendered("x", "{"), "failed: the context is not valid JSON: the error is at byte 2.");
  EXPECT_EQ(Rendered("x", "[]"), "failed: the context must be a JSON object, but is array.");
  std::string deep = R"({"a": )";
  for (int i = 0; i < 100'000; ++i) deep += '[';
  for (int i = 0; i < 100'000; ++i) deep += ']';
  EXPECT_EQ(Rendered("x", deep + "}"), "failed: the context is nested deeper than 100 levels.");
}

TEST(RenderTest, FromJson) {
  const std::string context = R"({"tools": "{\"a\": [1, 2.5, null, \"b\"], \"role\": \"user\"}", "bad": "{"})";
  for (const std::string filter : {"from_json", "fromjson"}) {
    EXPECT_EQ(Rendered("{{ (tools|" + filter + ").a|tojson }}", context), R"([1, 2.5, null, "b"])");
    EXPECT_EQ(Rendered("{% if not tools %}{{ none|" + filter + " }}{% endif %}x", context), "x");
  }
  EXPECT_NE(Rendered("{{ bad|from_json }}", context).find("not valid JSON: the error is at byte 2"), std::string::npos);
  EXPECT_NE(Rendered("{{ ('[' * 2000000)|from_json }}", "{}").find("at most 1048576 bytes"), std::string::npos);
  // What a user typed stays the user's, the names of roles as well.
  const Prompt prompt = ChatTemplate::Parse(
                            "{% for k, v in (tools|from_json).items() %}{{ k ~ v }}{% endfor %}"
                            "{{ ('{\"a\": \"<b>\"}'|from_json).a }}")
                            .value()
                            .Render(context)
                            .value();
  ASSERT_EQ(prompt.parts.size(), 2u);
  EXPECT_FALSE(prompt.parts[0].markup);
  EXPECT_EQ(prompt.parts[1], (TextPart{.text = "<b>", .markup = true}));
}

TEST(RenderTest, MessagesAreEscaped) {
  const std::string text = Rendered("{{ raise_exception(m) }}", R"({"m": "a\u001b[31mb\u009b"})");
  EXPECT_NE(text.find("a\\x1b[31mb\\xc2\\x9b"), std::string::npos) << text;
  EXPECT_LT(Rendered("{{ raise_exception('a' * 1000000) }}", "{}").size(), 6000u);
  EXPECT_LT(Rendered("{{ ('a' * 1000000)[m].b }}", R"({"m": ")" + std::string(1000000, 'a') + "\"}").size(), 1000u);
}

TEST(RenderTest, ListsOfObjectsAndRepeatedNames) {
  EXPECT_EQ(Rendered("{{ o|tojson }}", R"({"o": [{}, [], {"b": 1, "a": {"c": []}, "b": 2}, "x"]})"),
            R"([{}, [], {"b": 2, "a": {"c": []}}, "x"])");
}

TEST(PromptWriterTest, TheTemplateThatStandsInIsSaidOnce) {
  std::vector<std::string> warnings;
  const LogCallback log = [&](LogLevel level, std::string_view message) {
    if (level == LogLevel::kWarning) warnings.emplace_back(message);
  };
  std::vector<std::string> texts(40, "x");
  std::vector<std::int32_t> types(40, 1);
  for (std::size_t i = 0; i < texts.size(); ++i) texts[i] += std::to_string(i);
  texts[5] = "<|im_start|>";
  types[5] = 3;
  TinyModel tiny;
  tiny.Set("tokenizer.ggml.tokens", texts).Set("tokenizer.ggml.token_type", types);
  const auto chats = [&](const ChatOptions& options) {
    const Model model = tiny.Open({.log = log}).value();
    warnings.clear();
    for (int i = 0; i < 2; ++i)
      EXPECT_TRUE(PromptWriter::Create(model, options, std::chrono::system_clock::now()).ok());
    return warnings;
  };
  const std::vector<std::string> said = chats({});
  ASSERT_EQ(said.size(), 1u);
  EXPECT_NE(said[0].find("no chat template; conversations are written by the one built in for ChatML"),
            std::string::npos)
      << said[0];
  EXPECT_TRUE(chats({.chat_template = std::string(kSimple)}).empty());
  tiny.Set("tokenizer.chat_template", std::string(kSimple));
  EXPECT_TRUE(chats({}).empty());
}

TEST(RenderTest, TheTemplatesOwnReasonComesThrough) {
  const std::string text = Rendered("\n  {{ raise_exception('Only one at a time') }}", "{}");
  EXPECT_NE(text.find("Only one at a time"), std::string::npos) << text;
  EXPECT_NE(text.find("line 2, column "), std::string::npos) << text;
}

TEST(RenderTest, OnlyTheTemplateWritesMarkup) {
  const Prompt prompt = ChatTemplate::Parse("{{ bos_token }}<a>{{ messages[0].role }}{{ messages[0].content }}<b>")
                            .value()
                            .Render(R"({"bos_token": "<s>", "messages": [{"role": "user", "content": "<b>"}]})")
                            .value();
  EXPECT_EQ(prompt.parts, (std::vector<TextPart>{{.text = "<s><a>user", .markup = true},
                                                 {.text = "<b>", .markup = false},
                                                 {.text = "<b>", .markup = true}}));
}

TEST(RenderTest, TheClockIsLocal) {
  ASSERT_EQ(::setenv("TZ", "XYZ-5:30", 1), 0);  // five and a half hours before UTC's
  ::tzset();
  const auto now = std::chrono::sys_days(std::chrono::year(2024) / 12 / 31) + std::chrono::hours(20);
  const Result<Prompt> prompt = ChatTemplate::Parse("{{ strftime_now('%Y-%m-%d %H:%M') }}").value().Render("{}", now);
  EXPECT_EQ(prompt.value().text(), "2025-01-01 01:30");
  ::unsetenv("TZ");
  ::tzset();
}

TEST(PromptWriterTest, SystemTextsAreFoldedWhereThereIsNoSuchRole) {
  const std::vector<Message> messages = {{.role = Role::kSystem, .content = "Be brief."},
                                         {.role = Role::kUser, .content = "Hi"},
                                         {.role = Role::kAssistant, .content = "Hello!"},
                                         {.role = Role::kUser, .content = "Bye"}};
  EXPECT_EQ(Written(kNoSystem, messages), "[user: Be brief.\n\nHi][assistant: Hello!][user: Bye]");
  EXPECT_EQ(Written(kSimple, messages), "[system: Be brief.][user: Hi][assistant: Hello!][user: Bye][");
}

TEST(PromptWriterTest, ContentsAreListsForTemplatesThatWantThem) {
  EXPECT_EQ(Written(kParts, {{.role = Role::kUser, .content = "Hi"}}), "[text: Hi]");
}

TEST(PromptWriterTest, TurnsThatTheTemplateRefuses) {
  const std::vector<Message> twice = {{.role = Role::kUser, .content = "a"}, {.role = Role::kUser, .content = "b"}};
  EXPECT_NE(Written(kNoSystem, twice).find("Roles must alternate"), std::string::npos) << Written(kNoSystem, twice);
  EXPECT_EQ(Written(kNoSystem, MergeNeighbours(twice)), "[user: a\n\nb]");
  const std::vector<Message> answer_first = {{.role = Role::kAssistant, .content = "a"},
                                             {.role = Role::kUser, .content = "b"}};
  EXPECT_NE(Written(kNoSystem, answer_first).find("Roles must alternate"), std::string::npos);
}

TEST(PromptWriterTest, ToolsCallsReasoningAndVariables) {
  const std::vector<Message> messages = {
      {.role = Role::kUser, .content = "Weather?"},
      {.role = Role::kAssistant,
       .reasoning = "hm",
       .tool_calls = {{.id = "123456789", .name = "weather", .arguments = R"({"town": "Ulm", "days": 2})"}}},
      {.role = Role::kTool, .content = "sunny", .tool_call_id = "123456789", .name = "weather"}};
  const std::string_view source =
      "{{ tools | tojson }} {{ mode }}{% for m in messages %}|{{ m.role }} {{ m.content is none }} "
      "{{ m.reasoning_content }} {{ m.tool_calls | tojson if m.tool_calls }} {{ m.tool_call_id }} {{ m.name }}"
      "{{ m.content }}{% endfor %}";
  EXPECT_EQ(
      Written(source, messages,
              {.tools = R"([{"type": "function", "function": {"name": "weather"}}])", .variables = R"({"mode": 7})"}),
      "[{\"type\": \"function\", \"function\": {\"name\": \"weather\"}}] 7|"
      "user False    Weather?|"
      "assistant True hm [{\"type\": \"function\", \"id\": \"123456789\", \"function\": {\"name\": \"weather\", "
      "\"arguments\": {\"town\": \"Ulm\", \"days\": 2}}}]  None|"
      "tool False   123456789 weathersunny");
  std::vector<Message> wrong = messages;
  wrong[1].tool_calls[0].arguments = "[]";
  EXPECT_EQ(Written(source, wrong, {.tools = "[]"}),
            "failed: the arguments of a tool call must be a JSON object, but are array.");
}

}  // namespace
}  // namespace slm::test
