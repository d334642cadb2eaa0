#include "file/escape.h"

#include <gtest/gtest.h>

#include <string>

namespace slm {
namespace {

using std::string_literals::operator""s;

TEST(EscapeTest, PrintableTextIsKept) {
  EXPECT_EQ(Escaped("", 10), "");
  EXPECT_EQ(Escaped("blk.0.attn_q.weight", 80), "blk.0.attn_q.weight");
  EXPECT_EQ(Escaped("né 中 😀", 80), "né 中 😀");
}

TEST(EscapeTest, ControlCharactersAreSpelledOut) {
  EXPECT_EQ(Escaped("a\nb\tc\r", 80), "a\\nb\\tc\\r");
  EXPECT_EQ(Escaped("\x1b[31m\x7f\0"s, 80), "\\x1b[31m\\x7f\\x00");
  // U+009B, which some terminals take for ESC [.
  EXPECT_EQ(Escaped("\xc2\x9b", 80), "\\xc2\\x9b");
}

TEST(EscapeTest, BytesThatAreNotUtf8AreSpelledOut) {
  EXPECT_EQ(Escaped("\xff", 80), "\\xff");                             // no lead byte
  EXPECT_EQ(Escaped("\x80", 80), "\\x80");                             // continuation alone
  EXPECT_EQ(Escaped("\xe4\xb8", 80), "\\xe4\\xb8");                    // cut short
  EXPECT_EQ(Escaped("\xc3(", 80), "\\xc3(");                           // no continuation
  EXPECT_EQ(Escaped("\xc0\x8a", 80), "\\xc0\\x8a");                    // overlong line feed
  EXPECT_EQ(Escaped("\xed\xa0\x80", 80), "\\xed\\xa0\\x80");           // surrogate
  EXPECT_EQ(Escaped("\xf4\x90\x80\x80", 80), "\\xf4\\x90\\x80\\x80");  // beyond U+10FFFF
}

TEST(EscapeTest, LongTextIsCutBetweenCharacters) {
  EXPECT_EQ(Escaped("0123456789", 10), "0123456789");
  EXPECT_EQ(Escaped("0123456789a", 10), "0123456789 ...");
  EXPECT_EQ(Escaped("中中中", 4), "中中 ...");
  EXPECT_LT(Escaped(std::string(1 << 20, '\n'), 100).size(), 110u);
}

TEST(EscapeTest, NamesAreQuotedAndShortened) {
  EXPECT_EQ(Quoted("general.name"), "\"general.name\"");
  EXPECT_LT(Quoted(std::string(65535, 'k')).size(), 100u);
}

}  // namespace
}  // namespace slm
