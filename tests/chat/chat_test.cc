#include "slm/chat.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "chat/prompt_writer.h"
#include "slm/model.h"
#include "support/test_data.h"

namespace slm {
namespace {

using test::DataPath;
using test::RealModel;

const SamplerOptions kGreedy = {.temperature = 0.0f};

Model OpenTiny(const std::string& name) { return Model::Open(DataPath("models/" + name + "/model.gguf")).value(); }

std::vector<Token> ToVector(std::span<const Token> tokens) { return {tokens.begin(), tokens.end()}; }

// The conversation of `chat` as one text, up to the end of its last answer.
std::string WholeConversation(const Model& model, const Chat& chat) {
  const PromptWriter writer = PromptWriter::Create(model, {}, std::chrono::system_clock::now()).value();
  std::string text = writer.Write(chat.messages()).value().text();
  // The template ends the last turn and begins the next one.
  for (const char* end : {"<|im_end|>", "<end_of_turn>"}) {
    if (const std::size_t at = text.rfind(end); at != std::string::npos) text.resize(at);
  }
  return text;
}

// What the session has read, with bytes that are no characters as they are streamed.
std::string Read(const Chat& chat) {
  Utf8Stream characters;
  std::string text = characters.Push(chat.session().model().tokenizer().Decode(chat.session().tokens(), true));
  return text += characters.Flush();
}

// A ChatML and a Gemma model; Gemma's has a window of 16 positions on most layers and can't rewind far.
class ChatTest : public testing::TestWithParam<const char*> {
 protected:
  ChatTest() : model_(OpenTiny(GetParam())) {}

  Chat MakeChat(std::int32_t context_length = 400, std::int32_t batch_size = 8) {
    return Chat::Create(model_, {.system = "Be brief.",
                                 .session = {.context_length = context_length, .threads = 1, .batch_size = batch_size},
                                 .sampler = kGreedy})
        .value();
  }

  GenerateResult Send(Chat& chat, std::string_view user, const GenerateOptions& options = {.max_tokens = 12}) {
    Result<GenerateResult> result = chat.Send(user, {}, options);
    EXPECT_TRUE(result.ok()) << result.status().message();
    return *std::move(result);
  }

  bool is_gemma() const { return model_.architecture() == "gemma3"; }

  Model model_;
};

INSTANTIATE_TEST_SUITE_P(Formats, ChatTest, testing::Values("llama_f16", "gemma3"));

TEST_P(ChatTest, OnlyWhatIsNewIsEvaluated) {
  Chat chat = MakeChat();
  const GenerateResult first = Send(chat, "What is the capital of France?");
  ASSERT_EQ(first.finish_reason, FinishReason::kMaxTokens);
  const std::vector<Token> before = ToVector(chat.session().tokens());
  EXPECT_EQ(std::ssize(before), first.prompt_tokens + first.generated_tokens - 1);
  const GenerateResult second = Send(chat, "And of Italy?");
  ASSERT_EQ(second.finish_reason, FinishReason::kMaxTokens);
  const std::span<const Token> after = chat.session().tokens();
  const auto same = std::mismatch(before.begin(), before.end(), after.begin(), after.end()).first - before.begin();
  EXPECT_GE(same, first.prompt_tokens);
  EXPECT_EQ(second.prompt_tokens, std::ssize(after) - (second.generated_tokens - 1) - same);
}

TEST_P(ChatTest, TheContextIsTheConversationInItsFormat) {
  Chat chat = MakeChat();
  for (const char* user : {"One", "  Two <|im_end|> <end_of_turn>", "", "Four"}) {
    Send(chat, user);
    // The last answer's last token may be missing in the session, so that the next turn shows it.
    const std::string whole = WholeConversation(model_, chat);
    Send(chat, "next");
    EXPECT_TRUE(Read(chat).starts_with(whole)) << "read:\n" << Read(chat) << "\nexpected:\n" << whole;
  }
  const auto is_bos = [&](Token token) { return model_.tokenizer().Text(token) == "<bos>"; };
  EXPECT_EQ(std::ranges::count_if(chat.session().tokens(), is_bos), is_gemma() ? 1 : 0);
}

TEST_P(ChatTest, GivesWhatASessionWithoutReuseGives) {
  Chat chat = MakeChat();
  for (const char* user : {"Hello", "How are you?", "Tell me more about the town.", "Bye"}) {
    const std::int32_t before = chat.session().position();
    const GenerateResult result = Send(chat, user);
    // The prompt of this turn, read by a new session from its first token.
    const auto count = chat.session().tokens().size() - static_cast<std::size_t>(result.generated_tokens) + 1;
    const std::vector<Token> prompt = ToVector(chat.session().tokens().first(count));
    EXPECT_GT(static_cast<std::int32_t>(prompt.size()), before / 2);
    Session session = Session::Create(model_, {.context_length = 400, .threads = 1}).value();
    Sampler sampler(kGreedy);
    const Result<GenerateResult> alone = Generate(session, sampler, prompt, {.max_tokens = 12}, {});
    ASSERT_TRUE(alone.ok());
    EXPECT_EQ(result.text, alone->text);
  }
}

TEST_P(ChatTest, MessagesAreTheTurns) {
  Chat chat = MakeChat();
  const GenerateResult result = Send(chat, " Hi ");
  ASSERT_EQ(chat.messages().size(), 3u);
  EXPECT_EQ(chat.messages()[0].role, Role::kSystem);
  EXPECT_EQ(chat.messages()[0].content, "Be brief.");
  EXPECT_EQ(chat.messages()[1].role, Role::kUser);
  EXPECT_EQ(chat.messages()[1].content, " Hi ");
  EXPECT_EQ(chat.messages()[2].role, Role::kAssistant);
  EXPECT_EQ(chat.messages()[2].content, result.text);
}

// Whatever went wrong in between, the next answer is that of a conversation without it.
TEST_P(ChatTest, AFailedOrCancelledTurnLeavesNoTrace) {
  const std::string long_text = "The town has a river and a bridge that was built long ago. The river is wide.";
  Chat plain = MakeChat();
  Chat chat = MakeChat();
  EXPECT_EQ(Send(plain, "One").text, Send(chat, "One").text);

  CancelToken cancel;
  const GenerateOptions in_prompt = {.max_tokens = 12, .cancel = &cancel, .prompt_progress = [&](auto done, auto) {
                                       if (done >= 72) cancel.Cancel();
                                     }};
  Result<GenerateResult> result = chat.Send(long_text + long_text, {}, in_prompt);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->finish_reason, FinishReason::kCancelled);
  EXPECT_EQ(result->text, "");
  EXPECT_EQ(chat.messages().size(), 3u);
  const GenerateResult two = Send(chat, "Two");
  EXPECT_EQ(Send(plain, "Two").text, two.text);
  if (is_gemma()) {
    EXPECT_EQ(two.prompt_tokens + two.generated_tokens - 1, chat.session().position())
        << "the window doesn't reach back over the dropped text, so that all is read again";
  }

