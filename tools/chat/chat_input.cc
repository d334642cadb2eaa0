#include "chat_input.h"

#include <poll.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "slm/tokenizer.h"
#include "tool_main.h"

namespace slm::tools {

namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

Status CannotRead(const std::string& source) {
  return Status(StatusCode::kIoError, "Cannot read " + source + ": " + std::generic_category().message(errno) + ".");
}

Result<std::string> CheckText(const std::string& text, const std::string& source, bool warn = true) {
  if (const std::size_t zero = text.find('\0'); zero != std::string::npos) {
    return Status(StatusCode::kInvalidArgument,
                  source + " is no text in UTF-8: byte " + std::to_string(zero) + " is zero.");
  }
  return CleanText(text, source, warn);
}

// All of standard input. Whoever waits for it and does not know is told after a second.
Result<std::string> ReadStandardInput() {
  constexpr int kMilliseconds = 1000;
  constexpr char kSource[] = "standard input";
  std::string text;
  char buffer[1 << 16];
  for (bool said = false;;) {
    ::pollfd input = {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    if (!said && ::poll(&input, 1, kMilliseconds) == 0) {
      said = true;
      PrintMessage(kChat,
                   "waiting for the end of standard input, which is part of the prompt; --no-stdin leaves it alone");
    }
    const ssize_t size = ::read(STDIN_FILENO, buffer, sizeof(buffer));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return CannotRead(kSource);
    if (size == 0) return CheckText(text, kSource);
    text.append(buffer, static_cast<std::size_t>(size));
  }
}

// A prompt file says itself what its one text is.
bool NamesFiles(const ChatToolOptions& options) {
  return options.prompt.empty() || options.files.size() + (options.each.empty() ? 0 : 1) > 1;
}

// The blocks of --file.
Result<std::vector<std::string>> ReadFiles(const ChatToolOptions& options) {
  std::vector<std::string> blocks;
  for (const std::string& path : options.files) {
    Result<std::string> text = ReadTextFile(path);
    if (!text.ok()) return text.status();
    blocks.push_back(NamesFiles(options) ? FileBlock(path, *text) : *std::move(text));
  }
  return blocks;
}

std::string JoinWords(const ChatToolOptions& options) {
  std::string words;
  for (const std::string& word : options.words) words += (words.empty() ? "" : " ") + word;
  return CleanText(words, "the prompt");
}

}  // namespace

std::string CleanText(const std::string& text, const std::string& source, bool warn) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  Utf8Stream stream;
  std::string clean = stream.Push(text);
  clean += stream.Flush();
  const auto differ = std::mismatch(text.begin(), text.end(), clean.begin(), clean.end());
  if (warn && differ.first != text.end()) {
    PrintMessage(kChat, "warning: " + source + " is not UTF-8 at byte " + std::to_string(differ.first - text.begin()) +
                            "; what can't be read is replaced by \"\uFFFD\".");
  }
  if (clean.starts_with(kByteOrderMark)) clean.erase(0, kByteOrderMark.size());
  return clean;
}

Result<std::string> ReadTextFile(const std::string& path, bool warn) {
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rb"));
  if (file == nullptr) {
    return Status(StatusCode::kIoError, "Cannot open " + path + ": " + std::generic_category().message(errno) + ".");
  }
  std::string text;
  char buffer[1 << 16];
  while (const std::size_t size = std::fread(buffer, 1, sizeof(buffer), file.get())) text.append(buffer, size);
  if (std::ferror(file.get()) != 0) return CannotRead(path);
  return CheckText(text, path, warn);
}

std::string FileBlock(const std::filesystem::path& path, const std::string& text) {
  return "File " + path.filename().string() + ":\n\n" + text;
}

std::string JoinBlocks(const std::vector<std::string>& blocks) {
  std::string joined;
  for (std::string_view block : blocks) {
    while (block.ends_with('\n') || block.ends_with('\r')) block.remove_suffix(1);
    if (block.empty()) continue;
    if (!joined.empty()) joined += "\n\n";
    joined += block;
  }
  return joined;
}

Result<std::string> ReadPrompt(const ChatToolOptions& options) {
  Result<std::vector<std::string>> blocks = ReadFiles(options);
  if (!blocks.ok()) return blocks.status();
  if (!options.interactive && !options.no_stdin && ::isatty(STDIN_FILENO) == 0) {
    Result<std::string> text = ReadStandardInput();
    if (!text.ok()) return text.status();
    blocks->push_back(*std::move(text));
  }
  blocks->push_back(JoinWords(options));
  return JoinBlocks(*blocks);
}

Result<std::function<std::string(const std::string& path, const std::string& text)>> ReadPromptAround(
    const ChatToolOptions& options) {
  Result<std::vector<std::string>> blocks = ReadFiles(options);
  if (!blocks.ok()) return blocks.status();
  const bool named = NamesFiles(options);
  return std::function([before = *std::move(blocks), words = JoinWords(options), named](const std::string& path,
                                                                                        const std::string& text) {
    std::vector<std::string> all = before;
    all.push_back(named ? FileBlock(path, text) : text);
    all.push_back(words);
    return JoinBlocks(all);
  });
}

Result<std::string> ReadSystemText(const ChatToolOptions& options) {
  if (!options.system.starts_with('@')) return CleanText(options.system, "the system text");
  Result<std::string> text = ReadTextFile(options.system.substr(1));
  if (!text.ok()) return text;
  return JoinBlocks({*text});
}

}  // namespace slm::tools
