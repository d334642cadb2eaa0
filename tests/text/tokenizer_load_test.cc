// Metadata of all sorts: defaults, contradictions, nonsense.

#include "text/tokenizer_load.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <span>

#include "file/gguf.h"
#include "support/test_data.h"
#include "support/tokenizer_test_util.h"

namespace slm::test {
namespace {

bool Mentions(std::string_view message, std::initializer_list<std::string_view> parts) {
  for (const std::string_view part : parts) {
    if (message.find(part) == std::string_view::npos) return false;
  }
  return true;
}

void ExpectCorrupt(const TinyGguf& file, std::initializer_list<std::string_view> parts) {
  const LoadedTokenizer tokenizer(file);
  EXPECT_EQ(tokenizer.status().code(), StatusCode::kCorruptFile);
  EXPECT_TRUE(Mentions(tokenizer.status().message(), parts)) << tokenizer.status().message();
}

void ExpectNotEncodable(const LoadedTokenizer& tokenizer, std::initializer_list<std::string_view> parts) {
  ASSERT_TRUE(tokenizer.status().ok()) << tokenizer.status().message();
  const Result<Tokens> tokens = tokenizer->Encode("a");
  EXPECT_EQ(tokens.status().code(), StatusCode::kUnsupported);
  EXPECT_TRUE(Mentions(tokens.status().message(), parts)) << tokens.status().message();
}

TinyGguf ThreeTokens() {
  TinyGguf file;
  file.Set("tokenizer.ggml.model", "llama");
  file.Set("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b", "ab"});
  return file;
}

TEST(TokenizerLoadTest, ArraysOfAnotherTypeOrLengthAreCorrupt) {
  ExpectCorrupt(ThreeTokens().Set("tokenizer.ggml.scores", std::vector<float>{1, 2}),
                {"tokenizer.ggml.scores", "3 entries", "has 2"});
  ExpectCorrupt(ThreeTokens().Set("tokenizer.ggml.scores", std::vector<float>{1, 2, 3, 4}),
                {"tokenizer.ggml.scores", "3 entries", "has 4"});
  ExpectCorrupt(ThreeTokens().Set("tokenizer.ggml.scores", std::vector<std::uint8_t>{1, 2, 3}),
                {"tokenizer.ggml.scores", "array of f32", "array of u8"});
  ExpectCorrupt(ThreeTokens().Set("tokenizer.ggml.scores", 1.0f), {"tokenizer.ggml.scores", "array of f32", "f32."});
  ExpectCorrupt(ThreeTokens().Set("tokenizer.ggml.token_type", std::vector<std::uint8_t>{1, 1, 1}),
                {"tokenizer.ggml.token_type", "array of i32", "array of u8"});
  ExpectCorrupt(ThreeTokens().Set("tokenizer.ggml.token_type", std::vector<std::int32_t>{1}),
                {"tokenizer.ggml.token_type", "3 entries", "has 1"});
  ExpectCorrupt(TinyGguf().Set("tokenizer.ggml.tokens", "abc"),
                {"tokenizer.ggml.tokens", "array of string", "string."});
  ExpectCorrupt(TinyGguf().Set("tokenizer.ggml.tokens", std::vector<std::int32_t>{1}),
                {"tokenizer.ggml.tokens", "array of string", "array of i32"});
}

TEST(TokenizerLoadTest, VocabularyMustFitTheEmbeddingTable) {
  const LoadedTokenizer fits(ThreeTokens(), 3);
  EXPECT_TRUE(fits.status().ok()) << fits.status().message();
  const LoadedTokenizer differs(ThreeTokens(), 4);
  EXPECT_EQ(differs.status().code(), StatusCode::kCorruptFile);
  EXPECT_TRUE(Mentions(differs.status().message(), {"tokenizer.ggml.tokens", "4 entries", "has 3"}));
}

TEST(TokenizerLoadTest, MergesMustBePairs) {
  ExpectCorrupt(BpeFile({}, {"a b", "ab"}), {"tokenizer.ggml.merges", "Entry 1"});
  ExpectCorrupt(BpeFile({}, {""}), {"tokenizer.ggml.merges", "Entry 0"});
  ExpectCorrupt(BpeFile({}, {" "}), {"tokenizer.ggml.merges", "Entry 0"});
  TinyGguf numbers;
  numbers.Set("tokenizer.ggml.model", "gpt2");
  numbers.Set("tokenizer.ggml.merges", std::vector<std::int32_t>{1, 2});
  ExpectCorrupt(numbers, {"tokenizer.ggml.merges", "array of string", "array of i32"});
}

TEST(TokenizerLoadTest, MergesOfUnknownTextsAreLeftOutWithAWarning) {
  const LoadedTokenizer tokenizer(BpeFile({"ab"}, {"a b", "ab zz", "ab c", "a ", "  "}));
  ASSERT_TRUE(tokenizer.status().ok()) << tokenizer.status().message();
  EXPECT_TRUE(Mentions(tokenizer.warnings(), {"4 of the 5 entries"})) << tokenizer.warnings();
  EXPECT_EQ(tokenizer.Encode("abc"), (Tokens{256, 'c'}));
}

TEST(TokenizerLoadTest, KeysOfAnotherTypeAreCorrupt) {
  ExpectCorrupt(ThreeTokens().Set("tokenizer.ggml.bos_token_id", "one"), {"bos_token_id", "an integer", "string"});
  ExpectCorrupt(ThreeTokens().Set("tokenizer.ggml.eot_token_id", 1.5f), {"eot_token_id", "an integer", "f32"});
  ExpectCorrupt(ThreeTokens().Set("tokenizer.ggml.add_bos_token", "yes"), {"add_bos_token", "a bool", "string"});
  ExpectCorrupt(TinyGguf().Set("tokenizer.ggml.model", 7), {"tokenizer.ggml.model", "a string", "i32"});
}

TEST(TokenizerLoadTest, IdsOutsideTheVocabularyAreIgnoredWithAWarning) {
  TinyGguf file = SpmFile({"a"});
  file.Set("tokenizer.ggml.bos_token_id", std::uint32_t{1} << 20);
  file.Set("tokenizer.ggml.eos_token_id", 0xFFFFFFFFu);
  file.Set("tokenizer.ggml.unknown_token_id", std::int32_t{-1});
  const LoadedTokenizer tokenizer(file);
  ASSERT_TRUE(tokenizer.status().ok()) << tokenizer.status().message();
  EXPECT_EQ(tokenizer->bos(), std::nullopt);
  EXPECT_EQ(tokenizer->eos(), std::nullopt);
  EXPECT_FALSE(tokenizer->adds_bos());
  EXPECT_TRUE(Mentions(tokenizer.warnings(), {"bos_token_id is 1048576", "eos_token_id is 4294967295",
                                              "unknown_token_id is -1", "260 tokens"}))
      << tokenizer.warnings();
  EXPECT_EQ(*tokenizer->Encode("", {.add_special = true}), Tokens());
}

TEST(TokenizerLoadTest, DefaultsOfSentencePieceFiles) {
  const LoadedTokenizer tokenizer(SpmFile({"▁", "a", "▁a"}));
  EXPECT_EQ(tokenizer->kind(), "llama");
  EXPECT_EQ(tokenizer->pre_tokenizer(), "");
  EXPECT_EQ(tokenizer->bos(), 1);
  EXPECT_EQ(tokenizer->eos(), 2);
  EXPECT_TRUE(tokenizer->adds_bos());
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(2));
  EXPECT_EQ(*tokenizer->Encode("a", {.add_special = true}), (Tokens{1, 261}));
}

