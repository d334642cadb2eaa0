// Runs a command-line tool on a terminal of its own, as a person would use it.

#ifndef SLM_TESTS_SUPPORT_RUN_TERMINAL_H_
#define SLM_TESTS_SUPPORT_RUN_TERMINAL_H_

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace slm::test {

class Terminal {
 public:
  // `arguments` begins with the program's path. Standard input, output and error are the terminal.
  explicit Terminal(const std::vector<std::string>& arguments);
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  // Types keys; "\x03" is Ctrl-C and "\x04" Ctrl-D.
  void Type(std::string_view keys);
  // Waits, up to a minute, until the screen has shown `text` after what an earlier call waited for. False if it never
  // does.
  bool WaitFor(std::string_view text);
  // Waits, up to a minute at a time, until `bytes` more bytes have been shown.
  bool WaitForMore(std::size_t bytes);
  // Waits for the program's end, and ends it if it is silent for a minute; the exit code, or 128 + number if a signal
  // ended it.
  int Wait();
  // All that was shown.
  const std::string& screen() const { return screen_; }

 private:
  // Reads more of the screen; false at its end or when nothing comes for a minute.
  bool ReadMore();

  int terminal_ = -1;
  ::pid_t child_ = -1;
  std::string screen_;
  std::size_t seen_ = 0;
  bool silent_ = false;  // nothing came for a minute
};

}  // namespace slm::test

#endif  // SLM_TESTS_SUPPORT_RUN_TERMINAL_H_
