// Ids against those of SentencePiece, tiktoken and HF tokenizers on the same vocabularies.

#include <gtest/gtest.h>

#include <algorithm>

#include "support/test_data.h"
#include "support/tokenizer_test_util.h"

namespace slm::test {
namespace {

namespace fs = std::filesystem;

// What of a text can survive: U+2581 is a space to a SentencePiece-style tokenizer, and a byte-level vocabulary may
// lack bytes that do not occur in UTF-8 or hardly ever.
std::string Survivor(const LoadedTokenizer& tokenizer, std::string text) {
  if (tokenizer->kind() != "gpt2") {
    const std::string space = "\u2581";
    for (std::size_t i = text.find(space); i != std::string::npos; i = text.find(space, i)) {
      text.replace(i, space.size(), 1, ' ');
    }
    return text;
  }
  std::erase_if(text, [&](char byte) { return tokenizer.Encode(std::string(1, byte)).empty(); });
  return text;
}

void CheckCases(const LoadedTokenizer& tokenizer, const fs::path& path) {
  const std::vector<TokenizerCase> cases = ReadTokenizerCases(path);
  EXPECT_GE(cases.size(), 20u) << path;
  for (const TokenizerCase& c : cases) {
    const Tokens tokens = tokenizer.Encode(c.text, c.parse_special);
    EXPECT_EQ(tokens, c.ids) << path << " " << c.text;
    EXPECT_EQ(tokenizer->Decode(tokens, /*render_special=*/true), Survivor(tokenizer, c.text)) << path;
  }
}

class SmallVocabularyTest : public testing::TestWithParam<const char*> {};

TEST_P(SmallVocabularyTest, GivesTheReferenceIds) {
  const fs::path folder = DataPath(fs::path("tokenizers") / GetParam());
  const LoadedTokenizer tokenizer(folder / "vocab.gguf");
  ASSERT_TRUE(tokenizer.status().ok()) << tokenizer.status().message();
  CheckCases(tokenizer, folder / "tokenize.jsonl");
}

INSTANTIATE_TEST_SUITE_P(All, SmallVocabularyTest,
                         testing::Values("gemma3", "gemma4_dense", "gemma4_trained", "llama_spm", "llama_f16", "llama3",
                                         "qwen2", "nemo"),
                         [](const auto& param_info) { return std::string(param_info.param); });

struct SharedVocabulary {
  const char* name;        // of the folder
  const char* real_model;  // whose vocabulary it is; nullptr: the folder has a vocab.gguf
};

class SharedVocabularyTest : public testing::TestWithParam<SharedVocabulary> {};

TEST_P(SharedVocabularyTest, GivesTheReferenceIds) {
  const std::optional<fs::path> folder = SharedFixture(fs::path("tokenizers") / GetParam().name);
  if (!folder) GTEST_SKIP() << "The shared fixtures are not beside this checkout.";
  const std::optional<fs::path> model =
      GetParam().real_model != nullptr ? RealModel(GetParam().real_model) : std::optional(*folder / "vocab.gguf");
  if (!model) GTEST_SKIP() << "The model " << GetParam().real_model << " is not here; tools/fetch-model fetches it.";
  const LoadedTokenizer tokenizer(*model);
  ASSERT_TRUE(tokenizer.status().ok()) << tokenizer.status().message();
  for (const char* file : {"hand.jsonl", "random.jsonl", "special.jsonl"}) CheckCases(tokenizer, *folder / file);
}

INSTANTIATE_TEST_SUITE_P(
    All, SharedVocabularyTest,
    testing::Values(SharedVocabulary{"gemma3", "gemma-3-270m"}, SharedVocabulary{"smollm2", "smollm2-135m"},
                    SharedVocabulary{"llama3", nullptr}, SharedVocabulary{"llama_spm", nullptr},
                    SharedVocabulary{"mistral_v1", nullptr}, SharedVocabulary{"mistral_v2", nullptr},
                    SharedVocabulary{"mistral_v3", nullptr}, SharedVocabulary{"tekken_240718", nullptr},
                    SharedVocabulary{"tekken_240911", nullptr}),
    [](const auto& param_info) { return std::string(param_info.param.name); });

// With Granite's vocabulary digits stand alone, and nothing begins a text.
TEST(GraniteTokenizerTest, GivesTheReferenceIds) {
  const fs::path folder = DataPath("models/granite");
  const LoadedTokenizer tokenizer(folder / "model.gguf");
  EXPECT_FALSE(tokenizer->adds_bos());
  CheckCases(tokenizer, folder / "tokenize.jsonl");
}

TEST(SharedModelTest, EveryModelGivesTheReferenceIds) {
  const std::optional<fs::path> folder = SharedFixture(".");
  if (!folder) GTEST_SKIP() << "The shared fixtures are not beside this checkout.";
  int models = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(*folder)) {
    if (!fs::exists(entry.path() / "tokenize.jsonl")) continue;
    const LoadedTokenizer tokenizer(entry.path() / "model.gguf");
    ASSERT_TRUE(tokenizer.status().ok()) << entry.path() << " " << tokenizer.status().message();
    CheckCases(tokenizer, entry.path() / "tokenize.jsonl");
    ++models;
  }
  EXPECT_GE(models, 27);
}

}  // namespace
}  // namespace slm::test
