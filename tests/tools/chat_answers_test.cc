// Several answers: in their order, the first as it is written, and what happens when one fails or is stopped.

#include "chat_answers.h"

#include <gtest/gtest.h>

#include <functional>
#include <latch>
#include <new>
#include <string>
#include <string_view>
#include <vector>

namespace slm::tools {

namespace {

std::string Number(std::size_t index) { return std::to_string(index); }

// What is told: "0:text" for text, "0." for an end, "0!" for an end without an answer.
class AnswersTest : public testing::Test {
 protected:
  void Run(std::size_t count, const std::vector<AnswersCalls::Answer>& answer) {
    RunAnswers(count, {.answer = answer,
                       .text =
                           [&](std::size_t index, std::string_view text) {
                             told_.push_back(Number(index) + ":" + std::string(text));
                             if (on_text_) on_text_(text);
                             return text.ends_with('!') ? kStop : kContinue;
                           },
                       .done =
                           [&](std::size_t index, const Result<Record>& outcome) {
                             told_.push_back(Number(index) + (outcome.ok() ? "." : "!"));
                           }});
  }

  using Told = std::vector<std::string>;
  Told told_;
  std::function<void(std::string_view)> on_text_;
};

TEST_F(AnswersTest, InTheirOrderWhoeverIsDoneFirst) {
  std::latch last_written(1), second_told(1);
  const AnswersCalls::Answer answer = [&](std::size_t index, const PieceCallback& on_piece) -> Result<Record> {
    on_piece("a" + Number(index));
    if (index == 0) last_written.wait();
    if (index == 1) second_told.wait();
    on_piece("b" + Number(index));
    if (index == 2) last_written.count_down();
    return Record{};
  };
  on_text_ = [&](std::string_view text) { second_told.count_down(text == "a1" ? 1 : 0); };
  Run(3, {answer, answer, answer});
  EXPECT_EQ(told_, (Told{"0:a0", "0:b0", "0.", "1:a1", "1:b1", "1.", "2:a2b2", "2."}))
      << "the second one is told live once it is its turn";
}

TEST_F(AnswersTest, FewWriteMany) {
  const AnswersCalls::Answer answer = [](std::size_t index, const PieceCallback& on_piece) -> Result<Record> {
    on_piece(Number(index));
    return Record{};
  };
  Run(4, {answer});
  EXPECT_EQ(told_, (Told{"0:0", "0.", "1:1", "1.", "2:2", "2.", "3:3", "3."}));
}

TEST_F(AnswersTest, OneThatFailsLeavesTheOthersAlone) {
  const AnswersCalls::Answer answer = [](std::size_t index, const PieceCallback& on_piece) -> Result<Record> {
    on_piece(Number(index));
    if (index == 1) return Status(StatusCode::kInvalidNumber, "NaN");
    if (index == 2) throw std::bad_alloc();
    return Record{};
  };
  Run(4, {answer, answer});
  EXPECT_EQ(told_, (Told{"0:0", "0.", "1:1", "1!", "2:2", "2!", "3:3", "3."}));
}

TEST_F(AnswersTest, OneThatIsStoppedIsTheLastToBegin) {
  std::size_t begun = 0;
  const AnswersCalls::Answer answer = [&](std::size_t index, const PieceCallback& on_piece) -> Result<Record> {
    ++begun;
    on_piece(Number(index));
    return Record{.result = {.finish_reason = index == 1 ? FinishReason::kCancelled : FinishReason::kEndOfTurn}};
  };
  Run(4, {answer});
  EXPECT_EQ(begun, 2u);
  EXPECT_EQ(told_, (Told{"0:0", "0.", "1:1", "1."}));
}

// As when standard output is a full disk.
TEST_F(AnswersTest, WhoCantTellStopsAll) {
  std::latch begun(2);
  std::latch told(1);
  const AnswersCalls::Answer answer = [&](std::size_t index, const PieceCallback& on_piece) -> Result<Record> {
    begun.arrive_and_wait();
    if (index == 1) told.wait();
    const StreamAction action = on_piece(index == 0 ? "full!" : "more");
    if (index == 0) told.count_down();
    EXPECT_EQ(action, kStop) << index;
    return Record{.result = {.finish_reason = FinishReason::kCancelled}};
  };
  Run(8, {answer, answer});
  ASSERT_GE(told_.size(), 2u);
  EXPECT_EQ(told_[0], "0:full!");
}

}  // namespace

}  // namespace slm::tools
