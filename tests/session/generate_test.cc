#include "slm/generate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/utf8.h"
#include "slm/model.h"
#include "slm/sampler.h"
#include "slm/session.h"
#include "support/json.h"
#include "support/test_data.h"

namespace slm {
namespace {

using test::DataPath;
using test::ReadFile;

const SamplerOptions kGreedy = {.temperature = 0.0f};

// A random model of 448 tokens, its prompt of 46 tokens and the 24 ids that follow it greedily.
class GenerateTest : public testing::Test {
 protected:
  GenerateTest() : model_(Model::Open(DataPath("models/llama_f16/model.gguf"))) {}

  void SetUp() override {
    ASSERT_TRUE(model_.ok()) << model_.status().message();
    prompt_ = test::ParseJson(ReadFile(DataPath("models/llama_f16/prompt.json"))).get<std::vector<Token>>();
    greedy_ = test::ParseJson(ReadFile(DataPath("models/llama_f16/greedy.json"))).get<std::vector<Token>>();
  }

  Session MakeSession(std::int32_t context_length = 0, std::int32_t batch_size = 512) {
    return Session::Create(*model_, {.context_length = context_length, .threads = 1, .batch_size = batch_size}).value();
  }

  // The text of the greedy continuation's first `count` tokens.
  std::string GreedyText(std::size_t count) {
    std::string bytes;
    for (const Token token : std::span(greedy_).first(count)) bytes += model_->tokenizer().Piece(token);
    Utf8Stream stream;
    const std::string text = stream.Push(bytes);
    return text + stream.Flush();
  }

  Result<Model> model_;
  std::vector<Token> prompt_;
  std::vector<Token> greedy_;
};

TEST_F(GenerateTest, GreedyContinuationAndCounts) {
  Session session = MakeSession();
  Sampler sampler(kGreedy);
  std::string pieces;
  const Result<GenerateResult> result =
      Generate(session, sampler, prompt_, {.max_tokens = 24}, [&](std::string_view p) {
        EXPECT_FALSE(p.empty());
        pieces += p;
        return kContinue;
      });
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->finish_reason, FinishReason::kMaxTokens);
  EXPECT_EQ(result->text, GreedyText(24));
  EXPECT_EQ(pieces, result->text);
  EXPECT_EQ(result->prompt_tokens, std::ssize(prompt_));
  EXPECT_EQ(result->generated_tokens, 24);
  EXPECT_GT(result->prompt_seconds, 0);
  EXPECT_GT(result->generate_seconds, 0);
  std::vector<Token> read = prompt_;
  read.insert(read.end(), greedy_.begin(), greedy_.begin() + 23);
  EXPECT_TRUE(std::ranges::equal(session.tokens(), read)) << "the last token need not be evaluated";
}

TEST_F(GenerateTest, ReadsOnlyWhatTheSessionDoesNotHold) {
  Session session = MakeSession();
  Sampler sampler(kGreedy);
  const std::span<const Token> prompt = prompt_;
  ASSERT_TRUE(Generate(session, sampler, prompt.first(20), {.max_tokens = 0}, {}).ok());
  const GenerateResult first = Generate(session, sampler, prompt, {.max_tokens = 5}, {}).value();
  EXPECT_EQ(first.cached_tokens, 20);
  EXPECT_EQ(first.prompt_tokens, std::ssize(prompt_) - 20);
  EXPECT_EQ(first.reread_tokens, 0);
  EXPECT_EQ(first.text, GreedyText(5));

  const GenerateResult again = Generate(session, sampler, prompt, {.max_tokens = 5}, {}).value();
  EXPECT_EQ(again.prompt_tokens, 1) << "the last token, for its logits";
  EXPECT_EQ(again.text, first.text);
  const GenerateResult next = Generate(session, sampler, session.tokens(), {.max_tokens = 20}, {}).value();
  EXPECT_EQ(next.cached_tokens, std::ssize(prompt_) + 3);
  EXPECT_EQ(GreedyText(4) + next.text, GreedyText(24));
}

TEST_F(GenerateTest, NoTokensWanted) {
  Session session = MakeSession();
  Sampler sampler(kGreedy);
  const Result<GenerateResult> result = Generate(session, sampler, prompt_, {.max_tokens = 0}, {});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->finish_reason, FinishReason::kMaxTokens);
  EXPECT_EQ(result->generated_tokens, 0);
  EXPECT_EQ(result->text, "");
  EXPECT_EQ(session.position(), std::ssize(prompt_));
}

