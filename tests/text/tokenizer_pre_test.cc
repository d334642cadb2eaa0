// Pre-tokenizers against the regular expressions that define them (tests/data/tokenizers/make_words.py).

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/unicode.h"
#include "support/json.h"
#include "support/test_data.h"
#include "text/pre_tokenizer.h"

namespace slm::test {
namespace {

std::vector<std::string> Words(const PreTokenizer& pre_tokenizer, std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::size_t size = pre_tokenizer.next_word(text);
    EXPECT_GE(size, 1u);
    EXPECT_LE(size, text.size());
    if (size < 1 || size > text.size()) break;
    words.emplace_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return words;
}

TEST(PreTokenizerTest, CutsWhereTheRegularExpressionsDo) {
  std::istringstream lines(ReadFile(DataPath("tokenizers/words.jsonl")));
  std::map<std::string, int> checked;
  for (std::string line; std::getline(lines, line);) {
    const nlohmann::json object = ParseJson(line);
    const std::string name = object.at("pre");
    const std::vector<std::string> words = object.at("words");
    std::string text;
    for (const std::string& word : words) text += word;
    const PreTokenizer* pre_tokenizer = FindPreTokenizer(name);
    ASSERT_NE(pre_tokenizer, nullptr) << name;
    EXPECT_EQ(Words(*pre_tokenizer, text), words) << line;
    ++checked[name];
  }
  EXPECT_EQ(checked.size(), 7u);
}

TEST(PreTokenizerTest, CoversAnyBytes) {
  std::string bytes;
  for (int i = 0; i < 4096; ++i) bytes.push_back(static_cast<char>(i * 2654435761u >> 24));
  for (const PreTokenizer& pre_tokenizer : AllPreTokenizers()) {
    std::string joined;
    for (const std::string& word : Words(pre_tokenizer, bytes)) joined += word;
    EXPECT_EQ(joined, bytes) << pre_tokenizer.name;
  }
}

// The names under which files of one family know the same pre-tokenizer.
TEST(PreTokenizerTest, AliasesCutAlike) {
  const std::vector<std::vector<const char*>> families = {
      {"gpt-2", "phi-2", "mellum"},
      {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"},
      {"llama-bpe", "llama3", "llama-v3", "pixtral", "falcon3", "falcon-h1", "lfm2", "midm-2.0", "dbrx", "smaug-bpe"},
      {"qwen2", "deepseek-r1-qwen", "megrez"},
      {"gpt-4o", "llama4"},
      {"tekken"},
      {"default"},
  };
  std::size_t names = 0;
  for (const std::vector<const char*>& family : families) {
    for (const char* name : family) {
      ASSERT_NE(FindPreTokenizer(name), nullptr) << name;
      EXPECT_EQ(FindPreTokenizer(name)->next_word, FindPreTokenizer(family[0])->next_word) << name;
    }
    names += family.size();
  }
  EXPECT_EQ(names, AllPreTokenizers().size());
}

TEST(PreTokenizerTest, DefaultCutsDigitsByThreesAndSymbolsApart) {
  const PreTokenizer& pre_tokenizer = *FindPreTokenizer("default");
  using WordList = std::vector<std::string>;
  EXPECT_EQ(Words(pre_tokenizer, "it's 12345"), (WordList{"it", "'", "s", " ", "123", "45"}));
  EXPECT_EQ(Words(pre_tokenizer, "a  !b  c"), (WordList{"a", "  ", "!", "b", " ", " c"}));
  EXPECT_EQ(Words(pre_tokenizer, "1\u0663234"), (WordList{"1\u0663", "234"}));
  EXPECT_EQ(Words(pre_tokenizer, " \u20ac$5"), (WordList{" \u20ac", "$", "5"}));
}

TEST(PreTokenizerTest, NamesAreUniqueAndFound) {
  for (const PreTokenizer& pre_tokenizer : AllPreTokenizers()) {
    EXPECT_EQ(FindPreTokenizer(pre_tokenizer.name), &pre_tokenizer);
  }
  EXPECT_EQ(FindPreTokenizer("no-such"), nullptr);
  EXPECT_EQ(FindPreTokenizer(""), nullptr);
}

TEST(UnicodeTest, ClassesAreThoseOfTheStandard) {
  EXPECT_EQ(ClassOf('A'), kUpperCase);
  EXPECT_EQ(ClassOf(0x01C5), kUpperCase);  // title case
  EXPECT_EQ(ClassOf('z'), kLowerCase);
  EXPECT_EQ(ClassOf(0x02B0), kOtherLetter);
  EXPECT_EQ(ClassOf(0x65E5), kOtherLetter);
  EXPECT_EQ(ClassOf(0x0301), kMark);
  EXPECT_EQ(ClassOf('7'), kNumber);
  EXPECT_EQ(ClassOf(0x00BD), kNumber);
  EXPECT_EQ(ClassOf('_'), kPunctuation);
  EXPECT_EQ(ClassOf('$'), kOther);
  EXPECT_EQ(ClassOf(0x1C), kOther);  // white space to some, but not White_Space
  EXPECT_EQ(ClassOf(0x0378), kOther);
  EXPECT_EQ(ClassOf(0xFFFD), kOther);
  EXPECT_EQ(ClassOf(0x10FFFF), kOther);
  EXPECT_EQ(ClassOf(0x105C0), kOtherLetter);  // since Unicode 16
  for (const char32_t space : {0x09, 0x0D, 0x20, 0x85, 0xA0, 0x1680, 0x2000, 0x200A, 0x2028, 0x202F, 0x205F, 0x3000}) {
    EXPECT_EQ(ClassOf(space), kSpace) << static_cast<unsigned>(space);
  }
  for (const char32_t other : {0x180E, 0x200B, 0x2060, 0xFEFF}) EXPECT_EQ(ClassOf(other), kOther);
}

}  // namespace
}  // namespace slm::test