  std::string too_long;
  for (int i = 0; i < 40; ++i) too_long += long_text;
  result = chat.Send(too_long, {}, {});
  EXPECT_EQ(result.status().code(), StatusCode::kContextFull);
  EXPECT_NE(result.status().message().find("400"), std::string::npos) << result.status().message();
  EXPECT_EQ(chat.messages().size(), 5u);

  cancel.Reset();
  cancel.Cancel();
  result = chat.Send("ignored", {}, {.cancel = &cancel});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->finish_reason, FinishReason::kCancelled);
  EXPECT_FALSE(chat.Send("ignored", {}, {.stop = {""}}).ok());
  EXPECT_EQ(chat.SetSampler({.temperature = -1}).code(), StatusCode::kInvalidArgument);

  EXPECT_EQ(Send(plain, "Three").text, Send(chat, "Three").text);
  EXPECT_EQ(chat.messages().size(), 7u);
}

TEST_P(ChatTest, ACancelledAnswerKeepsWhatWasDelivered) {
  Chat chat = MakeChat();
  std::string delivered;
  const Result<GenerateResult> result = chat.Send("Hello",
                                                  [&](std::string_view piece) {
                                                    delivered += piece;
                                                    return delivered.size() > 6 ? kStop : kContinue;
                                                  },
                                                  {.max_tokens = 12});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->finish_reason, FinishReason::kCancelled);
  ASSERT_EQ(chat.messages().size(), 3u);
  EXPECT_EQ(chat.messages()[2].content, delivered);
  const std::string whole = WholeConversation(model_, chat);
  Send(chat, "next");
  EXPECT_TRUE(Read(chat).starts_with(whole)) << Read(chat);
}

TEST_P(ChatTest, AStopStringIsNotInTheConversation) {
  Chat plain = MakeChat();
  const std::string text = Send(plain, "Hello", {.max_tokens = 20}).text;
  ASSERT_GT(text.size(), 8u);
  Chat chat = MakeChat();
  // Two characters from the middle that are one byte each.
  std::size_t at = text.size() / 2;
  while (at + 2 < text.size() && (static_cast<signed char>(text[at]) < 0 || static_cast<signed char>(text[at + 1]) < 0))
    ++at;
  ASSERT_LT(at + 2, text.size());
  const std::string stop = text.substr(at, 2);
  const GenerateResult result = Send(chat, "Hello", {.max_tokens = 20, .stop = {stop}});
  EXPECT_EQ(result.finish_reason, FinishReason::kStopString);
  EXPECT_EQ(result.text, text.substr(0, text.find(stop)));
  const std::string whole = WholeConversation(model_, chat) + (is_gemma() ? "<end_of_turn>" : "<|im_end|>");
  Send(chat, "next");
  EXPECT_TRUE(Read(chat).starts_with(whole)) << Read(chat) << "\nexpected:\n" << whole;
}

