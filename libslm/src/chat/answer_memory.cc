#include "chat/answer_memory.h"

#include <cstddef>
#include <utility>

#include "text/template/text.h"

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

// Appends the part `text` in the tokens of its answer.
void AppendAnswer(const Tokenizer& tokenizer, std::span<const Token> tokens, const std::string& text, Prompt& prompt) {
  Agreement agreement = Agree(tokenizer, tokens, text);
  std::size_t bytes = agreement.bytes;
  if (agreement.tokens == 0 && tokenizer.adds_space()) {
    agreement = Agree(tokenizer, tokens, " " + text);
    if (agreement.tokens == 0) {
      prompt.parts.push_back({.text = text});
      return;
    }
    bytes = agreement.bytes - 1;
    // The space is the tokens' own; a template writes another one for encoders that put none before a text.
    if (!prompt.parts.empty() && prompt.parts.back().markup && prompt.parts.back().text.ends_with(' ')) {
      prompt.parts.back().text.pop_back();
    }
  }
  if (agreement.tokens > 0) {
    const auto kept = tokens.first(agreement.tokens);
    prompt.parts.push_back({.text = text.substr(0, bytes), .tokens = {kept.begin(), kept.end()}});
  }
  if (bytes < text.size()) prompt.parts.push_back({.text = text.substr(bytes)});
}

}  // namespace

void AnswerMemory::Add(std::string_view text, std::span<const Token> tokens) {
  std::string key = Stripped(text);
  if (!key.empty()) answers_[std::move(key)] = {tokens.begin(), tokens.end()};
}

Prompt AnswerMemory::Recall(const Tokenizer& tokenizer, const Prompt& prompt) const {
  Prompt recalled;
  for (const TextPart& part : prompt.parts) {
    const auto answer = part.markup ? answers_.end() : answers_.find(Stripped(part.text));
    if (answer == answers_.end()) {
      recalled.parts.push_back(part);
    } else {
      AppendAnswer(tokenizer, answer->second, part.text, recalled);
    }
  }
  return recalled;
}

}  // namespace slm
