// Tokens that begin and end turns, known by what they spell.

#ifndef SLM_TEXT_TURN_MARKERS_H_
#define SLM_TEXT_TURN_MARKERS_H_

#include <span>
#include <string_view>
#include <vector>

#include "slm/log.h"
#include "slm/tokenizer.h"
#include "text/vocabulary.h"

namespace slm {

// Makes control tokens of those that mark turns and that an exporter stored as something else, with one warning: the
// known ones, those that `chat_template` (of the file; may be empty) writes, and `ids`, which the file gives that
// meaning. As control tokens they are found in what a template writes, and never in what a user does.
void CorrectMarkers(std::string_view chat_template, std::span<const Token> ids, Vocabulary& vocabulary,
                    const LogCallback& log);

// The control tokens that are known to end a turn or a text.
std::vector<Token> FindEnds(const Vocabulary& vocabulary);

}  // namespace slm

#endif  // SLM_TEXT_TURN_MARKERS_H_
