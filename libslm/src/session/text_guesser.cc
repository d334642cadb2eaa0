#include "session/text_guesser.h"

#include <algorithm>
#include <bit>

namespace slm {

void TextGuesser::Reset(std::span<const Token> text) {
  text_.clear();
  before_.clear();
  newest_.assign(std::bit_ceil(std::max<std::size_t>(text.size(), 256)), kNone);
  for (const Token token : text) Add(token);
}

void TextGuesser::Add(Token token) {
  text_.push_back(token);
  before_.push_back(kNone);
  if (text_.size() > 2 * newest_.size()) {
    newest_.assign(2 * newest_.size(), kNone);
    for (std::size_t end = kContext; end < text_.size(); ++end) Insert(end);
  }
  if (text_.size() >= kContext) Insert(text_.size());
}

// Of the kContext tokens before `end`.
std::size_t TextGuesser::Slot(std::size_t end) const {
  std::uint64_t hash = 0;
  for (std::size_t i = end - kContext; i < end; ++i)
    hash = (hash + static_cast<std::uint32_t>(text_[i])) * 0x9E3779B97F4A7C15u;
  return hash >> (64 - std::countr_zero(newest_.size()));
}

void TextGuesser::Insert(std::size_t end) {
  std::int32_t& newest = newest_[Slot(end)];
  before_[end - 1] = newest;
  newest = static_cast<std::int32_t>(end);
}

// How many tokens before `end` are those at the end of the text.
std::size_t TextGuesser::MatchAt(std::size_t end) const {
  const std::size_t longest = std::min(end, kLongestMatch);
  std::size_t match = 0;
  while (match < longest && text_[end - 1 - match] == text_[text_.size() - 1 - match]) ++match;
  return match;
}

std::size_t TextGuesser::Find(std::size_t count, std::vector<Token>& guess) const {
  if (text_.size() < kContext) return 0;
  std::size_t longest = 0, best = 0;
  std::int32_t place = before_.back();
  for (int i = 0; i < kMostPlaces && place != kNone; ++i, place = before_[static_cast<std::size_t>(place) - 1]) {
    const auto end = static_cast<std::size_t>(place);
    const std::size_t match = MatchAt(end);
    if (match < kContext || match <= longest) continue;
    longest = match;
    best = end;
    if (match == kLongestMatch) break;
  }
  if (longest == 0) return 0;
  for (std::size_t i = 0; i < count; ++i) guess.push_back(text_[best + i % (text_.size() - best)]);
  return longest;
}

}  // namespace slm
