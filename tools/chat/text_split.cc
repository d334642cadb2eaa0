#include "text_split.h"

#include <algorithm>
#include <array>
#include <string>

namespace slm::tools {

namespace {

// How good a place is to cut a text, best last.
enum class Boundary { kNone, kCharacter, kWord, kLine, kSentence, kParagraph };

bool IsContinuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }
bool IsSpace(char byte) { return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r'; }

bool EndsSentence(std::string_view text) {
  while (text.ends_with('"') || text.ends_with('\'') || text.ends_with(')') || text.ends_with(']')) {
    text.remove_suffix(1);
  }
  return text.ends_with('.') || text.ends_with('!') || text.ends_with('?');
}

// Scripts without spaces end sentences by themselves.
bool EndsWideSentence(std::string_view text) {
  constexpr std::array<std::string_view, 4> kMarks = {"\u3002", "\uFF01", "\uFF1F", "\u0964"};
  return std::any_of(kMarks.begin(), kMarks.end(), [&](std::string_view mark) { return text.ends_with(mark); });
}

// How good it is to cut before byte `at`, 0 < at < text.size(). Spaces and line breaks stay with what they follow.
Boundary BoundaryAt(std::string_view text, std::size_t at) {
  if (IsContinuation(text[at])) return Boundary::kNone;
  if (EndsWideSentence(text.substr(0, at))) return Boundary::kSentence;
  if (!IsSpace(text[at - 1]) || IsSpace(text[at])) return Boundary::kCharacter;
  std::size_t space = at;
  int lines = 0;
  while (space > 0 && IsSpace(text[space - 1])) lines += text[--space] == '\n' ? 1 : 0;
  if (lines > 1) return Boundary::kParagraph;
  if (EndsSentence(text.substr(0, space))) return Boundary::kSentence;
  return lines > 0 ? Boundary::kLine : Boundary::kWord;
}

// The last one of the best places to cut in [first, last], last > 0. `last` itself if it is the text's end, and the
// nearest place before `first` if there is none after it.
std::size_t BestCut(std::string_view text, std::size_t first, std::size_t last) {
  if (last >= text.size()) return text.size();
  std::size_t best = 0;
  Boundary quality = Boundary::kNone;
  for (std::size_t at = last; at > 0 && (at >= first || quality == Boundary::kNone); --at) {
    const Boundary boundary = BoundaryAt(text, at);
    if (boundary <= quality) continue;
    quality = boundary;
    best = at;
    if (quality == Boundary::kParagraph) break;
  }
  return best;
}

class Splitter {
 public:
  Splitter(std::string_view text, const TextMeasure& measure, const SplitOptions& options)
      : text_(text), measure_(measure), options_(options) {}

  // Parts as long as the limit lets them be.
  Result<std::vector<TextRange>> Split() const {
    std::vector<TextRange> parts;
    std::size_t begin = 0;
    while (parts.empty() || parts.back().end < text_.size()) {
      Result<std::size_t> end = EndOf(begin);
      if (!end.ok()) return end.status();
      if (!parts.empty() && *end <= parts.back().end) {  // no room for more than what is repeated
        begin = parts.back().end;
        end = EndOf(begin);
        if (!end.ok()) return end.status();
      }
      parts.push_back({.begin = begin, .end = *end});
      begin = NextBegin(parts.back());
    }
    return parts;
  }

 private:
  Result<bool> Fits(std::size_t begin, std::size_t end) const {
    const Result<std::int64_t> size = measure_(text_.substr(begin, end - begin));
    if (!size.ok()) return size.status();
    return *size <= options_.limit;
  }

  // About the furthest end for which [begin, end) fits; `begin` if none was found.
  Result<std::size_t> Furthest(std::size_t begin) const {
    constexpr std::size_t kFirstStep = 1024;
    constexpr std::size_t kPrecision = 64;  // the search ends within 1/64 of the part
    std::size_t low = begin;                // fits
    std::size_t high = begin;               // does not, or is the text's end
    for (std::size_t step = kFirstStep; low == high; step *= 2) {
      high = text_.size() - low > step ? low + step : text_.size();
      const Result<bool> fits = Fits(begin, high);
      if (!fits.ok()) return fits.status();
      if (*fits) low = high;
      if (low == text_.size()) return low;
    }
    while (high - low > std::max<std::size_t>(1, (low - begin) / kPrecision)) {
      const std::size_t middle = low + (high - low) / 2;
      const Result<bool> fits = Fits(begin, middle);
      if (!fits.ok()) return fits.status();
      (*fits ? low : high) = middle;
    }
    return low;
  }

  // The end of the part that begins here.
  Result<std::size_t> EndOf(std::size_t begin) const {
    const Result<std::size_t> furthest = Furthest(begin);
    if (!furthest.ok()) return furthest.status();
    const std::string_view rest = text_.substr(begin);
    std::size_t length = *furthest - begin;
    while (length > 0) {
      // A shorter text may measure more where its last words are cut differently, hence the check.
      length = BestCut(rest, length - length / 3, length);
      if (length == 0) break;
      const Result<bool> fits = Fits(begin, begin + length);
      if (!fits.ok()) return fits.status();
      if (*fits) return begin + length;
      --length;
    }
    return Status(
        StatusCode::kInvalidArgument,
        "The text can't be split: what fits is less than the character at byte " + std::to_string(begin) + " alone.");
  }

  std::size_t NextBegin(const TextRange& part) const {
    const auto overlap = static_cast<std::size_t>(static_cast<double>(part.end - part.begin) * options_.overlap);
    if (overlap == 0 || part.end == text_.size()) return part.end;
    const std::string_view before = text_.substr(0, part.end);
    const std::size_t begin = BestCut(before, part.end - overlap, part.end - overlap / 2);
    return begin > part.begin ? begin : part.end;
  }

  const std::string_view text_;
  const TextMeasure& measure_;
  const SplitOptions options_;
};

}  // namespace

Result<std::vector<TextRange>> SplitText(std::string_view text, const TextMeasure& measure,
                                         const SplitOptions& options) {
  Result<std::vector<TextRange>> parts = Splitter(text, measure, options).Split();
  if (!parts.ok() || parts->size() < 2) return parts;

  // Parts of the greatest length may leave next to nothing for the last one.
  const Result<std::int64_t> last = measure(text.substr(parts->back().begin));
  if (!last.ok()) return last.status();
  if (*last >= options.limit / 2) return parts;
  const auto count = static_cast<std::int64_t>(parts->size());
  SplitOptions even = options;
  even.limit -= (options.limit - *last) / count * 9 / 10;  // a little room, as not every cut is where it is wanted
  const Result<std::vector<TextRange>> better = Splitter(text, measure, even).Split();
  return better.ok() && better->size() == parts->size() ? better : parts;
}

}  // namespace slm::tools