TEST(TokenizerLoadTest, DefaultsDoNotMakeOrdinaryTokensSpecial) {
  const LoadedTokenizer without_kinds(BpeFile({}, {}));
  EXPECT_EQ(without_kinds->eos(), 11);  // nothing says that it is not
  const LoadedTokenizer with_kinds(BpeFile({}, {}).Set("tokenizer.ggml.token_type", std::vector<std::int32_t>(256, 1)));
  EXPECT_EQ(with_kinds->bos(), std::nullopt);
  EXPECT_EQ(with_kinds->eos(), std::nullopt);
  EXPECT_TRUE(with_kinds->end_of_generation().empty());
}

TEST(TokenizerLoadTest, KeysOverrideDefaults) {
  TinyGguf file = SpmFile({"▁", "a", "▁a", "<end>"});
  file.Set("tokenizer.ggml.add_bos_token", false);
  file.Set("tokenizer.ggml.add_eos_token", true);
  file.Set("tokenizer.ggml.eos_token_id", 262u);
  file.Set("tokenizer.ggml.add_space_prefix", false);
  const LoadedTokenizer tokenizer(file);
  EXPECT_EQ(*tokenizer->Encode("a", {.add_special = true}), (Tokens{260, 262}));
  EXPECT_EQ(tokenizer->Decode(Tokens{261}), " a");
  // </s> ends generation by its text, 262 by its key.
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(2));
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(262));
}

