// Text from files, standard input and the command line.

#ifndef SLM_TOOLS_CHAT_INPUT_H_
#define SLM_TOOLS_CHAT_INPUT_H_

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "chat_options.h"
#include "slm/status.h"

namespace slm::tools {

// `text` with every byte that is not UTF-8 replaced by U+FFFD, which is warned about if `warn`, and without a byte
// order mark.
std::string CleanText(const std::string& text, const std::string& source, bool warn = true);

// A file's text, cleaned. Fails also if it has a zero byte, as no text in UTF-8 has.
Result<std::string> ReadTextFile(const std::string& path, bool warn = true);

// A file's text as it stands in a prompt, after a line with the file's name.
std::string FileBlock(const std::filesystem::path& path, const std::string& text);

// Blocks of text with a blank line between, without the line breaks at their ends.
std::string JoinBlocks(const std::vector<std::string>& blocks);

// The user's first text: files, standard input, words. Empty if there is none of them.
Result<std::string> ReadPrompt(const ChatToolOptions& options);

// Puts each file of --each where ReadPrompt has files: after those of --file and before the words.
Result<std::function<std::string(const std::string& path, const std::string& text)>> ReadPromptAround(
    const ChatToolOptions& options);

// The text of --system, which may name a file.
Result<std::string> ReadSystemText(const ChatToolOptions& options);

}  // namespace slm::tools

#endif  // SLM_TOOLS_CHAT_INPUT_H_
