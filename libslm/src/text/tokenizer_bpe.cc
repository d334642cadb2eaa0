#include "text/tokenizer_bpe.h"

#include <cstdint>
#include <optional>
#include <utility>

#include "base/utf8.h"
#include "text/pair_merger.h"

namespace slm {

namespace {

constexpr bool IsPrintable(unsigned byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

// Printable bytes stand for themselves, the others in order for U+0100, U+0101, ...
constexpr auto kCharOfByte = [] {
  std::array<char16_t, 256> chars{};
  char16_t next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) chars[byte] = IsPrintable(byte) ? static_cast<char16_t>(byte) : next++;
  return chars;
}();

constexpr unsigned kCharEnd = 0x100 + 68;  // 68 bytes are not printable

// The way back; -1: the character stands for no byte.
constexpr auto kByteOfChar = [] {
  std::array<std::int16_t, kCharEnd> bytes{};
  bytes.fill(-1);
  for (unsigned byte = 0; byte < 256; ++byte) bytes[kCharOfByte[byte]] = static_cast<std::int16_t>(byte);
  return bytes;
}();

std::string Printable(std::string_view bytes) {
  std::string out;
  for (const char byte : bytes) AppendUtf8(kCharOfByte[static_cast<unsigned char>(byte)], out);
  return out;
}

// Some vocabularies lack control characters, which HF tokenizers drops: nobody misses them.
bool IsControl(char byte) { return (byte >= 0 && byte < 0x20) || byte == 0x7F; }

}  // namespace

BpeTokenizer::BpeTokenizer(Vocabulary vocab, TokenizerConfig config, MergeTable merges,
                           const PreTokenizer* pre_tokenizer)
    : TokenizerBackend(std::move(vocab), std::move(config)), merges_(std::move(merges)), pre_tokenizer_(pre_tokenizer) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char raw = static_cast<char>(byte);
    byte_tokens_[byte] = vocabulary().FindPiece(Printable({&raw, 1})).value_or(-1);
  }
}

std::size_t BpeTokenizer::EncodeText(std::string_view text, bool /*begins*/, std::vector<Token>& out) const {
  PairMerger merger;
  std::size_t lost = 0;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, pre_tokenizer_->next_word(text));
    text.remove_prefix(word.size());
    if (pre_tokenizer_->ignore_merges) {
      if (const std::optional<Token> token = vocabulary().FindPiece(Printable(word))) {
        out.push_back(*token);
        continue;
      }
    }
    merger.Clear();
    std::uint32_t position = 0;
    for (const char byte : word) {
      const Token token = byte_tokens_[static_cast<unsigned char>(byte)];
      if (token < 0) {
        lost += IsControl(byte) ? 0 : 1;
        continue;
      }
      merger.Add({position, position + 1, token});
      ++position;
    }
    merger.MergeAll([this](const Symbol& left, const Symbol& right) { return merges_.Find(left.token, right.token); });
    merger.ForEach([&out](const Symbol& symbol) { out.push_back(symbol.token); });
  }
  return lost;
}

void BpeTokenizer::AppendBytes(std::string_view stored, std::string& out) const {
  for (std::size_t position = 0; position < stored.size();) {
    const Utf8Char c = DecodeUtf8(stored, position);
    if (c.status == Utf8Status::kValid && c.code_point < kCharEnd && kByteOfChar[c.code_point] >= 0) {
      out.push_back(static_cast<char>(kByteOfChar[c.code_point]));
    } else {
      out += stored.substr(position, c.size);  // not written as bytes, so as it is
    }
    position += c.size;
  }
}

}  // namespace slm
