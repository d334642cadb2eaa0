// Lines from a person at a terminal: editing, history, completion and pasted text, through libedit.

#ifndef SLM_TOOLS_CHAT_LINE_EDITOR_H_
#define SLM_TOOLS_CHAT_LINE_EDITOR_H_

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace slm::tools {

// What the word before the cursor may become.
struct Completion {
  std::size_t start = 0;  // of the word
  std::vector<std::string> words = {};
};

struct LineEditorOptions {
  // Holds the lines of earlier conversations. Empty: none are read and none are kept.
  std::filesystem::path history_file = {};
  // Gets the text before the cursor.
  std::function<Completion(std::string_view before)> complete = {};
  bool bold_prompt = false;
};

class LineEditor {
 public:
  // Null if there is nothing to edit with: standard input or standard error is no terminal, the terminal can't move its
  // cursor, the system has no UTF-8 locale, or this program was built without libedit.
  static std::unique_ptr<LineEditor> Create(const LineEditorOptions& options);
  virtual ~LineEditor() = default;

  enum class Event {
    kLine,
    kInterrupt,  // Ctrl-C; the text is what it threw away
    kEnd,        // Ctrl-D on an empty line, or the terminal is gone
  };
  struct Line {
    Event event = Event::kLine;
    std::string text = {};  // UTF-8; has line breaks where they were pasted or typed with Alt-Enter
  };
  // `text` is there to be edited.
  virtual Line Read(std::string_view prompt, std::string_view text) = 0;

  // Adds to the history and its file.
  virtual void Remember(const std::string& text) = 0;
};

}  // namespace slm::tools

#endif  // SLM_TOOLS_CHAT_LINE_EDITOR_H_
