#include "base/utf8.h"

#include <gtest/gtest.h>

#include <string>

#include "slm/tokenizer.h"

namespace slm {
namespace {

using namespace std::string_literals;

std::string Replaced(std::string_view bytes) {
  Utf8Stream stream;
  std::string out = stream.Push(bytes);
  return out + stream.Flush();
}

TEST(Utf8Test, RoundTripsEveryCodePoint) {
  for (char32_t code_point = 0; code_point <= 0x10FFFF; ++code_point) {
    if (code_point == 0xD800) code_point = 0xE000;  // surrogates have no UTF-8
    std::string text;
    AppendUtf8(code_point, text);
    const Utf8Char c = DecodeUtf8(text, 0);
    ASSERT_EQ(c.status, Utf8Status::kValid) << static_cast<std::uint32_t>(code_point);
    ASSERT_TRUE(c.code_point == code_point) << static_cast<std::uint32_t>(code_point);
    ASSERT_EQ(c.size, text.size());
  }
}

TEST(Utf8Test, ReplacesEachMaximalIllFormedPartOnce) {
  // The examples of the Unicode standard, chapter 3, tables 3-8 to 3-11.
  const std::string bad = "\uFFFD";
  EXPECT_EQ(Replaced("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), bad + bad + bad + bad + bad + bad + bad + bad + "A");
  EXPECT_EQ(Replaced("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"), bad + bad + bad + bad + bad + bad + bad + bad + "A");
  EXPECT_EQ(Replaced("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"), bad + bad + bad + bad + bad + "A" + bad + bad + "B");
  EXPECT_EQ(Replaced("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), bad + bad + bad + bad + "A");
}

TEST(Utf8StreamTest, HoldsBackAtMostAnIncompleteCharacter) {
  const std::string emoji = "\U0001F600";
  Utf8Stream stream;
  EXPECT_EQ(stream.Push("a"), "a");
  EXPECT_EQ(stream.Push(emoji.substr(0, 1)), "");
  EXPECT_EQ(stream.Push(emoji.substr(1, 2)), "");
  EXPECT_EQ(stream.Push(emoji.substr(3) + "b"), emoji + "b");
  EXPECT_EQ(stream.Push(""), "");
  EXPECT_EQ(stream.Flush(), "");
}

TEST(Utf8StreamTest, FlushReplacesWhatIsIncompleteAndStartsOver) {
  Utf8Stream stream;
  EXPECT_EQ(stream.Push("\xF0\x9F\x98"), "");
  EXPECT_EQ(stream.Flush(), "\uFFFD");
  EXPECT_EQ(stream.Push("\x80"), "\uFFFD");
  EXPECT_EQ(stream.Flush(), "");
}

TEST(Utf8StreamTest, ResultDoesNotDependOnHowTheBytesArrive) {
  const std::string text = "e\u0301 \U0001F468\u200D\U0001F469 \0 \x80\xE2\x96 \xF0\x9F x\xED\xA0\x80\xE6\x97"s;
  const std::string whole = Replaced(text);
  for (std::size_t size = 1; size < text.size(); ++size) {
    Utf8Stream stream;
    std::string out;
    for (std::size_t begin = 0; begin < text.size(); begin += size) out += stream.Push(text.substr(begin, size));
    EXPECT_EQ(out + stream.Flush(), whole) << size;
  }
}

}  // namespace
}  // namespace slm
