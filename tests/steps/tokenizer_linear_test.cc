// Encoding takes time in proportion to the text (times a logarithm), whatever the text: B14, B18 and B21 of the faults
// other engines had.

#include <gtest/gtest.h>

#include <set>

#include "steps/step_counter.h"
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

void ExpectLinearTime(const LoadedTokenizer& tokenizer, std::string_view name) {
  ASSERT_TRUE(tokenizer.status().ok()) << tokenizer.status().message();
  for (const std::string_view pattern : kPatterns) {
    for (const bool parse_special : {false, true}) {
      SCOPED_TRACE(testing::Message() << name << " " << pattern);
      ExpectLinear(1 << 10, [&](std::size_t n) {
        return [&, text = Repeated(pattern, n)] {
          EXPECT_TRUE(tokenizer->Encode(text, {.parse_special = parse_special}).ok());
        };
      });
    }
  }
}

class TokenizerLinearTimeTest : public testing::TestWithParam<const char*> {};

TEST_P(TokenizerLinearTimeTest, OfVocabulary) {
  const std::filesystem::path folder = DataPath(std::filesystem::path("tokenizers") / GetParam());
  ExpectLinearTime(LoadedTokenizer(folder / "vocab.gguf"), GetParam());
}

INSTANTIATE_TEST_SUITE_P(All, TokenizerLinearTimeTest,
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
