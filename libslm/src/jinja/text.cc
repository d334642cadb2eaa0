#include "jinja/text.h"

#include <algorithm>
#include <cstdint>

#include "base/unicode.h"
#include "base/utf8.h"

namespace slm::jinja {

void Text::Append(std::string_view bytes, bool from_template) {
  if (bytes.empty()) return;
  bytes_.append(bytes);
  if (!runs_.empty() && runs_.back().from_template == from_template) {
    runs_.back().end = bytes_.size();
  } else {
    runs_.push_back({bytes_.size(), from_template});
  }
}

void Text::Append(const Text& other) {
  if (&other == this) {
    const Text copy = other;  // NOLINT(performance-unnecessary-copy-initialization): this one changes meanwhile
    AppendPart(copy, 0, copy.size());
  } else {
    AppendPart(other, 0, other.size());
  }
}

void Text::AppendPart(const Text& text, std::size_t begin, std::size_t count) {
  begin = std::min(begin, text.size());
  const std::size_t end = begin + std::min(count, text.size() - begin);
  auto run = std::upper_bound(text.runs_.begin(), text.runs_.end(), begin,
                              [](std::size_t at, const Run& r) { return at < r.end; });
  while (begin < end) {
    const std::size_t stop = std::min(end, run->end);
    Append(text.view().substr(begin, stop - begin), run->from_template);
    begin = stop;
    ++run;
  }
}

Text Text::Part(std::size_t begin, std::size_t count) const {
  Text part;
  part.AppendPart(*this, begin, count);
  return part;
}

Array<Text::Piece> Text::Pieces() const {
  Array<Piece> pieces;
  pieces.reserve(runs_.size());
  std::size_t begin = 0;
  for (const Run& run : runs_) {
    pieces.push_back({view().substr(begin, run.end - begin), run.from_template});
    begin = run.end;
  }
  return pieces;
}

bool Text::AllFromTemplate() const {
  return std::all_of(runs_.begin(), runs_.end(), [](const Run& run) { return run.from_template; });
}

Array<std::size_t> CharacterOffsets(std::string_view text) {
  Array<std::size_t> offsets;
  for (std::size_t i = 0; i < text.size(); i += DecodeUtf8(text, i).size) offsets.push_back(i);
  offsets.push_back(text.size());
  return offsets;
}

std::size_t CharacterOffset(std::string_view text, std::size_t index) {
  std::size_t offset = 0;
  for (; index > 0 && offset < text.size(); --index) offset += DecodeUtf8(text, offset).size;
  return offset;
}

std::string Shortened(std::string_view text) {
  constexpr std::size_t kShown = 100;  // characters
  const std::size_t size = CharacterOffset(text, kShown);
  return size == text.size() ? std::string(text) : std::string(text.substr(0, size)) + "...";
}

std::size_t CountCharacters(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size(); i += DecodeUtf8(text, i).size) ++count;
  return count;
}

namespace {

// Knuth, Morris and Pratt: where `wanted` ends in `text`, or text.end().
template <typename Iterator>
Iterator FindEnd(Iterator text, Iterator text_end, Iterator wanted, std::size_t size) {
  std::vector<std::uint32_t> border(size, 0);  // of each prefix: how much of it may still match after a mismatch
  for (std::size_t i = 1, matched = 0; i < size; ++i) {
    while (matched != 0 && wanted[i] != wanted[matched]) matched = border[matched - 1];
    if (wanted[i] == wanted[matched]) ++matched;
    border[i] = static_cast<std::uint32_t>(matched);
  }
  for (std::size_t matched = 0; text != text_end; ++text) {
    while (matched != 0 && *text != wanted[matched]) matched = border[matched - 1];
    if (*text == wanted[matched]) ++matched;
    if (matched == size) return text + 1;
  }
  return text_end;
}

constexpr std::size_t kShort = 32;  // bytes; such a text is found fast enough the simple way
constexpr std::size_t kLongest = UINT32_MAX;

}  // namespace

