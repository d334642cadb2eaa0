#include "chat/answer_memory.h"

#include <cstddef>
#include <utility>

#include "jinja/text.h"

namespace slm {

namespace {

std::string Stripped(std::string_view text) {
  return std::string(jinja::Strip(jinja::Text(text, false), jinja::Ends::kBoth).view());
}

// How many of the tokens, and of the bytes of `text`, agree: whole characters, no control tokens.
struct Agreement {
  std::size_t tokens = 0;
  std::size_t bytes = 0;
};

Agreement Agree(const Tokenizer& tokenizer, std::span<const Token> tokens, std::string_view text) {
  Agreement agreement;
  Utf8Stream characters;  // the text was streamed through one, too
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const std::string piece = tokenizer.Piece(tokens[i]);
    const std::string complete = characters.Push(piece);
    if (piece.empty() || text.substr(bytes, complete.size()) != complete) break;
    bytes += complete.size();
    if (Utf8Stream(characters).Flush().empty()) agreement = {i + 1, bytes};
  }
  return agreement;
}

// The beginning of the part `text` that its answer's tokens spell. SentencePiece's first token may have a space before
// the text.
Agreement AgreeWithAnswer(const Tokenizer& tokenizer, std::span<const Token> tokens, const std::string& text) {
  Agreement agreement = Agree(tokenizer, tokens, text);
  if (agreement.tokens > 0 || !tokenizer.adds_space()) return agreement;
  agreement = Agree(tokenizer, tokens, " " + text);
  if (agreement.tokens > 0) --agreement.bytes;
  return agreement;
}

void AppendAnswer(const Tokenizer& tokenizer, std::span<const Token> tokens, const std::string& text, Prompt& prompt) {
  const Agreement agreement = AgreeWithAnswer(tokenizer, tokens, text);
  if (agreement.tokens > 0) {
    const auto kept = tokens.first(agreement.tokens);
    prompt.parts.push_back({.text = text.substr(0, agreement.bytes), .tokens = {kept.begin(), kept.end()}});
  }
  if (agreement.bytes < text.size()) prompt.parts.push_back({.text = text.substr(agreement.bytes)});
}

bool EndsWithSpace(const Prompt& prompt) {
  return !prompt.parts.empty() && prompt.parts.back().markup && prompt.parts.back().text.ends_with(' ');
}

}  // namespace

void AnswerMemory::Add(std::string_view text, std::span<const Token> tokens) {
  std::string key = Stripped(text);
  if (!key.empty()) answers_[std::move(key)] = {tokens.begin(), tokens.end()};
}

Prompt AnswerMemory::Recall(const Tokenizer& tokenizer, const Prompt& prompt) const {
  Prompt recalled;
  // Some templates write a space before an answer that they do not write where one is to begin. Then it is none that
  // the model saw.
  const bool answers_follow_space = EndsWithSpace(prompt);
  for (const TextPart& part : prompt.parts) {
    const auto answer = part.markup ? answers_.end() : answers_.find(Stripped(part.text));
    if (answer == answers_.end()) {
      recalled.parts.push_back(part);
    } else {
      if (!answers_follow_space && EndsWithSpace(recalled)) recalled.parts.back().text.pop_back();
      AppendAnswer(tokenizer, answer->second, part.text, recalled);
    }
  }
  return recalled;
}

}  // namespace slm