TEST_F(GenerateTest, EndsWithTheModelsTurn) {
  Sampler sampler({.temperature = 20.0f, .top_k = 0, .top_p = 1, .min_p = 0, .seed = 5});
  for (int i = 0; i < 5; ++i) {
    Session session = MakeSession(4000);
    const Result<GenerateResult> result = Generate(session, sampler, prompt_, {}, {});
    ASSERT_TRUE(result.ok());
    ASSERT_EQ(result->finish_reason, FinishReason::kEndOfTurn);
    EXPECT_EQ(session.position(), std::ssize(prompt_) + result->generated_tokens - 1) << "the end is not appended";
    for (const Token token : session.tokens().subspan(prompt_.size())) {
      EXPECT_FALSE(model_->tokenizer().IsEndOfGeneration(token));
    }
    EXPECT_EQ(result->text.find("<|"), std::string::npos);
  }
}

TEST_F(GenerateTest, PiecesAreWholeCharacters) {
  Sampler sampler({.temperature = 20.0f, .top_k = 0, .top_p = 1, .min_p = 0, .seed = 3});
  Session session = MakeSession(4000);
  int characters_of_bytes = 0;
  const auto on_piece = [&](std::string_view piece) {
    for (std::size_t at = 0; at < piece.size();) {
      const Utf8Char c = DecodeUtf8(piece, at);
      EXPECT_EQ(c.status, Utf8Status::kValid);
      characters_of_bytes += c.size > 1;
      at += c.size;
    }
    return kContinue;
  };
  ASSERT_TRUE(Generate(session, sampler, prompt_, {}, on_piece).ok());
  EXPECT_GT(characters_of_bytes, 10) << "the random text was to have bytes that are no characters";
}

TEST_F(GenerateTest, ContextFullIsAFinishReasonOfTheText) {
  const auto context = static_cast<std::int32_t>(prompt_.size()) + 10;
  Session session = MakeSession(context);
  Sampler sampler(kGreedy);
  const Result<GenerateResult> result = Generate(session, sampler, prompt_, {.max_tokens = -1}, {});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->finish_reason, FinishReason::kContextFull);
  EXPECT_EQ(result->generated_tokens, 11) << "the last one follows a full context";
  EXPECT_EQ(result->text, GreedyText(11));
  EXPECT_EQ(session.position(), context);

  Session exact = MakeSession(static_cast<std::int32_t>(prompt_.size()));
  const Result<GenerateResult> one = Generate(exact, sampler, prompt_, {}, {});
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(one->finish_reason, FinishReason::kContextFull);
  EXPECT_EQ(one->text, GreedyText(1));
}

TEST_F(GenerateTest, ContextFullIsAnErrorOfThePrompt) {
  Session session = MakeSession(45);
  Sampler sampler(kGreedy);
  const Result<GenerateResult> result = Generate(session, sampler, prompt_, {}, {});
  EXPECT_EQ(result.status().code(), StatusCode::kContextFull);
  EXPECT_NE(result.status().message().find("46"), std::string::npos) << result.status().message();
  EXPECT_NE(result.status().message().find("45"), std::string::npos) << result.status().message();
  EXPECT_EQ(session.position(), 0);
}

TEST_F(GenerateTest, StopStringsEndTheText) {
  const std::string whole = GreedyText(24);
  ASSERT_GT(whole.size(), 12u);
  for (const std::size_t at : {std::size_t{3}, whole.size() / 2}) {
    // From one character's beginning to another's.
    std::size_t begin = at;
    while ((static_cast<unsigned char>(whole[begin]) & 0xC0) == 0x80) ++begin;
    std::size_t end = begin + 4;
    while (end < whole.size() && (static_cast<unsigned char>(whole[end]) & 0xC0) == 0x80) ++end;
    const std::string stop = whole.substr(begin, end - begin);
    Session session = MakeSession();
    Sampler sampler(kGreedy);
    std::string pieces;
    const Result<GenerateResult> result = Generate(
        session, sampler, prompt_, {.max_tokens = 24, .stop = {"not in it", stop}}, [&](std::string_view piece) {
          pieces += piece;
          return kContinue;
        });
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result->finish_reason, FinishReason::kStopString);
    EXPECT_EQ(result->text, whole.substr(0, whole.find(stop)));
    EXPECT_EQ(pieces, result->text);
    EXPECT_LT(result->generated_tokens, 24);
  }
}

TEST_F(GenerateTest, HeldTextIsDeliveredWhenTheTextEndsOtherwise) {
  Session session = MakeSession();
  Sampler sampler(kGreedy);
  const std::string whole = GreedyText(24);
  const std::string never = whole.substr(whole.size() - 1) + "never";
  const Result<GenerateResult> result = Generate(session, sampler, prompt_, {.max_tokens = 24, .stop = {never}}, {});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->finish_reason, FinishReason::kMaxTokens);
  EXPECT_EQ(result->text, whole);
}

