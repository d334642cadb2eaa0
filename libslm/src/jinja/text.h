// A string that remembers which of its parts the template wrote and which came from the conversation.
//
// A chat template writes control tokens as ordinary text. What a user typed may spell the same text and must stay text,
// so each part keeps its origin through trimming, replacing, slicing and joining.

#ifndef SLM_JINJA_TEXT_H_
#define SLM_JINJA_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/memory.h"

namespace slm::jinja {

class Text {
 public:
  struct Piece {
    std::string_view text;
    bool from_template;
  };

  Text() = default;
  Text(std::string_view bytes, bool from_template) { Append(bytes, from_template); }

  std::string_view view() const { return bytes_; }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }

  void Append(std::string_view bytes, bool from_template);
  void Append(const Text& other);
  // Appends text.view().substr(begin, count) with its origins.
  void AppendPart(const Text& text, std::size_t begin, std::size_t count);

  Text Part(std::size_t begin, std::size_t count = std::string_view::npos) const;
  // The whole, as neighbouring pieces of different origin; valid while the text is unchanged.
  Array<Piece> Pieces() const;
  std::size_t piece_count() const { return runs_.size(); }
  // True if no byte came from the conversation.
  bool AllFromTemplate() const;

  // Already escaped for HTML: `escape` leaves it alone.
  bool markup = false;

 private:
  struct Run {
    std::size_t end;
    bool from_template;
  };

  Bytes bytes_;
  Array<Run> runs_;  // ends ascend; the last one is size()
};

// Where the characters of `text` begin, and its size at the end.
Array<std::size_t> CharacterOffsets(std::string_view text);
// Where character `index` of `text` begins, or its end if it has fewer.
std::size_t CharacterOffset(std::string_view text, std::size_t index);
std::size_t CountCharacters(std::string_view text);

// What of a text stands in a message: its beginning, if it is long.
std::string Shortened(std::string_view text);

// The first or last place of `wanted` in `text`, at or behind `from`; npos if there is none. Linear in both, unlike
// string_view's own, so that no text can make a search take long.
std::size_t FindText(std::string_view text, std::string_view wanted, std::size_t from = 0);
std::size_t FindLastText(std::string_view text, std::string_view wanted);

// Python's idea of white space.
bool IsSpace(char32_t c);
enum class Ends { kLeft, kRight, kBoth };
// What is left of `text` without white space, or without characters of `*set`, at its ends.
Text Strip(const Text& text, Ends ends, const std::string_view* set = nullptr);

// Case mapping of single characters: ASCII, Latin, Greek and Cyrillic letters; others are returned as they are.
char32_t ToUpper(char32_t c);
char32_t ToLower(char32_t c);
bool IsUpper(char32_t c);
bool IsLower(char32_t c);
// What `c` is in upper case; more than one character for the German sharp s.
std::string UpperText(char32_t c);

}  // namespace slm::jinja

#endif  // SLM_JINJA_TEXT_H_
