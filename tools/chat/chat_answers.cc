#include "chat_answers.h"

#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "chat_parallel.h"

namespace slm::tools {

namespace {

class AnswersRun {
 public:
  AnswersRun(std::size_t count, const AnswersCalls& calls) : calls_(calls), texts_(count), outcomes_(count) {}

  void Run() {
    std::vector<std::function<void()>> workers;
    for (const AnswersCalls::Answer& answer : calls_.answer) workers.emplace_back([this, &answer] { Work(answer); });
    RunTogether(workers);
  }

 private:
  void Work(const AnswersCalls::Answer& answer) {
    while (const std::optional<std::size_t> index = TakeNext()) {
      const auto on_piece = [this, i = *index](std::string_view piece) { return Write(i, piece); };
      Finish(*index, OutcomeOf([&] { return answer(*index, on_piece); }));
    }
  }

  std::optional<std::size_t> TakeNext() {
    const std::scoped_lock lock(mutex_);
    if (stopped_ || next_ == outcomes_.size()) return std::nullopt;
    return next_++;
  }

  StreamAction Write(std::size_t index, std::string_view piece) {
    const std::scoped_lock lock(mutex_);
    texts_[index] += piece;
    if (index == told_) TellText();
    return stopped_ ? kStop : kContinue;
  }

  void Finish(std::size_t index, Result<Record> outcome) {
    const std::scoped_lock lock(mutex_);
    if (outcome.ok() && outcome->result.finish_reason == FinishReason::kCancelled) stopped_ = true;
    outcomes_[index] = std::move(outcome);
    while (told_ < outcomes_.size() && outcomes_[told_]) {
      calls_.done(told_, *outcomes_[told_]);
      if (++told_ < outcomes_.size()) TellText();
    }
  }

  void TellText() {
    const std::string text = std::exchange(texts_[told_], {});
    if (!text.empty() && calls_.text(told_, text) == kStop) stopped_ = true;
  }

  const AnswersCalls& calls_;
  std::mutex mutex_;  // of what follows, and of what is told
  std::size_t next_ = 0;
  std::size_t told_ = 0;            // answers that are told whole
  std::vector<std::string> texts_;  // that are to be told
  std::vector<std::optional<Result<Record>>> outcomes_;
  bool stopped_ = false;
};

}  // namespace

void RunAnswers(std::size_t count, const AnswersCalls& calls) { AnswersRun(count, calls).Run(); }

}  // namespace slm::tools
