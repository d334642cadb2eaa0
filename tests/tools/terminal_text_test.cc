#include "terminal_text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "json_text.h"

namespace slm::tools {
namespace {

// A byte that a terminal may obey: C0 but for the line break and the tab, DEL, and what begins C1 in UTF-8.
bool HasControls(const std::string& text, bool lines) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == 0x7F || (byte < 0x20 && !(lines && (byte == '\n' || byte == '\t')))) return true;
    if (byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0) return true;
  }
  return false;
}

// Every byte once, every C1 control, and some words.
std::string Everything() {
  std::string all = "é日😀";
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  for (int code = 0x80; code < 0xA0; ++code) all += std::string("\xC2") + static_cast<char>(code);
  return all;
}

TEST(TerminalTextTest, NothingIsLeftToObey) {
  EXPECT_FALSE(HasControls(Escaped(Everything()), false));
  EXPECT_FALSE(HasControls(WithoutControls(Everything()), true));
  EXPECT_FALSE(HasControls(DumpJson(Everything()), false));
  EXPECT_EQ(ParseJson(DumpJson(Everything()), "it")->text,
            Json::parse(Json(Everything()).dump(-1, ' ', false, Json::error_handler_t::replace)).get<std::string>());
}

TEST(TerminalTextTest, BytesThatAreNoTextSteerNothing) {
  EXPECT_EQ(WithoutControls("a\x9b"
                            "31mb"),
            "a\uFFFD31mb")
      << "CSI in 8 bits";
  EXPECT_EQ(Escaped("a\x9b"
                    "31mb"),
            "a\uFFFD31mb");
}

TEST(TerminalTextTest, NamesDoNotTurnTheLine) {
  EXPECT_EQ(Escaped("a\u202egpj.exe\u2028\u2066\u200f"), "a\\u202egpj.exe\\u2028\\u2066\\u200f");
  EXPECT_EQ(Escaped("\u2010\u2030\u2065\u206a\u05d0"), "\u2010\u2030\u2065\u206a\u05d0");
  EXPECT_EQ(WithoutControls("\u202e\u05d0"), "\u202e\u05d0") << "texts may have it";
}

TEST(TerminalTextTest, Escapes) {
  EXPECT_EQ(Escaped("blk.0.\x1b]8;;https://a\x07\x1b[31m"), R"(blk.0.\x1b]8;;https://a\x07\x1b[31m)");
  EXPECT_EQ(Escaped("a\nb\tc\rd\x7f"), R"(a\nb\tc\rd\x7f)");
  EXPECT_EQ(Escaped("\xC2\x9B"
                    "31m"),
            R"(\x9b31m)");
  EXPECT_EQ(Escaped("C:\\names \"日本\""), "C:\\names \"日本\"");
  EXPECT_EQ(Escaped("caf\xE9"), "caf\uFFFD");
  EXPECT_EQ(Escaped(""), "");
}

TEST(TerminalTextTest, KeepsLines) {
  EXPECT_EQ(WithoutControls("one\n\ttwo\x1b[2J\r\xC2\x85 é"), "one\n\ttwo?[2J?? é");
}

TEST(JsonTextTest, SaysWhatItCanNotRead) {
  for (const char* const text :
       {"", "[", "{\"a\" 1}", "\"\xff\"", "\"\\ud800\"", "nul", "[1] 2", "1e400", "[-1e999]", "{\"a\": [1, 1e4000]}"}) {
    const Result<JsonValue> json = ParseJson(text, "the text");
    EXPECT_EQ(json.status().code(), StatusCode::kInvalidArgument) << text;
    EXPECT_EQ(json.status().message().rfind("the text ", 0), 0u) << json.status().message();
  }
  EXPECT_NE(ParseJson("[1e400]", "it").status().message().find("out of range"), std::string::npos);
}

TEST(JsonTextTest, ReadsWhatLiesOnTop) {
  const JsonValue deep = ParseJson(std::string(100000, '[') + std::string(100000, ']'), "it").value();
  EXPECT_EQ(deep.depth, 100000u);
  EXPECT_EQ(deep.items.size(), 1u);
  const JsonValue json = ParseJson(R"({"b": 1, "a": 1e300, "c": [{"b": "x"}], "\u0064": "y", "e": -2})", "it").value();
  std::string all = TypeName(json.type);
  for (const JsonItem& item : json.items) all += " " + item.name + ":" + TypeName(item.type) + ":" + item.text;
  EXPECT_EQ(all, "object b:number:1 a:number:1e300 c:array: d:string:y e:number:-2");
  EXPECT_EQ(ParseJson(R"("te\u0020xt")", "it")->text, "te xt");
}

}  // namespace
}  // namespace slm::tools
