// What a session's file says of its conversation, whoever wrote it: every number is checked before it is used.

#include "chat/chat_note.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

namespace slm {
namespace {

using nlohmann::ordered_json;

constexpr std::int32_t kVocabulary = 100;

// A note with one member replaced by the JSON text `value`.
std::string NoteWith(const std::string& key, const std::string& value) {
  ordered_json note = ordered_json::parse(
      R"({"version": 2, "messages": [{"role": "user", "content": "Hi"}], "chat_template": "", "tools": "",
          "variables": "", "now": 1700000000, "answer_count": 3, "forgotten": 1, "answers": [{"text": "a", "tokens": [7, 99]}]})");
  note[key] = "PLACE";
  std::string text = note.dump();
  return text.replace(text.find("\"PLACE\""), 7, value);
}

Status Read(const std::string& key, const std::string& value) {
  return ReadChatNote(NoteWith(key, value), kVocabulary).status();
}

TEST(ChatNoteTest, WhatIsWrittenIsRead) {
  using Clock = std::chrono::system_clock;
  for (const auto now : {Clock::time_point(std::chrono::seconds(0)), Clock::time_point(std::chrono::seconds(-12345)),
                         Clock::time_point(std::chrono::seconds(9'000'000'000))}) {
    ChatNote note;
    note.messages = {{.role = Role::kUser, .content = "Hi"}};
    note.now = now;
    note.answer_count = std::numeric_limits<std::int64_t>::max();
    const Result<std::string> text = WriteChatNote(note);
    ASSERT_TRUE(text.ok()) << text.status().message();
    const Result<ChatNote> read = ReadChatNote(*text, kVocabulary);
    ASSERT_TRUE(read.ok()) << read.status().message();
    EXPECT_EQ(read->now, now);
    EXPECT_EQ(read->answer_count, note.answer_count);
    EXPECT_EQ(read->messages, note.messages);
  }
}

TEST(ChatNoteTest, NumbersOutOfRangeAreCorrupt) {
  ASSERT_TRUE(Read("now", "1700000001").ok());
  ASSERT_TRUE(Read("answer_count", "0").ok());
  struct Case {
    const char* key;
    const char* value;
  };
  const Case cases[] = {
      {"version", "1e300"},
      {"version", "1.0"},
      {"version", "4294967298"},  // 2 in 32 bits
      {"version", "-1"},
      {"version", "3"},
      {"now", "9223372036854775807"},
      {"now", "-9223372036854775808"},
      {"now", "18446744073709551615"},
      {"now", "9223372037"},  // nanoseconds end before
      {"now", "-9223372037"},
      {"now", "1e300"},
      {"now", "1.5"},
      {"now", "\"1\""},
      {"answer_count", "-1"},
      {"answer_count", "-1.5"},
      {"answer_count", "1e30"},
      {"answer_count", "9223372036854775808"},
      {"answer_count", "null"},
      {"forgotten", "2"},  // of one message
      {"forgotten", "-1"},
      {"forgotten", "0.5"},
      {"answers", R"([{"text": "a", "tokens": [1e300]}])"},
      {"answers", R"([{"text": "a", "tokens": [1.5]}])"},
      {"answers", R"([{"text": "a", "tokens": [100]}])"},
      {"answers", R"([{"text": "a", "tokens": [-1]}])"},
      {"answers", R"([{"text": "a", "tokens": [4294967299]}])"},  // 3 in 32 bits
      {"answers", R"([{"text": "a", "tokens": 7}])"},
      {"answers", R"([{"text": "a", "tokens": {"a": 7}}])"},
      {"answers", R"([{"text": 1, "tokens": [7]}])"},
      {"answers", R"([7])"},
      {"answers", R"({"text": "a", "tokens": [7]})"},
      {"answers", "null"},
      {"messages", "1e400"},
      {"messages", R"([{"role": "nobody", "content": "Hi"}])"},
      {"tools", "1"},
  };
  for (const auto& [key, value] : cases) {
    const Status status = Read(key, value);
    EXPECT_EQ(status.code(), StatusCode::kCorruptFile) << key << " " << value << ": " << status.message();
    EXPECT_NE(status.message().find("session file"), std::string::npos) << status.message();
  }
}

TEST(ChatNoteTest, WhatIsNoNoteIsCorrupt) {
  for (const char* const text : {"", "{", "[]", "1", "{}", "null", "\xff"}) {
    EXPECT_EQ(ReadChatNote(text, kVocabulary).status().code(), StatusCode::kCorruptFile) << text;
  }
}

}  // namespace
}  // namespace slm