TEST(TokenizerLoadTest, AddsBosByDefaultWherePreTokenizersSaySo) {
  EXPECT_TRUE(LoadedTokenizer(BpeFile({}, {}, "llama-bpe"))->adds_bos());
  EXPECT_TRUE(LoadedTokenizer(BpeFile({}, {}, "llama3"))->adds_bos());
  EXPECT_TRUE(LoadedTokenizer(BpeFile({}, {}, "tekken"))->adds_bos());
  EXPECT_FALSE(LoadedTokenizer(BpeFile({}, {}, "qwen2"))->adds_bos());
  EXPECT_FALSE(LoadedTokenizer(BpeFile({}, {}, "gpt-4o"))->adds_bos());
  EXPECT_FALSE(LoadedTokenizer(BpeFile({}, {}, "default"))->adds_bos());
  EXPECT_FALSE(LoadedTokenizer(BpeFile({}, {}, "gpt-2"))->adds_bos());
  EXPECT_FALSE(LoadedTokenizer(BpeFile({}, {}, "smollm"))->adds_bos());
  EXPECT_FALSE(LoadedTokenizer(BpeFile({}, {}, "tekken").Set("tokenizer.ggml.add_bos_token", false))->adds_bos());
}

// B14: nothing but the name chooses the kind; this file has scores and merges both.
TEST(TokenizerLoadTest, KindIsTheOneNamed) {
  TinyGguf file = ThreeTokens();
  file.Set("tokenizer.ggml.scores", std::vector<float>{0, 0, 1});
  file.Set("tokenizer.ggml.merges", std::vector<std::string>{"b a"});
  file.Set("tokenizer.ggml.add_space_prefix", false);
  EXPECT_EQ(LoadedTokenizer(file).Encode("ab"), Tokens{2});

  TinyGguf other;
  other.Set("tokenizer.ggml.model", "bert");
  other.Set("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b"});
  other.Set("tokenizer.ggml.scores", std::vector<float>{0, 0});
  const LoadedTokenizer tokenizer(other);
  ExpectNotEncodable(tokenizer, {"\"bert\"", "llama", "gpt2", "gemma4"});
  EXPECT_EQ(tokenizer->Decode(Tokens{0, 1}), "ab");
}

TEST(TokenizerLoadTest, SaysWhichPreTokenizerIsWanted) {
  const LoadedTokenizer tokenizer(BpeFile({}, {}, "klingon\n"));
  ExpectNotEncodable(tokenizer,
                     {"\"klingon\\n\"", "default", "gpt-2", "smollm", "llama-bpe", "tekken", "qwen2", "gpt-4o"});
  EXPECT_EQ(tokenizer->pre_tokenizer(), "klingon\n");
  EXPECT_EQ(tokenizer->Decode(Tokens{'h', 'i', 32}), "hi ");
}

