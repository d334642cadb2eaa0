// What is read anew and what is kept when a conversation goes on, goes back, is edited, forgotten or saved.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "slm/chat.h"
#include "support/test_data.h"

namespace slm {
namespace {

using test::DataPath;
using test::RealModel;
using test::SharedFixture;

const GenerateOptions kTwelve = {.max_tokens = 12};

Model OpenTiny(const std::string& name) { return Model::Open(DataPath("models/" + name + "/model.gguf")).value(); }

// Models with random weights write anything. In these tests they write letters, so that an answer is a text which its
// tokens spell.
SamplerOptions OnlyLetters(const Model& model, SamplerOptions options = {.temperature = 0.0f}) {
  const Tokenizer& tokenizer = model.tokenizer();
  for (Token token = 0; token < tokenizer.vocab_size(); ++token) {
    const std::string piece = tokenizer.Piece(token);
    const bool letters = !piece.empty() && std::ranges::all_of(piece, [](char c) { return c >= 'a' && c <= 'z'; });
    if (!letters) options.logit_bias.push_back({token, -std::numeric_limits<float>::infinity()});
  }
  return options;
}

ChatOptions TinyOptions(const Model& model, std::int32_t context_length = 400) {
  return {.system = "Be brief.",
          .session = {.context_length = context_length, .threads = 1, .batch_size = 8},
          .sampler = OnlyLetters(model)};
}

GenerateResult Send(Chat& chat, std::string_view user, const GenerateOptions& options = kTwelve) {
  Result<GenerateResult> result = chat.Send(user, {}, options);
  EXPECT_TRUE(result.ok()) << result.status().message();
  return *std::move(result);
}

std::vector<Token> Tokens(const Chat& chat) { return {chat.session().tokens().begin(), chat.session().tokens().end()}; }

// llama_f16 looks back over everything; gemma3 has a window of 16 positions on most layers and can't rewind far.
class ConversationTest : public testing::TestWithParam<const char*> {
 protected:
  ConversationTest() : model_(OpenTiny(GetParam())), chat_(Chat::Create(model_, TinyOptions(model_)).value()) {}
  bool slides() const { return model_.architecture() == "gemma3"; }

