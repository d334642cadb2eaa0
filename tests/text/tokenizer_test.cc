// What Encode, Decode and Piece promise, on small vocabularies.

#include "slm/tokenizer.h"

#include <gtest/gtest.h>

#include <thread>

#include "support/test_data.h"
#include "support/tokenizer_test_util.h"

namespace slm::test {
namespace {

using namespace std::string_literals;

// Ids 259 to 263, then the special tokens 264 to 269.
TinyGguf SpmFileWithSpecials() {
  std::vector<std::string> texts = {"<unk>", "<s>", "</s>"};
  std::vector<std::int32_t> types = {2, 3, 3};
  for (int i = 3; i < 259; ++i) {
    texts.push_back("<unused" + std::to_string(i) + ">");
    types.push_back(5);
  }
  for (const char* piece : {"▁", "a", "b", "▁a", "▁b"}) {
    texts.push_back(piece);
    types.push_back(1);
  }
  for (const char* special : {"<x>", "<x><y>", "<y>z", "  ", "   "}) {
    texts.push_back(special);
    types.push_back(4);
  }
  texts.push_back("<x>a");
  types.push_back(3);
  std::vector<float> scores;
  for (std::size_t i = 0; i < texts.size(); ++i) scores.push_back(-static_cast<float>(i));
  TinyGguf file;
  file.Set("tokenizer.ggml.model", "llama");
  file.Set("tokenizer.ggml.tokens", texts);
  file.Set("tokenizer.ggml.scores", scores);
  file.Set("tokenizer.ggml.token_type", types);
  return file;
}

TEST(EncodeTest, SpecialTokensMatchLeftmostThenLongest) {
  const LoadedTokenizer tokenizer(SpmFileWithSpecials().Set("tokenizer.ggml.add_space_prefix", false));
  EXPECT_EQ(tokenizer.Encode("<x>"), Tokens{264});
  EXPECT_EQ(tokenizer.Encode("<x><y>z").front(), 265);  // not <x> and <y>z: the longer of those that begin first
  EXPECT_EQ(tokenizer.Encode("<x>b"), (Tokens{264, 261}));
  EXPECT_EQ(tokenizer.Encode("<x>a"), (Tokens{264, 260}));
  EXPECT_EQ(tokenizer.Encode("<x>a", /*parse_special=*/true), Tokens{269});
  EXPECT_EQ(tokenizer.Encode("<x"), (Tokens{0, 0}));  // there are no byte tokens
}

TEST(EncodeTest, RunsAreCutFromTheLeft) {
  const LoadedTokenizer tokenizer(SpmFileWithSpecials().Set("tokenizer.ggml.add_space_prefix", false));
  EXPECT_EQ(tokenizer.Encode("     "), (Tokens{268, 267}));
  EXPECT_EQ(tokenizer.Encode("a    b"), (Tokens{260, 268, 263}));
}

TEST(EncodeTest, PrefixSpaceComesAtTheBeginningAndAfterSpecialTokens) {
  const LoadedTokenizer tokenizer(SpmFileWithSpecials());
  EXPECT_EQ(tokenizer.Encode("a"), Tokens{262});
  EXPECT_EQ(tokenizer.Encode("<x>b"), (Tokens{264, 263}));
  EXPECT_EQ(tokenizer.Encode("<x>"), Tokens{264});
  EXPECT_EQ(tokenizer.Encode(""), Tokens());
  EXPECT_EQ(*tokenizer->Encode("a<x>a", {.at_start = false}), (Tokens{260, 264, 262}));
  EXPECT_EQ(*tokenizer->Encode("a", {.add_special = true}), (Tokens{1, 262}));
  EXPECT_EQ(tokenizer->Decode(tokenizer.Encode("a<x>b")), "a<x>b");
  EXPECT_EQ(tokenizer->Decode(tokenizer.Encode(" a")), " a");
}

TEST(EncodeTest, ControlTokensOnlyWhereAskedFor) {
  const LoadedTokenizer tokenizer(SpmFileWithSpecials().Set("tokenizer.ggml.add_space_prefix", false));
  EXPECT_EQ(tokenizer.Encode("a</s>", /*parse_special=*/true), (Tokens{260, 2}));
  for (const Token token : tokenizer.Encode("a</s><unk>")) EXPECT_NE(token, 2);
  EXPECT_EQ(tokenizer->Decode(Tokens{1, 260, 2}), "a");
  EXPECT_EQ(tokenizer->Decode(Tokens{1, 260, 2}, /*render_special=*/true), "<s>a</s>");
  EXPECT_EQ(tokenizer->Piece(2), "");
  EXPECT_EQ(tokenizer->Piece(2, /*render_special=*/true), "</s>");
  EXPECT_EQ(tokenizer->Piece(262), " a");
}

// A control token, a byte token or an unused one can't come out of merges either, whatever their scores.
TEST(EncodeTest, MergesYieldTextOnly) {
  TinyGguf file;
  file.Set("tokenizer.ggml.model", "llama");
  file.Set("tokenizer.ggml.tokens", std::vector<std::string>{"<unk>", "<", "s", ">", "s>", "<s>", "<s", "s>s", ">s"});
  file.Set("tokenizer.ggml.scores", std::vector<float>{0, 0, 0, 0, 1, 9, 9, 9, 9});
  file.Set("tokenizer.ggml.token_type", std::vector<std::int32_t>{2, 1, 1, 1, 1, 3, 6, 5, 2});
  file.Set("tokenizer.ggml.add_space_prefix", false);
  EXPECT_EQ(LoadedTokenizer(file).Encode("<s>s"), (Tokens{1, 4, 2}));

  TinyGguf bpe = BpeFile({"<s", "<s>"}, {"< s", "<s >"});
  std::vector<std::int32_t> types(258, 1);
  types[257] = 3;
  bpe.Set("tokenizer.ggml.token_type", types);
  EXPECT_EQ(LoadedTokenizer(bpe).Encode("x<"), (Tokens{'x', '<'}));
  TinyGguf whole = BpeFile({"<s", "<s>"}, {"< s", "<s >"}, "llama-bpe");
  whole.Set("tokenizer.ggml.token_type", types);
  for (const Token token : LoadedTokenizer(whole).Encode("<s>")) EXPECT_NE(token, 257);
}

TEST(EncodeTest, BytesThatAreNotUtf8SurviveByteTokens) {
  const std::string bytes = "a\x80\xE2\x96 \xF0\x9F\x98\xED\xA0\x80\0\xFF"s;
  for (const LoadedTokenizer& tokenizer : {LoadedTokenizer(SpmFile({"▁", "a"})), LoadedTokenizer(BpeFile({}, {}))}) {
    EXPECT_EQ(tokenizer->Decode(tokenizer.Encode(bytes)), bytes);
    for (int byte = 0; byte < 256; ++byte) {
      const std::string text(1, static_cast<char>(byte));
      EXPECT_EQ(tokenizer->Decode(tokenizer.Encode(text)), text) << byte;
    }
  }
}

TEST(EncodeTest, ByteTokensAreNotSpelledByTheirNames) {
  const LoadedTokenizer tokenizer(SpmFile({"▁"}));
  for (const Token token : tokenizer.Encode("<0x41>")) EXPECT_NE(tokenizer->Text(token), "<0x41>");
  EXPECT_EQ(tokenizer->Decode(tokenizer.Encode("<0x41>")), "<0x41>");
}

// As in HF tokenizers: a byte without a token is left out before merging.
TEST(EncodeTest, MissingBytesVanishAndTheirNeighboursMeet) {
  TinyGguf file;
  file.Set("tokenizer.ggml.model", "gpt2");
  file.Set("tokenizer.ggml.pre", "gpt-2");
  file.Set("tokenizer.ggml.tokens", std::vector<std::string>{"!", "!!"});
  file.Set("tokenizer.ggml.merges", std::vector<std::string>{"! !"});
  const LoadedTokenizer tokenizer(file);
  EXPECT_EQ(tokenizer.Encode("!\x04!"), Tokens{1});
  EXPECT_EQ(tokenizer.Encode("\x04"), Tokens());
}

TEST(EncodeTest, WholeWordsPrecedeMergesWhereThePreTokenizerSaysSo) {
  // Merging alone never gets to "abc".
  const std::vector<std::string> pieces = {"ab", "abc"};
  EXPECT_EQ(LoadedTokenizer(BpeFile(pieces, {"a b"}, "gpt-2")).Encode("abc"), (Tokens{256, 'c'}));
  EXPECT_EQ(LoadedTokenizer(BpeFile(pieces, {"a b"}, "llama-bpe")).Encode("abc"), Tokens{257});
}

TEST(DecodeTest, ByteLevelTextsMapBack) {
  const LoadedTokenizer tokenizer(BpeFile({"Ġa", "日", "Āx"}, {}));
  EXPECT_EQ(tokenizer->Decode(Tokens{256, 257, 258}), " a日\0x"s);
  EXPECT_EQ(tokenizer->Piece(256), " a");
}

TEST(DecodeTest, IdsOutsideTheVocabularyRenderAsNothing) {
  const LoadedTokenizer tokenizer(SpmFile({"▁", "a", "▁a"}));
  EXPECT_EQ(tokenizer->Decode(Tokens{-1, 261, 1 << 30, 260}), "aa");
  EXPECT_EQ(tokenizer->Piece(-1), "");
  EXPECT_EQ(tokenizer->Piece(262), "");
  EXPECT_EQ(tokenizer->Text(262), "");
  EXPECT_EQ(tokenizer->Text(-1), "");
  EXPECT_FALSE(tokenizer->IsEndOfGeneration(-1));
}

TEST(DecodeTest, StreamedPiecesGiveTheSameText) {
  const LoadedTokenizer tokenizer(DataPath("tokenizers/llama_f16/vocab.gguf"));
  const std::string text = "naïve 日本語 \U0001F468\u200D\U0001F469 e\u0301 done";
  Utf8Stream stream;
  std::string streamed;
  for (const Token token : tokenizer.Encode(text)) streamed += stream.Push(tokenizer->Piece(token));
  EXPECT_EQ(streamed + stream.Flush(), text);
}

TEST(TokenizerTest, FindsTextsAsStored) {
  const LoadedTokenizer tokenizer(SpmFile({"▁", "a", "▁a"}));
  EXPECT_EQ(tokenizer->Find("▁a"), 261);
  EXPECT_EQ(tokenizer->Find("<0x41>"), 3 + 0x41);
  EXPECT_EQ(tokenizer->Find("</s>"), 2);
  EXPECT_EQ(tokenizer->Find(" a"), std::nullopt);
  EXPECT_EQ(tokenizer->Find(""), std::nullopt);
  EXPECT_EQ(tokenizer->Kind(3), TokenKind::kByte);
}

TEST(TokenizerTest, ManyThreadsMayEncodeAtOnce) {
  for (const char* name : {"gemma3", "llama_f16"}) {
    const std::filesystem::path folder = DataPath(std::filesystem::path("tokenizers") / name);
    const LoadedTokenizer tokenizer(folder / "vocab.gguf");
    const std::vector<TokenizerCase> cases = ReadTokenizerCases(folder / "tokenize.jsonl");
    std::vector<int> mismatches(4, 0);
    std::vector<std::thread> threads;
    for (int& count : mismatches) {
      threads.emplace_back([&] {
        for (int round = 0; round < 50; ++round) {
          for (const TokenizerCase& c : cases) {
            const Result<Tokens> tokens = tokenizer->Encode(c.text);
            if (!tokens.ok() || *tokens != c.ids || tokenizer->Decode(*tokens).empty() != c.text.empty()) ++count;
          }
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(mismatches, std::vector<int>(4, 0)) << name;
  }
}

}  // namespace
}  // namespace slm::test
