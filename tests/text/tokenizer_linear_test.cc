// Encoding takes time in proportion to the text (times a logarithm), whatever the text: B14, B18 and B21 of the faults
// other engines had.

#include <gtest/gtest.h>

#include <ctime>
#include <set>

#include "support/test_data.h"
#include "support/tokenizer_test_util.h"
#include "text/pre_tokenizer.h"

namespace slm::test {
namespace {

// Each makes some rule of some tokenizer look as far ahead as it can.
// clang-format off
constexpr std::string_view kPatterns[] = {
    "a", "A", "Aa", ".A", "e\u0301", "\u0301", "\u65e5", "\u02b0", "\U0001F600",
    "1", " 1", "\u0663", "1\u0663",
    " ", " \n", "a ", "a\n", "\n", "\r\n", "\n ", "\u00a0", "the ", "▁", "a▁",
    ".", "/", "'", "'s", "<", " $", "\xFF", "\xE6",
    "<bos>", "<|im_end|>", "<unuse", "<|turn", "<start_of_turn>", "</s>", "<|tool_call>",
};
// clang-format on

double ProcessorSeconds(const Tokenizer& tokenizer, const std::string& text, bool parse_special) {
  const std::clock_t begin = std::clock();
  EXPECT_TRUE(tokenizer.Encode(text, {.parse_special = parse_special}).ok());
  return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}

// Sixteen times the text may take forty times as long, which leaves room for the logarithm, caches and noise. It would
// take 256 times as long if the time were quadratic.
void ExpectLinearTime(const LoadedTokenizer& tokenizer, std::string_view name) {
  ASSERT_TRUE(tokenizer.status().ok()) << tokenizer.status().message();
  for (const std::string_view pattern : kPatterns) {
    for (const bool parse_special : {false, true}) {
      const double few = ProcessorSeconds(*tokenizer, Repeated(pattern, 1 << 13), parse_special);
      const double many = ProcessorSeconds(*tokenizer, Repeated(pattern, 1 << 17), parse_special);
      EXPECT_LE(many, 40 * few + 0.02) << name << " " << pattern;
    }
  }
}

class LinearTimeTest : public testing::TestWithParam<const char*> {};

TEST_P(LinearTimeTest, OfVocabulary) {
  const std::filesystem::path folder = DataPath(std::filesystem::path("tokenizers") / GetParam());
  ExpectLinearTime(LoadedTokenizer(folder / "vocab.gguf"), GetParam());
}

INSTANTIATE_TEST_SUITE_P(All, LinearTimeTest,
                         testing::Values("gemma3", "gemma4_trained", "llama_spm", "llama_f16", "llama3", "qwen2",
                                         "nemo"),
                         [](const auto& param_info) { return std::string(param_info.param); });

// Without merges, so that nothing hides what cutting into words costs.
TEST(LinearTimeTest, OfEveryPreTokenizer) {
  std::set<std::size_t (*)(std::string_view)> seen;
  for (const PreTokenizer& pre_tokenizer : AllPreTokenizers()) {
    if (!seen.insert(pre_tokenizer.next_word).second) continue;
    ExpectLinearTime(LoadedTokenizer(BpeFile({}, {}, pre_tokenizer.name)), pre_tokenizer.name);
  }
}

}  // namespace
}  // namespace slm::test
