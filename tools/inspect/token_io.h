// Files of token ids, as slm-inspect reads them.

#ifndef SLM_TOOLS_TOKEN_IO_H_
#define SLM_TOOLS_TOKEN_IO_H_

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "json_text.h"
#include "read_input.h"
#include "slm/status.h"
#include "slm/tokenizer.h"

namespace slm::tools {

// A JSON array of token ids, each of them in the vocabulary.
inline Result<std::vector<Token>> ParseTokens(std::string_view text, const std::string& source,
                                              std::int32_t vocab_size) {
  const Result<JsonValue> json = ParseJson(text, source);
  if (!json.ok()) return json.status();
  if (json->type != JsonType::array) {
    return Status(StatusCode::kInvalidArgument,
                  source + " must hold a JSON array of token ids, but holds " + TypeName(json->type));
  }
  std::vector<Token> tokens;
  tokens.reserve(json->items.size());
  for (const JsonItem& id : json->items) {
    Token token = -1;
    const char* const end = id.text.data() + id.text.size();
    const bool known = id.type == JsonType::number_unsigned &&
                       std::from_chars(id.text.data(), end, token).ec == std::errc() && token < vocab_size;
    if (!known) {
      const bool is_number = id.type != JsonType::string && !id.text.empty();
      return Status(StatusCode::kInvalidArgument, source + ": element " + std::to_string(tokens.size()) + " is " +
                                                      (is_number ? id.text : TypeName(id.type)) +
                                                      ", but a token id of this model is an integer from 0 to " +
                                                      std::to_string(vocab_size - 1));
    }
    tokens.push_back(token);
  }
  return tokens;
}

inline Result<std::vector<Token>> ReadTokens(const std::string& path, std::int32_t vocab_size) {
  Result<std::string> text = ReadInput(path);
  if (!text.ok()) return text.status();
  return ParseTokens(*text, SourceName(path), vocab_size);
}

}  // namespace slm::tools

#endif  // SLM_TOOLS_TOKEN_IO_H_
