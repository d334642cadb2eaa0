#include "infer/chat_format.h"

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/status_macros.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace slm {

namespace {

constexpr std::array<ChatFormatSpec, 2> kFormats = {{
    {.format = ChatFormat::kChatMl,
     .name = "chatml",
     .begin = "<|im_start|>",
     .end = "<|im_end|>",
     .system_role = "system",
     .user_role = "user",
     .assistant_role = "assistant",
     .trims_contents = false,
     .begins_with_bos = false},
    {.format = ChatFormat::kGemma,
     .name = "gemma",
     .begin = "<start_of_turn>",
     .end = "<end_of_turn>",
     .system_role = "",
     .user_role = "user",
     .assistant_role = "model",
     .trims_contents = true,
     .begins_with_bos = true},
}};

// The control token of the format that the vocabulary lacks, "" if it has both.
std::string_view MissingControlToken(const ChatFormatSpec& spec, const Tokenizer& tokenizer) {
  for (const std::string_view text : {spec.begin, spec.end}) {
    const std::optional<Token> token = tokenizer.Find(text);
    if (!token || tokenizer.Kind(*token) != TokenKind::kControl) return text;
  }
  return {};
}

Status NoFormat(const Model& model) {
  return {
      StatusCode::kUnsupported,
      Cat("The model ", model.name(), " (architecture ", model.architecture(), ") ",
          model.chat_template().empty() ? "has no chat template and no turn tokens"
                                        : "has a chat template in a format that this library does not know",
          "; expected ChatML (<|im_start|>) or Gemma (<start_of_turn>). Plain text can be continued with it without a "
          "chat format.")};
}

// As str.strip() of Python, on which templates rely: the white space of Unicode and four control characters.
bool IsStripped(char32_t c) { return ClassOf(c) == kSpace || (c >= 0x1C && c <= 0x1F); }

std::string_view Trim(std::string_view text) {
  std::size_t begin = 0;
  std::size_t end = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Char c = DecodeUtf8(text, at);
    if (!IsStripped(c.code_point)) {
      if (end == 0) begin = at;
      end = at + c.size;
    }
    at += c.size;
  }
  return text.substr(begin, end - begin);
}

// Appends to the last segment where that is of the same kind, so that a text is cut only where its author changes.
void Append(std::vector<PromptSegment>& segments, bool is_format, std::string_view text) {
  if (text.empty()) return;
  if (segments.empty() || segments.back().is_format != is_format)
    segments.push_back({.text = {}, .is_format = is_format});
  segments.back().text += text;
}

std::string_view Content(const ChatFormatSpec& spec, std::string_view content) {
  return spec.trims_contents ? Trim(content) : content;
}

void BeginTurn(const ChatFormatSpec& spec, std::string_view role, std::vector<PromptSegment>& segments) {
  Append(segments, true, spec.begin);
  Append(segments, true, role);
  Append(segments, true, "\n");
}

void EndTurn(const ChatFormatSpec& spec, std::vector<PromptSegment>& segments) {
  Append(segments, true, spec.end);
  Append(segments, true, "\n");
}

// If a string literal begins at `text` with the contents of a whole turn, those contents. A quote or a brace in them
// means that the literal ended before the turn, and a line break may be written as an escape.
std::optional<std::string_view> TurnInLiteral(std::string_view text, std::string_view end) {
  if (text.starts_with("\\n")) {
    text.remove_prefix(2);
  } else if (text.starts_with("\n")) {
    text.remove_prefix(1);
  } else {
    return std::nullopt;
  }
  const std::string_view content = text.substr(0, text.find(end));
  if (content.size() == text.size() || content.find_first_of("'\"{}\\") != std::string_view::npos) return std::nullopt;
  return content;
}

}  // namespace

std::string_view ChatFormatName(ChatFormat format) {
  for (const ChatFormatSpec& spec : kFormats) {
    if (spec.format == format) return spec.name;
  }
  return "auto";
}

Result<const ChatFormatSpec*> ChooseChatFormat(const Model& model, ChatFormat wanted) {
  const Tokenizer& tokenizer = model.tokenizer();
  for (const ChatFormatSpec& spec : kFormats) {
    const std::string_view missing = MissingControlToken(spec, tokenizer);
    if (wanted == spec.format && !missing.empty()) {
      return Status(StatusCode::kUnsupported, Cat("The chat format ", spec.name, " needs the control token ", missing,
                                                  ", which the vocabulary of ", model.name(), " does not have."));
    }
    const bool in_template =
        model.chat_template().empty() || model.chat_template().find(spec.begin) != std::string_view::npos;
    if (wanted == spec.format || (wanted == ChatFormat::kAuto && missing.empty() && in_template)) return &spec;
  }
  return NoFormat(model);
}

std::string DefaultSystemText(const ChatFormatSpec& spec, std::string_view chat_template) {
  if (spec.system_role.empty()) return {};
  const std::string turn_begin = Cat(spec.begin, spec.system_role);
  for (std::size_t at = chat_template.find(turn_begin); at != std::string_view::npos;
       at = chat_template.find(turn_begin, at + 1)) {
    const auto content = TurnInLiteral(chat_template.substr(at + turn_begin.size()), spec.end);
    if (content) return std::string(*content);
  }
  return {};
}

std::vector<PromptSegment> RenderFirstTurn(const ChatFormatSpec& spec, std::string_view system, std::string_view user) {
  std::vector<PromptSegment> segments;
  if (!system.empty() && !spec.system_role.empty()) {
    BeginTurn(spec, spec.system_role, segments);
    Append(segments, false, system);
    EndTurn(spec, segments);
  }
  BeginTurn(spec, spec.user_role, segments);
  if (!system.empty() && spec.system_role.empty()) {
    Append(segments, false, system);
    Append(segments, false, "\n\n");
  }
  Append(segments, false, Content(spec, user));
  EndTurn(spec, segments);
  BeginTurn(spec, spec.assistant_role, segments);
  return segments;
}

std::vector<PromptSegment> RenderNextTurn(const ChatFormatSpec& spec, std::string_view user) {
  std::vector<PromptSegment> segments;
  EndTurn(spec, segments);
  BeginTurn(spec, spec.user_role, segments);
  Append(segments, false, Content(spec, user));
  EndTurn(spec, segments);
  BeginTurn(spec, spec.assistant_role, segments);
  return segments;
}

std::string_view RenderAnswer(const ChatFormatSpec& spec, std::string_view answer) { return Content(spec, answer); }

Result<std::vector<Token>> EncodeSegments(const Tokenizer& tokenizer, const std::vector<PromptSegment>& segments) {
  std::vector<Token> tokens;
  for (const PromptSegment& segment : segments) {
    // The format's text begins with a control token and ends a line before a content, so that no segment starts a text.
    SLM_ASSIGN_OR_RETURN(
        const std::vector<Token> ids,
        tokenizer.Encode(segment.text, {.parse_special = segment.is_format, .add_special = false, .at_start = false}));
    tokens.insert(tokens.end(), ids.begin(), ids.end());
  }
  return tokens;
}

}  // namespace slm
