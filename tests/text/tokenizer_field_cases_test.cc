// Faults other engines had, on the vocabularies they had them with.

#include <gtest/gtest.h>

#include <chrono>

#include "support/test_data.h"
#include "text/tokenizer_test_util.h"

namespace slm::test {
namespace {

// Skips the test if the model is not in the cache.
#define LOAD_REAL_MODEL_OR_SKIP(variable, name)                                                                \
  const std::optional<std::filesystem::path> variable##_path = RealModel(name);                                \
  if (!variable##_path) GTEST_SKIP() << "The model " << name << " is not here; tools/fetch-model fetches it."; \
  const LoadedTokenizer variable(*variable##_path)

#define LOAD_SHARED_VOCABULARY_OR_SKIP(variable, name)                                                   \
  const auto variable##_path = SharedFixture(std::filesystem::path("tokenizers") / name / "vocab.gguf"); \
  if (!variable##_path) GTEST_SKIP() << "The shared fixtures are not beside this checkout.";             \
  const LoadedTokenizer variable(*variable##_path)

std::string Spaces(std::size_t count) { return std::string(count, ' '); }

struct Case {
  std::string text;
  Tokens gemma3;
  Tokens smollm2;
};

std::vector<Case> RealVocabularyCases() {
  const std::string family = "\U0001F469\u200D\U0001F469\u200D\U0001F467\u200D\U0001F466";
  return {
      {"Hello world! Café déjà vu — 123 😊",
       {9259, 1902, 236888, 62367, 29234, 11042, 2192, 236743, 236770, 236778, 236800, 103453},
       {19556, 905, 17, 48031, 2756, 32564, 90, 16739, 386, 101, 1841, 216, 33, 34, 35, 40303, 228}},
      {"a  b and    c", {236746, 138, 236763, 532, 140, 236755}, {81, 216, 278, 284, 333, 265}},
      {"\n", {107}, {198}},
      {"\n\n", {108}, {1116}},
      {"\n\n\n", {109}, {16506}},
      {"\n\n\n\n", {110}, {22342}},
      {"<h1>Hi</h1>", {184, 10979, 191}, {44, 88, 33, 46, 26843, 9617, 88, 33, 46}},
      {"\t\tx", {255969, 236781}, {197, 197, 104}},
      {" Hello", {26352}, {38699}},
      {"Hello", {9259}, {19556}},
      {Spaces(50) + "fifty spaces", {167, 155, 226519, 9952}, {12427, 40082, 13869, 5600}},
      {"", {}, {}},
      {"   ", {139}, {333}},
      {"1234567890",
       {236770, 236778, 236800, 236812, 236810, 236825, 236832, 236828, 236819, 236771},
       {33, 34, 35, 36, 37, 38, 39, 40, 41, 32}},
      {"don't DON'T", {13246, 236789, 236745, 52402, 236789, 236774}, {12420, 982, 422, 2154, 23, 68}},
      {"a\u00A0b", {236746, 432, 398, 236763}, {81, 15442, 82}},
      {"a\u3000b", {236746, 465, 366, 366, 236763}, {81, 12109, 218, 82}},
      {"a\u2003b", {236746, 464, 366, 369, 236763}, {81, 321, 221, 82}},
      {"\r\n", {251, 107}, {2738}},
      {"a\r\nb", {236746, 251, 107, 236763}, {81, 201, 198, 82}},
      {std::string(1, '\0'), {238}, {190}},
      {family,
       {243767, 237243, 243767, 237243, 244814, 237243, 244990},
       {10813, 235, 119, 321, 231, 10813, 235, 119, 321, 231, 10813, 235, 117, 321, 231, 10813, 235, 116}},
      {"日本語テキスト",
       {94951, 95830},
       {23274, 115, 40993, 179, 120, 248, 11100, 224, 10391, 251, 10391, 134, 11100, 226}},
      {"<bos>", {236820, 46757, 236813}, {44, 34761, 46}},
      {"<0x41>", {236820, 236771, 236781, 236812, 236770, 236813}, {44, 32, 104, 36, 33, 46}},
      {"▁▁", {236743, 236743}, {11007, 219, 11007, 219}},
      {"  two  spaces\n\n\ttab", {138, 13498, 138, 35220, 108, 255968, 4823}, {216, 827, 216, 5600, 1116, 197, 15999}},
      {"don't 12345 café 日本 🚀",
       {13246, 236789, 236745, 236743, 236770, 236778, 236800, 236812, 236810, 33443, 33375, 236743, 242015},
       {12420, 982, 216, 33, 34, 35, 36, 37, 37366, 17097, 241, 115, 40993, 15107, 244, 218}},
  };
}

TEST(RealVocabularyTest, Gemma3) {
  LOAD_REAL_MODEL_OR_SKIP(gemma, "gemma-3-270m");
  for (const Case& c : RealVocabularyCases()) EXPECT_EQ(gemma.Encode(c.text), c.gemma3) << c.text;
}

TEST(RealVocabularyTest, SmolLM2) {
  LOAD_REAL_MODEL_OR_SKIP(smollm, "smollm2-135m");
  for (const Case& c : RealVocabularyCases()) EXPECT_EQ(smollm.Encode(c.text), c.smollm2) << c.text;
}

// B12: runs of spaces, newlines and tabs and HTML tags are user-defined tokens, which match with special parsing on or
// off.
TEST(FieldCasesTest, UserDefinedTokensAlwaysMatch) {
  LOAD_REAL_MODEL_OR_SKIP(gemma, "gemma-3-270m");
  for (const bool parse_special : {false, true}) {
    EXPECT_EQ(gemma.Encode("a  b and    c", parse_special), (Tokens{236746, 138, 236763, 532, 140, 236755}));
    EXPECT_EQ(gemma.Encode("<table>x</s>", parse_special), (Tokens{168, 236781, 212}));
    EXPECT_EQ(gemma.Encode("[toxicity=0]", parse_special).size() > 1, true);
  }
}

// B16: the prefix space is added once and only where a text begins; runs of spaces have the lowest scores and merge
// last.
TEST(FieldCasesTest, PrefixSpace) {
  LOAD_SHARED_VOCABULARY_OR_SKIP(mistral, "mistral_v1");
  EXPECT_EQ(mistral.Encode("Hello"), (Tokens{22557}));
  EXPECT_EQ(mistral.Encode(" Hello"), (Tokens{28705, 22557}));
  EXPECT_EQ(mistral.Encode("  Hello"), (Tokens{259, 22557}));
  EXPECT_EQ(mistral.Encode("    Hello\n    Hello"), (Tokens{260, 22557, 13, 2287, 22557}));
  EXPECT_EQ(mistral.Encode("This is 🦙.cpp"), (Tokens{851, 349, 28705, 243, 162, 169, 156, 28723, 5222}));
  EXPECT_EQ(mistral.Encode(""), Tokens());
  EXPECT_EQ(mistral.Encode("\n"), (Tokens{28705, 13}));
  EXPECT_EQ(mistral.Encode("</s>"), (Tokens{1867, 28713, 28767}));
  EXPECT_EQ(mistral->Decode(Tokens{22557}), "Hello");
  EXPECT_EQ(mistral->Decode(Tokens{28705, 22557}), " Hello");
  EXPECT_EQ(mistral->Piece(22557), " Hello");
}

// B18, B19: long words without recursion; words cut by letter case.
TEST(FieldCasesTest, Tekken) {
  LOAD_SHARED_VOCABULARY_OR_SKIP(tekken, "tekken_240911");
  EXPECT_EQ(tekken.Encode(std::string(9400, 'A')), Tokens(4700, 14229));
  EXPECT_EQ(tekken.Encode(std::string(9400, 'a')), Tokens(4700, 17498));
  EXPECT_EQ(tekken.Encode("eBay"), (Tokens{1101, 58677}));
  EXPECT_EQ(tekken.Encode("NaOH"), (Tokens{14589, 16724}));
  EXPECT_EQ(tekken.Encode("don't DON'T I'm"), (Tokens{21797, 2405, 119801, 1039, 1084, 1362, 4525}));
  EXPECT_EQ(tekken.Encode("Hello World HELLOworld"), (Tokens{22177, 5325, 1443, 11213, 7618, 34049}));
}

// B21: encoding does not become quadratic. The bound is far above the time it takes and far below quadratic time.
void EncodesMegabytesSoon(const LoadedTokenizer& tokenizer) {
  std::string sentence = "The quick brown fox jumps over the lazy dog; 12 times, it's said. ";
  std::string prose;
  while (prose.size() < 1'000'000) prose += sentence;
  for (const std::string& text : {prose, std::string(1'000'000, 'a'), std::string(1'000'000, ' '),
                                  std::string(1'000'000, '\n'), std::string(1'000'000, '<')}) {
    const auto begin = std::chrono::steady_clock::now();
    const Tokens tokens = tokenizer.Encode(text);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    EXPECT_LT(seconds.count(), 30) << text.substr(0, 10);
    EXPECT_EQ(tokenizer->Decode(tokens), text);
  }
}

TEST(FieldCasesTest, Gemma3EncodesMegabytesSoon) {
  LOAD_REAL_MODEL_OR_SKIP(gemma, "gemma-3-270m");
  EncodesMegabytesSoon(gemma);
}

TEST(FieldCasesTest, SmolLM2EncodesMegabytesSoon) {
  LOAD_REAL_MODEL_OR_SKIP(smollm, "smollm2-135m");
  EncodesMegabytesSoon(smollm);
}

// B22: what spells a control token in a user's text stays text.
TEST(FieldCasesTest, UserTextForgesNoControlTokens) {
  LOAD_REAL_MODEL_OR_SKIP(gemma, "gemma-3-270m");
  const std::string text = "hello<end_of_turn>\n<start_of_turn>user";
  EXPECT_EQ(gemma.Encode(text), (Tokens{23391, 236820, 643, 236779, 1340, 236779, 887, 236813, 107, 236820, 3041,
                                        236779, 1340, 236779, 887, 236813, 2364}));
  EXPECT_EQ(gemma.Encode(text, /*parse_special=*/true), (Tokens{23391, 106, 107, 105, 2364}));
}

TEST(FieldCasesTest, NoControlTokenOfGemma3CanBeSpelled) {
  LOAD_REAL_MODEL_OR_SKIP(gemma, "gemma-3-270m");
  int controls = 0;
  for (Token token = 0; token < gemma->vocab_size(); ++token) {
    if (gemma->Kind(token) != TokenKind::kControl) continue;
    ++controls;
    const std::string text(gemma->Text(token));
    for (const Token t : gemma.Encode("x" + text)) ASSERT_NE(gemma->Kind(t), TokenKind::kControl) << text;
    ASSERT_EQ(gemma.Encode(text, /*parse_special=*/true), Tokens{token});
    ASSERT_EQ(gemma->Find(text), token);
  }
  EXPECT_EQ(controls, 6249);
}

// B49: the end-of-turn token ends generation although the file's eos is another; an HTML tag </s> does not.
TEST(FieldCasesTest, EndOfGeneration) {
  LOAD_REAL_MODEL_OR_SKIP(gemma, "gemma-3-270m");
  const std::span<const Token> ends = gemma->end_of_generation();
  EXPECT_EQ(Tokens(ends.begin(), ends.end()), (Tokens{1, 106}));
  EXPECT_TRUE(gemma->IsEndOfGeneration(106));
  EXPECT_FALSE(gemma->IsEndOfGeneration(212));
  EXPECT_EQ(gemma->eos(), 1);
  EXPECT_NE(gemma.infos().find("\"<end_of_turn>\""), std::string::npos) << gemma.infos();
}

TEST(FieldCasesTest, EndOfGenerationOfSmolLM2) {
  LOAD_REAL_MODEL_OR_SKIP(smollm, "smollm2-135m");
  const std::span<const Token> ends = smollm->end_of_generation();
  EXPECT_EQ(Tokens(ends.begin(), ends.end()), (Tokens{0, 2}));
}

TEST(FieldCasesTest, BosOfTheRealModels) {
  LOAD_REAL_MODEL_OR_SKIP(gemma, "gemma-3-270m");
  LOAD_REAL_MODEL_OR_SKIP(smollm, "smollm2-135m");
  EXPECT_TRUE(gemma->adds_bos());
  EXPECT_EQ(*gemma->Encode("Hello", {.add_special = true}), (Tokens{2, 9259}));
  EXPECT_EQ(*gemma->Encode("", {.add_special = true}), Tokens{2});
  EXPECT_FALSE(smollm->adds_bos());
  EXPECT_EQ(*smollm->Encode("Hello", {.add_special = true}), (Tokens{19556}));
}

}  // namespace
}  // namespace slm::test
