#include "support/run_terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace slm::test {

namespace {

constexpr int kPatienceMs = 60000;

[[noreturn]] void Fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

// In the child process only: makes the terminal the process's own.
[[noreturn]] void Execute(const std::string& terminal, const std::vector<std::string>& arguments) {
  ::setsid();
  const int file = ::open(terminal.c_str(), O_RDWR);
  if (file < 0 || ::ioctl(file, TIOCSCTTY, 0) < 0) ::_exit(126);
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(file, stream);
  ::setenv("TERM", "xterm", 1);
  std::vector<char*> pointers;
  for (const std::string& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  ::execvp(pointers[0], pointers.data());
  ::_exit(127);
}

}  // namespace

Terminal::Terminal(const std::vector<std::string>& arguments) {
  terminal_ = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal_ < 0 || ::grantpt(terminal_) != 0 || ::unlockpt(terminal_) != 0) Fail("posix_openpt");
  const std::string name = ::ptsname(terminal_);
  child_ = ::fork();
  if (child_ < 0) Fail("fork");
  if (child_ == 0) Execute(name, arguments);
}

Terminal::~Terminal() {
  if (child_ > 0) {
    ::kill(child_, SIGKILL);
    Wait();
  }
  ::close(terminal_);
}

void Terminal::Type(std::string_view keys) {
  if (::write(terminal_, keys.data(), keys.size()) != static_cast<ssize_t>(keys.size())) Fail("write");
}

bool Terminal::ReadMore() {
  ::pollfd poll = {.fd = terminal_, .events = POLLIN, .revents = 0};
  silent_ = ::poll(&poll, 1, kPatienceMs) <= 0;
  if (silent_) return false;
  char buffer[4096];
  const ssize_t size = ::read(terminal_, buffer, sizeof(buffer));
  if (size <= 0) return false;  // the program has closed the terminal
  screen_.append(buffer, static_cast<std::size_t>(size));
  return true;
}

bool Terminal::WaitFor(std::string_view text) {
  while (true) {
    const std::size_t found = screen_.find(text, seen_);
    if (found != std::string::npos) {
      seen_ = found + text.size();
      return true;
    }
    if (!ReadMore()) return false;
  }
}

bool Terminal::WaitForMore(std::size_t bytes) {
  const std::size_t wanted = screen_.size() + bytes;
  while (screen_.size() < wanted) {
    if (!ReadMore()) return false;
  }
  return true;
}

int Terminal::Wait() {
  while (ReadMore()) {
  }
  if (silent_) ::kill(child_, SIGKILL);  // it goes on, and nothing would end it
  int status = 0;
  while (::waitpid(child_, &status, 0) < 0) {
    if (errno != EINTR) Fail("waitpid");
  }
  child_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace slm::test
