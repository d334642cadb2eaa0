// Faults that other engines had with conversations, by their numbers in docs/testing.md.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "slm/chat.h"
#include "support/test_data.h"

namespace slm {
namespace {

using test::DataPath;
using test::RealModel;

const SamplerOptions kGreedy = {.temperature = 0.0f};

Model OpenTiny(const std::string& name) { return Model::Open(DataPath("models/" + name + "/model.gguf")).value(); }

// As Gemma 2's: no system role, and turns must alternate.
constexpr std::string_view kStrict =
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "<start_of_turn>{{ m.role }}\n{{ m.content | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}";

Chat StrictChat(const Model& model, std::string_view system = "") {
  return Chat::Create(model, {.system = std::string(system),
                              .chat_template = std::string(kStrict),
                              .session = {.context_length = 400, .threads = 1},
                              .sampler = kGreedy})
      .value();
}

std::string Read(const Chat& chat) { return chat.session().model().tokenizer().Decode(chat.session().tokens(), true); }

TEST(B24Test, ASystemTextForATemplateThatRefusesTheRole) {
  const Model model = OpenTiny("gemma3");
  Chat chat = StrictChat(model, "Be brief.");
  ASSERT_TRUE(chat.Send("Hi", {}, {.max_tokens = 3}).ok());
  EXPECT_TRUE(Read(chat).starts_with("<bos><start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n<start_of_turn>model\n"))
      << Read(chat);
  EXPECT_EQ(chat.messages()[0], (Message{.role = Role::kSystem, .content = "Be brief."}));
  EXPECT_EQ(chat.messages()[1], (Message{.role = Role::kUser, .content = "Hi"}));
}

TEST(B25Test, TurnsThatDoNotAlternate) {
  const Model model = OpenTiny("gemma3");
  Chat chat = StrictChat(model);
  const std::vector<Message> twice = {{.role = Role::kUser, .content = "One"}, {.role = Role::kUser, .content = "Two"}};
  ASSERT_TRUE(chat.SetMessages(twice).ok());
  const Status refused = chat.Answer({}).status();
  EXPECT_EQ(refused.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(refused.message().find("roles must alternate"), std::string::npos) << refused.message();
  EXPECT_EQ(chat.messages(), twice);
  ASSERT_TRUE(chat.SetMessages(MergeNeighbours(twice)).ok());
  ASSERT_TRUE(chat.Answer({}, {.max_tokens = 3}).ok());
  EXPECT_NE(Read(chat).find("user\nOne\n\nTwo<end_of_turn>"), std::string::npos) << Read(chat);

  ASSERT_TRUE(
      chat.SetMessages({{.role = Role::kAssistant, .content = "Hello!"}, {.role = Role::kUser, .content = "Hi"}}).ok());
  EXPECT_EQ(chat.Answer({}).status().code(), StatusCode::kInvalidArgument);
}

TEST(B25Test, ContentsThatAreListsOrNull) {
  EXPECT_EQ(ParseMessages(R"([{"role": "user", "content": [{"type": "text", "text": "x"}]}])").value()[0].content, "x");
  const Message call =
      ParseMessages(R"([{"role": "assistant", "content": null, "tool_calls": [{"name": "f"}]}])").value()[0];
  EXPECT_EQ(call.content, "");
  EXPECT_EQ(call.tool_calls.size(), 1u);
}

// A text that forgot its oldest turns must still begin with a question.
TEST(B25Test, WhatIsForgottenIsWholeTurns) {
  const Model model = OpenTiny("gemma3");
  Chat chat = Chat::Create(model, {.chat_template = std::string(kStrict),
                                   .session = {.context_length = 120, .threads = 1},
                                   .sampler = kGreedy,
                                   .forget_oldest = true})
                  .value();
  int forgotten = 0;
  for (int turn = 0; turn < 10; ++turn) {
    const Result<GenerateResult> result = chat.Send("Tell me more", {}, {.max_tokens = 6});
    ASSERT_TRUE(result.ok()) << result.status().message();
    forgotten += result->forgotten_messages;
  }
  EXPECT_GT(forgotten, 0);
}

TEST(B49Test, EveryEndOfTurnCanBeBanned) {
  const auto path = RealModel("gemma-3-270m");
  if (!path) GTEST_SKIP() << "The model gemma-3-270m is not here; tools/fetch-model fetches it.";
  const Model model = Model::Open(*path).value();
  const std::span<const Token> ends = model.tokenizer().end_of_generation();
  EXPECT_EQ(std::vector<Token>(ends.begin(), ends.end()), (std::vector<Token>{1, 106}));
  Session session = Session::Create(model, {.context_length = 200}).value();
  // 106 is what the model wants to write most of all.
  Sampler sampler({.temperature = 0.0f, .logit_bias = {{106, 1000.0f}}});
  const std::vector<Token> prompt = model.tokenizer().Encode("Hello", {.add_special = true}).value();
  EXPECT_EQ(Generate(session, sampler, prompt, {.max_tokens = 20}, {}).value().finish_reason, FinishReason::kEndOfTurn);
  const GenerateResult banned = Generate(session, sampler, prompt, {.max_tokens = 20, .ignore_end = true}, {}).value();
  EXPECT_EQ(banned.finish_reason, FinishReason::kMaxTokens);
  EXPECT_EQ(banned.generated_tokens, 20);
}

TEST(B53Test, AFullContextEndsATextUnlessAskedToShift) {
  const Model model = OpenTiny("gemma3");
  const std::vector<Token> prompt = model.tokenizer().Encode("The town has a river", {.add_special = true}).value();
  const auto generate = [&](const GenerateOptions& options, std::int32_t threads) {
    Session session = Session::Create(model, {.context_length = 64, .threads = threads}).value();
    Sampler sampler(kGreedy);
    return Generate(session, sampler, prompt, options, {});
  };
  const GenerateResult full = generate({.max_tokens = 200, .ignore_end = true}, 1).value();
  EXPECT_EQ(full.finish_reason, FinishReason::kContextFull);
  EXPECT_EQ(full.forgotten_tokens, 0);

  const GenerateOptions shift = {.max_tokens = 200, .ignore_end = true, .shift_keep = 4};
  const GenerateResult shifted = generate(shift, 1).value();
  EXPECT_EQ(shifted.finish_reason, FinishReason::kMaxTokens);
  EXPECT_EQ(shifted.generated_tokens, 200);
  EXPECT_GE(shifted.forgotten_tokens, 200 - 64);
  EXPECT_TRUE(shifted.text.starts_with(full.text));
  EXPECT_EQ(generate(shift, 2).value().text, shifted.text);

  for (const std::int32_t keep : {-2, 63, 64, std::numeric_limits<std::int32_t>::max()}) {
    EXPECT_EQ(generate({.max_tokens = 10, .shift_keep = keep}, 1).status().code(), StatusCode::kInvalidArgument)
        << keep;
  }
  EXPECT_EQ(generate({.shift_keep = 4}, 1).status().code(), StatusCode::kInvalidArgument) << "it might never end";
}

// Windows of 512 positions, and a conversation of 3,000 tokens before the turns that count.
TEST(B54Test, ALongConversationOnASlidingWindowModel) {
  const auto path = RealModel("gemma-3-270m");
  if (!path) GTEST_SKIP() << "The model gemma-3-270m is not here; tools/fetch-model fetches it.";
  const Model model = Model::Open(*path).value();
  Chat chat = Chat::Create(model, {.session = {.context_length = 4096}, .sampler = kGreedy}).value();
  std::string post;
  for (int i = 0; i < 320; ++i) post += "Line " + std::to_string(i) + " of the post.\n";
  const GenerateOptions few = {.max_tokens = 8, .ignore_end = true};
  const GenerateResult first = chat.Send(post, {}, few).value();
  ASSERT_GT(first.prompt_tokens, 3000);

  const std::int32_t before = chat.session().position();
  const GenerateResult second = chat.Send("And then?", {}, few).value();
  EXPECT_EQ(second.cached_tokens, before) << "only the new turn is read";
  EXPECT_EQ(second.reread_tokens, 0);
  EXPECT_LT(second.prompt_tokens, 30);

  ASSERT_TRUE(chat.Undo().ok());
  const GenerateResult undone = chat.Send("What else?", {}, few).value();
  EXPECT_EQ(undone.reread_tokens, 0) << "the last turn is within the kept window";
  EXPECT_LT(undone.prompt_tokens, 30);

  std::vector<Message> edited = chat.messages();
  edited[0].content[5] = 'x';
  edited.resize(1);
  ASSERT_TRUE(chat.SetMessages(edited).ok());
  const GenerateResult earlier = chat.Answer({}, few).value();
  EXPECT_EQ(earlier.cached_tokens, 0);
  EXPECT_GT(earlier.reread_tokens, 0) << "what was the same before the edit";
  EXPECT_LT(earlier.reread_tokens, 20);
}

TEST(B63Test, CancellingWhileALongPromptIsRead) {
  const Model model = OpenTiny("llama_f16");
  Chat chat =
      Chat::Create(model, {.session = {.context_length = 100'000, .threads = 1, .batch_size = 64}, .sampler = kGreedy})
          .value();
  std::string text;
  for (int i = 0; i < 4000; ++i) text += "The town has a river. ";
  CancelToken cancel;
  std::thread other([&cancel] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    cancel.Cancel();
  });
  const Result<GenerateResult> result = chat.Send(text, {}, {.max_tokens = 5, .cancel = &cancel});
  other.join();
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->finish_reason, FinishReason::kCancelled);
  EXPECT_LT(result->prompt_tokens, chat.CountTokens(text).value());
  EXPECT_TRUE(chat.messages().empty());
  cancel.Reset();
  EXPECT_TRUE(chat.Send("Hello", {}, {.max_tokens = 5, .cancel = &cancel}).ok());
}

TEST(B65Test, ATextLongerThanTheContextIsAnErrorWithBothNumbers) {
  const Model model = OpenTiny("llama_f16");
  Chat chat = Chat::Create(model, {.session = {.context_length = 128, .threads = 1}, .sampler = kGreedy}).value();
  std::string text;
  while (chat.CountTokens(text).value() <= 128) text += "town ";
  const std::int32_t tokens = chat.CountTokens(text).value();
  const Status status = chat.Send(text, {}).status();
  EXPECT_EQ(status.code(), StatusCode::kContextFull);
  EXPECT_NE(status.message().find(std::to_string(tokens)), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("128"), std::string::npos) << status.message();
  EXPECT_EQ(chat.session().position(), 0) << "nothing was read";
}

// Prompts of context, context - 1 and one token, and answers of none.
TEST(B65Test, EdgesOfTheContext) {
  const Model model = OpenTiny("llama_f16");
  const std::vector<Token> tokens(16, 5);
  const auto generate = [&](std::int32_t context, std::size_t prompt, std::int32_t max_tokens) {
    Session session = Session::Create(model, {.context_length = context, .threads = 1}).value();
    Sampler sampler(kGreedy);
    return Generate(session, sampler, std::span(tokens).first(prompt), {.max_tokens = max_tokens, .ignore_end = true},
                    {});
  };
  EXPECT_EQ(generate(16, 16, -1).value().finish_reason, FinishReason::kContextFull);
  EXPECT_EQ(generate(16, 16, -1).value().generated_tokens, 1) << "the token that follows can still be told";
  EXPECT_EQ(generate(16, 15, -1).value().generated_tokens, 2);
  EXPECT_EQ(generate(15, 16, -1).status().code(), StatusCode::kContextFull);
  EXPECT_EQ(generate(1, 1, -1).value().generated_tokens, 1);
  EXPECT_EQ(generate(16, 4, 0).value().finish_reason, FinishReason::kMaxTokens);
  EXPECT_EQ(generate(16, 4, 0).value().generated_tokens, 0);
  EXPECT_EQ(generate(16, 4, -2).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(generate(16, 0, 4).status().code(), StatusCode::kInvalidArgument);
  Chat chat = Chat::Create(model, {.session = {.context_length = 1}, .sampler = kGreedy}).value();
  EXPECT_EQ(chat.Send("", {}).status().code(), StatusCode::kContextFull);
}

}  // namespace
}  // namespace slm
