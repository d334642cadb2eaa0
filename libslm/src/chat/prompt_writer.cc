#include "chat/prompt_writer.h"

#include <optional>
#include <string_view>
#include <utility>

#include "base/format.h"
#include "base/status_macros.h"
#include "chat/chat_template_program.h"
#include "chat/json_value.h"
#include "model/model_log.h"

namespace slm {

namespace {

constexpr std::string_view kProbeSystem = "libslm-system-text";
constexpr std::string_view kProbeUser = "libslm-user-text";

jinja::Value Words(std::string_view text) { return jinja::Value::String(text, false); }
// Role names and keys can't be chosen by a user.
jinja::Value Name(std::string_view text) { return jinja::Value::String(text, true); }

jinja::Value Content(const Message& message, bool wants_parts) {
  if (message.content.empty() && !message.tool_calls.empty()) return jinja::Value();
  if (!wants_parts) return Words(message.content);
  jinja::Dict part;
  part.Set("type", true, Name("text"));
  part.Set("text", true, Words(message.content));
  return jinja::Value(jinja::List{jinja::Value(std::move(part))});
}

Result<jinja::Value> CallValue(const ToolCall& call) {
  const std::string_view what = "the arguments of a tool call";
  jinja::Value json = jinja::Value(jinja::Dict());
  if (!call.arguments.empty()) {
    SLM_ASSIGN_OR_RETURN(json, ParseJson(call.arguments, what));
  }
  if (!json.is(jinja::Value::Type::kDict)) {
    return Status(StatusCode::kInvalidArgument, Cat(what, " must be a JSON object, but are ", JsonTypeName(json), "."));
  }
  jinja::Dict function;
  function.Set("name", true, Words(call.name));
  function.Set("arguments", true, std::move(json));
  jinja::Dict value;
  value.Set("type", true, Name("function"));
  if (!call.id.empty()) value.Set("id", true, Words(call.id));
  value.Set("function", true, jinja::Value(std::move(function)));
  return jinja::Value(std::move(value));
}

Result<jinja::Value> MessageValue(const Message& message, bool wants_parts) {
  jinja::Dict value;
  value.Set("role", true, Name(RoleName(message.role)));
  value.Set("content", true, Content(message, wants_parts));
  // Templates do not agree on what it is called.
  for (const char* key : {"reasoning_content", "reasoning", "thinking"}) {
    if (!message.reasoning.empty()) value.Set(key, true, Words(message.reasoning));
  }
  if (!message.tool_calls.empty()) {
    jinja::List calls;
    for (const ToolCall& call : message.tool_calls) {
      SLM_ASSIGN_OR_RETURN(jinja::Value item, CallValue(call));
      calls.push_back(std::move(item));
    }
    value.Set("tool_calls", true, jinja::Value(std::move(calls)));
  }
  if (!message.tool_call_id.empty()) value.Set("tool_call_id", true, Words(message.tool_call_id));
  if (!message.name.empty()) value.Set("name", true, Words(message.name));
  return jinja::Value(std::move(value));
}

// The system text before the first user text.
std::vector<Message> FoldSystem(std::span<const Message> messages) {
  std::vector<Message> folded(messages.begin() + 1, messages.end());
  for (Message& message : folded) {
    if (message.role != Role::kUser) continue;
    message.content = Cat(messages.front().content, "\n\n", message.content);
    return folded;
  }
  folded.insert(folded.begin(), {.role = Role::kUser, .content = messages.front().content});
  return folded;
}

}  // namespace

Result<PromptWriter> PromptWriter::Create(const Model& model, const ChatOptions& options,
                                          std::chrono::system_clock::time_point now) {
  SLM_ASSIGN_OR_RETURN(ChatTemplate chat_template, options.chat_template.empty()
                                                       ? ChatTemplate::ForModel(model)
                                                       : ChatTemplate::Parse(options.chat_template));
  if (options.chat_template.empty() && model.file().chat_template().empty()) {
    WarnOnce(model, Cat("The model file has no chat template; conversations are written by the one ",
                        chat_template.origin(), "."));
  }
  PromptWriter writer(std::move(chat_template), now);
  SLM_RETURN_IF_ERROR(writer.AddVariables(model, options));
  SLM_RETURN_IF_ERROR(writer.Probe());
  return writer;
}

Status PromptWriter::AddVariables(const Model& model, const ChatOptions& options) {
  const Tokenizer& tokenizer = model.tokenizer();
  const auto text = [&](std::optional<Token> token) { return Name(token ? tokenizer.Text(*token) : ""); };
  variables_.Set("bos_token", true, text(tokenizer.bos()));
  variables_.Set("eos_token", true, text(tokenizer.eos()));
  variables_.Set("add_generation_prompt", true, jinja::Value(true));
  if (!options.tools.empty()) {
    SLM_ASSIGN_OR_RETURN(jinja::Value tools, ParseJson(options.tools, "ChatOptions::tools"));
    if (!tools.is(jinja::Value::Type::kList)) {
      return {StatusCode::kInvalidArgument,
              Cat("ChatOptions::tools must be a JSON array of tool definitions, but is ", JsonTypeName(tools), ".")};
    }
    variables_.Set("tools", true, std::move(tools));
  }
  if (!options.variables.empty()) {
    SLM_ASSIGN_OR_RETURN(const jinja::Value variables, ParseJson(options.variables, "ChatOptions::variables"));
    if (!variables.is(jinja::Value::Type::kDict)) {
      return {StatusCode::kInvalidArgument,
              Cat("ChatOptions::variables must be a JSON object, but is ", JsonTypeName(variables), ".")};
    }
    for (const auto& [name, item] : variables.dict().entries()) variables_.Set(name.text().view(), true, item);
  }
  return {};
}

Status PromptWriter::Probe() {
  const Message system = {.role = Role::kSystem, .content = std::string(kProbeSystem)};
  const Message user = {.role = Role::kUser, .content = std::string(kProbeUser)};
  const auto writes = [this](const std::vector<Message>& messages, std::string_view text) -> Result<bool> {
    const Result<Prompt> prompt = Render(messages);
    if (prompt.status().code() == StatusCode::kOutOfMemory) return prompt.status();
    return prompt.ok() && prompt->text().find(text) != std::string::npos;
  };
  SLM_ASSIGN_OR_RETURN(bool writes_user, writes({user}, kProbeUser));
  if (!writes_user) {
    const Status failure = Render({{user}}).status();
    wants_parts_ = true;
    SLM_ASSIGN_OR_RETURN(writes_user, writes({user}, kProbeUser));
    if (!writes_user) {
      return {StatusCode::kInvalidArgument,
              Cat("The chat template (", template_.origin(), ") can't write a conversation. ",
                  failure.ok() ? "It leaves out what the user says." : failure.message())};
    }
  }
  SLM_ASSIGN_OR_RETURN(has_system_role_, writes({system, user}, kProbeSystem));
  return {};
}

Result<Prompt> PromptWriter::Write(std::span<const Message> messages) const {
  const bool has_system = !messages.empty() && messages.front().role == Role::kSystem;
  if (!has_system || has_system_role_) return Render(messages);
  return Render(FoldSystem(messages));
}

Result<Prompt> PromptWriter::Render(std::span<const Message> messages) const {
  jinja::List list;
  for (const Message& message : messages) {
    SLM_ASSIGN_OR_RETURN(jinja::Value value, MessageValue(message, wants_parts_));
    list.push_back(std::move(value));
  }
  jinja::Dict variables = variables_;
  variables.Set("messages", true, jinja::Value(std::move(list)));
  return RenderTemplate(template_, std::move(variables), now_);
}

}  // namespace slm