TEST(TokenizerLoadTest, SaysWhatElseIsMissing) {
  ExpectNotEncodable(LoadedTokenizer(TinyGguf(), 7), {"tokenizer.ggml.model"});
  ExpectNotEncodable(LoadedTokenizer(TinyGguf().Set("tokenizer.ggml.model", "none"), 7), {"\"none\""});
  ExpectNotEncodable(LoadedTokenizer(TinyGguf().Set("tokenizer.ggml.model", "llama"), 7), {"tokenizer.ggml.tokens"});
  ExpectNotEncodable(LoadedTokenizer(ThreeTokens()), {"tokenizer.ggml.scores"});
  TinyGguf no_merges;
  no_merges.Set("tokenizer.ggml.model", "gpt2");
  no_merges.Set("tokenizer.ggml.pre", "gpt-2");
  no_merges.Set("tokenizer.ggml.tokens", std::vector<std::string>{"a"});
  ExpectNotEncodable(LoadedTokenizer(no_merges), {"tokenizer.ggml.merges"});
}

TEST(TokenizerLoadTest, WithoutAPreTokenizerDefaultIsTakenWithAWarning) {
  TinyGguf file;
  file.Set("tokenizer.ggml.model", "gpt2");
  file.Set("tokenizer.ggml.tokens", std::vector<std::string>{"a", "!", "a!"});
  file.Set("tokenizer.ggml.merges", std::vector<std::string>{"a !"});
  const LoadedTokenizer tokenizer(file);
  EXPECT_EQ(tokenizer->pre_tokenizer(), "default");
  EXPECT_TRUE(Mentions(tokenizer.warnings(), {"tokenizer.ggml.pre", "\"default\""})) << tokenizer.warnings();
  EXPECT_EQ(tokenizer.Encode("a!"), (Tokens{0, 1}));
}

// Ids 0 to 5 are special, 6 to 8 newlines.
TinyGguf Gemma4File() {
  TinyGguf file;
  file.Set("general.architecture", "gemma4");
  file.Set("tokenizer.ggml.model", "gemma4");
  file.Set("tokenizer.ggml.tokens",
           std::vector<std::string>{"<bos>", "<eos>", "<|tool_call>", "<tool_call|>", "<table>", "<|turn>", "\n",
                                    "\n\n", "\n\n\n\n", "a", "b", "▁", "ab", "▁a", "<0xC3>", "<0xA9>", "é▁"});
  file.Set("tokenizer.ggml.token_type", std::vector<std::int32_t>{3, 3, 4, 4, 4, 3, 1, 1, 1, 1, 1, 1, 1, 1, 6, 6, 1});
  // Scores would merge "ab" last; the list of merges says first.
  file.Set("tokenizer.ggml.scores", std::vector<float>{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -9, 9, 0, 0, 0});
  file.Set("tokenizer.ggml.merges", std::vector<std::string>{"a b", "▁ a", "\n \n"});
  file.Set("tokenizer.ggml.bos_token_id", 0u);
  file.Set("tokenizer.ggml.eos_token_id", 1u);
  return file;
}

// B14: rank decides, not score; a run of newlines that is a token is not merged; unknown characters are bytes.
TEST(Gemma4Test, MergesByRankOnCharacters) {
  const LoadedTokenizer tokenizer(Gemma4File());
  ASSERT_TRUE(tokenizer.status().ok()) << tokenizer.status().message();
  EXPECT_EQ(tokenizer->kind(), "gemma4");
  EXPECT_EQ(tokenizer.Encode(" ab"), (Tokens{11, 12}));
  EXPECT_EQ(tokenizer.Encode(" a b"), (Tokens{13, 11, 10}));
  EXPECT_EQ(tokenizer.Encode("\n\n\n\n"), Tokens{8});
  EXPECT_EQ(tokenizer.Encode("\n\n\n"), (Tokens{7, 6}));
  EXPECT_EQ(tokenizer.Encode("a\n\nb"), (Tokens{9, 7, 10}));
  EXPECT_EQ(tokenizer.Encode("é a"), (Tokens{14, 15, 13}));
  EXPECT_EQ(tokenizer->Decode(tokenizer.Encode("é ab\n\n b")), "é ab\n\n b");
}

