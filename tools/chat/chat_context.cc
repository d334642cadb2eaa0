#include "chat_context.h"

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <limits>

#include "chat_long.h"
#include "slm/machine.h"
#include "tool_main.h"

namespace slm::tools {

namespace {

constexpr std::int32_t kDefaultContext = 4096;

}  // namespace

std::string MemoryText(std::uint64_t bytes) {
  char text[32];
  const bool large = bytes >= 1'000'000'000;
  std::snprintf(text, sizeof(text), large ? "%.1f GB" : "%.1f MB", static_cast<double>(bytes) / (large ? 1e9 : 1e6));
  return text;
}

Result<std::vector<Token>> EncodeText(const Tokenizer& tokenizer, std::string_view text) {
  return tokenizer.Encode(text, {.add_special = true, .at_end = false});
}

Result<std::int32_t> CountTokens(const Model& model, const ChatToolOptions& options,
                                 const std::vector<Message>& messages) {
  const std::string& text = messages.back().content;
  if (!options.raw) {
    Result<std::int32_t> count = CountPromptTokens(model, messages, ToChatOptions(options));
    if (count.ok() || text.size() < kLongText) return count;
  }
  const Result<std::vector<Token>> tokens = EncodeText(model.tokenizer(), text);
  if (!tokens.ok()) return tokens.status();
  return static_cast<std::int32_t>(std::min<std::size_t>(tokens->size(), std::numeric_limits<std::int32_t>::max()));
}

Result<SessionOptions> SizeContext(const Model& model, const ChatToolOptions& options, std::int32_t prompt_tokens) {
  SessionOptions session = ToSessionOptions(options.compute, options.context);
  if (options.context > 0) {
    WarnBeyondTraining(kChat, model, options.context);
    return session;
  }
  const std::int64_t answer = RoomForAnswer(model.context_length(), options.max_tokens);
  const std::int64_t needed = std::min<std::int64_t>(prompt_tokens + answer, model.context_length());
  if (needed <= kDefaultContext) return session;
  session.context_length = static_cast<std::int32_t>(needed);

  const Result<MemoryEstimate> memory = EstimateMemory(model, session);
  if (!memory.ok()) return memory.status();
  PrintMessage(kChat, "context of " + std::to_string(memory->context_length) + " tokens, " +
                          MemoryText(memory->kv_bytes) + " of cache.");
  const std::uint64_t available = DescribeMachine().available_bytes;
  if (available == 0 || memory->session_bytes() <= available) return session;
  return Status(StatusCode::kOutOfMemory,
                "A context of " + std::to_string(memory->context_length) + " tokens needs " +
                    MemoryText(memory->session_bytes()) + " of memory, but only " + MemoryText(available) +
                    " are free. Give a smaller one with --ctx N, with --long split for texts that it can't hold; "
                    "--kv q8_0 halves the cache.");
}

}  // namespace slm::tools
