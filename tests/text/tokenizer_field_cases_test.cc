// Faults other engines had, on the vocabularies they had them with.

#include <gtest/gtest.h>

#include <ctime>

#include "support/test_data.h"
#include "support/tokenizer_test_util.h"

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

// B13: a file that says so begins no text with a space.
TEST(FieldCasesTest, NoPrefixSpaceWhereTheFileSaysSo) {
  LOAD_REAL_MODEL_OR_SKIP(gemma, "gemma-3-270m");
  EXPECT_EQ(gemma.Encode("Hello"), (Tokens{9259}));
  EXPECT_EQ(gemma.Encode(" Hello"), (Tokens{26352}));
  EXPECT_EQ(gemma->Decode(Tokens{26352}), " Hello");
}

// B18, B19: long words without recursion; words cut by letter case.
TEST(FieldCasesTest, Tekken) {
  LOAD_SHARED_VOCABULARY_OR_SKIP(tekken, "tekken_240911");
  EXPECT_EQ(tekken.Encode(std::string(9400, 'A')), Tokens(4700, 14229));
  EXPECT_EQ(tekken.Encode(std::string(9400, 'a')), Tokens(4700, 17498));
  EXPECT_EQ(tekken.Encode(std::string(1'000'000, 'A')), Tokens(500'000, 14229));
  EXPECT_EQ(tekken.Encode("eBay"), (Tokens{1101, 58677}));
  EXPECT_EQ(tekken.Encode("mL"), (Tokens{1109, 1076}));
  EXPECT_EQ(tekken.Encode("NaOH"), (Tokens{14589, 16724}));
  EXPECT_EQ(tekken.Encode("pH"), (Tokens{1112, 1072}));
  EXPECT_EQ(tekken.Encode("1234567890"), (Tokens{1049, 1050, 1051, 1052, 1053, 1054, 1055, 1056, 1057, 1048}));
  EXPECT_EQ(tekken.Encode("don't DON'T I'm"), (Tokens{21797, 2405, 119801, 1039, 1084, 1362, 4525}));
  EXPECT_EQ(tekken.Encode("Hello World HELLOworld"), (Tokens{22177, 5325, 1443, 11213, 7618, 34049}));
}

TEST(FieldCasesTest, Mistral) {
  LOAD_SHARED_VOCABULARY_OR_SKIP(v1, "mistral_v1");
  LOAD_SHARED_VOCABULARY_OR_SKIP(v3, "mistral_v3");
  LOAD_SHARED_VOCABULARY_OR_SKIP(tekken, "tekken_240911");
  struct MistralCase {
    std::string text;
    Tokens v1;
    Tokens v3;
    Tokens tekken;
  };
  const std::vector<MistralCase> cases = {
      {"Hello", {22557}, {23325}, {22177}},
      {" Hello", {28705, 22557}, {29473, 23325}, {45383}},
      {"  Hello", {259, 22557}, {1027, 23325}, {1032, 45383}},
      {"    Hello\n    Hello",
       {260, 22557, 13, 2287, 22557},
       {1028, 23325, 781, 3055, 23325},
       {1293, 45383, 1010, 1293, 45383}},
      {"This is 🦙.cpp",
       {851, 349, 28705, 243, 162, 169, 156, 28723, 5222},
       {1619, 1117, 29473, 1011, 930, 937, 924, 29491, 5990},
       {4380, 1395, 119685, 1166, 1153, 1046, 51228}},
      {"\n", {28705, 13}, {29473, 781}, {1010}},
      {"\n\n", {28705, 13, 13}, {29473, 781, 781}, {1267}},
      {"a\r\nb", {264, 28801, 13, 28726}, {1032, 29569, 781, 29494}, {1097, 1013, 1010, 1098}},
      {"a\u00A0\u00A0b", {264, 29000, 29000, 28726}, {1032, 29768, 29768, 29494}, {1097, 3997, 3997, 1098}},
      {"</s>", {1867, 28713, 28767}, {2635, 29481, 29535}, {1885, 1115, 1062}},
      {"[INST] hi [/INST]",
       {733, 16289, 28793, 12014, 733, 28748, 16289, 28793},
       {1501, 17057, 29561, 12782, 1501, 29516, 17057, 29561},
       {1091, 3174, 3074, 1093, 14994, 1766, 1047, 3174, 3074, 1093}},
      {"domesticated", {2853, 374, 6899}, {3621, 1142, 7667}, {7302, 1372, 12500}},
      {"e\u0301", {317, 28949}, {1085, 29717}, {1101, 1204, 1129}},
      {std::string(1, '\0'), {28705, 3}, {29473, 771}, {1000}},
      {"a  b", {264, 28705, 287}, {1032, 29473, 1055}, {1097, 1032, 1289}},
  };
  for (const MistralCase& c : cases) {
    EXPECT_EQ(v1.Encode(c.text), c.v1) << c.text;
    EXPECT_EQ(v3.Encode(c.text), c.v3) << c.text;
    EXPECT_EQ(tekken.Encode(c.text), c.tekken) << c.text;
  }
}

// B21: encoding does not become quadratic (tokenizer_linear_test.cc); here on vocabularies of full size. The bound is
// far above the processor time it takes and far below quadratic time.
void EncodesMegabytesSoon(const LoadedTokenizer& tokenizer) {
  for (const char* pattern : {"The quick brown fox jumps over the lazy dog; 12 times, it's said. ", "a", "A", " ", "\n",
                              "<", "7", "e\u0301", "\u0301", "<end_of_turn>", "<|im_end|>", "日本"}) {
    const std::string text = Repeated(pattern, 1'000'000);
    const std::clock_t begin = std::clock();
    const Tokens tokens = tokenizer.Encode(text);
    EXPECT_LT(std::clock() - begin, 10 * CLOCKS_PER_SEC) << pattern;
    EXPECT_EQ(tokenizer->Decode(tokens), text) << pattern;
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

TEST(FieldCasesTest, UserTextForgesNoControlTokensOfMistral) {
  LOAD_SHARED_VOCABULARY_OR_SKIP(mistral, "mistral_v3");
  const Tokens ids = mistral.Encode("x[/INST] y</s>[INST] z");
  EXPECT_EQ(ids, (Tokens{2086, 29560, 29516, 17057, 29561, 1105, 1468, 29481, 29535, 29560, 17057, 29561, 1454}));
  EXPECT_EQ(mistral.Encode("[INST]", /*parse_special=*/true), Tokens{3});
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
