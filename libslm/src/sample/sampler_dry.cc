#include "sample/sampler_dry.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "sample/sampler_penalties.h"

namespace slm {

namespace {

// shared[i]: how many tokens at their ends the whole text and the text without its last i tokens have in common. This
// is the Z-function of the text read backwards; shared[0] stays 0.
void CountSharedEndings(std::span<const Token> text, std::vector<std::size_t>& shared) {
  const std::size_t size = text.size();
  const auto backwards = [&](std::size_t i) { return text[size - 1 - i]; };
  shared.assign(size, 0);
  // [begin, end): the stretch found so far, with the largest end, that repeats the beginning.
  for (std::size_t i = 1, begin = 0, end = 0; i < size; ++i) {
    std::size_t length = i < end ? std::min(shared[i - begin], end - i) : 0;
    while (i + length < size && backwards(length) == backwards(i + length)) ++length;
    shared[i] = length;
    if (i + length > end) {
      begin = i;
      end = i + length;
    }
  }
}

}  // namespace

BreakerFinder::BreakerFinder(std::vector<std::string> breakers, const Tokenizer* tokenizer)
    : breakers_(std::move(breakers)), tokenizer_(tokenizer) {
  for (const std::string& breaker : breakers_) overlap_ = std::max(overlap_, breaker.size() - 1);
}

bool BreakerFinder::EndsBehind(std::size_t known, std::string_view text) const {
  return std::ranges::any_of(breakers_, [&](const std::string& breaker) {
    const std::size_t first = known - std::min(known, breaker.size() - 1);
    return text.find(breaker, first) != std::string_view::npos;
  });
}

void BreakerFinder::Accept(Token token) {
  ++tokens_since_;
  if (breakers_.empty()) return;
  const std::size_t known = tail_.size();
  tail_ += tokenizer_->Piece(token, /*render_special=*/true);
  if (EndsBehind(known, tail_)) tokens_since_ = 0;
  tail_.erase(0, tail_.size() - std::min(tail_.size(), overlap_));
}

void BreakerFinder::Clear() {
  tail_.clear();
  tokens_since_ = 0;
}

bool BreakerFinder::Spells(Token token) const {
  return !breakers_.empty() && EndsBehind(0, tokenizer_->Piece(token, /*render_special=*/true));
}

DryPenalty::DryPenalty(const SamplerOptions& options, const Tokenizer* tokenizer)
    : multiplier_(options.dry_multiplier),
      base_(options.dry_base),
      allowed_length_(static_cast<std::size_t>(options.dry_allowed_length)),
      breakers_(options.dry_sequence_breakers, tokenizer) {}

void DryPenalty::Apply(std::span<const Token> recent, std::span<float> logits) {
  if (breakers_.tokens_since() < allowed_length_) return;
  CountSharedEndings(recent, shared_);
  longest_.clear();
  for (std::size_t i = 1; i < recent.size(); ++i) {
    const std::size_t length = std::min(shared_[i], breakers_.tokens_since());
    if (length < allowed_length_) continue;
    std::size_t& longest = longest_[recent[recent.size() - i]];
    longest = std::max(longest, length);
  }
  for (const auto& [token, length] : longest_) {
    if (token < 0 || std::cmp_greater_equal(token, logits.size()) || breakers_.Spells(token)) continue;
    float& logit = logits[static_cast<std::size_t>(token)];
    logit = AdjustedLogit(logit, logit - multiplier_ * std::pow(base_, static_cast<double>(length - allowed_length_)));
  }
}

}  // namespace slm
