#include "chat/chat_note.h"

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

Status ReadAnswers(const Json& json, std::int32_t vocab_size, AnswerMemory& memory) {
  for (const Json& answer : json) {
    const auto tokens = answer.at("tokens").get<std::vector<Token>>();
    for (const Token token : tokens) {
      if (token < 0 || token >= vocab_size) return Corrupt(Cat("it has the token ", token, " of ", vocab_size));
    }
    memory.Add(answer.at("text").get<std::string>(), tokens);
  }
  return {};
}

// Throws the JSON library's errors.
Result<ChatNote> ReadFields(const Json& json, std::int32_t vocab_size) {
  const int version = json.at("version").get<int>();
  if (version != kVersion) return Corrupt(Cat("its version is ", version, ", and this library reads ", kVersion));
  ChatNote note;
  SLM_ASSIGN_OR_RETURN(note.messages, MessagesFromJson(json.at("messages"), "messages"));
  note.chat_template = json.at("chat_template").get<std::string>();
  note.tools = json.at("tools").get<std::string>();
  note.variables = json.at("variables").get<std::string>();
  note.now = std::chrono::system_clock::from_time_t(json.at("now").get<std::int64_t>());
  note.answer_count = json.at("answer_count").get<std::uint64_t>();
  note.forgotten = json.at("forgotten").get<std::size_t>();
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
  SLM_ASSIGN_OR_RETURN(const Json json, ParseJson(text, kWhat));
  try {
    return ReadFields(json, vocab_size);
  } catch (const Json::exception&) {
    return Corrupt("a field is missing or of another type than expected");
  }
}

}  // namespace slm