TEST_F(GenerateTest, Cancellation) {
  Sampler sampler(kGreedy);
  CancelToken cancel;

  Session in_prompt = MakeSession(0, 8);
  const auto progress = [&](std::int64_t done, std::int64_t total) {
    EXPECT_EQ(total, std::ssize(prompt_));
    if (done >= 16) cancel.Cancel();
  };
  Result<GenerateResult> result =
      Generate(in_prompt, sampler, prompt_, {.cancel = &cancel, .prompt_progress = progress}, {});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->finish_reason, FinishReason::kCancelled);
  EXPECT_EQ(result->prompt_tokens, 16);
  EXPECT_EQ(in_prompt.position(), 16);
  EXPECT_EQ(result->generated_tokens, 0);

  // The session remains usable, also by a call that is cancelled at once.
  result = Generate(in_prompt, sampler, prompt_, {.cancel = &cancel}, {});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->prompt_tokens, 0);
  EXPECT_EQ(result->cached_tokens, 16);
  cancel.Reset();
  result = Generate(in_prompt, sampler, prompt_, {.max_tokens = 24, .cancel = &cancel}, {});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->cached_tokens, 16);
  EXPECT_EQ(result->text, GreedyText(24));

  Session in_text = MakeSession();
  int pieces = 0;
  result = Generate(in_text, sampler, prompt_, {.max_tokens = 24, .cancel = &cancel}, [&](std::string_view) {
    if (++pieces == 3) cancel.Cancel();
    return kContinue;
  });
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->finish_reason, FinishReason::kCancelled);
  EXPECT_EQ(pieces, 3);
  EXPECT_LT(result->generated_tokens, 24);

  Session refused = MakeSession();
  pieces = 0;
  result = Generate(refused, sampler, prompt_, {.max_tokens = 24},
                    [&](std::string_view) { return ++pieces == 2 ? kStop : kContinue; });
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->finish_reason, FinishReason::kCancelled);
  EXPECT_EQ(pieces, 2) << "nothing is delivered after kStop";
}

TEST_F(GenerateTest, TheSamplerSeesThePromptAndTheText) {
  Session session = MakeSession();
  Sampler sampler({.temperature = 0, .repeat_penalty = 1e6f, .repeat_last_n = 1000});
  const Result<GenerateResult> result = Generate(session, sampler, prompt_, {.max_tokens = 30}, {});
  ASSERT_TRUE(result.ok());
  std::set<Token> seen(prompt_.begin(), prompt_.end());
  for (const Token token : session.tokens().subspan(prompt_.size())) {
    EXPECT_TRUE(seen.insert(token).second) << "token " << token << " came again";
  }
  // Also what the session had read before; what the sampler had seen elsewhere is forgotten.
  const std::string text = result->text;
  EXPECT_EQ(Generate(session, sampler, prompt_, {.max_tokens = 30}, {}).value().text, text);
}

TEST_F(GenerateTest, ArgumentsAreChecked) {
  Session session = MakeSession();
  Sampler sampler(kGreedy);
  const auto message = [&](std::span<const Token> prompt, const GenerateOptions& options) {
    const Result<GenerateResult> result = Generate(session, sampler, prompt, options, {});
    EXPECT_EQ(result.status().code(), StatusCode::kInvalidArgument);
    return result.status().message();
  };
  EXPECT_NE(message({}, {}).find("prompt"), std::string::npos);
  EXPECT_NE(message(prompt_, {.max_tokens = -2}).find("max_tokens is -2"), std::string::npos);
  EXPECT_NE(message(prompt_, {.stop = {"a", ""}}).find("Stop string 2 is empty"), std::string::npos);
  EXPECT_NE(message(prompt_, {.stop = {"\xC3"}}).find("UTF-8"), std::string::npos);
  Sampler invalid({.temperature = -1});
  EXPECT_EQ(Generate(session, invalid, prompt_, {}, {}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(session.position(), 0) << "nothing was read";
}

TEST(FinishReasonTest, Names) {
  EXPECT_EQ(FinishReasonName(FinishReason::kEndOfTurn), "end_of_turn");
  EXPECT_EQ(FinishReasonName(FinishReason::kStopString), "stop_string");
  EXPECT_EQ(FinishReasonName(FinishReason::kMaxTokens), "max_tokens");
  EXPECT_EQ(FinishReasonName(FinishReason::kContextFull), "context_full");
  EXPECT_EQ(FinishReasonName(FinishReason::kCancelled), "cancelled");
}

}  // namespace
}  // namespace slm
