#include "slm/message.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace slm {
namespace {

std::string Failure(std::string_view json) {
  const Result<std::vector<Message>> messages = ParseMessages(json);
  EXPECT_FALSE(messages.ok()) << json;
  return messages.ok() ? "" : messages.status().message();
}

TEST(ParseMessagesTest, EveryField) {
  const std::vector<Message> messages = ParseMessages(R"([{"role": "developer", "content": "S"},
                        {"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]},
                        {"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [
                          {"id": "123456789", "type": "function", "function": {"name": "f", "arguments": {"b": 1, "a": 2}}},
                          {"name": "g", "arguments": "{\"c\": []}"}]},
                        {"role": "tool", "tool_call_id": "123456789", "name": "f", "content": "7"}])")
                                            .value();
  ASSERT_EQ(messages.size(), 4u);
  EXPECT_EQ(messages[0], (Message{.role = Role::kSystem, .content = "S"}));
  EXPECT_EQ(messages[1], (Message{.role = Role::kUser, .content = "x\ny"}));
  EXPECT_EQ(messages[2], (Message{.role = Role::kAssistant,
                                  .reasoning = "hm",
                                  .tool_calls = {{.id = "123456789", .name = "f", .arguments = R"({"b":1,"a":2})"},
                                                 {.name = "g", .arguments = R"({"c": []})"}}}));
  EXPECT_EQ(messages[3], (Message{.role = Role::kTool, .content = "7", .tool_call_id = "123456789", .name = "f"}));
  EXPECT_EQ(ParseMessages(MessagesToJson(messages)).value(), messages);
}

TEST(ParseMessagesTest, FailuresNameTheMessage) {
  EXPECT_EQ(Failure("[{]"), "messages is not valid JSON: the error is at byte 3.");
  EXPECT_EQ(Failure("{}"), "messages must be a list of messages, but is object.");
  EXPECT_EQ(Failure(R"(["x"])"), "messages[0] must be an object, but is string.");
  EXPECT_EQ(Failure(R"([{"content": "x"}])"), "messages[0] has no role.");
  EXPECT_EQ(Failure(R"([{"role": "user", "content": "x"}, {"role": "robot"}])"),
            R"(messages[1].role is "robot"; expected system, user, assistant or tool.)");
  EXPECT_EQ(Failure(R"([{"role": "user", "content": 7}])"), "messages[0].content must be a string, but is number.");
  EXPECT_EQ(
      Failure(R"([{"role": "user", "content": [{"type": "image"}]}])"),
      R"(messages[0].content[0] must be a text part, {"type": "text", "text": ...}; other parts are not supported.)");
  EXPECT_EQ(Failure(R"([{"role": "user", "content": "x", "mood": "good"}])"),
            R"(messages[0] has the key "mood", which this library does not know and would lose.)");
  EXPECT_EQ(Failure(R"([{"role": "assistant", "tool_calls": [{"name": "f", "arguments": "no"}]}])"),
            "messages[0].tool_calls[0].arguments is not valid JSON: the error is at byte 2.");
  EXPECT_EQ(Failure(R"([{"role": "assistant", "tool_calls": [{"name": "f", "arguments": []}]}])"),
            "messages[0].tool_calls[0].arguments must be an object, or a string that holds one, but is array.");
  EXPECT_EQ(Failure(R"([{"role": "assistant", "tool_calls": [{"function": {}}]}])"),
            "messages[0].tool_calls[0] has no name of the function to call.");
}

// Whoever walks through what was parsed recurses.
TEST(ParseMessagesTest, EndlessNestingIsAnError) {
  std::string deep;
  for (int i = 0; i < 300'000; ++i) deep += R"({"a":)";
  deep += "1" + std::string(300'000, '}');
  EXPECT_EQ(Failure(R"([{"role": "assistant", "tool_calls": [{"name": "f", "arguments": )" + deep + "}]}]"),
            "messages is nested deeper than 100 levels.");
}

TEST(MessagesToJsonTest, BytesThatAreNoTextAreReplaced) {
  const std::string json = MessagesToJson({{.role = Role::kUser, .content = "a\xFFz"}});
  EXPECT_EQ(ParseMessages(json).value()[0].content, "a\uFFFDz");
}

// Found by fuzzing: a conversation with such a call was saved, and not restored.
TEST(MessagesToJsonTest, ACallWithoutArguments) {
  for (const char* call : {R"({"function": {"name": "f"}})", R"({"function": {"name": "f", "arguments": ""}})"}) {
    const auto messages = ParseMessages(std::string(R"([{"role": "assistant", "tool_calls": [)") + call + "]}]");
    ASSERT_TRUE(messages.ok()) << messages.status().message();
    const auto again = ParseMessages(MessagesToJson(*messages));
    ASSERT_TRUE(again.ok()) << again.status().message();
    EXPECT_EQ(*again, *messages);
  }
}

TEST(MergeNeighboursTest, TextsOfOneRoleBecomeOne) {
  const std::vector<Message> merged = MergeNeighbours({{.role = Role::kSystem, .content = "S"},
                                                       {.role = Role::kUser, .content = "a"},
                                                       {.role = Role::kUser, .content = "b"},
                                                       {.role = Role::kAssistant, .content = "c"},
                                                       {.role = Role::kUser, .content = ""},
                                                       {.role = Role::kUser, .content = "d"}});
  EXPECT_EQ(merged, (std::vector<Message>{{.role = Role::kSystem, .content = "S"},
                                          {.role = Role::kUser, .content = "a\n\nb"},
                                          {.role = Role::kAssistant, .content = "c"},
                                          {.role = Role::kUser, .content = "d"}}));
}

TEST(MergeNeighboursTest, CallsAndResultsStay) {
  const std::vector<Message> messages = {{.role = Role::kAssistant, .tool_calls = {{.name = "f"}}},
                                         {.role = Role::kTool, .content = "1"},
                                         {.role = Role::kTool, .content = "2"},
                                         {.role = Role::kAssistant, .content = "x", .reasoning = "r"},
                                         {.role = Role::kAssistant, .content = "y"}};
  EXPECT_EQ(MergeNeighbours(messages), messages);
}

}  // namespace
}  // namespace slm
