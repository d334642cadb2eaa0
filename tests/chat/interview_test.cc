// The interview of the prompt "email-interview" with a real model: ten turns behind a long prompt with examples.

#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "slm/chat.h"
#include "support/test_data.h"

namespace slm {
namespace {

using test::DataPath;
using test::ReadFile;
using test::RealModel;

// The messages of a prompt file: its sections, without the last one, which waits for the user's text.
std::vector<Message> Examples(const std::filesystem::path& path) {
  std::vector<Message> messages;
  std::istringstream lines(ReadFile(path));
  for (std::string line; std::getline(lines, line);) {
    if (line == "# System") messages.push_back({.role = Role::kSystem});
    if (line == "# User") messages.push_back({.role = Role::kUser});
    if (line == "# Assistant") messages.push_back({.role = Role::kAssistant});
    if (!messages.empty() && !line.starts_with("# ")) messages.back().content += line + "\n";
  }
  messages.pop_back();
  return messages;
}

const std::vector<std::string> kAnswers = {"I want to write to my sports club.",
                                           "To leave it at the end of the year.",
                                           "My member number is 4711.",
                                           "I move to another town.",
                                           "They should confirm it in writing.",
                                           "By the end of next week.",
                                           "Neutral and polite.",
                                           "Sign it with Jonas Weber.",
                                           "No, nothing else.",
                                           "Write it."};

TEST(InterviewTest, TenTurnsReadOnlyWhatIsNew) {
  const auto path = RealModel("smollm2-135m");
  if (!path) GTEST_SKIP() << "The model smollm2-135m is not here; tools/fetch-model fetches it.";
  const Model model = Model::Open(*path).value();
  std::vector<Message> examples = Examples(DataPath("../../tools/chat/prompts/email-interview.md"));
  ASSERT_GT(examples.size(), 10u);
  for (int i = 1; CountPromptTokens(model, examples).value() < 1500; ++i) {
    examples.front().content += "Rule " + std::to_string(i) + ": write as people speak, in short and friendly words.\n";
  }

  ChatOptions options = {.session = {.context_length = 4096}, .sampler = {.temperature = 0.7f, .seed = 11}};
  Chat chat = Chat::Create(model, options).value();
  options.reuse = false;
  Chat without_reuse = Chat::Create(model, options).value();
  ASSERT_TRUE(chat.SetMessages(examples).ok());
  ASSERT_TRUE(without_reuse.SetMessages(examples).ok());
  for (std::size_t turn = 0; turn < kAnswers.size(); ++turn) {
    SCOPED_TRACE(turn);
    const std::int32_t position = chat.session().position();
    const Result<GenerateResult> result = chat.Send(kAnswers[turn], {}, {.max_tokens = 40});
    ASSERT_TRUE(result.ok()) << result.status().message();
    const Result<GenerateResult> expected = without_reuse.Send(kAnswers[turn], {}, {.max_tokens = 40});
    ASSERT_TRUE(expected.ok()) << expected.status().message();
    EXPECT_EQ(result->text, expected->text);
    EXPECT_EQ(expected->cached_tokens, 0);
    EXPECT_EQ(result->cached_tokens + result->prompt_tokens, expected->prompt_tokens);
    EXPECT_EQ(result->cached_tokens, position) << "all that was read or written before is kept";
    EXPECT_EQ(result->reread_tokens, 0);
    if (turn == 0) {
      EXPECT_GE(result->prompt_tokens, 1500);
    } else {
      EXPECT_LT(result->prompt_tokens, 40) << "the new turn, and the last token of an answer that was cut";
    }
  }
}

}  // namespace
}  // namespace slm