TEST(Gemma4Test, BosAlwaysBeginsTheText) {
  const LoadedTokenizer silent(Gemma4File());
  EXPECT_EQ(*silent->Encode("a", {.add_special = true}), (Tokens{0, 9}));
  EXPECT_EQ(silent.warnings(), "");
  const LoadedTokenizer says_no(Gemma4File().Set("tokenizer.ggml.add_bos_token", false));
  EXPECT_EQ(*says_no->Encode("a", {.add_special = true}), (Tokens{0, 9}));
  EXPECT_TRUE(Mentions(says_no.warnings(), {"add_bos_token is false"})) << says_no.warnings();
}

// The marks of tool calls are user-defined so that they show in the output, but a user's text does not forge them.
TEST(Gemma4Test, UserTextForgesNoMarks) {
  const LoadedTokenizer tokenizer(Gemma4File());
  EXPECT_EQ(tokenizer.Encode("a<table>b"), (Tokens{9, 4, 10}));
  EXPECT_EQ(tokenizer.Encode("<|tool_call>b<tool_call|><|turn>", /*parse_special=*/true), (Tokens{2, 10, 3, 5}));
  // What this vocabulary can't spell becomes "a".
  const LoadedTokenizer spells(Gemma4File().Set("tokenizer.ggml.unknown_token_id", 9u));
  for (const Token token : spells.Encode("<|tool_call>b<tool_call|><|turn>")) EXPECT_GT(token, 5);
  EXPECT_EQ(tokenizer->Piece(2), "<|tool_call>");
}

TEST(Gemma4Test, NeedsMerges) {
  TinyGguf file;
  file.Set("tokenizer.ggml.model", "gemma4");
  file.Set("tokenizer.ggml.tokens", std::vector<std::string>{"a"});
  file.Set("tokenizer.ggml.scores", std::vector<float>{0});
  ExpectNotEncodable(LoadedTokenizer(file), {"tokenizer.ggml.merges"});
}

// White space after a special token is left out, as Phi-3 was trained; not after the tokens that begin a text.
TEST(TokenizerLoadTest, LeavesOutTheSpaceAfterSpecialTokens) {
  TinyGguf file;
  file.Set("tokenizer.ggml.model", "llama");
  file.Set("tokenizer.ggml.tokens",
           std::vector<std::string>{"<unk>", "<s>", "<|user|>", "<|end|>", "▁", "\n", "a", "▁a"});
  file.Set("tokenizer.ggml.scores", std::vector<float>{0, 0, 0, 0, -1, -2, -3, -4});
  file.Set("tokenizer.ggml.token_type", std::vector<std::int32_t>{2, 3, 3, 3, 1, 1, 1, 1});
  file.Set("tokenizer.ggml.add_space_prefix", false);
  const char* text = "<s> a<|user|>\n a\n<|end|>\n";
  const LoadedTokenizer strips(file, 0, {.strips_after_special = true});
  EXPECT_EQ(strips.Encode(text, /*parse_special=*/true), (Tokens{1, 7, 2, 6, 5, 3}));
  EXPECT_EQ(strips.Encode(" \n a"), (Tokens{4, 5, 7}));
  EXPECT_EQ(LoadedTokenizer(file).Encode(text, /*parse_special=*/true), (Tokens{1, 7, 2, 5, 7, 5, 3, 5}));
}

TEST(TokenizerLoadTest, FilesWithoutTokensHaveAsManyAsRows) {
  const LoadedTokenizer tokenizer(TinyGguf().Set("tokenizer.ggml.model", "none"), 7);
  EXPECT_EQ(tokenizer->vocab_size(), 7);
  EXPECT_EQ(tokenizer->Text(3), "");
  EXPECT_EQ(tokenizer->Find(""), std::nullopt);
  EXPECT_EQ(tokenizer->Find("a"), std::nullopt);
  EXPECT_EQ(tokenizer->Decode(Tokens{0, 6, 7, -1}), "");
  const LoadedTokenizer empty((TinyGguf()));
  EXPECT_EQ(empty->vocab_size(), 0);
}

