// Who answers.

#ifndef SLM_TOOLS_CHAT_RESPONDER_H_
#define SLM_TOOLS_CHAT_RESPONDER_H_

#include <cstdint>
#include <vector>

#include "slm/generate.h"
#include "slm/message.h"
#include "slm/status.h"

namespace slm::tools {

// A model and its settings, or what stands for them in a test.
class Responder {
 public:
  virtual ~Responder() = default;

  // Tokens to read for an answer to these messages.
  virtual Result<std::int32_t> Count(const std::vector<Message>& messages) const = 0;
  // Tokens that the messages and their answer may have together.
  virtual std::int32_t context_length() const = 0;
  // An answer of at most `max_tokens` tokens; -1: no limit. Every one is a first one, drawn with the same seed. Of what
  // was read for the last answer, the beginning that is the same is not read again.
  virtual Result<GenerateResult> Answer(const std::vector<Message>& messages, std::int32_t max_tokens,
                                        const PieceCallback& on_piece) = 0;
};

}  // namespace slm::tools

#endif  // SLM_TOOLS_CHAT_RESPONDER_H_
