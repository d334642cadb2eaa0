// Prompt files of slm-chat.

#include "chat_prompts.h"
#include "fuzz/fuzz_target.h"
#include "support/test_data.h"

namespace slm::test {

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds = {"Just a text.", "---\nname: x\nsettings:\n  stop: ['\\n', \"b\"]\n---\n{{text}}",
                                    "# System\nS\n# User\na\n# Assistant\nb\n# User\n{{text}} c"};
  for (const auto& entry : std::filesystem::directory_iterator(DataPath("../../tools/chat/prompts")))
    seeds.push_back(ReadFile(entry.path()));
  return seeds;
}

void Fuzz(std::string_view input) {
  const auto prompt = tools::ParsePrompt(input, "input.md");
  if (!prompt.ok()) {
    Require(!prompt.status().message().empty(), "errors say something");
    return;
  }
  const std::vector<Message> messages = tools::PromptMessages(*prompt, "the text\n\n");
  Require(!messages.empty() && messages.back().role == Role::kUser, "a prompt ends with what the user asks");
  for (const tools::SamplerSetting& setting : prompt->settings.sampling) static_cast<void>(setting);
}

}  // namespace slm::test
