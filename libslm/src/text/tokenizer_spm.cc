#include "text/tokenizer_spm.h"

#include <bit>
#include <optional>
#include <utility>

#include "base/format.h"
#include "text/pair_merger.h"
#include "text/utf8.h"

namespace slm {

namespace {

constexpr std::string_view kSpace = "\u2581";

std::string EscapeSpaces(std::string_view text, bool add_prefix) {
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  if (add_prefix) out += kSpace;
  for (const char c : text) {
    if (c == ' ') {
      out += kSpace;
    } else {
      out.push_back(c);
    }
  }
  return out;
}

// Higher scores to lower ranks.
std::uint32_t RankOf(float score) {
  const auto bits = std::bit_cast<std::uint32_t>(score + 0.0f);  // -0 becomes +0
  const bool negative = bits >> 31 != 0;
  return negative ? bits : ~(bits | 0x80000000u);
}

std::string ByteTokenText(unsigned byte) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  return Cat("<0x", kDigits[byte >> 4], kDigits[byte & 15], ">");
}

}  // namespace

SpmTokenizer::SpmTokenizer(Vocabulary vocab, TokenizerConfig config)
    : TokenizerBackend(std::move(vocab), std::move(config)) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    std::optional<Token> token = vocabulary().Find(ByteTokenText(byte));
    if (!token || IsSpecial(vocabulary().Kind(*token))) {
      const char raw = static_cast<char>(byte);
      token = vocabulary().FindPiece({&raw, 1});
    }
    byte_tokens_[byte] = token.value_or(this->config().unknown.value_or(-1));
  }
  for (Token token = 0; token < vocabulary().size(); ++token) {
    const std::string_view text = vocabulary().Text(token);
    for (std::size_t i = text.find(kSpace, 1); i != std::string_view::npos; i = text.find(kSpace, i + 1)) {
      precedes_inner_space_.set(static_cast<unsigned char>(text[i - 1]));
    }
  }
}

std::size_t SpmTokenizer::SegmentEnd(std::string_view text, std::size_t begin) const {
  for (std::size_t end = text.find(kSpace, begin + 1); end != std::string_view::npos;
       end = text.find(kSpace, end + 1)) {
    if (!precedes_inner_space_.test(static_cast<unsigned char>(text[end - 1]))) return end;
  }
  return text.size();
}

void SpmTokenizer::EncodeText(std::string_view text, bool begins, std::vector<Token>& out) const {
  const std::string escaped = EscapeSpaces(text, begins && config().add_space_prefix);
  const std::string_view whole = escaped;
  const auto text_of = [&](const Symbol& first, const Symbol& last) {
    return whole.substr(first.begin, last.end - first.begin);
  };
  const auto find = [&](const Symbol& left, const Symbol& right) -> std::optional<Merge> {
    const std::optional<Token> token = vocabulary().FindPiece(text_of(left, right));
    if (!token) return std::nullopt;
    return Merge{RankOf(vocabulary().Score(*token)), *token};
  };
  PairMerger merger;
  for (std::size_t begin = 0; begin < whole.size();) {
    const std::size_t end = SegmentEnd(whole, begin);
    merger.Clear();
    while (begin < end) {
      const Utf8Char c = DecodeUtf8(whole, begin);
      const std::size_t next = begin + (c.status == Utf8Status::kValid ? c.size : 1);
      merger.Add({static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(next), -1});
      begin = next;
    }
    merger.MergeAll(find);
    merger.ForEach([&](const Symbol& symbol) {
      if (symbol.token >= 0) {
        out.push_back(symbol.token);
      } else {
        AppendSpelled(text_of(symbol, symbol), out);
      }
    });
  }
}

void SpmTokenizer::AppendSpelled(std::string_view character, std::vector<Token>& out) const {
  if (const std::optional<Token> token = vocabulary().FindPiece(character)) {
    out.push_back(*token);
    return;
  }
  for (const char byte : character) {
    const Token token = byte_tokens_[static_cast<unsigned char>(byte)];
    if (token >= 0) out.push_back(token);
  }
}

void SpmTokenizer::AppendBytes(std::string_view stored, std::string& out) const {
  std::size_t begin = 0;
  for (std::size_t end = stored.find(kSpace); end != std::string_view::npos; end = stored.find(kSpace, begin)) {
    out += stored.substr(begin, end - begin);
    out.push_back(' ');
    begin = end + kSpace.size();
  }
  out += stored.substr(begin);
}

}  // namespace slm
