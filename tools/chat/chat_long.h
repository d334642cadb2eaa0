// Texts that are longer than the context: read in parts, of which the answers are merged.

#ifndef SLM_TOOLS_CHAT_LONG_H_
#define SLM_TOOLS_CHAT_LONG_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "chat_prompts.h"
#include "chat_report.h"
#include "chat_responder.h"
#include "slm/generate.h"
#include "slm/status.h"

namespace slm::tools {

struct LongOptions {
  // False: a text that does not fit is an error that says how long it is and what there is room for.
  bool split = false;
  // The limit of every answer; -1: none.
  std::int32_t max_tokens = -1;
  // Gets sentences that tell what is done with a text that is split.
  std::function<void(const std::string&)> say = {};
};

// Tokens that are kept free for an answer if it has no limit.
std::int32_t RoomForAnswer(std::int32_t context_length, std::int32_t max_tokens);

// What is said of a prompt that does not fit.
Status TooLong(std::int32_t tokens, std::int32_t context_length);

// Answers a prompt about a text. One that does not fit the context with room for its answer is read in overlapping
// parts, each answered as the text would be; then the model makes one answer of these answers, in several rounds if
// they don't fit either. Only the last answer is streamed.
//
// The record has result and parts. A cancelled answer ends it with kCancelled as the result's finish reason. Fails as
// the responder does, with kContextFull if the text does not fit and may not be split, and if even parts don't fit or
// merging does not make anything shorter.
Result<Record> AnswerText(Responder& responder, const ChatPrompt& prompt, std::string_view text,
                          const LongOptions& options, const PieceCallback& on_piece);

}  // namespace slm::tools

#endif  // SLM_TOOLS_CHAT_LONG_H_
