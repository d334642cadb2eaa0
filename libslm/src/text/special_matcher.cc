#include "text/special_matcher.h"

#include <algorithm>

namespace slm {

namespace {

constexpr std::int32_t kRoot = 0;

bool IsMark(std::string_view text) {
  return (text.starts_with("<|") && text.ends_with('>')) || (text.starts_with('<') && text.ends_with("|>"));
}

}  // namespace

SpecialMatcher::SpecialMatcher(const Vocabulary& vocabulary, bool guard_marks) : nodes_(1) {
  roots_.fill(-1);
  for (Token token = 0; token < vocabulary.size(); ++token) {
    const TokenKind kind = vocabulary.Kind(token);
    const std::string_view text = vocabulary.Text(token);
    const bool always = kind == TokenKind::kUserDefined && !(guard_marks && IsMark(text));
    if (IsSpecial(kind)) Add(text, token, always);
  }
  Link();
}

std::int32_t SpecialMatcher::Child(std::int32_t node, char byte) const {
  if (node == kRoot) return roots_[static_cast<unsigned char>(byte)];
  std::int32_t child = At(node).child;
  while (child >= 0 && At(child).byte != byte) child = At(child).sibling;
  return child;
}

std::int32_t SpecialMatcher::AddChild(std::int32_t node, char byte) {
  const auto child = static_cast<std::int32_t>(nodes_.size());
  nodes_.push_back({.byte = byte, .sibling = At(node).child});
  At(node).child = child;
  if (node == kRoot) roots_[static_cast<unsigned char>(byte)] = child;
  return child;
}

void SpecialMatcher::Add(std::string_view text, Token token, bool always) {
  if (text.empty()) return;
  std::int32_t node = kRoot;
  for (auto byte = text.rbegin(); byte != text.rend(); ++byte) {
    const std::int32_t child = Child(node, *byte);
    node = child >= 0 ? child : AddChild(node, *byte);
  }
  Node& end = At(node);
  if (end.token >= 0) return;  // a text that repeats an earlier token's
  end.token = token;
  end.always = always;
  end.size = static_cast<std::int32_t>(text.size());
}

std::int32_t SpecialMatcher::Step(std::int32_t node, char byte) const {
  for (; node != kRoot; node = At(node).shorter) {
    if (const std::int32_t child = Child(node, byte); child >= 0) return child;
  }
  return std::max(Child(kRoot, byte), kRoot);
}

// Breadth first, so that what is shorter is linked before.
void SpecialMatcher::Link() {
  std::vector<std::int32_t> queue = {kRoot};
  for (std::size_t i = 0; i < queue.size(); ++i) {
    const std::int32_t parent = queue[i];
    for (std::int32_t index = At(parent).child; index >= 0; index = At(index).sibling) {
      Node& node = At(index);
      node.shorter = parent == kRoot ? kRoot : Step(At(parent).shorter, node.byte);
      node.longest = node.token >= 0 ? index : At(node.shorter).longest;
      node.longest_always = node.token >= 0 && node.always ? index : At(node.shorter).longest_always;
      queue.push_back(index);
    }
  }
}

SpecialMatcher::Matches SpecialMatcher::Find(std::string_view text, bool parse_special) const {
  Matches matches(*this);
  std::int32_t node = kRoot;
  for (std::size_t begin = text.size(); begin-- > 0;) {
    node = Step(node, text[begin]);
    const std::int32_t longest = parse_special ? At(node).longest : At(node).longest_always;
    if (longest >= 0) matches.places_.push_back({static_cast<std::uint32_t>(begin), longest});
  }
  return matches;
}

std::optional<SpecialMatcher::Match> SpecialMatcher::Matches::Next(std::size_t from) {
  while (!places_.empty() && places_.back().begin < from) places_.pop_back();
  if (places_.empty()) return std::nullopt;
  const Node& found = matcher_.At(places_.back().node);
  return Match{places_.back().begin, static_cast<std::size_t>(found.size), found.token, found.always};
}

}  // namespace slm
