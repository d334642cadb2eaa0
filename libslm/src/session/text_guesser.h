// Guesses how a text goes on from what stands in it already: edits, summaries, code and lists repeat much of what came
// before.

#ifndef SLM_SESSION_TEXT_GUESSER_H_
#define SLM_SESSION_TEXT_GUESSER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "slm/tokenizer.h"

namespace slm {

// Places are found by the hash of kContext tokens, newest first, as compressors of the LZ77 family do. Takes 12 to 16
// bytes a token.
class TextGuesser {
 public:
  void Reset(std::span<const Token> text);
  void Add(Token token);
  std::size_t size() const { return text_.size(); }

  // Looks for the earlier place that has most tokens before it in common with the text's end, up to 32, and adds the
  // `count` tokens after it to `guess`; those of a place so near that it has fewer, again and again. Returns how many
  // are in common; 0: there is no such place, and no guess.
  std::size_t Find(std::size_t count, std::vector<Token>& guess) const;

 private:
  static constexpr std::size_t kContext = 3;
  static constexpr std::size_t kLongestMatch = 32;
  static constexpr int kMostPlaces = 32;  // that are looked at
  static constexpr std::int32_t kNone = -1;

  std::size_t Slot(std::size_t end) const;
  std::size_t MatchAt(std::size_t end) const;
  void Insert(std::size_t end);

  std::vector<Token> text_;
  std::vector<std::int32_t> before_;  // for each end of kContext tokens, the one before with the same slot
  std::vector<std::int32_t> newest_;  // of each slot; as many as a power of two
};

}  // namespace slm

#endif  // SLM_SESSION_TEXT_GUESSER_H_
