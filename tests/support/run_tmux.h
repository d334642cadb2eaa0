// Runs a command-line tool in tmux, a terminal that knows what stands on its screen.

#ifndef SLM_TESTS_SUPPORT_RUN_TMUX_H_
#define SLM_TESTS_SUPPORT_RUN_TMUX_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "support/run_program.h"

namespace slm::test {

class Tmux {
 public:
  static bool IsInstalled();

  // `arguments` begins with the program's path. `environment` holds "NAME=value" to set beside the test's own.
  explicit Tmux(const std::vector<std::string>& arguments, const std::vector<std::string>& environment = {});
  ~Tmux();
  Tmux(const Tmux&) = delete;
  Tmux& operator=(const Tmux&) = delete;

  void Type(const std::string& text);
  // Keys by tmux's names: "Enter", "C-c", "Left".
  void Press(const std::vector<std::string>& keys);
  // As a user who pastes: the terminal marks the text as pasted if the program has asked for that.
  void Paste(std::string_view text);
  void Resize(int columns, int rows);

  // The screen and what has scrolled off it; without blank lines at the end.
  std::string Screen() const;
  // Waits, up to a minute, until the screen has `text`, or is as it should be. False if it never is.
  bool WaitFor(std::string_view text) const;
  bool WaitUntil(const std::function<bool(const std::string& screen)>& is_right) const;
  // Waits for the program's end; the exit code, or -1 if it goes on for a minute.
  int Wait() const;
  // The program's process id; there is one when the program has shown something.
  int process() const;

 private:
  std::string Run(std::vector<std::string> command, std::string_view input = {}) const;

  TemporaryFolder folder_;
  std::vector<std::string> tmux_;
};

}  // namespace slm::test

#endif  // SLM_TESTS_SUPPORT_RUN_TMUX_H_
