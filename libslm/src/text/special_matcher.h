// Finds the texts of special tokens in a text.

#ifndef SLM_TEXT_SPECIAL_MATCHER_H_
#define SLM_TEXT_SPECIAL_MATCHER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "slm/tokenizer.h"
#include "text/vocabulary.h"

namespace slm {

// Whether a token is cut out of a text before the rest is encoded.
inline bool IsSpecial(TokenKind kind) {
  return kind == TokenKind::kUserDefined || kind == TokenKind::kControl || kind == TokenKind::kUnknown;
}

// Aho and Corasick's automaton over all special tokens of a vocabulary, spelled backwards: a text is read once, from
// its end to its beginning, whatever it and the tokens are. Immutable; does not refer to the vocabulary.
class SpecialMatcher {
 public:
  // With `guard_marks` user-defined tokens spelled "<|x>" or "<x|>" are matched as control tokens are.
  SpecialMatcher(const Vocabulary& vocabulary, bool guard_marks);

  struct Match {
    std::size_t begin;
    std::size_t size;
    Token token;
    bool always;  // it matches without parse_special too
  };
  // What a text holds, for walking through it from the left. The matcher must outlive it.
  class Matches {
   public:
    // The first match that begins at `from` or later, and the longest of those that begin there. `from` never gets
    // smaller.
    std::optional<Match> Next(std::size_t from);

   private:
    friend class SpecialMatcher;
    explicit Matches(const SpecialMatcher& matcher) : matcher_(matcher) {}
    struct Place {
      std::uint32_t begin;
      std::int32_t node;  // of the longest token there
    };
    const SpecialMatcher& matcher_;
    std::vector<Place> places_;  // where a token begins, the last first
  };
  // Of a text below 4 GB. User-defined tokens match always (but see the constructor), control and unknown ones only if
  // parse_special.
  Matches Find(std::string_view text, bool parse_special) const;

 private:
  struct Node {
    char byte = 0;
    bool always = false;      // whether it matches without parse_special too
    Token token = -1;         // the special token that begins here
    std::int32_t size = 0;    // bytes of its text
    std::int32_t child = -1;  // first of the nodes one byte further
    std::int32_t sibling = -1;
    std::int32_t shorter = 0;  // the longest other text in the trie that what was read ends in
    // The longest special token that what was read ends in, of all and of those that match always; -1: none.
    std::int32_t longest = -1;
    std::int32_t longest_always = -1;
  };
  Node& At(std::int32_t node) { return nodes_[static_cast<std::size_t>(node)]; }
  const Node& At(std::int32_t node) const { return nodes_[static_cast<std::size_t>(node)]; }
  std::int32_t Child(std::int32_t node, char byte) const;
  std::int32_t AddChild(std::int32_t node, char byte);
  // Where reading `byte` leads.
  std::int32_t Step(std::int32_t node, char byte) const;
  void Add(std::string_view text, Token token, bool always);
  void Link();

  std::vector<Node> nodes_;              // the first is the root
  std::array<std::int32_t, 256> roots_;  // the root's children by byte; -1: no special token ends so
};

}  // namespace slm

#endif  // SLM_TEXT_SPECIAL_MATCHER_H_