  Model model_;
  Chat chat_;
};

INSTANTIATE_TEST_SUITE_P(Models, ConversationTest, testing::Values("llama_f16", "gemma3"));

TEST_P(ConversationTest, WithAndWithoutReuseAreTheSame) {
  ChatOptions options = TinyOptions(model_);
  options.reuse = false;
  options.sampler = OnlyLetters(model_, {.temperature = 0.9f, .seed = 3});
  Chat without = Chat::Create(model_, options).value();
  options.reuse = true;
  Chat with = Chat::Create(model_, options).value();
  for (const char* user : {"Hello", "How are you?", "Tell me more.", "Bye"}) {
    const std::int32_t before = with.session().position();
    const GenerateResult a = Send(with, user);
    const GenerateResult b = Send(without, user);
    EXPECT_EQ(a.text, b.text);
    EXPECT_EQ(Tokens(with), Tokens(without));
    EXPECT_EQ(b.cached_tokens, 0);
    EXPECT_EQ(a.cached_tokens, before);
    EXPECT_EQ(a.cached_tokens + a.prompt_tokens, b.prompt_tokens);
    EXPECT_EQ(a.reread_tokens, 0);
  }
}

TEST_P(ConversationTest, UndoTakesBackTheLastTurn) {
  Send(chat_, "Hello");
  const std::vector<Message> before = chat_.messages();
  const std::string expected = Send(chat_, "How are you?").text;
  EXPECT_EQ(chat_.Undo().value(), "How are you?");
  EXPECT_EQ(chat_.messages(), before);
  const GenerateResult again = Send(chat_, "How are you?");
  EXPECT_EQ(again.text, expected);
  EXPECT_EQ(chat_.Undo().value(), "How are you?");
  EXPECT_EQ(chat_.Undo().value(), "Hello");
  ASSERT_EQ(chat_.messages().size(), 1u);
  EXPECT_EQ(chat_.Undo().status().code(), StatusCode::kInvalidArgument);
}

TEST_P(ConversationTest, ARetryReadsOnlyTheLastToken) {
  Send(chat_, "Hello");
  ASSERT_TRUE(chat_.SetSampler(OnlyLetters(model_, {.temperature = 1.5f, .seed = 5})).ok());
  const GenerateOptions six = {.max_tokens = 6};  // a window of 16 in a ring of 24 can go back so far
  const GenerateResult first = Send(chat_, "How are you?", six);
  const std::size_t messages = chat_.messages().size();
  const Result<GenerateResult> second = chat_.Retry({}, six);
  ASSERT_TRUE(second.ok());
  EXPECT_NE(second->text, first.text) << "another seed";
  ASSERT_EQ(chat_.messages().size(), messages);
  EXPECT_EQ(chat_.messages().back().content, second->text);
  EXPECT_EQ(second->prompt_tokens, 1);
}

TEST_P(ConversationTest, AFailedRetryKeepsTheAnswer) {
  EXPECT_EQ(chat_.Retry({}).status().code(), StatusCode::kInvalidArgument);
  Send(chat_, "Hello");
  const std::vector<Message> before = chat_.messages();
  CancelToken cancel;
  cancel.Cancel();
  ASSERT_TRUE(chat_.Retry({}, {.cancel = &cancel}).ok());
  EXPECT_EQ(chat_.messages(), before);
  EXPECT_FALSE(chat_.Retry({}, {.stop = {""}}).ok());
  EXPECT_EQ(chat_.messages(), before);
}

TEST_P(ConversationTest, AnEditReadsFromTheFirstDifferenceOn) {
  Send(chat_, "Hello there");
  Send(chat_, "What is the town like?");
  Send(chat_, "And the river, is it wide and deep and cold?");
  std::vector<Message> messages = chat_.messages();
  messages[3].content = "What is the bridge like?";
  messages.resize(4);
  const std::vector<Token> before = Tokens(chat_);
  ASSERT_TRUE(chat_.SetMessages(messages).ok());
  const Result<GenerateResult> result = chat_.Answer({}, kTwelve);
  ASSERT_TRUE(result.ok());
  const std::vector<Token> after = Tokens(chat_);
  const auto shared = std::mismatch(before.begin(), before.end(), after.begin(), after.end()).first - before.begin();
  EXPECT_EQ(result->cached_tokens + result->reread_tokens, shared);
  if (slides()) {
    EXPECT_EQ(result->cached_tokens, 0) << "the window has dropped what the edited message looks back at";
    EXPECT_EQ(result->reread_tokens, shared);
  } else {
    EXPECT_EQ(result->cached_tokens, shared);
  }

  Chat fresh = Chat::Create(model_, TinyOptions(model_)).value();
  ASSERT_TRUE(fresh.SetMessages(messages).ok());
  EXPECT_EQ(fresh.Answer({}, kTwelve).value().text, result->text);
}

TEST_P(ConversationTest, AnswersNeedAQuestion) {
  EXPECT_EQ(chat_.Answer({}).status().code(), StatusCode::kInvalidArgument);
  Send(chat_, "Hello");
  EXPECT_EQ(chat_.Answer({}).status().code(), StatusCode::kInvalidArgument);
}

TEST_P(ConversationTest, CountsTokensBeforeReadingThem) {
  const std::int32_t counted = chat_.CountTokens("Hello").value();
  EXPECT_EQ(counted,
            CountPromptTokens(model_, {{.role = Role::kUser, .content = "Hello"}}, TinyOptions(model_)).value());
  EXPECT_EQ(chat_.session().position(), 0);
  EXPECT_EQ(Send(chat_, "Hello").prompt_tokens, counted);
  const std::int32_t next = chat_.CountTokens("More").value();
  const GenerateResult result = Send(chat_, "More");
  EXPECT_EQ(result.cached_tokens + result.prompt_tokens, next);
}

TEST_P(ConversationTest, ForgetsTheOldestTurnsWhenAskedTo) {
  ChatOptions options = TinyOptions(model_, 160);
  options.forget_oldest = true;
  Chat chat = Chat::Create(model_, options).value();
  int forgotten = 0;
  for (int turn = 0; turn < 12; ++turn) {
    const GenerateResult result = Send(chat, "Tell me about number " + std::to_string(turn));
    EXPECT_NE(result.finish_reason, FinishReason::kContextFull) << "there is room for the answer";
    EXPECT_EQ(result.forgotten_messages % 2, 0) << "a question goes with its answer";
    forgotten += result.forgotten_messages;
  }
  EXPECT_GT(forgotten, 0);
  EXPECT_LT(forgotten, 24) << "each message once";
  EXPECT_EQ(chat.messages().size(), 25u) << "nothing is missing from the messages";
  const std::string read = model_.tokenizer().Decode(chat.session().tokens(), true);
  EXPECT_NE(read.find("Be brief."), std::string::npos) << "the system text stays";
  EXPECT_EQ(read.find("number 0"), std::string::npos);
  EXPECT_NE(read.find("number 11"), std::string::npos);

  std::string too_long;
  for (int i = 0; i < 100; ++i) too_long += "The town has a river. ";
  EXPECT_EQ(chat.Send(too_long, {}).status().code(), StatusCode::kContextFull);
  EXPECT_EQ(chat.messages().size(), 25u);
}

TEST_P(ConversationTest, ResizeKeepsTheConversation) {
  Send(chat_, "Hello");
  Chat same = Chat::Create(model_, TinyOptions(model_)).value();
  Send(same, "Hello");
  ASSERT_TRUE(chat_.Resize(600).ok());
  EXPECT_EQ(chat_.session().context_length(), 600);
  EXPECT_EQ(chat_.session().position(), 0);
  EXPECT_EQ(chat_.Resize(-1).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(chat_.session().context_length(), 600);
  EXPECT_EQ(Send(chat_, "More").text, Send(same, "More").text);
}

class SavedChatTest : public ConversationTest {
 protected:
  SavedChatTest() : path_(testing::TempDir() + "saved_chat_" + GetParam() + ".slm") {
    Send(chat_, "Hello");
    Send(chat_, "How are you?");
    EXPECT_TRUE(chat_.Save(path_).ok());
  }
  ~SavedChatTest() override { std::filesystem::remove(path_); }

  ChatOptions Options() const { return {.session = {.threads = 1, .batch_size = 8}, .sampler = OnlyLetters(model_)}; }

  std::filesystem::path path_;
};

INSTANTIATE_TEST_SUITE_P(Models, SavedChatTest, testing::Values("llama_f16", "gemma3"));

TEST_P(SavedChatTest, GoesOnWithoutReadingAnythingTwice) {
  Result<Chat> restored = Chat::Restore(model_, path_, Options());
  ASSERT_TRUE(restored.ok()) << restored.status().message();
  EXPECT_EQ(restored->messages(), chat_.messages());
  EXPECT_EQ(Tokens(*restored), Tokens(chat_));
  const std::int32_t before = chat_.session().position();
  const GenerateResult expected = Send(chat_, "Tell me more.");
  const GenerateResult result = Send(*restored, "Tell me more.");
  EXPECT_EQ(result.text, expected.text);
  EXPECT_EQ(result.cached_tokens, before);
  EXPECT_EQ(result.prompt_tokens, expected.prompt_tokens);
}

TEST_P(SavedChatTest, FilesThatDoNotFitAreErrors) {
  EXPECT_EQ(Chat::Restore(model_, path_.string() + ".none", Options()).status().code(), StatusCode::kNotFound);
  ChatOptions other = Options();
  other.session.context_length = 500;
  const Status context = Chat::Restore(model_, path_, other).status();
  EXPECT_EQ(context.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(context.message().find("500"), std::string::npos) << context.message();
  EXPECT_NE(context.message().find("400"), std::string::npos) << context.message();
  EXPECT_EQ(Chat::Restore(OpenTiny("qwen3"), path_, Options()).status().code(), StatusCode::kInvalidArgument);
  std::string bytes = test::ReadFile(path_);
  bytes[bytes.size() / 2] ^= 1;
  std::ofstream(path_, std::ios::binary) << bytes;
  EXPECT_EQ(Chat::Restore(model_, path_, Options()).status().code(), StatusCode::kCorruptFile);
}

// A session's file that some other application wrote.
TEST_P(SavedChatTest, SessionsThatAreNoChats) {
  Session session = Session::Create(model_, {.context_length = 400, .threads = 1}).value();
  ASSERT_TRUE(session.Append(std::vector<Token>{1, 2, 3}).ok());
  for (const char* note : {"", "[]", "{}", R"({"version": 99})", R"({"version": 1, "messages": 7})"}) {
    ASSERT_TRUE(session.Save(path_, note).ok());
    EXPECT_FALSE(Chat::Restore(model_, path_, Options()).ok()) << note;
  }
}

// Every family's template, as far as it lets history be: what was said stays read, the model's own tokens included.
TEST(EveryFamilyTest, OnlyTheNewTurnIsRead) {
  const auto folder = SharedFixture(".");
  if (!folder) GTEST_SKIP() << "The shared fixtures are not beside this checkout.";
  int models = 0;
  for (const auto& entry : std::filesystem::directory_iterator(*folder)) {
    if (!std::filesystem::exists(entry.path() / "model.gguf")) continue;
    SCOPED_TRACE(entry.path().filename());
    const Model model = Model::Open(entry.path() / "model.gguf").value();
    Result<Chat> chat =
        Chat::Create(model, {.session = {.context_length = 600, .threads = 1}, .sampler = OnlyLetters(model)});
    ASSERT_TRUE(chat.ok()) << chat.status().message();
    Send(*chat, "Hello", {.max_tokens = 8});
    const std::int32_t before = chat->session().position();
    const GenerateResult second = Send(*chat, "More", {.max_tokens = 8});
    EXPECT_EQ(second.cached_tokens, before) << chat->chat_template().source();
    ++models;
  }
  EXPECT_GE(models, 25);
}

}  // namespace
}  // namespace slm