// Without byte tokens and an unknown token, what the vocabulary can't spell would vanish.
TEST(TokenizerLoadTest, TextIsNotLost) {
  for (const char* model : {"llama", "gpt2", "gemma4"}) {
    const auto with_unknown = [&](std::uint32_t unknown) {
      TinyGguf file;
      file.Set("tokenizer.ggml.model", model).Set("tokenizer.ggml.add_space_prefix", false);
      file.Set("tokenizer.ggml.tokens", std::vector<std::string>{"a", "", "<unk>", "<end>"});
      file.Set("tokenizer.ggml.scores", std::vector<float>{0, 1, 2, 3});
      file.Set("tokenizer.ggml.merges", std::vector<std::string>());
      file.Set("tokenizer.ggml.token_type", std::vector<std::int32_t>{1, 1, 2, 3});
      file.Set("tokenizer.ggml.unknown_token_id", unknown);
      return file;
    };
    const LoadedTokenizer loses(with_unknown(99));
    EXPECT_EQ(loses.Encode("aa"), (Tokens{0, 0}));
    const TextPart parts[] = {{.text = "<end>abc<end>", .markup = true}, {.text = "a"}};
    for (const Status& status : {loses->Encode("a\u00e9b").status(), loses->EncodeParts(parts).status()}) {
      EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << model;
      EXPECT_TRUE(Mentions(status.message(), {"of its bytes have no token"})) << status.message();
    }
    EXPECT_TRUE(Mentions(loses->Encode("a\u00e9b").status().message(), {" 3 of its bytes"})) << model;

    // BPE models were not trained on an unknown token, even where the file names one.
    const LoadedTokenizer replaces(with_unknown(2));
    if (std::string_view(model) == "gpt2") {
      EXPECT_EQ(replaces->Encode("aba").status().code(), StatusCode::kInvalidArgument);
    } else {
      EXPECT_EQ(replaces.Encode("aba"), (Tokens{0, 2, 0})) << model;
    }
  }
}

TEST(TokenizerLoadTest, MalformedByteTokensFallBackToUnknown) {
  TinyGguf file;
  file.Set("tokenizer.ggml.model", "llama");
  file.Set("tokenizer.ggml.tokens",
           std::vector<std::string>{"<unk>", "<0xZZ>", "<0x-1>", "<0x>", "\xFF\xFE", "<0x62>"});
  file.Set("tokenizer.ggml.scores", std::vector<float>(6, 0.0f));
  file.Set("tokenizer.ggml.token_type", std::vector<std::int32_t>{2, 6, 6, 6, 6, 6});
  file.Set("tokenizer.ggml.add_space_prefix", false);
  const LoadedTokenizer tokenizer(file);
  ASSERT_TRUE(tokenizer.status().ok()) << tokenizer.status().message();
  EXPECT_EQ(tokenizer.Encode("ab\xFF"), (Tokens{0, 5, 0}));
  EXPECT_EQ(tokenizer->Decode(Tokens{1, 5, 4, 0}), "<0xZZ>b\xFF\xFE");
}

TEST(TokenizerLoadTest, RepeatedTextsMeanTheFirst) {
  const LoadedTokenizer tokenizer(SpmFile({"▁", "x", "x", "x"}).Set("tokenizer.ggml.add_space_prefix", false));
  EXPECT_TRUE(Mentions(tokenizer.warnings(), {"2 tokens", "repeat"})) << tokenizer.warnings();
  EXPECT_EQ(tokenizer->Find("x"), 260);
  EXPECT_EQ(tokenizer.Encode("x"), Tokens{260});
  EXPECT_EQ(tokenizer->Decode(Tokens{262}), "x");
}

TEST(TokenizerLoadTest, UnknownTokenTypesCountAsNormal) {
  TinyGguf file = ThreeTokens();
  file.Set("tokenizer.ggml.scores", std::vector<float>{0, 0, 1});
  file.Set("tokenizer.ggml.token_type", std::vector<std::int32_t>{0, 99, -5});
  file.Set("tokenizer.ggml.add_space_prefix", false);
  const LoadedTokenizer tokenizer(file);
  EXPECT_TRUE(Mentions(tokenizer.warnings(), {"3 values outside 1 to 6"})) << tokenizer.warnings();
  EXPECT_EQ(tokenizer->Kind(1), TokenKind::kNormal);
  EXPECT_EQ(tokenizer.Encode("ab").back(), 2);
}

