#include "text/pre_tokenizer.h"

#include <algorithm>
#include <cstdint>

#include "base/unicode.h"
#include "base/utf8.h"

namespace slm {

namespace {

// The character at a position and its class; at the end of the text size 0 and no class.
struct Char {
  char32_t code_point;
  std::uint32_t size;
  CharClasses classes;
};

Char CharAt(std::string_view text, std::size_t position) {
  if (position == text.size()) return {0, 0, 0};
  const Utf8Char c = DecodeUtf8(text, position);
  return {c.code_point, c.size, ClassOf(c.code_point)};
}

bool IsNewline(const Char& c) { return c.code_point == '\n' || c.code_point == '\r'; }

// Where the run of characters that begins at `position` ends, if `belongs` says of each whether it is part of it.
template <typename Belongs>
std::size_t RunEndIf(std::string_view text, std::size_t position, const Belongs& belongs) {
  for (Char c = CharAt(text, position); belongs(c); c = CharAt(text, position)) position += c.size;
  return position;
}

// The same for a run of characters of these classes.
std::size_t RunEnd(std::string_view text, std::size_t position, CharClasses classes) {
  return RunEndIf(text, position, [classes](const Char& c) { return (c.classes & classes) != 0; });
}

// \p{N}{1,3} for a text that begins with a number.
std::size_t UpToThreeNumbersSize(std::string_view text) {
  std::size_t end = CharAt(text, 0).size;
  for (int i = 1; i < 3; ++i) {
    const Char c = CharAt(text, end);
    if (c.classes & kNumber) end += c.size;
  }
  return end;
}

// 's|'t|'re|'ve|'m|'ll|'d, size 0 if there is none.
std::size_t ContractionSize(std::string_view text) {
  constexpr std::string_view kContractions[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
  if (!text.starts_with('\'')) return 0;
  for (const std::string_view contraction : kContractions) {
    if (text.starts_with(contraction)) return contraction.size();
  }
  return 0;
}

// (?i:'s|'t|'re|'ve|'m|'ll|'d)
std::size_t AnyCaseContractionSize(std::string_view text) {
  constexpr std::string_view kLongS = "'\u017F";  // folds to "'s"
  if (!text.starts_with('\'')) return 0;
  if (text.starts_with(kLongS)) return kLongS.size();
  char lower[3];
  const std::size_t size = std::min(text.size(), sizeof lower);
  std::transform(text.begin(), text.begin() + size, lower, [](char c) { return 'A' <= c && c <= 'Z' ? c + 32 : c; });
  return ContractionSize({lower, size});
}

bool Never(const Char&) { return false; }

// \s+(?!\S)|\s+ for a text that begins with white space: the run of it, less its last character if there are more and
// something follows. A character of which `ends` is true counts as the end of the text.
template <typename Ends>
std::size_t SpacesSize(std::string_view text, const Ends& ends) {
  std::size_t last = 0;
  std::size_t end = 0;
  Char c = CharAt(text, 0);
  for (; c.classes & kSpace; c = CharAt(text, end)) {
    last = end;
    end += c.size;
  }
  const bool text_ends = c.size == 0 || ends(c);
  return text_ends || last == 0 ? end : last;
}

// \s*[\r\n]+|\s+(?!\S)|\s+ for a text that begins with white space.
std::size_t LinesOrSpacesSize(std::string_view text) {
  std::size_t lines_end = 0;
  std::size_t end = 0;
  for (Char c = CharAt(text, 0); c.classes & kSpace; c = CharAt(text, end)) {
    end += c.size;
    if (IsNewline(c)) lines_end = end;
  }
  return lines_end > 0 ? lines_end : SpacesSize(text, Never);
}

// The text up to the first character of which `ends` is true, by
// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
template <typename Ends>
std::size_t Gpt2WordBefore(std::string_view text, const Ends& ends) {
  if (const std::size_t size = ContractionSize(text); size > 0) return size;
  const std::size_t begin = text[0] == ' ' ? 1 : 0;
  for (const CharClasses run : {kLetter, kNumber, kSymbol}) {
    const auto belongs = [&](const Char& c) { return (c.classes & run) != 0 && !ends(c); };
    if (const std::size_t end = RunEndIf(text, begin, belongs); end > begin) return end;
  }
  return SpacesSize(text, ends);
}

std::size_t NextGpt2Word(std::string_view text) { return Gpt2WordBefore(text, Never); }

// Two passes: first every \p{N} is a word, then GPT-2's pattern cuts what lies between.
std::size_t NextSmolLmWord(std::string_view text) {
  const Char first = CharAt(text, 0);
  if (first.classes & kNumber) return first.size;
  return Gpt2WordBefore(text, [](const Char& c) { return (c.classes & kNumber) != 0; });
}

// [\p{P}\$\+<=>\^~\|]
bool IsDefaultPunctuation(const Char& c) {
  constexpr std::u32string_view kOthers = U"$+<=>^~|";
  return (c.classes & kPunctuation) != 0 || kOthers.find(c.code_point) != kOthers.npos;
}

// Four passes over what the one before has cut: [\p{P}\$\+<=>\^~\|]+, then GPT-2's pattern, \p{N}+, [0-9][0-9][0-9].
std::size_t NextDefaultWord(std::string_view text) {
  const Char first = CharAt(text, 0);
  if (IsDefaultPunctuation(first)) return RunEndIf(text, 0, IsDefaultPunctuation);
  if (first.classes & kNumber) {
    const auto are_three_digits = [](std::string_view rest) {
      return rest.size() >= 3 &&
             std::all_of(rest.begin(), rest.begin() + 3, [](char c) { return '0' <= c && c <= '9'; });
    };
    if (are_three_digits(text)) return 3;
    std::size_t end = first.size;
    for (Char c = CharAt(text, end); c.classes & kNumber; c = CharAt(text, end)) {
      if (are_three_digits(text.substr(end))) break;
      end += c.size;
    }
    return end;
  }
  // The second pass joins a space to the numbers after it, and the third one parts them again.
  if (text[0] == ' ' && (CharAt(text, 1).classes & kNumber) != 0) return 1;
  return Gpt2WordBefore(text, IsDefaultPunctuation);
}

// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,kDigits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|
// \s+(?!\S)|\s+
template <int kDigits>
std::size_t NextLlama3Word(std::string_view text) {
  if (const std::size_t size = AnyCaseContractionSize(text); size > 0) return size;
  const Char first = CharAt(text, 0);
  const bool may_lead = !IsNewline(first) && !(first.classes & (kLetter | kNumber));
  const std::size_t letters = may_lead ? first.size : 0;
  if (const std::size_t end = RunEnd(text, letters, kLetter); end > letters) return end;
  if (first.classes & kNumber) return kDigits == 1 ? first.size : UpToThreeNumbersSize(text);
  const std::size_t symbols = text[0] == ' ' ? 1 : 0;
  if (std::size_t end = RunEnd(text, symbols, kSymbol); end > symbols) {
    while (IsNewline(CharAt(text, end))) ++end;
    return end;
  }
  return LinesOrSpacesSize(text);
}

// With U = [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] and L = [\p{Ll}\p{Lm}\p{Lo}\p{M}], from `begin`: where U*L+ ends, or
// `begin`.
std::size_t LowerEnd(std::string_view text, std::size_t begin) {
  constexpr CharClasses kBoth = kOtherLetter | kMark;
  std::size_t both_end = begin;
  std::size_t upper_end = begin;
  for (Char c = CharAt(text, begin); c.classes & (kUpperCase | kBoth); c = CharAt(text, upper_end)) {
    upper_end += c.size;
    if (c.classes & kBoth) both_end = upper_end;
  }
  const std::size_t lower_end = RunEnd(text, upper_end, kLowerCase | kBoth);
  // Without a lower-case letter after the run U* gives back as little as lets L+ match: up to the last that is both.
  return lower_end > upper_end ? lower_end : both_end;
}

// [^\r\n\p{L}\p{N}]?U*L+|[^\r\n\p{L}\p{N}]?U+L* for the beginning of the text; 0 if it does not match.
std::size_t CasedWordSize(std::string_view text) {
  constexpr CharClasses kUpper = kUpperCase | kOtherLetter | kMark;
  const Char first = CharAt(text, 0);
  const bool may_lead = !IsNewline(first) && !(first.classes & (kLetter | kNumber));
  const std::size_t lead = may_lead ? first.size : 0;
  if (const std::size_t end = LowerEnd(text, lead); end > lead) return end;
  if (const std::size_t end = LowerEnd(text, 0); end > 0) return end;
  // No L follows the U here, or the alternatives above had matched.
  const std::size_t end = RunEnd(text, lead, kUpper);
  return end > lead ? end : 0;
}

// ` ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+` for a text that does not begin with a letter or number.
std::size_t SymbolsOrSpacesSize(std::string_view text) {
  const std::size_t symbols = text[0] == ' ' ? 1 : 0;
  if (std::size_t end = RunEnd(text, symbols, kSymbol); end > symbols) {
    while (end < text.size() && (text[end] == '\r' || text[end] == '\n' || text[end] == '/')) ++end;
    return end;
  }
  return LinesOrSpacesSize(text);
}

// [^\r\n\p{L}\p{N}]?U*L+|[^\r\n\p{L}\p{N}]?U+L*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
std::size_t NextTekkenWord(std::string_view text) {
  if (const std::size_t size = CasedWordSize(text); size > 0) return size;
  const Char first = CharAt(text, 0);
  return first.classes & kNumber ? first.size : SymbolsOrSpacesSize(text);
}

// Tekken's pattern with (?i:'s|'t|'re|'ve|'m|'ll|'d)? after each of the first two alternatives and \p{N}{1,3}.
std::size_t NextGpt4oWord(std::string_view text) {
  if (const std::size_t size = CasedWordSize(text); size > 0) return size + AnyCaseContractionSize(text.substr(size));
  return CharAt(text, 0).classes & kNumber ? UpToThreeNumbersSize(text) : SymbolsOrSpacesSize(text);
}

constexpr PreTokenizer kPreTokenizers[] = {
    {"default", NextDefaultWord},
    {"gpt-2", NextGpt2Word},
    {"phi-2", NextGpt2Word},
    {"mellum", NextGpt2Word},
    {"smollm", NextSmolLmWord},
    {"starcoder", NextSmolLmWord},
    {"refact", NextSmolLmWord},
    {"command-r", NextSmolLmWord},
    {"codeshell", NextSmolLmWord},
    {"exaone", NextSmolLmWord},
    {"minerva-7b", NextSmolLmWord},
    {"llama-bpe", NextLlama3Word<3>, /*ignore_merges=*/true, /*add_bos=*/true},
    {"llama3", NextLlama3Word<3>, true, true},
    {"llama-v3", NextLlama3Word<3>, true, true},
    {"pixtral", NextLlama3Word<3>, true, true},
    {"falcon3", NextLlama3Word<3>, true, true},
    {"falcon-h1", NextLlama3Word<3>, true, true},
    {"lfm2", NextLlama3Word<3>, true, true},
    {"midm-2.0", NextLlama3Word<3>, true, true},
    {"dbrx", NextLlama3Word<3>},
    {"smaug-bpe", NextLlama3Word<3>},
    {"qwen2", NextLlama3Word<1>},
    {"deepseek-r1-qwen", NextLlama3Word<1>},
    {"megrez", NextLlama3Word<1>},
    {"tekken", NextTekkenWord, true, true},
    {"gpt-4o", NextGpt4oWord},
    {"llama4", NextGpt4oWord},
};

}  // namespace

std::span<const PreTokenizer> AllPreTokenizers() { return kPreTokenizers; }

const PreTokenizer* FindPreTokenizer(std::string_view name) {
  const PreTokenizer* found = std::find_if(std::begin(kPreTokenizers), std::end(kPreTokenizers),
                                           [name](const PreTokenizer& row) { return row.name == name; });
  return found == std::end(kPreTokenizers) ? nullptr : found;
}

}  // namespace slm
