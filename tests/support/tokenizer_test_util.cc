#include "support/tokenizer_test_util.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <span>
#include <sstream>
#include <stdexcept>

#include "file/gguf.h"
#include "support/json.h"
#include "support/test_data.h"

namespace slm::test {

LoadedTokenizer::LoadedTokenizer(const std::filesystem::path& path) {
  Result<MappedFile> mapping = MappedFile::Open(path);
  if (!mapping.ok()) throw std::runtime_error(mapping.status().message());
  mapping_ = *std::move(mapping);
  Load(mapping_->bytes(), 0, {});
}

LoadedTokenizer::LoadedTokenizer(const TinyGguf& file, std::int64_t rows, const TokenizerQuirks& quirks)
    : bytes_(file.Build()) {
  Load(std::as_bytes(std::span(bytes_)), rows, quirks);
}

void LoadedTokenizer::Load(std::span<const std::byte> bytes, std::int64_t rows, const TokenizerQuirks& quirks) {
  const Result<GgufFile> file = GgufFile::Parse(bytes, "test");
  if (!file.ok()) throw std::runtime_error(file.status().message());
  Result<Tokenizer> tokenizer = LoadTokenizer(*file, quirks, rows, [this](LogLevel level, std::string_view message) {
    (level == LogLevel::kWarning ? warnings_ : infos_).append(message).append("\n");
  });
  status_ = tokenizer.status();
  if (tokenizer.ok()) tokenizer_ = *std::move(tokenizer);
}

Tokens LoadedTokenizer::Encode(std::string_view text, bool parse_special) const {
  Result<Tokens> tokens = tokenizer_->Encode(text, {.parse_special = parse_special});
  EXPECT_TRUE(tokens.ok()) << tokens.status().message();
  return tokens.ok() ? *std::move(tokens) : Tokens();
}

std::vector<TokenizerCase> ReadTokenizerCases(const std::filesystem::path& path) {
  std::vector<TokenizerCase> cases;
  std::istringstream lines(ReadFile(path));
  for (std::string line; std::getline(lines, line);) {
    const nlohmann::json object = ParseJson(line);
    cases.push_back({object.at("text"), object.at("ids"), object.value("parse_special", false)});
  }
  return cases;
}

std::string Repeated(std::string_view pattern, std::size_t size) {
  std::string text;
  while (text.size() < size) text += pattern;
  return text;
}

TinyGguf TokensFile(const std::vector<std::string>& texts) {
  TinyGguf file;
  file.Set("tokenizer.ggml.model", "llama");
  file.Set("tokenizer.ggml.tokens", texts);
  return file;
}

TinyGguf SpmFile(const std::vector<std::string>& pieces) {
  std::vector<std::string> texts = {"<unk>", "<s>", "</s>"};
  std::vector<std::int32_t> types = {2, 3, 3};
  std::vector<float> scores = {0, 0, 0};
  for (int byte = 0; byte < 256; ++byte) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", byte);
    texts.push_back(text);
    types.push_back(6);
    scores.push_back(0);
  }
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    texts.push_back(pieces[i]);
    types.push_back(1);
    scores.push_back(-1.0f - static_cast<float>(i));
  }
  TinyGguf file;
  file.Set("general.architecture", "llama");
  file.Set("tokenizer.ggml.model", "llama");
  file.Set("tokenizer.ggml.tokens", texts);
  file.Set("tokenizer.ggml.scores", scores);
  file.Set("tokenizer.ggml.token_type", types);
  return file;
}

std::string PrintableByte(unsigned byte) {
  // Written out here once more, so that a mistake in the library does not hide.
  unsigned code_point = byte;
  if (byte <= 32) code_point = 0x100 + byte;
  if (byte >= 127 && byte <= 160) code_point = 0x121 + byte - 127;
  if (byte == 173) code_point = 0x143;
  if (code_point < 0x80) return {static_cast<char>(code_point)};
  return {static_cast<char>(0xC0 | code_point >> 6), static_cast<char>(0x80 | (code_point & 0x3F))};
}

TinyGguf BpeFile(const std::vector<std::string>& pieces, const std::vector<std::string>& merges,
                 std::string_view pre_tokenizer) {
  std::vector<std::string> texts;
  for (unsigned byte = 0; byte < 256; ++byte) texts.push_back(PrintableByte(byte));
  texts.insert(texts.end(), pieces.begin(), pieces.end());
  TinyGguf file;
  file.Set("general.architecture", "llama");
  file.Set("tokenizer.ggml.model", "gpt2");
  file.Set("tokenizer.ggml.pre", pre_tokenizer);
  file.Set("tokenizer.ggml.tokens", texts);
  file.Set("tokenizer.ggml.merges", merges);
  return file;
}

}  // namespace slm::test
