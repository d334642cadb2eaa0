// The tokens that answers were written in.

#ifndef SLM_CHAT_ANSWER_MEMORY_H_
#define SLM_CHAT_ANSWER_MEMORY_H_

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "slm/chat_template.h"
#include "slm/status.h"
#include "slm/tokenizer.h"

namespace slm {

// A model may write a text in other tokens than an encoder would choose. Where a prompt repeats an answer, it must be
// in the tokens the model wrote: those are in the session's cache.
class AnswerMemory {
 public:
  // `tokens` spell a text that begins with `text`, perhaps after one space (which SentencePiece puts before a text).
  void Add(std::string_view text, std::span<const Token> tokens);
  void Clear() { answers_.clear(); }

  // The prompt with the parts that are remembered answers, or such without the white space around them, in the answers'
  // tokens as far as these spell the part in whole characters. `prompt` ends where an answer is to begin.
  Prompt Recall(const Tokenizer& tokenizer, const Prompt& prompt) const;

  const std::map<std::string, std::vector<Token>, std::less<>>& answers() const { return answers_; }

 private:
  std::map<std::string, std::vector<Token>, std::less<>> answers_;  // by text without white space around it
};

}  // namespace slm

#endif  // SLM_CHAT_ANSWER_MEMORY_H_
