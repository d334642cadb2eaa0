// Prompts as files: what a model is told about a task, examples of it, and where the text goes.
//
//   ---
//   name: summary
//   description: What a text says, in a few sentences.
//   settings:
//     temp: 0.3
//     max-tokens: 300
//   ---
//   # System
//   You summarise texts.
//
//   # User
//   Summarise this:
//
//   {{text}}
//
// A body without headings is the user's message. Pairs of "# User" and "# Assistant" before the last "# User" are
// examples. docs/chat.md tells the same to users.

#ifndef SLM_TOOLS_CHAT_PROMPTS_H_
#define SLM_TOOLS_CHAT_PROMPTS_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sampling_options.h"
#include "slm/message.h"
#include "slm/status.h"

namespace slm::tools {

// What a prompt asks for unless the command line asks for something else.
struct PromptSettings {
  std::vector<SamplerSetting> sampling;
  std::optional<std::int32_t> max_tokens;
  std::vector<std::string> stop;
  std::vector<std::string> variables;  // of the template, NAME=JSON
  bool interactive = false;            // the answer begins a conversation
};

struct ChatPrompt {
  std::string name = {};
  std::string description = {};
  std::filesystem::path path = {};  // empty: no file
  PromptSettings settings = {};
  std::string system = {};
  std::vector<Message> examples = {};  // of the user and the assistant in turn
  // The user's message is before + text + after; without a text there is a blank line between before and after.
  std::string before = {};
  std::string after = {};
  bool has_place = false;  // the file says where the text goes: it is about a text
};

// Parses a file's contents. kInvalidArgument, with the path and the key or line, at what is not as told above.
Result<ChatPrompt> ParsePrompt(std::string_view contents, const std::filesystem::path& path);

// The messages to answer. Line breaks at the ends of `text` are dropped; it is not looked into.
std::vector<Message> PromptMessages(const ChatPrompt& prompt, std::string_view text);

// Folders that prompts are looked for in, those first that win: the user's, then those the program comes with.
std::vector<std::filesystem::path> PromptFolders();

// The prompt in "NAME.md" of the first folder that has it, or in the file itself if the name ends in ".md". kNotFound
// names the prompts there are.
Result<ChatPrompt> FindPrompt(const std::string& name, const std::vector<std::filesystem::path>& folders);

// The prompts of all folders in the order of their names, without those that another folder's takes precedence over.
// Files that are not valid are left out and told in `*problems`.
std::vector<ChatPrompt> ListPrompts(const std::vector<std::filesystem::path>& folders, std::vector<Status>* problems);

}  // namespace slm::tools

#endif  // SLM_TOOLS_CHAT_PROMPTS_H_