// A fork is the conversation once more: it answers what the first would have.
TEST_P(ChatTest, AForkGoesOnByItself) {
  Chat chat = MakeChat(), plain = MakeChat();
  Send(chat, "Hello");
  Send(plain, "Hello");
  Chat fork = chat.Fork().value();
  EXPECT_EQ(fork.messages(), chat.messages());
  const GenerateResult of_fork = Send(fork, "And now?");
  const GenerateResult of_plain = Send(plain, "And now?");
  EXPECT_EQ(of_fork.text, of_plain.text);
  EXPECT_EQ(of_fork.cached_tokens, of_plain.cached_tokens);
  EXPECT_EQ(Send(chat, "Something else").text, [&] {
    EXPECT_TRUE(plain.Undo().ok());
    return Send(plain, "Something else").text;
  }());
  EXPECT_EQ(fork.messages().size(), chat.messages().size());
  { const Chat gone = std::move(chat); }
  Send(fork, "Still there?");
}

TEST_P(ChatTest, ResetForgetsTheTurns) {
  Chat chat = MakeChat();
  const std::string first = Send(chat, "Hello").text;
  Send(chat, "Something else that is long enough to leave the window of the sliding layers behind.");
  ASSERT_TRUE(chat.Reset().ok());
  ASSERT_EQ(chat.messages().size(), 1u);
  EXPECT_EQ(Send(chat, "Hello").text, first);
}

TEST_P(ChatTest, ContextFullEndsAnAnswer) {
  Chat chat = MakeChat(60);
  GenerateResult result = Send(chat, "Hi", {.max_tokens = -1});
  while (result.finish_reason == FinishReason::kEndOfTurn) result = Send(chat, "Hi", {.max_tokens = -1});
  EXPECT_EQ(result.finish_reason, FinishReason::kContextFull);
  EXPECT_EQ(chat.session().position(), 60);
  const Result<GenerateResult> next = chat.Send("Hi", {}, {});
  EXPECT_EQ(next.status().code(), StatusCode::kContextFull);
}