TEST(TokenizerLoadTest, WarnsOfFilesKnownToEncodeBadly) {
  TinyGguf equal = ThreeTokens();
  equal.Set("tokenizer.ggml.scores", std::vector<float>(3, -1000.0f));
  EXPECT_TRUE(Mentions(LoadedTokenizer(equal).warnings(), {"tokenizer.ggml.scores are equal"}));

  TinyGguf gemma = ThreeTokens();
  gemma.Set("tokenizer.ggml.scores", std::vector<float>{1, 2, 3});
  const TokenizerQuirks quirks = {.expects_no_space_prefix = true};
  EXPECT_TRUE(Mentions(LoadedTokenizer(gemma, 0, quirks).warnings(), {"add_space_prefix"}));
  EXPECT_EQ(LoadedTokenizer(gemma.Set("tokenizer.ggml.add_space_prefix", false), 0, quirks).warnings(), "");
  EXPECT_EQ(LoadedTokenizer(SpmFile({"a"})).warnings(), "");
}

TEST(TokenizerLoadTest, EndOfGenerationByTextNeedsAControlToken) {
  TinyGguf file;
  file.Set("tokenizer.ggml.model", "gpt2");
  file.Set("tokenizer.ggml.tokens",
           std::vector<std::string>{"<|im_end|>", "</s>", "<|endoftext|>", "<|end|>", "<eos>", "x"});
  file.Set("tokenizer.ggml.token_type", std::vector<std::int32_t>{3, 4, 3, 3, 1, 1});
  file.Set("tokenizer.ggml.eom_token_id", 5u);
  const auto ends = [](const LoadedTokenizer& t) {
    return Tokens(t->end_of_generation().begin(), t->end_of_generation().end());
  };
  EXPECT_EQ(ends(LoadedTokenizer(file)), (Tokens{0, 2, 3, 5}));

  TinyGguf gpt_oss;
  gpt_oss.Set("tokenizer.ggml.model", "gpt2");
  gpt_oss.Set("tokenizer.ggml.tokens", std::vector<std::string>{"<|end|>", "<|return|>", "<|call|>"});
  gpt_oss.Set("tokenizer.ggml.token_type", std::vector<std::int32_t>{3, 3, 3});
  EXPECT_EQ(ends(LoadedTokenizer(gpt_oss)), (Tokens{1, 2}));

  TinyGguf gemma4;
  gemma4.Set("tokenizer.ggml.model", "gemma4");
  gemma4.Set("tokenizer.ggml.tokens", std::vector<std::string>{"</s>", "<|tool_response>", "<turn|>"});
  gemma4.Set("tokenizer.ggml.token_type", std::vector<std::int32_t>{3, 4, 3});
  EXPECT_EQ(ends(LoadedTokenizer(gemma4)), Tokens{2});
}

TinyGguf WithTurns(std::int32_t type) {
  std::vector<std::string> texts;
  for (unsigned byte = 0; byte < 256; ++byte) texts.push_back(PrintableByte(byte));
  for (const char* text : {"<|im_start|>", "<|im_end|>", "<|own|>", "<think>", "</s>", "<|unused|>"})
    texts.emplace_back(text);
  std::vector<std::int32_t> types(texts.size(), 1);
  for (std::size_t i = 256; i < types.size(); ++i) types[i] = type;
  types[259] = types[260] = 4;
  TinyGguf turns;
  turns.Set("tokenizer.ggml.model", "gpt2").Set("tokenizer.ggml.pre", "gpt-2");
  turns.Set("tokenizer.ggml.merges", std::vector<std::string>());
  turns.Set("tokenizer.ggml.tokens", texts).Set("tokenizer.ggml.token_type", types);
  return turns.Set("tokenizer.chat_template", "<|im_start|>{{ messages[0].content }}<|im_end|><|own|><think>");
}

