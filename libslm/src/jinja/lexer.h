// Splits a template into text, tags and their tokens, and applies the rules on white space around tags.

#ifndef SLM_JINJA_LEXER_H_
#define SLM_JINJA_LEXER_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/failure.h"

namespace slm::jinja {

enum class TokenKind {
  kText,        // text to print as it is
  kPrintBegin,  // {{
  kPrintEnd,    // }}
  kBlockBegin,  // {%
  kBlockEnd,    // %}
  kName,
  kString,  // value: without quotes, escapes resolved
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind;
  std::string value;
  std::size_t position;  // in the source
};

// Line ends become \n, and one at the very end of a template is dropped.
std::string NormalizeLineEnds(std::string_view source);

// The tokens of a normalized source, kEnd last. As transformers sets Jinja up: the newline behind a block tag or
// comment is dropped (trim_blocks), and so is white space between the start of a line and a block tag (lstrip_blocks);
// '-' inside a tag removes all white space on its side, '+' keeps it.
std::vector<Token> Tokenize(std::string_view source);

}  // namespace slm::jinja

#endif  // SLM_JINJA_LEXER_H_
