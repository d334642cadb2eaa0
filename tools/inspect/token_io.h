// Files of bytes and of token ids, as the tools read them.

#ifndef SLM_TOOLS_TOKEN_IO_H_
#define SLM_TOOLS_TOKEN_IO_H_

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "json_text.h"
#include "slm/status.h"
#include "slm/tokenizer.h"

namespace slm::tools {

// How a message calls the source `path`.
inline std::string SourceName(const std::string& path) { return path == "-" ? "standard input" : path; }

// All bytes of a file, or of standard input for "-".
inline Result<std::string> ReadInput(const std::string& path) {
  const auto close = [](std::FILE* file) { return file == stdin ? 0 : std::fclose(file); };
  const std::unique_ptr<std::FILE, decltype(close)> file(path == "-" ? stdin : std::fopen(path.c_str(), "rb"), close);
  if (file == nullptr) {
    const StatusCode code = errno == ENOENT ? StatusCode::kNotFound : StatusCode::kIoError;
    return Status(code, "cannot open " + path + ": " + std::strerror(errno));
  }
  std::string bytes;
  char buffer[1 << 16];
  while (const std::size_t read = std::fread(buffer, 1, sizeof(buffer), file.get())) bytes.append(buffer, read);
  if (std::ferror(file.get()) != 0) {
    return Status(StatusCode::kIoError, "cannot read " + SourceName(path) + ": " + std::strerror(errno));
  }
  return bytes;
}

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