std::size_t FindText(std::string_view text, std::string_view wanted, std::size_t from) {
  if (wanted.size() <= kShort) return text.find(wanted, from);
  if (wanted.size() > kLongest || from > text.size() || wanted.size() > text.size() - from) return text.npos;
  const auto end = FindEnd(text.begin() + from, text.end(), wanted.begin(), wanted.size());
  const bool found = end != text.end() || text.ends_with(wanted);
  return found ? static_cast<std::size_t>(end - text.begin()) - wanted.size() : text.npos;
}

std::size_t FindLastText(std::string_view text, std::string_view wanted) {
  if (wanted.size() <= kShort) return text.rfind(wanted);
  if (wanted.size() > kLongest || wanted.size() > text.size()) return text.npos;
  const auto end = FindEnd(text.rbegin(), text.rend(), wanted.rbegin(), wanted.size());
  const bool found = end != text.rend() || text.starts_with(wanted);
  return found ? static_cast<std::size_t>(text.rend() - end) : text.npos;
}

bool IsSpace(char32_t c) {
  return (c >= 0x1C && c <= 0x1F) || ClassOf(c) == kSpace;  // Python counts the information separators too
}

Text Strip(const Text& text, Ends ends, const std::string_view* set) {
  const std::string_view view = text.view();
  // Where the first character that is kept begins, and the last one ends.
  std::size_t first = view.size(), last = view.size();
  for (std::size_t i = 0; i < view.size();) {
    const Utf8Char c = DecodeUtf8(view, i);
    const bool dropped =
        set != nullptr ? set->find(view.substr(i, c.size)) != std::string_view::npos : IsSpace(c.code_point);
    if (!dropped) {
      first = std::min(first, i);
      last = i + c.size;
    }
    i += c.size;
  }
  if (ends == Ends::kRight) first = first == view.size() ? first : 0;
  if (ends == Ends::kLeft) last = view.size();
  return text.Part(first, last - first);
}

namespace {

// In these ranges upper and lower case letters alternate, beginning with an upper case one.
bool InPairs(char32_t c) {
  return (c >= 0x100 && c <= 0x12F) || (c >= 0x132 && c <= 0x137) || (c >= 0x14A && c <= 0x177) ||
         (c >= 0x460 && c <= 0x481) || (c >= 0x48A && c <= 0x4BF) || (c >= 0x4D0 && c <= 0x52F) ||
         (c >= 0x1E00 && c <= 0x1E95) || (c >= 0x1EA0 && c <= 0x1EFF);
}

// As above, beginning with a lower case letter's odd predecessor: the upper case letters are odd.
bool InOddPairs(char32_t c) { return (c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17E); }

}  // namespace

char32_t ToUpper(char32_t c) {
  if ((c >= 'a' && c <= 'z') || (c >= 0xE0 && c <= 0xFE && c != 0xF7)) return c - 32;
  if (c == 0xFF) return 0x178;
  if (InPairs(c)) return c & ~char32_t{1};
  if (InOddPairs(c)) return c % 2 == 0 ? c - 1 : c;
  if (c == 0x3C2) return 0x3A3;
  if ((c >= 0x3B1 && c <= 0x3CB) || (c >= 0x430 && c <= 0x44F)) return c - 32;
  if (c >= 0x450 && c <= 0x45F) return c - 80;
  return c;
}

char32_t ToLower(char32_t c) {
  if ((c >= 'A' && c <= 'Z') || (c >= 0xC0 && c <= 0xDE && c != 0xD7)) return c + 32;
  if (c == 0x178) return 0xFF;
  if (c == 0x130) return c;
  if (InPairs(c)) return c | 1;
  if (InOddPairs(c)) return c % 2 == 1 ? c + 1 : c;
  if ((c >= 0x391 && c <= 0x3AB && c != 0x3A2) || (c >= 0x410 && c <= 0x42F)) return c + 32;
  if (c >= 0x400 && c <= 0x40F) return c + 80;
  return c;
}

bool IsUpper(char32_t c) { return ClassOf(c) == kUpperCase; }
bool IsLower(char32_t c) { return ClassOf(c) == kLowerCase; }

std::string UpperText(char32_t c) {
  if (c == 0xDF) return "SS";
  std::string out;
  AppendUtf8(ToUpper(c), out);
  return out;
}

}  // namespace slm::jinja
