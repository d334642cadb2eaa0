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

// A trie over all special tokens of a vocabulary. Immutable; does not refer to the vocabulary.
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
  // The first match that begins at `from` or later, and the longest of those that begin there. User-defined tokens
  // match always (but see the constructor), control and unknown ones only if parse_special.
  std::optional<Match> Next(std::string_view text, std::size_t from, bool parse_special) const;

 private:
  struct Node {
    char byte = 0;
    bool always = false;      // whether it matches without parse_special too
    Token token = -1;         // the special token that ends here
    std::int32_t child = -1;  // first of the nodes one byte further
    std::int32_t sibling = -1;
  };
  std::int32_t Child(std::int32_t node, char byte) const;
  std::int32_t AddChild(std::int32_t node, char byte);
  void Add(std::string_view text, Token token, bool always);

  std::vector<Node> nodes_;
  std::array<std::int32_t, 256> roots_;  // by first byte; -1: no special token begins so
};

}  // namespace slm

#endif  // SLM_TEXT_SPECIAL_MATCHER_H_
