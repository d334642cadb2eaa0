#include "text/special_matcher.h"

namespace slm {

namespace {

bool IsMark(std::string_view text) {
  return (text.starts_with("<|") && text.ends_with('>')) || (text.starts_with('<') && text.ends_with("|>"));
}

}  // namespace

SpecialMatcher::SpecialMatcher(const Vocabulary& vocabulary, bool guard_marks) {
  roots_.fill(-1);
  for (Token token = 0; token < vocabulary.size(); ++token) {
    const TokenKind kind = vocabulary.Kind(token);
    const std::string_view text = vocabulary.Text(token);
    const bool always = kind == TokenKind::kUserDefined && !(guard_marks && IsMark(text));
    if (IsSpecial(kind)) Add(text, token, always);
  }
}

std::int32_t SpecialMatcher::Child(std::int32_t node, char byte) const {
  std::int32_t child = nodes_[static_cast<std::size_t>(node)].child;
  while (child >= 0 && nodes_[static_cast<std::size_t>(child)].byte != byte) {
    child = nodes_[static_cast<std::size_t>(child)].sibling;
  }
  return child;
}

std::int32_t SpecialMatcher::AddChild(std::int32_t node, char byte) {
  const auto child = static_cast<std::int32_t>(nodes_.size());
  Node& parent = nodes_[static_cast<std::size_t>(node)];
  const std::int32_t sibling = parent.child;
  parent.child = child;
  nodes_.push_back({.byte = byte, .sibling = sibling});
  return child;
}

void SpecialMatcher::Add(std::string_view text, Token token, bool always) {
  if (text.empty()) return;
  std::int32_t& root = roots_[static_cast<unsigned char>(text[0])];
  if (root < 0) {
    root = static_cast<std::int32_t>(nodes_.size());
    nodes_.push_back({.byte = text[0]});
  }
  std::int32_t node = root;
  for (const char byte : text.substr(1)) {
    const std::int32_t child = Child(node, byte);
    node = child >= 0 ? child : AddChild(node, byte);
  }
  Node& end = nodes_[static_cast<std::size_t>(node)];
  if (end.token >= 0) return;  // a text that repeats an earlier token's
  end.token = token;
  end.always = always;
}

std::optional<SpecialMatcher::Match> SpecialMatcher::Next(std::string_view text, std::size_t from,
                                                          bool parse_special) const {
  for (std::size_t begin = from; begin < text.size(); ++begin) {
    std::optional<Match> longest;
    std::int32_t index = roots_[static_cast<unsigned char>(text[begin])];
    for (std::size_t end = begin + 1; index >= 0; ++end) {
      const Node& node = nodes_[static_cast<std::size_t>(index)];
      if (node.token >= 0 && (node.always || parse_special)) {
        longest = Match{begin, end - begin, node.token, node.always};
      }
      index = end < text.size() ? Child(index, text[end]) : -1;
    }
    if (longest) return longest;
  }
  return std::nullopt;
}

}  // namespace slm
