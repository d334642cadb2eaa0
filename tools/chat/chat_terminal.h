// Ctrl-C, colours, and what is shown while the model reads and writes.

#ifndef SLM_TOOLS_CHAT_TERMINAL_H_
#define SLM_TOOLS_CHAT_TERMINAL_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "slm/generate.h"
#include "slm/session.h"

namespace slm::tools {

inline constexpr int kExitInterrupted = 130;

// From now on Ctrl-C stops the answer that is running. Without one, or for the second time, it ends the process with
// exit code 130.
void HandleInterrupts();

// While it lives, an answer is running.
class RunningAnswer {
 public:
  RunningAnswer();
  ~RunningAnswer();
  RunningAnswer(const RunningAnswer&) = delete;
  RunningAnswer& operator=(const RunningAnswer&) = delete;

  // Set once it is to stop.
  static const CancelToken& cancel();
};

// A terminal that understands more than plain text. `stream` is a file descriptor.
bool IsSmartTerminal(int stream);

// How notes on standard error look.
class Style {
 public:
  // mode: "auto" (colours on a smart terminal, unless NO_COLOR is set and not empty), "always" or "never".
  explicit Style(std::string_view mode);

  bool enabled() const { return enabled_; }
  // Writes a dim line to standard error, whatever names the text quotes.
  void Note(std::string_view text) const;

 private:
  bool enabled_;
};

// A line on standard error that says how far a prompt is read, if that takes more than a second; only on terminals.
// It is gone once all is read, or with this object.
class ProgressLine {
 public:
  ProgressLine();
  ~ProgressLine() { Clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void Show(std::int64_t done, std::int64_t total);

 private:
  void Clear();

  const bool enabled_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  bool shown_ = false;
};

// Writes an answer to standard output as it comes.
class AnswerWriter {
 public:
  // kStop if standard output can't be written.
  StreamAction Write(std::string_view piece);
  // Ends the last line.
  void End();

 private:
  bool line_open_ = false;
};

}  // namespace slm::tools

#endif  // SLM_TOOLS_CHAT_TERMINAL_H_
