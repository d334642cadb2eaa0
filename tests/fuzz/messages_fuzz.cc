// What an application passes on from the network: an input is messages, tools and variables in JSON, with a NUL between
// them.

#include <algorithm>
#include <array>

#include "fuzz/fuzz_models.h"
#include "fuzz/fuzz_target.h"
#include "slm/chat.h"
#include "support/test_data.h"

namespace slm::test {

namespace {

constexpr std::string_view kTools =
    R"([{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}])";
constexpr std::string_view kTexts =
    R"([{"role": "system", "content": "S"}, {"role": "user", "content": [{"type": "text", "text": "a\u00e9\ud83d\ude00"}]},
        {"role": "assistant", "content": "b", "reasoning_content": "c"}, {"role": "user", "content": "</s>"}])";
constexpr std::string_view kCalls =
    R"([{"role": "user", "content": "x", "name": "n"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "123456789", "type": "function",
         "function": {"name": "f", "arguments": "{\"a\": [1, 2.5e3, null]}"}}]},
        {"role": "tool", "tool_call_id": "123456789", "name": "f", "content": "5"}])";
constexpr std::string_view kVariables = R"({"enable_thinking": false, "n": -1, "list": [true, {"k": "v"}]})";

const Model& SmallestModel() {
  static const std::string bytes = SmallModel("llama");
  static const Model model = *Model::Open(*ModelFile::FromMemory(std::as_bytes(std::span(bytes)), "small"));
  return model;
}

// A part of the input, up to a NUL.
std::string_view Take(std::string_view& input) {
  const std::size_t end = std::min(input.find('\0'), input.size());
  const std::string_view part = input.substr(0, end);
  input.remove_prefix(std::min(end + 1, input.size()));
  return part;
}

}  // namespace

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (const std::string_view messages : {kTexts, kCalls}) {
    seeds.emplace_back(messages);
    seeds.push_back(std::string(messages) + '\0' + std::string(kTools));
    seeds.push_back(std::string(messages) + '\0' + std::string(kTools) + '\0' + std::string(kVariables));
  }
  return seeds;
}

void Fuzz(std::string_view input) {
  static const std::array<std::string, 3> templates = {ReadFile(DataPath("templates/llama32.jinja")),
                                                       ReadFile(DataPath("templates/mistral_v3_tekken.jinja")),
                                                       ReadFile(DataPath("templates/chatml.jinja"))};
  const std::size_t size = input.size();
  const auto messages = ParseMessages(Take(input));
  ChatOptions options;
  options.tools = Take(input);
  options.variables = Take(input);
  if (messages.ok()) {
    const auto again = ParseMessages(MessagesToJson(*messages));
    Require(again.ok() && *again == *messages, "what was read can be written and read");
    static_cast<void>(MergeNeighbours(*messages));
  }
  options.chat_template = templates[size % templates.size()];
  static_cast<void>(CountPromptTokens(SmallestModel(), messages.ok() ? *messages : std::vector<Message>{}, options));
}

}  // namespace slm::test
