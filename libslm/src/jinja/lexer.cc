#include "jinja/lexer.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/format.h"
#include "base/utf8.h"
#include "jinja/text.h"

namespace slm::jinja {
namespace {

constexpr std::size_t kMaxNameBytes = 255;  // names are copied into messages, even where nobody reads those

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0; }
bool IsNamePart(char c) { return IsNameStart(c) || IsDigit(c); }

std::size_t SkipSpace(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    const Utf8Char c = DecodeUtf8(text, at);
    if (!IsSpace(c.code_point)) break;
    at += c.size;
  }
  return at;
}

std::string_view StripRight(std::string_view text) {
  return text.substr(0, Strip(Text(text, true), Ends::kRight).size());
}

int HexDigit(char c) {
  if (IsDigit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  std::vector<Token> Run() {
    while (at_ < source_.size()) {
      const std::size_t tag = FindTag(at_);
      if (tag == source_.size()) {
        Add(TokenKind::kText, source_.substr(at_), at_);
        break;
      }
      ReadText(tag);
      ReadTag(tag);
    }
    Add(TokenKind::kEnd, "", source_.size());
    return std::move(tokens_);
  }

 private:
  void Add(TokenKind kind, std::string_view value, std::size_t position) {
    if (kind == TokenKind::kText && value.empty()) return;
    tokens_.push_back({kind, std::string(value), position});
  }

  std::size_t FindTag(std::size_t from) const {
    for (std::size_t i = from; i + 1 < source_.size(); ++i) {
      if (source_[i] == '{' && (source_[i + 1] == '{' || source_[i + 1] == '%' || source_[i + 1] == '#')) return i;
    }
    return source_.size();
  }

  char CharAt(std::size_t i) const { return i < source_.size() ? source_[i] : '\0'; }
  bool StartsWith(std::size_t i, std::string_view word) const { return source_.substr(i, word.size()) == word; }

  // The text before a tag, without what the tag's own mark or its place in the line removes.
  std::string_view TrimBeforeTag(std::string_view text, std::size_t tag) const {
    const char mark = CharAt(tag + 2);
    if (mark == '-') return StripRight(text);
    if (mark == '+' || source_[tag + 1] == '{') return text;
    const std::size_t newline = text.rfind('\n');
    const std::size_t line = newline == std::string_view::npos ? 0 : newline + 1;
    if (line == 0 && !at_line_start_) return text;
    return SkipSpace(text, line) == text.size() ? text.substr(0, line) : text;
  }

  void ReadText(std::size_t tag) { Add(TokenKind::kText, TrimBeforeTag(source_.substr(at_, tag - at_), tag), at_); }

  // Behind the end of a block tag or comment of `size` characters.
  std::size_t BehindBlock(std::size_t end, std::size_t size, char mark) const {
    std::size_t next = end + size;
    if (mark == '-') return SkipSpace(source_, next);
    if (mark != '+' && CharAt(next) == '\n') ++next;
    return next;
  }

  void MoveTo(std::size_t next) {
    at_line_start_ = next > 0 && source_[next - 1] == '\n';
    at_ = next;
  }

  void ReadTag(std::size_t tag) {
    const char kind = source_[tag + 1];
    const bool marked = CharAt(tag + 2) == '-' || CharAt(tag + 2) == '+';
    const std::size_t inside = tag + (marked ? 3 : 2);
    if (kind == '#') return ReadComment(tag, inside);
    if (kind == '%' && ReadRaw(tag, inside)) return;
    Add(kind == '{' ? TokenKind::kPrintBegin : TokenKind::kBlockBegin, "", tag);
    MoveTo(inside);
    ReadExpression(kind == '{', tag);
  }

  void ReadComment(std::size_t tag, std::size_t inside) {
    const std::size_t end = source_.find("#}", inside);
    if (end == std::string_view::npos) throw Failure("a comment is not closed; '#}' is missing", tag);
    MoveTo(BehindBlock(end, 2, end > inside ? source_[end - 1] : '\0'));
  }

  // A tag that holds nothing but `word`; `at` is the place behind its "{%".
  struct WordTag {
    std::size_t end = 0;  // of its "%}"; 0 if it is another tag
    char mark = '\0';
  };
  WordTag MatchWordTag(std::size_t at, std::string_view word) const {
    at = SkipSpace(source_, at);
    if (!StartsWith(at, word)) return {};
    at = SkipSpace(source_, at + word.size());
    const char mark = CharAt(at) == '-' || CharAt(at) == '+' ? source_[at] : '\0';
    if (mark != '\0') ++at;
    return StartsWith(at, "%}") ? WordTag{at, mark} : WordTag{};
  }

  bool ReadRaw(std::size_t tag, std::size_t inside) {
    const WordTag begin = MatchWordTag(inside, "raw");
    if (begin.end == 0 || begin.mark == '+') return false;
    // Unlike other tags, this one keeps the newline behind it.
    MoveTo(begin.mark == '-' ? SkipSpace(source_, begin.end + 2) : begin.end + 2);
    for (std::size_t i = source_.find("{%", at_); i != std::string_view::npos; i = source_.find("{%", i + 2)) {
      const bool marked = CharAt(i + 2) == '-' || CharAt(i + 2) == '+';
      const WordTag end = MatchWordTag(i + (marked ? 3 : 2), "endraw");
      if (end.end == 0) continue;
      ReadText(i);
      MoveTo(BehindBlock(end.end, 2, end.mark));
      return true;
    }
    throw Failure("a raw block is not closed; '{% endraw %}' is missing", tag);
  }

  // The tokens up to and including the end of the tag.
  void ReadExpression(bool print, std::size_t tag) {
    const std::string_view close = print ? "}}" : "%}";
    std::vector<char> open;  // brackets not yet closed: inside them no tag ends
    while (true) {
      at_ = SkipSpace(source_, at_);
      if (at_ == source_.size()) throw Failure(Cat("a tag is not closed; '", close, "' is missing"), tag);
      if (open.empty() && ReadTagEnd(print, close)) return;
      const char c = source_[at_];
      if (IsNameStart(c)) {
        ReadName();
      } else if (IsDigit(c)) {
        ReadNumber();
      } else if (c == '"' || c == '\'') {
        ReadString();
      } else {
        ReadOperator(open);
      }
    }
  }

  bool ReadTagEnd(bool print, std::string_view close) {
    const char mark = source_[at_] == '-' || (!print && source_[at_] == '+') ? source_[at_] : '\0';
    const std::size_t end = at_ + (mark != '\0' ? 1 : 0);
    if (!StartsWith(end, close)) return false;
    Add(print ? TokenKind::kPrintEnd : TokenKind::kBlockEnd, "", at_);
    if (print) {
      MoveTo(mark == '-' ? SkipSpace(source_, end + 2) : end + 2);
    } else {
      MoveTo(BehindBlock(end, 2, mark));
    }
    return true;
  }

  void ReadName() {
    const std::size_t begin = at_;
    while (IsNamePart(CharAt(at_))) ++at_;
    if (at_ - begin > kMaxNameBytes) throw Failure(Cat("a name is longer than ", kMaxNameBytes, " bytes"), begin);
    Add(TokenKind::kName, source_.substr(begin, at_ - begin), begin);
  }

  void SkipDigits() {
    while (IsDigit(CharAt(at_)) || (CharAt(at_) == '_' && IsDigit(CharAt(at_ + 1)))) ++at_;
  }

  void ReadNumber() {
    const std::size_t begin = at_;
    const char base = source_[at_] == '0' ? static_cast<char>(CharAt(at_ + 1) | 0x20) : '\0';
    if (base == 'x' || base == 'b' || base == 'o') {
      at_ += 2;
      while (HexDigit(CharAt(at_)) >= 0 || CharAt(at_) == '_') ++at_;
      return AddNumber(TokenKind::kInteger, begin);
    }
    const bool after_dot = begin > 0 && source_[begin - 1] == '.';  // in l.0.1 the 0 is an index
    TokenKind kind = TokenKind::kInteger;
    SkipDigits();
    if (!after_dot && CharAt(at_) == '.' && IsDigit(CharAt(at_ + 1))) {
      ++at_;
      SkipDigits();
      kind = TokenKind::kFloat;
    }
    const std::size_t sign = CharAt(at_ + 1) == '+' || CharAt(at_ + 1) == '-' ? 1 : 0;
    if (!after_dot && (CharAt(at_) == 'e' || CharAt(at_) == 'E') && IsDigit(CharAt(at_ + 1 + sign))) {
      at_ += 1 + sign;
      SkipDigits();
      kind = TokenKind::kFloat;
    }
    AddNumber(kind, begin);
  }

  void AddNumber(TokenKind kind, std::size_t begin) {
    std::string digits(source_.substr(begin, at_ - begin));
    std::erase(digits, '_');
    const std::size_t significant = digits.find_first_not_of('0');
    if (kind == TokenKind::kInteger && significant != 0 && significant < digits.size() &&
        IsDigit(digits[significant])) {
      throw Failure("a whole number does not begin with 0", begin);
    }
    Add(kind, digits, begin);
  }

  void ReadString() {
    const std::size_t begin = at_;
    const char quote = source_[at_++];
    std::string value;
    while (at_ < source_.size() && source_[at_] != quote) {
      if (source_[at_] == '\\' && at_ + 1 < source_.size()) {
        ReadEscape(value);
      } else {
        value += source_[at_++];
      }
    }
    if (at_ == source_.size()) throw Failure("a string is not closed; its quote is missing", begin);
    ++at_;
    Add(TokenKind::kString, value, begin);
  }

  // A code point of `digits` hexadecimal digits behind the escape's letter; false if there are fewer.
  bool ReadHex(int digits, char32_t& code_point) const {
    code_point = 0;
    for (int i = 0; i < digits; ++i) {
      const int digit = HexDigit(CharAt(at_ + 2 + static_cast<std::size_t>(i)));
      if (digit < 0) return false;
      code_point = code_point * 16 + static_cast<char32_t>(digit);
    }
    return true;
  }

  void ReadEscape(std::string& value) {
    static constexpr std::string_view kLetters = "abfnrtv\\'\"";
    static constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v\\'\"";
    const char letter = source_[at_ + 1];
    if (const std::size_t known = kLetters.find(letter); known != std::string_view::npos) {
      value += kMeanings[known];
      at_ += 2;
    } else if (letter == '\n') {
      at_ += 2;  // a continued line
    } else if (letter == 'x' || letter == 'u' || letter == 'U') {
      const int digits = letter == 'x' ? 2 : letter == 'u' ? 4 : 8;
      char32_t code_point = 0;
      if (!ReadHex(digits, code_point)) throw Failure("an escape in a string lacks hexadecimal digits", at_);
      const bool character = code_point <= 0x10FFFF && (code_point < 0xD800 || code_point > 0xDFFF);
      AppendUtf8(character ? code_point : kReplacementCharacter, value);
      at_ += 2 + static_cast<std::size_t>(digits);
    } else if (letter >= '0' && letter <= '7') {
      char32_t code_point = 0;
      std::size_t i = at_ + 1;
      for (; i < at_ + 4 && CharAt(i) >= '0' && CharAt(i) <= '7'; ++i) {
        code_point = code_point * 8 + static_cast<char32_t>(source_[i] - '0');
      }
      AppendUtf8(code_point, value);
      at_ = i;
    } else {
      value += source_[at_++];  // Python keeps a backslash that means nothing
    }
  }

  void ReadOperator(std::vector<char>& open) {
    static constexpr std::array<std::string_view, 6> kTwo = {"**", "//", "==", "!=", "<=", ">="};
    static constexpr std::string_view kOne = "+-*/%~<>=.:|,;()[]{}";
    const auto two = std::find(kTwo.begin(), kTwo.end(), source_.substr(at_, 2));
    const std::size_t size = two == kTwo.end() ? 1 : 2;
    const char c = source_[at_];
    if (size == 1 && kOne.find(c) == std::string_view::npos) {
      throw Failure(
          Cat("the character '", source_.substr(at_, DecodeUtf8(source_, at_).size), "' is not expected here"), at_);
    }
    if (c == '(' || c == '[' || c == '{') open.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
    if (c == ')' || c == ']' || c == '}') {
      if (open.empty() || open.back() != c) throw Failure(Cat("'", c, "' closes nothing here"), at_);
      open.pop_back();
    }
    Add(TokenKind::kOperator, source_.substr(at_, size), at_);
    at_ += size;
  }

  std::string_view source_;
  std::size_t at_ = 0;
  bool at_line_start_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::string NormalizeLineEnds(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out += source[i];
    }
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

std::vector<Token> Tokenize(std::string_view source) { return Lexer(source).Run(); }

}  // namespace slm::jinja
