#include "chat_context.h"

#include <algorithm>
#include <cstdio>

#include "slm/machine.h"
#include "tool_main.h"

namespace slm::tools {

namespace {

constexpr std::int32_t kDefaultContext = 4096;
constexpr std::int32_t kAnswerTokens = 1024;  // room for an answer without a limit

}  // namespace

std::string MemoryText(std::uint64_t bytes) {
  char text[32];
  const bool large = bytes >= 1'000'000'000;
  std::snprintf(text, sizeof(text), large ? "%.1f GB" : "%.1f MB", static_cast<double>(bytes) / (large ? 1e9 : 1e6));
  return text;
}

Result<SessionOptions> SizeContext(const Model& model, const ChatToolOptions& options, std::int32_t prompt_tokens) {
  SessionOptions session = ToSessionOptions(options.compute, options.context);
  if (options.context > 0) {
    WarnBeyondTraining(kChat, model, options.context);
    return session;
  }
  const std::int64_t answer = options.max_tokens >= 0 ? options.max_tokens : kAnswerTokens;
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
