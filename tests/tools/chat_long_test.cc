// Texts longer than the context: refused with both numbers, or read in parts whose answers are merged.

#include "chat_long.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tools/fake_responder.h"

namespace slm::tools {

namespace {

const ChatPrompt kPrompt = {.system = "Sum up.", .before = "Text: ", .after = "\nSum it up."};

std::string Sentences(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "Sentence number " + std::to_string(i) + " is here. ";
  return text;
}

Result<GenerateResult> Short(const std::string& user) {
  return GenerateResult{.text = user.find("Part 1:") == std::string::npos ? "short" : "merged"};
}

TEST(ChatLongTest, ATextThatFitsIsReadAtOnce) {
  for (const bool split : {false, true}) {
    FakeResponder responder(1000, Short);
    const Result<Record> answer = AnswerText(responder, kPrompt, "A text.", {.split = split}, {});
    ASSERT_TRUE(answer.ok());
    EXPECT_EQ(answer->result.text, "short");
    EXPECT_TRUE(answer->parts.empty());
    ASSERT_EQ(responder.requests.size(), 1u);
    EXPECT_EQ(responder.requests[0], PromptMessages(kPrompt, "A text."));
  }
}

TEST(ChatLongTest, ATextThatDoesNotFitIsRefusedWithBothNumbers) {
  FakeResponder responder(1000, Short);
  const Result<Record> answer = AnswerText(responder, kPrompt, std::string(3858 - 24, 'x'), {}, {});
  EXPECT_EQ(answer.status().code(), StatusCode::kContextFull);
  EXPECT_NE(answer.status().message().find("3858 tokens"), std::string::npos) << answer.status().message();
  EXPECT_NE(answer.status().message().find("1000"), std::string::npos);
  EXPECT_TRUE(responder.requests.empty());
}

TEST(ChatLongTest, PartsCoverTheTextAndAreMerged) {
  FakeResponder responder(1500, Short);
  const std::string text = Sentences(200);
  std::vector<std::string> said;
  std::string streamed;
  const Result<Record> answer = AnswerText(
      responder, kPrompt, text, {.split = true, .say = [&](const std::string& sentence) { said.push_back(sentence); }},
      [&](std::string_view piece) {
        streamed += piece;
        return kContinue;
      });
  ASSERT_TRUE(answer.ok()) << answer.status().message();
  EXPECT_EQ(answer->result.text, "merged");
  EXPECT_EQ(streamed, "merged") << "answers for parts are not the answer";

  ASSERT_GT(answer->parts.size(), 3u);
  EXPECT_EQ(answer->parts.front().range.begin, 0u);
  EXPECT_EQ(answer->parts.back().range.end, text.size());
  ASSERT_EQ(responder.requests.size(), answer->parts.size() + 1);
  std::int32_t prompt_tokens = 0;
  for (std::size_t i = 0; i < answer->parts.size(); ++i) {
    const TextRange range = answer->parts[i].range;
    if (i > 0) {
      EXPECT_LT(range.begin, answer->parts[i - 1].range.end) << "they overlap";
    }
    EXPECT_EQ(responder.requests[i], PromptMessages(kPrompt, text.substr(range.begin, range.end - range.begin)));
    EXPECT_LE(answer->parts[i].prompt_tokens + RoomForAnswer(1500, -1), 1500);
    EXPECT_EQ(answer->parts[i].generated_tokens, 5);
    prompt_tokens += answer->parts[i].prompt_tokens;
  }
  const std::vector<Message>& merge = responder.requests.back();
  ASSERT_EQ(merge.size(), 2u);
  EXPECT_EQ(merge[0].content, "Sum up.");
  EXPECT_NE(merge[1].content.find("Part 2:\n\nshort"), std::string::npos) << merge[1].content;
  EXPECT_NE(merge[1].content.find("Sum it up."), std::string::npos) << "the task is told again";
  EXPECT_EQ(answer->result.prompt_tokens, prompt_tokens + *responder.Count(merge));

  ASSERT_EQ(said.size(), answer->parts.size() + 2);
  EXPECT_NE(said[0].find("1500 tokens"), std::string::npos) << said[0];
  EXPECT_NE(said[0].find(std::to_string(answer->parts.size()) + " parts"), std::string::npos) << said[0];
  EXPECT_NE(said.back().find("merging"), std::string::npos) << said.back();
}

TEST(ChatLongTest, AnswersThatDontFitAreMergedInRounds) {
  FakeResponder responder(1600, [](const std::string&) { return GenerateResult{.text = std::string(300, 'a')}; });
  const Result<Record> answer = AnswerText(responder, kPrompt, Sentences(400), {.split = true}, {});
  ASSERT_TRUE(answer.ok()) << answer.status().message();
  EXPECT_EQ(answer->result.text.size(), 300u);
  EXPECT_GT(responder.requests.size(), answer->parts.size() + 2) << "more than one round of merging";
  for (const std::vector<Message>& request : responder.requests) EXPECT_LE(*responder.Count(request), 1200);
}

TEST(ChatLongTest, GivesUpWhenMergingMakesNothingShorter) {
  FakeResponder responder(1600, [](const std::string& user) { return GenerateResult{.text = user}; });
  const Result<Record> answer = AnswerText(responder, kPrompt, Sentences(400), {.split = true, .max_tokens = 800}, {});
  EXPECT_EQ(answer.status().code(), StatusCode::kContextFull);
  EXPECT_NE(answer.status().message().find("merged"), std::string::npos) << answer.status().message();
}

TEST(ChatLongTest, APromptThatLeavesNoRoomIsAnError) {
  FakeResponder responder(100, Short);
  const Result<Record> answer =
      AnswerText(responder, {.before = std::string(200, 'p')}, "A text.", {.split = true}, {});
  EXPECT_EQ(answer.status().code(), StatusCode::kContextFull);
  EXPECT_NE(answer.status().message().find("200"), std::string::npos) << answer.status().message();
  EXPECT_FALSE(AnswerText(responder, kPrompt, Sentences(9), {.split = true, .max_tokens = 100}, {}).ok());
}

TEST(ChatLongTest, FailuresAndCancellationEndIt) {
  int calls = 0;
  FakeResponder failing(1500, [&](const std::string&) -> Result<GenerateResult> {
    if (++calls == 2) return Status(StatusCode::kInvalidNumber, "NaN");
    return GenerateResult{.text = "x"};
  });
  EXPECT_EQ(AnswerText(failing, kPrompt, Sentences(200), {.split = true}, {}).status().message(), "NaN");

  calls = 0;
  FakeResponder cancelled(1500, [&](const std::string&) {
    return GenerateResult{.finish_reason = ++calls == 2 ? FinishReason::kCancelled : FinishReason::kEndOfTurn,
                          .text = "x"};
  });
  const Result<Record> answer = AnswerText(cancelled, kPrompt, Sentences(200), {.split = true}, {});
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->result.finish_reason, FinishReason::kCancelled);
  EXPECT_EQ(answer->result.text, "");
  EXPECT_EQ(calls, 2);
}

}  // namespace

}  // namespace slm::tools
