// Text from a session: the loop of sample, append, decode and stop.
//
//   slm::Result<slm::GenerateResult> result = slm::Generate(
//       session, sampler, prompt, {.max_tokens = 200}, [](std::string_view piece) {
//         std::fwrite(piece.data(), 1, piece.size(), stdout);
//         return slm::kContinue;
//       });
//
// Pieces are whole UTF-8 characters. Text that may turn out to be the beginning of a stop string is held back until it
// is known; a stop string itself is never delivered.

#ifndef SLM_GENERATE_H_
#define SLM_GENERATE_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "slm/draft.h"
#include "slm/sampler.h"
#include "slm/session.h"
#include "slm/status.h"

namespace slm {

enum StreamAction { kContinue, kStop };
using PieceCallback = std::function<StreamAction(std::string_view piece)>;

enum class FinishReason {
  kEndOfTurn,  // the model ended its turn
  kStopString,
  kMaxTokens,
  kContextFull,  // the session can hold no more tokens
  kCancelled,    // by CancelToken, or the callback returned kStop
};
// "end_of_turn", "stop_string", "max_tokens", "context_full", "cancelled"
std::string_view FinishReasonName(FinishReason reason);

struct GenerateOptions {
  std::int32_t max_tokens = -1;        // -1: until the model ends its turn or the context is full
  std::vector<std::string> stop = {};  // non-empty strings that end the text
  const CancelToken* cancel = nullptr;
  ProgressCallback prompt_progress = {};
  // Never choose a token that ends the turn.
  bool ignore_end = false;
  // -1: a full context ends the text. n >= 0: the session keeps its first n tokens, forgets the older half of the rest
  // (Session::Shift) and goes on; max_tokens must then be set.
  std::int32_t shift_keep = -1;
  // Tokens that the text may go on with, because it did so before, are evaluated together with the one before them,
  // and kept as far as the sampler then chooses them: the text is the same to the last token, and a summary, an edit or
  // code is there sooner. -1: as many at a time as pay, by how often they came true and what they cost; 0: none; n:
  // always n, if there are so many. With sliding windows, Rewind may then reach up to 15 positions less far back.
  std::int32_t guess_tokens = -1;
  // Guesses where that pays more than what the text had before does, and always if guess_tokens is n; for
  // session.model(). In use until the call ends. nullptr: none.
  Draft* draft = nullptr;
};

struct GenerateResult {
  FinishReason finish_reason = FinishReason::kEndOfTurn;
  std::string text = {};                // all that was delivered
  std::int32_t prompt_tokens = 0;       // tokens of the prompt read in this call
  std::int32_t cached_tokens = 0;       // tokens of the prompt that the session had read before
  std::int32_t reread_tokens = 0;       // of prompt_tokens: had been read before, but a sliding window dropped them
  std::int32_t forgotten_tokens = 0;    // dropped by shift_keep
  std::int32_t forgotten_messages = 0;  // left out by ChatOptions::forget_oldest
  std::int32_t generated_tokens = 0;    // the end-of-turn token included
  std::int32_t guessed_tokens = 0;      // evaluated before they were chosen
  std::int32_t accepted_tokens = 0;     // of these: chosen, so that no step of their own was needed
  double prompt_seconds = 0;
  double generate_seconds = 0;
};

// Continues `prompt`, the whole text so far (at least one token): the session follows it (Session::Follow reads only
// what it does not hold), it becomes the sampler's history, and tokens are sampled until a finish reason. To go on with
// what the session holds, pass its tokens(). The session then holds the prompt and every generated token that was
// evaluated; an end-of-turn token is not appended, nor is the last token of a text that ended for another reason. Fails
// with kInvalidArgument (no prompt, a stop string that is empty or not UTF-8, shift_keep out of range, a draft for
// another model) and as Session::Follow (the draft's, too), Session::Shift and Sampler::Sample do; being cancelled is a
// finish reason, not an error. `on_piece` may be empty; if it throws, the exception goes on to the caller, and the
// session holds what was read until then.
Result<GenerateResult> Generate(Session& session, Sampler& sampler, std::span<const Token> prompt,
                                const GenerateOptions& options, const PieceCallback& on_piece);

}  // namespace slm

#endif  // SLM_GENERATE_H_
