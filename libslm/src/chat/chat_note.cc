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

using jinja::Value;

// Of the note; the session's file has a version of its own.
constexpr int kVersion = 2;
constexpr std::string_view kWhat = "the conversation in the session file";

Status Corrupt(std::string_view why) { return {StatusCode::kCorruptFile, Cat(kWhat, " can't be read: ", why, ".")}; }

Value Words(std::string_view text) { return Value::String(text, false); }
template <typename T>
Value Number(T number) {
  return Value(static_cast<std::int64_t>(number));
}

Value AnswersValue(const AnswerMemory& memory) {
  jinja::List answers;
  for (const auto& [text, tokens] : memory.answers()) {
    jinja::List ids;
    for (const Token token : tokens) ids.push_back(Number(token));
    jinja::Dict answer;
    answer.Set("text", true, Words(text));
    answer.Set("tokens", true, Value(std::move(ids)));
    answers.push_back(Value(std::move(answer)));
  }
  return Value(std::move(answers));
}

Result<Value> Find(const Value& json, std::string_view name, Value::Type type) {
  const Value* const found = FindKey(json, name);
  if (found != nullptr && found->is(type)) return *found;
  return Corrupt(Cat(name, " is missing or of another type than expected"));
}

Result<std::string> FindText(const Value& json, std::string_view name) {
  SLM_ASSIGN_OR_RETURN(const Value found, Find(json, name, Value::Type::kString));
  return std::string(found.text().view());
}

Result<std::int64_t> CheckNumber(const Value& json, std::string_view name, std::int64_t least, std::int64_t most) {
  if (!json.is(Value::Type::kInt)) return Corrupt(Cat(name, " is no whole number of 64 bits"));
  if (json.integer() >= least && json.integer() <= most) return json.integer();
  return Corrupt(Cat(name, " is ", json.integer(), ", expected ", least, least == most ? "" : Cat(" to ", most)));
}

Result<std::int64_t> FindNumber(const Value& json, std::string_view name, std::int64_t least, std::int64_t most) {
  SLM_ASSIGN_OR_RETURN(const Value found, Find(json, name, Value::Type::kInt));
  return CheckNumber(found, name, least, most);
}

Status ReadAnswers(const Value& json, std::int32_t vocab_size, AnswerMemory& memory) {
  SLM_ASSIGN_OR_RETURN(const Value answers, Find(json, "answers", Value::Type::kList));
  for (const Value& answer : answers.items()) {
    SLM_ASSIGN_OR_RETURN(const std::string text, FindText(answer, "text"));
    SLM_ASSIGN_OR_RETURN(const Value ids, Find(answer, "tokens", Value::Type::kList));
    std::vector<Token> tokens;
    for (const Value& id : ids.items()) {
      SLM_ASSIGN_OR_RETURN(const std::int64_t token, CheckNumber(id, "a token", 0, vocab_size - 1));
      tokens.push_back(static_cast<Token>(token));
    }
    memory.Add(text, tokens);
  }
  return {};
}

// Seconds since 1970, as far as the system's clock counts.
Result<std::chrono::system_clock::time_point> FindTime(const Value& json, std::string_view name) {
  using Clock = std::chrono::system_clock;
  const auto seconds = [](Clock::time_point time) {
    return std::int64_t{std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count()};
  };
  SLM_ASSIGN_OR_RETURN(const std::int64_t time,
                       FindNumber(json, name, seconds(Clock::time_point::min()), seconds(Clock::time_point::max())));
  return Clock::time_point(std::chrono::seconds(time));
}

}  // namespace

Result<std::string> WriteChatNote(const ChatNote& note) {
  jinja::Dict json;
  json.Set("version", true, Number(kVersion));
  json.Set("messages", true, MessagesValue(note.messages));
  json.Set("chat_template", true, Words(note.chat_template));
  json.Set("tools", true, Words(note.tools));
  json.Set("variables", true, Words(note.variables));
  json.Set("now", true, Number(std::chrono::system_clock::to_time_t(note.now)));
  json.Set("answer_count", true, Number(note.answer_count));
  json.Set("forgotten", true, Number(note.forgotten));
  json.Set("answers", true, AnswersValue(note.memory));
  Result<std::string> text = ToExactJson(Value(std::move(json)));
  if (text.ok()) return text;
  return Status(StatusCode::kInvalidArgument,
                "the conversation can't be saved: one of its messages is not valid UTF-8.");
}

Result<ChatNote> ReadChatNote(std::string_view text, std::int32_t vocab_size) {
  const Result<Value> parsed = ParseJson(text, kWhat);
  if (!parsed.ok()) return Status(StatusCode::kCorruptFile, parsed.status().message());
  const Value& json = *parsed;
  SLM_RETURN_IF_ERROR(FindNumber(json, "version", kVersion, kVersion).status());
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  ChatNote note;
  SLM_ASSIGN_OR_RETURN(const Value messages, Find(json, "messages", Value::Type::kList));
  Result<std::vector<Message>> read = MessagesFromJson(messages, "messages");
  if (!read.ok()) return Status(StatusCode::kCorruptFile, Cat(kWhat, ": ", read.status().message()));
  note.messages = *std::move(read);
  SLM_ASSIGN_OR_RETURN(note.chat_template, FindText(json, "chat_template"));
  SLM_ASSIGN_OR_RETURN(note.tools, FindText(json, "tools"));
  SLM_ASSIGN_OR_RETURN(note.variables, FindText(json, "variables"));
  SLM_ASSIGN_OR_RETURN(note.now, FindTime(json, "now"));
  SLM_ASSIGN_OR_RETURN(note.answer_count, FindNumber(json, "answer_count", 0, kMost));
  SLM_ASSIGN_OR_RETURN(note.forgotten, FindNumber(json, "forgotten", 0, std::ssize(note.messages)));
  SLM_RETURN_IF_ERROR(ReadAnswers(json, vocab_size, note.memory));
  return note;
}

}  // namespace slm