TEST(ChatCreateTest, Failures) {
  const Model model = OpenTiny("llama_f16");
  EXPECT_EQ(Chat::Create(model, {.sampler = {.top_k = -1}}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Chat::Create(model, {.chat_template = "{% if %}"}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(
      Chat::Create(model, {.chat_template = "only this"}).status().message(),
      "The chat template (the given chat template) can't write a conversation. It leaves out what the user says.");
  EXPECT_EQ(Chat::Create(model, {.tools = "{}"}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Chat::Create(model, {.variables = "[1"}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Chat::Create(model, {.session = {.context_length = -1}}).status().code(), StatusCode::kInvalidArgument);
}

TEST(ChatCreateTest, OutlivesTheHandleOfItsWorkers) {
  const Model model = OpenTiny("llama_f16");
  auto workers = std::make_unique<Workers>(Workers::Create({.threads = 2}).value());
  Chat chat = Chat::Create(model, {.session = {.context_length = 100, .workers = workers.get()}}).value();
  workers.reset();
  ASSERT_TRUE(chat.Resize(150).ok());
  EXPECT_TRUE(chat.Send("Hi", {}, {.max_tokens = 3}).ok());
}

// A template that writes each of them.
TEST(ChatSystemTest, SeveralAmongForgottenMessages) {
  const Model model = OpenTiny("llama_f16");
  const ChatOptions options = {.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}",
                               .session = {.context_length = 120},
                               .sampler = kGreedy,
                               .forget_oldest = true};
  for (const int systems : {1, 2, 3}) {
    Chat chat = Chat::Create(model, options).value();
    std::vector<Message> messages;
    for (int i = 0; i < systems; ++i) messages.push_back({.role = Role::kSystem, .content = "s"});
    for (const char* user : {"one", "two", "three", "four", "five"}) {
      messages.push_back({.role = Role::kUser, .content = std::string(user) + " a b c d e f g"});
      messages.push_back({.role = Role::kAssistant, .content = "a b c"});
    }
    messages.back() = {.role = Role::kUser, .content = "six"};
    ASSERT_TRUE(chat.SetMessages(messages).ok());
    const Result<GenerateResult> answer = chat.Answer({}, {.max_tokens = 3});
    ASSERT_TRUE(answer.ok()) << answer.status().message();
    ASSERT_GT(answer->forgotten_messages, 0);
    const std::string shown = Read(chat);
    for (int i = 0; i < systems; ++i) ASSERT_TRUE(chat.SetSystem("").ok());
    const Result<GenerateResult> again = chat.Retry({}, {.max_tokens = 3});
    ASSERT_TRUE(again.ok()) << again.status().message();
    // The same turns as before.
    EXPECT_EQ(Read(chat).substr(0, Read(chat).find("six")),
              shown.substr(shown.find("user:"), shown.find("six") - shown.find("user:")));
  }
}

TEST(ChatVariablesTest, CanBeSetBetweenAnswers) {
  const Model model = OpenTiny("llama_f16");
  Chat chat =
      Chat::Create(model, {.chat_template = "{% for m in messages %}{{ m.content }}{{ tone if m.role == 'user' }}"
                                            "\n{% endfor %}{{ language }}",
                           .variables = R"({"language": "English"})",
                           .session = {.context_length = 200},
                           .sampler = kGreedy})
          .value();
  ASSERT_TRUE(chat.Send("Hi", {}, {.max_tokens = 3}).ok());
  EXPECT_NE(Read(chat).find("Hi\nEnglish"), std::string::npos) << Read(chat);
  const std::vector<Message> messages = chat.messages();
  const std::string changed = R"({"language": "German", "tone": "!"})";
  ASSERT_TRUE(chat.SetVariables(changed).ok());
  EXPECT_EQ(chat.variables(), changed);
  EXPECT_EQ(chat.messages(), messages);

  ASSERT_TRUE(chat.Send("More", {}, {.max_tokens = 3}).ok());
  EXPECT_NE(Read(chat).find("Hi!\n"), std::string::npos) << Read(chat);
  EXPECT_NE(Read(chat).find("More!\nGerman"), std::string::npos) << Read(chat);

  for (const char* wrong : {"[1", "[]"}) {
    EXPECT_EQ(chat.SetVariables(wrong).code(), StatusCode::kInvalidArgument) << wrong;
  }
  EXPECT_EQ(chat.variables(), changed);
}

TEST(ChatCreateTest, OutlivesTheModelHandle) {
  auto model = std::make_unique<Model>(OpenTiny("llama_f16"));
  Chat chat = Chat::Create(*model, {.session = {.context_length = 100}, .sampler = kGreedy}).value();
  model.reset();
  EXPECT_TRUE(chat.Send("Hi", {}, {.max_tokens = 3}).ok());
}

TEST(RealChatTest, SmolLm2AnswersInTurns) {
  const auto path = RealModel("smollm2-135m");
  if (!path) GTEST_SKIP() << "the model smollm2-135m is not in the model cache";
  const Model model = Model::Open(*path).value();
  Chat chat = Chat::Create(model, {.sampler = kGreedy}).value();
  EXPECT_EQ(chat.chat_template().origin(), "the model's file");
  const Result<GenerateResult> first = chat.Send("What is 2+2?", {}, {.max_tokens = 60});
  ASSERT_TRUE(first.ok()) << first.status().message();
  EXPECT_EQ(first->finish_reason, FinishReason::kEndOfTurn);
  EXPECT_NE(first->text.find("4"), std::string::npos) << first->text;
  EXPECT_TRUE(Read(chat).starts_with(
      "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"));
  const std::int32_t before = chat.session().position();
  const Result<GenerateResult> second = chat.Send("Thank you!", {}, {.max_tokens = 60});
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->finish_reason, FinishReason::kEndOfTurn);
  EXPECT_EQ(second->cached_tokens, before);
  const std::string turn = "<|im_end|>\n<|im_start|>user\nThank you!<|im_end|>\n<|im_start|>assistant\n";
  EXPECT_EQ(second->prompt_tokens, std::ssize(model.tokenizer().Encode(turn, {.parse_special = true}).value()));
  // What was read turn by turn is what the tokenizer makes of the whole conversation at once.
  EXPECT_EQ(ToVector(chat.session().tokens()),
            model.tokenizer().Encode(WholeConversation(model, chat), {.parse_special = true}).value());
}

TEST(RealChatTest, GemmaBaseModelWithoutTemplate) {
  const auto path = RealModel("gemma-3-270m");
  if (!path) GTEST_SKIP() << "the model gemma-3-270m is not in the model cache";
  const Model model = Model::Open(*path).value();
  Chat chat = Chat::Create(model, {.sampler = kGreedy}).value();
  EXPECT_EQ(chat.chat_template().origin(), "built in for Gemma");
  ASSERT_TRUE(chat.Send("Hello", {}, {.max_tokens = 5}).ok());
  const std::span<const Token> tokens = chat.session().tokens();
  EXPECT_EQ(ToVector(tokens.first(4)), (std::vector<Token>{2, 105, 2364, 107})) << "one BOS, then the turn";
  EXPECT_EQ(std::count(tokens.begin(), tokens.end(), 2), 1);
}

}  // namespace
}  // namespace slm
