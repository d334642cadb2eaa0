#include "slm/chat_template.h"

#include <algorithm>
#include <ctime>
#include <span>
#include <string>
#include <utility>

#include "base/format.h"
#include "base/internal.h"
#include "base/status_macros.h"
#include "chat/chat_template_program.h"
#include "chat/family_templates.h"
#include "chat/json_value.h"
#include "file/escape.h"
#include "jinja/template.h"

namespace slm {

namespace {

// The clock of the local time zone, as if it were UTC.
std::chrono::sys_seconds ToLocal(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm local = {};
  if (::localtime_r(&seconds, &local) == nullptr) return std::chrono::floor<std::chrono::seconds>(time);
  const std::chrono::year_month_day date{std::chrono::year(local.tm_year + 1900),
                                         std::chrono::month(static_cast<unsigned>(local.tm_mon) + 1),
                                         std::chrono::day(static_cast<unsigned>(local.tm_mday))};
  return std::chrono::sys_days(date) + std::chrono::hours(local.tm_hour) + std::chrono::minutes(local.tm_min) +
         std::chrono::seconds(local.tm_sec);
}

// What a template, or a conversation by its mouth, says in a message.
Status Readable(const Status& status) {
  constexpr std::size_t kLongest = 5000;
  return {status.code(), Escaped(status.message(), kLongest)};
}

}  // namespace

struct ChatTemplate::Impl {
  std::string source;
  std::string origin;
  jinja::Template program;
};

std::string Prompt::text() const {
  std::string text;
  for (const TextPart& part : parts) text += part.text;
  return text;
}

Result<ChatTemplate> ChatTemplate::Parse(std::string_view source, std::string origin) try {
  Result<jinja::Template> program = jinja::Template::Parse(source);
  if (!program.ok()) return Readable(program.status());
  return ChatTemplate(std::make_shared<const Impl>(Impl{std::string(source), std::move(origin), *std::move(program)}));
}
SLM_CATCH_OUT_OF_MEMORY

Result<ChatTemplate> ChatTemplate::ForModel(const Model& model) { return ForModel(model.file(), model.tokenizer()); }

Result<ChatTemplate> ChatTemplate::ForModel(const ModelFile& file, const Tokenizer& tokenizer) try {
  if (!file.chat_template().empty()) return Parse(file.chat_template(), "the model's file");
  if (const FamilyTemplate* const family = FindFamilyTemplate(tokenizer)) {
    return Parse(family->source, Cat("built in for ", family->name));
  }
  return Status(StatusCode::kUnsupported,
                Cat("The model ", Quoted(file.name()), " (architecture ", Quoted(file.architecture()),
                    ") has no chat template, and its vocabulary has no turn tokens of a family this library knows. "
                    "Give it a template (a Jinja file), or continue plain text with it."));
}
SLM_CATCH_OUT_OF_MEMORY

Result<Prompt> ChatTemplate::Render(std::string_view context, std::chrono::system_clock::time_point now) const try {
  SLM_ASSIGN_OR_RETURN(const jinja::Value json, ParseJson(context, "the context"));
  if (!json.is(jinja::Value::Type::kDict)) {
    return Status(StatusCode::kInvalidArgument,
                  Cat("the context must be a JSON object, but is ", JsonTypeName(json), "."));
  }
  jinja::Dict variables;
  for (const auto& [key, item] : json.dict().entries()) {
    const std::string_view name = key.text().view();
    const bool names_token = name.ends_with("_token") && item.is_string();
    variables.Set(name, true, names_token ? jinja::Value::String(item.text().view(), true) : item);
  }
  return RenderTemplate(*this, std::move(variables), now);
}
SLM_CATCH_OUT_OF_MEMORY

const std::string& ChatTemplate::source() const { return impl_->source; }
const std::string& ChatTemplate::origin() const { return impl_->origin; }

Result<Prompt> RenderTemplate(const ChatTemplate& chat_template, jinja::Dict variables,
                              std::chrono::system_clock::time_point now) {
  const Result<jinja::Text> text =
      Internal::Impl(chat_template)
          .program.Render(jinja::Value(std::move(variables)), {.now = ToLocal(now), .parse_json = ParseJsonInTemplate});
  if (!text.ok()) return Readable(text.status());
  Prompt prompt;
  for (const jinja::Text::Piece& piece : text->Pieces()) {
    prompt.parts.push_back({.text = std::string(piece.text), .markup = piece.from_template});
  }
  return prompt;
}

Result<std::vector<Token>> EncodePrompt(const Tokenizer& tokenizer, const Prompt& prompt) try {
  SLM_ASSIGN_OR_RETURN(std::vector<Token> tokens, tokenizer.EncodeParts(prompt.parts));
  if (!tokenizer.bos()) return tokens;
  const Token bos = *tokenizer.bos();
  const auto text_begins = std::ranges::find_if(tokens, [bos](Token token) { return token != bos; });
  const bool wanted = tokenizer.adds_bos() || text_begins != tokens.begin();
  tokens.erase(tokens.begin(), text_begins);
  if (wanted) tokens.insert(tokens.begin(), bos);
  return tokens;
}
SLM_CATCH_OUT_OF_MEMORY

}  // namespace slm
