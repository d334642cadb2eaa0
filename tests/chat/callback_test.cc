// Callbacks that throw, and that call the conversation that called them.

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "slm/chat.h"
#include "support/test_data.h"

namespace slm {
namespace {

struct Interrupted : std::runtime_error {
  Interrupted() : std::runtime_error("interrupted") {}
};

class ChatCallbackTest : public testing::TestWithParam<const char*> {
 protected:
  Chat MakeChat() const {
    return Chat::Create(model_, {.system = "Be brief.",
                                 .session = {.context_length = 300, .threads = 2, .batch_size = 8},
                                 .sampler = {.temperature = 0.7f, .seed = 3}})
        .value();
  }
  const Model model_ = Model::Open(test::DataPath(std::string("models/") + GetParam() + "/model.gguf")).value();
  const GenerateOptions options_ = {.max_tokens = 12};
};
INSTANTIATE_TEST_SUITE_P(, ChatCallbackTest, testing::Values("llama_f16", "gemma3"));

// Throws at call `at`.
PieceCallback ThrowsAt(int at) {
  return [at, calls = 0](std::string_view) mutable -> StreamAction {
    if (calls++ == at) throw Interrupted();
    return kContinue;
  };
}
ProgressCallback ProgressThrowsAt(int at) {
  return [at, calls = 0](std::int64_t, std::int64_t) mutable {
    if (calls++ == at) throw Interrupted();
  };
}

// Whatever a callback throws, and whenever: what follows is as if the call had not been made.
TEST_P(ChatCallbackTest, AnExceptionLeavesTheConversationAsItWas) {
  Chat plain = MakeChat();
  ASSERT_TRUE(plain.Send("Hello", {}, options_).ok());
  ASSERT_TRUE(plain.Send("What is a river?", {}, options_).ok());

  Chat chat = MakeChat();
  for (int at = 0; at < 3; ++at) {
    EXPECT_THROW((void)chat.Send("Never mind", ThrowsAt(at), options_), Interrupted);
    EXPECT_EQ(chat.messages().size(), 1u);
  }
  ASSERT_TRUE(chat.Send("Hello", {}, options_).ok());
  const std::vector<Message> before = chat.messages();
  for (int at = 0; at < 3; ++at) {
    EXPECT_THROW((void)chat.Retry(ThrowsAt(at), options_), Interrupted);
    EXPECT_EQ(chat.messages(), before);
  }
  GenerateOptions progress = options_;
  for (int at = 0; at < 6; ++at) {
    progress.prompt_progress = ProgressThrowsAt(at);
    EXPECT_THROW((void)chat.Send("A text that takes several batches to read, each with several layers.", {}, progress),
                 Interrupted);
    EXPECT_EQ(chat.messages(), before);
  }
  ASSERT_TRUE(chat.Send("What is a river?", {}, options_).ok());
  EXPECT_EQ(chat.messages(), plain.messages());
}

TEST_P(ChatCallbackTest, ACallToItsOwnConversationFails) {
  Chat plain = MakeChat();
  ASSERT_TRUE(plain.Send("Hello", {}, options_).ok());
  ASSERT_TRUE(plain.Send("What is a river?", {}, options_).ok());

  Chat chat = MakeChat();
  ASSERT_TRUE(chat.Send("Hello", {}, options_).ok());
  const std::vector<std::function<Status()>> calls = {
      [&] { return chat.Send("More", {}).status(); },
      [&] { return chat.Answer({}).status(); },
      [&] { return chat.Retry({}).status(); },
      [&] { return chat.Undo().status(); },
      [&] { return chat.SetMessages({}); },
      [&] { return chat.SetSystem("Be long."); },
      [&] { return chat.SetVariables("{}"); },
      [&] { return chat.SetSampler({}); },
      [&] { return chat.Reset(); },
      [&] { return chat.Resize(100); },
      [&] { return chat.Save(testing::TempDir() + "saved_by_a_callback"); },
  };
  int pieces = 0;
  const auto try_all = [&] {
    for (const auto& call : calls) EXPECT_EQ(call().code(), StatusCode::kInvalidArgument);
    ++pieces;
  };
  GenerateOptions progress = options_;
  progress.prompt_progress = [&](std::int64_t, std::int64_t) { try_all(); };
  ASSERT_TRUE(chat.Send(
                      "What is a river?",
                      [&](std::string_view) {
                        try_all();
                        EXPECT_EQ(chat.messages().size(), 3u);
                        return kContinue;
                      },
                      progress)
                  .ok());
  EXPECT_GT(pieces, 3);
  EXPECT_EQ(chat.messages(), plain.messages());
  EXPECT_TRUE(chat.Reset().ok()) << "the callbacks are over";
}

// Forgetting is part of an answer: one that does not come about forgets nothing. (A failed Send, then Retry, was a heap
// overflow: shared/cases/chat_forget.cc.)
TEST_P(ChatCallbackTest, AFailedAnswerForgetsNothing) {
  ChatOptions options = {.chat_template = "{% for m in messages %}[{{ m.content }}]{% endfor %}",
                         .session = {.context_length = 40, .threads = 1},
                         .forget_oldest = true};
  Chat chat = Chat::Create(model_, options).value();
  const GenerateOptions three = {.max_tokens = 3, .ignore_end = true};
  ASSERT_TRUE(chat.Send("hi", {}, three).ok());
  std::string too_long;
  for (int i = 0; i < 200; ++i) too_long += std::to_string(i) + " ";
  EXPECT_EQ(chat.Send(too_long, {}, three).status().code(), StatusCode::kContextFull);
  const std::int32_t before = chat.CountTokens("x").value();
  EXPECT_THROW((void)chat.Send("one two three four five six seven eight", ThrowsAt(0), three), Interrupted);
  EXPECT_EQ(chat.CountTokens("x").value(), before);
  EXPECT_TRUE(chat.Retry({}, three).ok());
  EXPECT_EQ(chat.messages().size(), 2u);
}

TEST_P(ChatCallbackTest, WhatIsForgottenIsSaved) {
  ChatOptions options = {.chat_template = "{% for m in messages %}[{{ m.content }}]{% endfor %}",
                         .session = {.context_length = 64, .threads = 1},
                         .sampler = {.temperature = 0},
                         .forget_oldest = true};
  const GenerateOptions four = {.max_tokens = 4, .ignore_end = true};
  Chat chat = Chat::Create(model_, options).value();
  int forgotten = 0;
  for (int turn = 0; turn < 30 && forgotten == 0; ++turn) {
    forgotten = chat.Send("one two ", {}, four).value().forgotten_messages;
  }
  ASSERT_GT(forgotten, 0);
  const std::string path = testing::TempDir() + "forgotten_" + GetParam();
  ASSERT_TRUE(chat.Save(path).ok());
  Chat restored = Chat::Restore(model_, path, options).value();
  EXPECT_EQ(restored.CountTokens("next").value(), chat.CountTokens("next").value());
  const GenerateResult answer = restored.Send("next", {}, four).value();
  EXPECT_EQ(answer.text, chat.Send("next", {}, four).value().text);
  EXPECT_GT(answer.cached_tokens, 0) << "the restored session is used";
}

// Undo takes the forgotten back only where nothing else would be left.
TEST_P(ChatCallbackTest, UndoOfAllThatIsShown) {
  ChatOptions options = {.chat_template = "{% for m in messages %}[{{ m.content }}]{% endfor %}",
                         .session = {.context_length = 64, .threads = 1},
                         .forget_oldest = true};
  const GenerateOptions four = {.max_tokens = 4, .ignore_end = true};
  Chat chat = Chat::Create(model_, options).value();
  for (int turn = 0; turn < 40; ++turn) ASSERT_TRUE(chat.Send("one two ", {}, four).ok());
  for (int turn = 39; turn >= 0; --turn) {
    ASSERT_TRUE(chat.Undo().ok());
    EXPECT_EQ(chat.messages().size(), 2u * turn);
    ASSERT_TRUE(chat.CountTokens("x").ok());
  }
}

}  // namespace
}  // namespace slm
