#include "chat/chat_note.h"

#include <cstdint>
#include <limits>
#include <utility>

#include "base/format.h"
#include "base/status_macros.h"
#include "chat/json_value.h"
#include "chat/message_json.h"

namespace slm {

namespace {

// Of the note; the session's file has a version of its own.
constexpr int kVersion = 2;
constexpr std::string_view kWhat = "the conversation in the session file";

Status Corrupt(std::string_view why) { return {StatusCode::kCorruptFile, Cat(kWhat, " can't be read: ", why, ".")}; }

Json AnswersJson(const AnswerMemory& memory) {
  Json json = Json::array();
  for (const auto& [text, tokens] : memory.answers()) json.push_back({{"text", text}, {"tokens", tokens}});
  return json;
}

// A whole number from `least` to `most`. JSON has others, and the JSON library casts them as they come.
template <typename T>
Result<T> ReadNumber(const Json& json, std::string_view name, T least, T most) {
  const auto read = [&](auto number) -> Result<T> {
    if (std::cmp_less(number, least) || std::cmp_greater(number, most)) {
      return Corrupt(Cat(name, " is ", number, ", expected ", least, least == most ? "" : Cat(" to ", most)));
    }
    return static_cast<T>(number);
  };
  if (json.is_number_unsigned()) return read(json.get<std::uint64_t>());
  if (json.is_number_integer()) return read(json.get<std::int64_t>());
  return Corrupt(Cat(name, " is no whole number"));
}

Status ReadAnswers(const Json& json, std::int32_t vocab_size, AnswerMemory& memory) {
  if (!json.is_array()) return Corrupt("its answers are no list");
  for (const Json& answer : json) {
    const Json& ids = answer.at("tokens");
    if (!ids.is_array()) return Corrupt("the tokens of an answer are no list");
    std::vector<Token> tokens;
    for (const Json& id : ids) {
      SLM_ASSIGN_OR_RETURN(const Token token, ReadNumber<Token>(id, "a token", 0, vocab_size - 1));
      tokens.push_back(token);
    }
    memory.Add(answer.at("text").get<std::string>(), tokens);
  }
  return {};
}

// Seconds since 1970, as far as the system's clock counts.
Result<std::chrono::system_clock::time_point> ReadTime(const Json& json) {
  using Clock = std::chrono::system_clock;
  const auto seconds = [](Clock::time_point time) {
    return std::int64_t{std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count()};
  };
  SLM_ASSIGN_OR_RETURN(const std::int64_t now, ReadNumber(json, "its time", seconds(Clock::time_point::min()),
                                                          seconds(Clock::time_point::max())));
  return Clock::time_point(std::chrono::seconds(now));
}

// Throws the JSON library's errors.
Result<ChatNote> ReadFields(const Json& json, std::int32_t vocab_size) {
  using Unsigned = std::numeric_limits<std::uint64_t>;
  SLM_RETURN_IF_ERROR(ReadNumber(json.at("version"), "its version", kVersion, kVersion).status());
  ChatNote note;
  Result<std::vector<Message>> messages = MessagesFromJson(json.at("messages"), "messages");
  if (!messages.ok()) return Status(StatusCode::kCorruptFile, Cat(kWhat, ": ", messages.status().message()));
  note.messages = *std::move(messages);
  note.chat_template = json.at("chat_template").get<std::string>();
  note.tools = json.at("tools").get<std::string>();
  note.variables = json.at("variables").get<std::string>();
  SLM_ASSIGN_OR_RETURN(note.now, ReadTime(json.at("now")));
  SLM_ASSIGN_OR_RETURN(note.answer_count,
                       ReadNumber(json.at("answer_count"), "its number of answers", Unsigned::min(), Unsigned::max()));
  SLM_ASSIGN_OR_RETURN(note.forgotten, ReadNumber(json.at("forgotten"), "its number of forgotten messages",
                                                  std::size_t{0}, note.messages.size()));
  SLM_RETURN_IF_ERROR(ReadAnswers(json.at("answers"), vocab_size, note.memory));
  return note;
}

}  // namespace

Result<std::string> WriteChatNote(const ChatNote& note) {
  const Json json = {{"version", kVersion},
                     {"messages", MessagesJson(note.messages)},
                     {"chat_template", note.chat_template},
                     {"tools", note.tools},
                     {"variables", note.variables},
                     {"now", std::chrono::system_clock::to_time_t(note.now)},
                     {"answer_count", note.answer_count},
                     {"forgotten", note.forgotten},
                     {"answers", AnswersJson(note.memory)}};
  try {
    return json.dump();
  } catch (const Json::exception&) {
    return Status(StatusCode::kInvalidArgument,
                  "the conversation can't be saved: one of its messages is not valid UTF-8.");
  }
}

Result<ChatNote> ReadChatNote(std::string_view text, std::int32_t vocab_size) {
  const Result<Json> json = ParseJson(text, kWhat);
  if (!json.ok()) return Status(StatusCode::kCorruptFile, json.status().message());
  try {
    return ReadFields(*json, vocab_size);
  } catch (const Json::exception&) {
    return Corrupt("a field is missing or of another type than expected");
  }
}

}  // namespace slm
