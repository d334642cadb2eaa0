// Several answers to one prompt, to choose from.

#ifndef SLM_TOOLS_CHAT_ANSWERS_H_
#define SLM_TOOLS_CHAT_ANSWERS_H_

#include <cstddef>
#include <functional>
#include <string_view>
#include <vector>

#include "chat_report.h"
#include "slm/generate.h"
#include "slm/status.h"

namespace slm::tools {

// What a run has to be given. Answers are counted from 0.
struct AnswersCalls {
  // An answer, by each of those who answer, at the same time.
  using Answer = std::function<Result<Record>(std::size_t index, const PieceCallback& on_piece)>;
  std::vector<Answer> answer;
  // What the answers are, in their order and one after the other: text, as far as it is written, and what became of it.
  // kStop ends the run, as an answer that was cancelled does.
  std::function<StreamAction(std::size_t index, std::string_view text)> text;
  std::function<void(std::size_t index, const Result<Record>& outcome)> done;
};

// Answers `count` times. The first answer is told as it is written; the others, which are written meanwhile, when those
// before them are done.
void RunAnswers(std::size_t count, const AnswersCalls& calls);

}  // namespace slm::tools

#endif  // SLM_TOOLS_CHAT_ANSWERS_H_
