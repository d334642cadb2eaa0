// Cutting long texts: nothing is lost, nothing is cut within a character, and every part fits.

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "slm/model.h"
#include "support/test_data.h"
#include "text_split.h"

namespace slm::tools {

namespace {

Result<std::int64_t> Bytes(std::string_view text) { return static_cast<std::int64_t>(text.size()); }

std::vector<std::string> Split(std::string_view text, std::int64_t limit, double overlap = 0) {
  const Result<std::vector<TextRange>> parts = SplitText(text, Bytes, {.limit = limit, .overlap = overlap});
  EXPECT_TRUE(parts.ok()) << parts.status().message();
  std::vector<std::string> texts;
  if (!parts.ok()) return texts;
  for (const TextRange& part : *parts) texts.emplace_back(text.substr(part.begin, part.end - part.begin));
  return texts;
}

// The parts cover the text in order, begin and end between characters, fit the limit, and each brings something new.
void ExpectWholeText(std::string_view text, const TextMeasure& measure, const SplitOptions& options) {
  const Result<std::vector<TextRange>> parts = SplitText(text, measure, options);
  ASSERT_TRUE(parts.ok()) << parts.status().message();
  ASSERT_FALSE(parts->empty());
  EXPECT_EQ(parts->front().begin, 0u);
  EXPECT_EQ(parts->back().end, text.size());
  std::size_t covered = 0;
  std::size_t last_begin = 0;
  for (const TextRange& part : *parts) {
    ASSERT_LT(part.begin, part.end);
    ASSERT_LE(part.begin, covered) << "a gap";
    ASSERT_GT(part.end, covered) << "nothing new";
    ASSERT_GE(part.begin, last_begin);
    for (const std::size_t at : {part.begin, part.end}) {
      ASSERT_TRUE(at == text.size() || (static_cast<unsigned char>(text[at]) & 0xC0) != 0x80) << "within a character";
    }
    const Result<std::int64_t> size = measure(text.substr(part.begin, part.end - part.begin));
    ASSERT_TRUE(size.ok());
    ASSERT_LE(*size, options.limit);
    covered = part.end;
    last_begin = part.begin;
  }
}

// Pieces of text that are hard to cut, at random.
std::string RandomText(std::mt19937& random, std::size_t size) {
  static const std::vector<std::string> kPieces = {"word",
                                                   "a",
                                                   " ",
                                                   "  ",
                                                   "\n",
                                                   "\n\n",
                                                   "\r\n",
                                                   ". ",
                                                   "! ",
                                                   "?\" ",
                                                   "\u3002",
                                                   "\u6F22\u5B57",
                                                   "\u00E9",
                                                   "\U0001F600",
                                                   "\U0001F468\u200D\U0001F469\u200D\U0001F467",
                                                   "x\u0301",
                                                   "veryverylongwordwithoutanyspace",
                                                   "\t",
                                                   "\uFFFD"};
  std::uniform_int_distribution<std::size_t> pick(0, kPieces.size() - 1);
  // Some texts have few kinds of pieces, for example no spaces at all.
  const std::size_t first = pick(random);
  const std::size_t kinds = 1 + pick(random);
  std::string text;
  while (text.size() < size) text += kPieces[(first + pick(random) % kinds) % kPieces.size()];
  return text;
}

TEST(SplitTextTest, CutsBetweenParagraphsThenSentencesThenWords) {
  EXPECT_EQ(Split("One two three.\n\nFour five six.\n\nSeven.", 20),
            (std::vector<std::string>{"One two three.\n\n", "Four five six.\n\n", "Seven."}));
  EXPECT_EQ(Split("One two. Three four. Five six seven.", 22),
            (std::vector<std::string>{"One two. Three four. ", "Five six seven."}));
  EXPECT_EQ(Split("one two three four", 10), (std::vector<std::string>{"one two ", "three four"}));
  EXPECT_EQ(Split("abcdefgh", 3), (std::vector<std::string>{"abc", "def", "gh"}));
  EXPECT_EQ(Split("\u6F22\u5B57\u3002\u6F22\u5B57", 10),
            (std::vector<std::string>{"\u6F22\u5B57\u3002", "\u6F22\u5B57"}));
}

TEST(SplitTextTest, AShortTextIsOnePart) {
  EXPECT_EQ(Split("short", 5), std::vector<std::string>{"short"});
  EXPECT_EQ(Split("s", 1), std::vector<std::string>{"s"});
}

TEST(SplitTextTest, PartsOverlapByAboutTheShareAskedFor) {
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "Sentence number " + std::to_string(i) + " of the text. ";
  const Result<std::vector<TextRange>> parts = SplitText(text, Bytes, {.limit = 8000, .overlap = 0.1});
  ASSERT_TRUE(parts.ok());
  ASSERT_GT(parts->size(), 5u);
  for (std::size_t i = 1; i < parts->size(); ++i) {
    const std::size_t overlap = (*parts)[i - 1].end - (*parts)[i].begin;
    EXPECT_GT(overlap, 300u);
    EXPECT_LE(overlap, 800u);
    EXPECT_EQ(text.substr((*parts)[i].begin, 8), "Sentence");
  }
}

TEST(SplitTextTest, PartsAreAboutEquallyLong) {
  std::string text;
  for (int i = 0; i < 210; ++i) text += "0123456 8.";
  const std::vector<std::string> parts = Split(text, 1000);
  ASSERT_EQ(parts.size(), 3u);
  for (const std::string& part : parts) EXPECT_GT(part.size(), 500u) << "2100 bytes in parts of at most 1000";
}

TEST(SplitTextTest, RandomTextsAreWhole) {
  std::mt19937 random(7);
  for (int run = 0; run < 400; ++run) {
    const std::string text = RandomText(random, 1 + random() % 3000);
    const std::int64_t limit = 4 + static_cast<std::int64_t>(random() % 500);
    const double overlap = static_cast<double>(random() % 5) / 10;
    SCOPED_TRACE("run " + std::to_string(run) + ", limit " + std::to_string(limit));
    ExpectWholeText(text, Bytes, {.limit = limit, .overlap = overlap});
  }
}

// Counts of tokens are not additive: the measure that matters.
TEST(SplitTextTest, RandomTextsFitInTokens) {
  const Result<Model> model = Model::Open(test::DataPath("models/llama_f16/model.gguf"));
  ASSERT_TRUE(model.ok()) << model.status().message();
  const auto tokens = [&](std::string_view text) -> Result<std::int64_t> {
    const Result<std::vector<Token>> encoded = model->tokenizer().Encode(text);
    if (!encoded.ok()) return encoded.status();
    return std::ssize(*encoded);
  };
  std::mt19937 random(8);
  for (int run = 0; run < 60; ++run) {
    const std::string text = RandomText(random, 1 + random() % 2000);
    const std::int64_t limit = 20 + static_cast<std::int64_t>(random() % 300);
    SCOPED_TRACE("run " + std::to_string(run) + ", limit " + std::to_string(limit));
    ExpectWholeText(text, tokens, {.limit = limit});
  }
}

TEST(SplitTextTest, FailsWhereNotEvenACharacterFits) {
  const Result<std::vector<TextRange>> parts = SplitText("ab\U0001F600", Bytes, {.limit = 3});
  EXPECT_EQ(parts.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(parts.status().message().find("byte 2"), std::string::npos) << parts.status().message();
  EXPECT_FALSE(SplitText("a", Bytes, {.limit = 0}).ok());
}

TEST(SplitTextTest, FailsAsTheMeasureDoes) {
  const TextMeasure broken = [](std::string_view) -> Result<std::int64_t> {
    return Status(StatusCode::kUnsupported, "no tokenizer");
  };
  EXPECT_EQ(SplitText("text", broken, {.limit = 10}).status().message(), "no tokenizer");
}

}  // namespace

}  // namespace slm::tools
