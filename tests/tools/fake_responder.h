// Answers without a model: a token is a byte, and the answer is what a function makes of the last message.

#ifndef SLM_TESTS_TOOLS_FAKE_RESPONDER_H_
#define SLM_TESTS_TOOLS_FAKE_RESPONDER_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "chat_responder.h"

namespace slm::tools {

class FakeResponder : public Responder {
 public:
  using Reply = std::function<Result<GenerateResult>(const std::string& user)>;

  FakeResponder(std::int32_t context_length, Reply reply) : context_length_(context_length), reply_(std::move(reply)) {}

  Result<std::int32_t> Count(const std::vector<Message>& messages) const override {
    std::int32_t count = 0;
    for (const Message& message : messages) count += static_cast<std::int32_t>(message.content.size());
    return count;
  }
  std::int32_t context_length() const override { return context_length_; }

  Result<GenerateResult> Answer(const std::vector<Message>& messages, std::int32_t max_tokens,
                                const PieceCallback& on_piece) override {
    requests.push_back(messages);
    Result<GenerateResult> result = reply_(messages.back().content);
    if (!result.ok()) return result;
    if (max_tokens >= 0 && std::ssize(result->text) > max_tokens) {
      result->text.resize(static_cast<std::size_t>(max_tokens));
      result->finish_reason = FinishReason::kMaxTokens;
    }
    result->prompt_tokens = *Count(messages);
    result->generated_tokens = static_cast<std::int32_t>(result->text.size());
    if (on_piece) on_piece(result->text);
    return result;
  }

  std::vector<std::vector<Message>> requests;

 private:
  std::int32_t context_length_;
  Reply reply_;
};

}  // namespace slm::tools

#endif  // SLM_TESTS_TOOLS_FAKE_RESPONDER_H_
