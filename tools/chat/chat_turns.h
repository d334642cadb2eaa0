// What a user says, message by message: from the line editor, or a line at a time from standard input.

#ifndef SLM_TOOLS_CHAT_TURNS_H_
#define SLM_TOOLS_CHAT_TURNS_H_

#include <memory>
#include <string>
#include <string_view>

#include "chat_line_editor.h"

namespace slm::tools {

// Whether there is nothing in it to say.
bool IsBlank(std::string_view text);

class TurnReader {
 public:
  // editor: null for plain lines.
  explicit TurnReader(std::unique_ptr<LineEditor> editor);

  struct Turn {
    LineEditor::Event event = LineEditor::Event::kLine;
    std::string text = {};
    bool verbatim = false;  // from a block between lines of """, where nothing is a command
  };
  // The next message. A line that ends with a backslash goes on in the next one, and all lines between two lines of
  // """ are one message.
  Turn Next();
  // Lets the user change `text`. Only with can_edit().
  Turn Edit(std::string_view text);
  bool can_edit() const { return editor_ != nullptr; }

 private:
  LineEditor::Line ReadLine(std::string_view prompt, std::string_view text = {});
  Turn ReadBlock();

  std::unique_ptr<LineEditor> editor_;
  bool terminal_;
};

}  // namespace slm::tools

#endif  // SLM_TOOLS_CHAT_TURNS_H_
