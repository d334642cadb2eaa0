#include "text/tokenizer_spm.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/format.h"
#include "base/utf8.h"

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

// [\n]+|[^\n]+
std::size_t LinesOrLineSize(std::string_view text) {
  const std::size_t size = text[0] == '\n' ? text.find_first_not_of('\n') : text.find('\n');
  return std::min(size, text.size());
}

std::string ByteTokenText(unsigned byte) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  return Cat("<0x", kDigits[byte >> 4], kDigits[byte & 15], ">");
}

}  // namespace

SpmTokenizer::SpmTokenizer(Vocabulary vocab, TokenizerConfig config, std::optional<MergeTable> merges)
    : TokenizerBackend(std::move(vocab), std::move(config)), merges_(std::move(merges)) {
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

std::size_t SpmTokenizer::EncodeText(std::string_view text, bool begins, std::vector<Token>& out) const {
  const std::string escaped = EscapeSpaces(text, begins && config().add_space_prefix);
  PairMerger merger;
  std::size_t lost = 0;
  for (std::string_view rest = escaped; !rest.empty();) {
    const std::string_view word = rest.substr(0, merges_ ? LinesOrLineSize(rest) : rest.size());
    rest.remove_prefix(word.size());
    if (merges_ && word[0] == '\n') {
      if (const std::optional<Token> token = vocabulary().FindPiece(word)) {
        out.push_back(*token);
        continue;
      }
    }
    for (std::size_t begin = 0; begin < word.size();) {
      const std::size_t end = SegmentEnd(word, begin);
      lost += EncodeSegment(word.substr(begin, end - begin), merger, out);
      begin = end;
    }
  }
  return lost;
}

std::size_t SpmTokenizer::EncodeSegment(std::string_view segment, PairMerger& merger, std::vector<Token>& out) const {
  merger.Clear();
  for (std::size_t begin = 0; begin < segment.size();) {
    const Utf8Char c = DecodeUtf8(segment, begin);
    const std::size_t end = begin + (c.status == Utf8Status::kValid ? c.size : 1);
    const Token token = vocabulary().FindPiece(segment.substr(begin, end - begin)).value_or(-1);
    merger.Add({static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end), token});
    begin = end;
  }
  merger.MergeAll([&](const Symbol& left, const Symbol& right) { return FindMerge(segment, left, right); });
  std::size_t lost = 0;
  merger.ForEach([&](const Symbol& symbol) {
    if (symbol.token >= 0) {
      out.push_back(symbol.token);
      return;
    }
    for (const char byte : segment.substr(symbol.begin, symbol.end - symbol.begin)) {
      const Token token = byte_tokens_[static_cast<unsigned char>(byte)];
      if (token >= 0) {
        out.push_back(token);
      } else {
        ++lost;
      }
    }
  });
  return lost;
}

std::optional<Merge> SpmTokenizer::FindMerge(std::string_view segment, const Symbol& left, const Symbol& right) const {
  if (merges_) return merges_->Find(left.token, right.token);
  const std::optional<Token> token = vocabulary().FindPiece(segment.substr(left.begin, right.end - left.begin));
  if (!token) return std::nullopt;
  return Merge{RankOf(vocabulary().Score(*token)), *token};
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
