#include "text/turn_markers.h"

#include <algorithm>
#include <optional>
#include <string>

#include "base/format.h"
#include "file/escape.h"

namespace slm {

namespace {

struct End {
  std::string_view text;
  bool only_control = false;  // with another type it is something else: a tag of HTML, prose, what answers show
};

constexpr End kEnds[] = {
    {"<|eot_id|>"},
    {"<|im_end|>"},
    {"<|end|>"},
    {"<end_of_turn>"},
    {"<|endoftext|>"},
    {"<EOT>", true},
    {"_<EOT>", true},
    {"[EOT]", true},
    {"<|end_of_text|>"},
    {"<end_of_utterance>"},
    {"<|return|>"},
    {"<|call|>"},
    {"<|flush|>"},
    {"<|calls|>"},
    {"</s>", true},
    {"[EOS]", true},
    {"<eos>", true},
    {"<turn|>"},
    {"<|tool_response>", true},
    {"[e~[", true},
    {"<|eom_id|>"},
    {"<｜end▁of▁sentence｜>"},
};

// What stands at the beginning of turns. Of types besides control and user-defined only if the template writes it.
constexpr std::string_view kStarts[] = {
    "<|im_start|>",    "<|im_sep|>",        "<start_of_turn>", "<|start_header_id|>", "<|end_header_id|>",
    "<|turn>",         "<|header_start|>",  "<|header_end|>",  "<|start_of_role|>",   "<|end_of_role|>",
    "<|system|>",      "<|user|>",          "<|assistant|>",   "<|start|>",           "<|message|>",
    "[INST]",          "[/INST]",           "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]",    "<｜User｜>",
    "<｜Assistant｜>", "<|begin_of_text|>",
};

bool IsOrdinary(TokenKind kind) { return kind == TokenKind::kNormal || kind == TokenKind::kUnused; }

// "<|...|>" in the template, as far as the vocabulary has it.
std::vector<Token> MarksOf(std::string_view chat_template, const Vocabulary& vocabulary) {
  constexpr std::string_view kOpen = "<|", kClose = "|>";
  constexpr std::size_t kLongest = 64;
  std::vector<Token> tokens;
  for (std::size_t at = chat_template.find(kOpen); at != std::string_view::npos;
       at = chat_template.find(kOpen, at + 1)) {
    const std::string_view rest = chat_template.substr(at, kLongest);
    const std::size_t close = rest.find(kClose, kOpen.size());
    if (close == std::string_view::npos) continue;
    if (const std::optional<Token> token = vocabulary.Find(rest.substr(0, close + kClose.size())))
      tokens.push_back(*token);
  }
  return tokens;
}

std::vector<Token> FindWrong(std::string_view chat_template, std::span<const Token> ids, const Vocabulary& vocabulary) {
  std::vector<Token> wrong;
  const auto add_if = [&](std::optional<Token> token, auto&& is_wrong) {
    if (token && is_wrong(vocabulary.Kind(*token))) wrong.push_back(*token);
  };
  const auto is_user_defined = [](TokenKind kind) { return kind == TokenKind::kUserDefined; };
  for (const End& end : kEnds) {
    add_if(vocabulary.Find(end.text),
           [&](TokenKind kind) { return !end.only_control && (is_user_defined(kind) || IsOrdinary(kind)); });
  }
  for (const std::string_view start : kStarts) {
    add_if(vocabulary.Find(start), [&](TokenKind kind) {
      return is_user_defined(kind) || (IsOrdinary(kind) && chat_template.find(start) != std::string_view::npos);
    });
  }
  for (const Token token : MarksOf(chat_template, vocabulary)) add_if(token, IsOrdinary);
  for (const Token token : ids) add_if(token, is_user_defined);
  std::ranges::sort(wrong);
  wrong.erase(std::unique(wrong.begin(), wrong.end()), wrong.end());
  return wrong;
}

}  // namespace

void CorrectMarkers(std::string_view chat_template, std::span<const Token> ids, Vocabulary& vocabulary,
                    const LogCallback& log) {
  const std::vector<Token> wrong = FindWrong(chat_template, ids, vocabulary);
  if (wrong.empty()) return;
  std::string list;
  for (const Token token : wrong) {
    vocabulary.MakeControl(token);
    list += Cat(list.empty() ? "" : ", ", Quoted(vocabulary.Text(token)));
  }
  if (!log) return;
  log(LogLevel::kWarning,
      Cat("tokenizer.ggml.token_type does not say that ", list, wrong.size() == 1 ? " is a" : " are", " control token",
          wrong.size() == 1 ? "" : "s", ", as what marks turns must be; counted as such all the same."));
}

std::vector<Token> FindEnds(const Vocabulary& vocabulary) {
  const auto control = [&](std::string_view text) -> std::optional<Token> {
    const std::optional<Token> token = vocabulary.Find(text);
    return token && vocabulary.Kind(*token) == TokenKind::kControl ? token : std::nullopt;
  };
  std::vector<Token> tokens;
  for (const End& end : kEnds) {
    const std::optional<Token> token = control(end.text);
    if (!token) continue;
    // gpt-oss ends messages inside a turn with <|end|>; Gemma 4 has </s> as an HTML tag.
    if (end.text == "<|end|>" && control("<|return|>") && control("<|call|>")) continue;
    if (end.text == "</s>" && vocabulary.Find("<|tool_response>")) continue;
    tokens.push_back(*token);
  }
  return tokens;
}

}  // namespace slm