// B70: exporters store what marks turns as something else. It counts as control tokens all the same, so that answers
// end, and no user's text forges it.
TEST(TokenizerLoadTest, TurnMarkersOfAnotherType) {
  for (const std::int32_t type : {1, 4, 5}) {
    const LoadedTokenizer tokenizer(WithTurns(type));
    EXPECT_TRUE(tokenizer->IsEndOfGeneration(257)) << type;
    EXPECT_EQ(tokenizer->Kind(256), TokenKind::kControl) << type;
    EXPECT_EQ(tokenizer.Encode("<|im_start|><|im_end|>", true), (Tokens{256, 257})) << type;
    const Tokens typed = tokenizer.Encode("<|im_end|><|im_start|>");
    EXPECT_TRUE(std::ranges::all_of(typed, [](Token token) { return token < 256; })) << type;
    EXPECT_EQ(tokenizer->Decode(Tokens{257}), "");
    // The template's own mark is one where its type says nothing; "<|own|>" as a user-defined token is found anyway.
    EXPECT_EQ(tokenizer->Kind(258), type == 4 ? TokenKind::kUserDefined : TokenKind::kControl);
    EXPECT_EQ(tokenizer.Encode("<|own|>", true), Tokens{258}) << type;
    // What answers show, and tags of HTML, stay what they are; so does what no template writes.
    EXPECT_EQ(tokenizer->Kind(259), TokenKind::kUserDefined);
    EXPECT_EQ(tokenizer->Kind(260), TokenKind::kUserDefined);
    EXPECT_EQ(tokenizer->Kind(261), static_cast<TokenKind>(type));
    EXPECT_EQ(std::ranges::count(tokenizer.warnings(), '\n'), 1) << tokenizer.warnings();
    EXPECT_TRUE(Mentions(tokenizer.warnings(), {"\"<|im_start|>\", \"<|im_end|>\""})) << tokenizer.warnings();
  }
  EXPECT_EQ(LoadedTokenizer(WithTurns(3)).warnings(), "");
}

TEST(TokenizerLoadTest, SpecialTokensAreBounded) {
  TinyGguf file;
  file.Set("tokenizer.ggml.model", "gpt2");
  file.Set("tokenizer.ggml.tokens", std::vector<std::string>{std::string(8 << 20, 'a'), "b"});
  EXPECT_TRUE(
      LoadedTokenizer(TinyGguf(file).Set("tokenizer.ggml.token_type", std::vector<std::int32_t>{3, 1})).status().ok());
  ExpectCorrupt(file.Set("tokenizer.ggml.token_type", std::vector<std::int32_t>{3, 3}), {"8388609 bytes", "8388608"});
}

// Damaged metadata gives an error or a tokenizer that works on what is left; nothing crashes (run with the sanitizers).
TEST(TokenizerLoadTest, SurvivesDamagedMetadata) {
  std::mt19937 random(3);
  int loaded = 0;
  for (const char* name : {"gemma3", "gemma4_dense", "llama_f16", "nemo"}) {
    const std::string intact = ReadFile(DataPath(std::filesystem::path("tokenizers") / name / "vocab.gguf"));
    for (int round = 0; round < 400; ++round) {
      std::string bytes = intact;
      for (int i = round % 4; i >= 0; --i) bytes[random() % bytes.size()] = static_cast<char>(random());
      const Result<GgufFile> file = GgufFile::Parse(std::as_bytes(std::span(bytes)), "damaged");
      if (!file.ok()) continue;
      const Result<Tokenizer> tokenizer = LoadTokenizer(*file, {}, 448, {});
      if (!tokenizer.ok()) {
        EXPECT_FALSE(tokenizer.status().message().empty());
        continue;
      }
      ++loaded;
      const Result<Tokens> tokens =
          tokenizer->Encode("Hello <bos>  world\n\xFF 日本 12", {.parse_special = round % 2 == 0});
      if (!tokens.ok()) continue;
      for (const Token token : *tokens) EXPECT_TRUE(token >= 0 && token < tokenizer->vocab_size());
      EXPECT_LE(tokenizer->Decode(*tokens, true).size(), bytes.size());
    }
  }
  EXPECT_GT(loaded, 50);
}

}  // namespace
}  // namespace slm::test
