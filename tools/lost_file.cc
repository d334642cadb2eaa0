#include "lost_file.h"

#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <string>
#include <vector>

#include "terminal_text.h"

namespace slm::tools {

namespace {

struct WatchedFile {
  std::string path;
  std::uint64_t size = 0;
  std::string message;
};

// What the signal handler looks at: prepared before, because it may allocate nothing.
struct Watch {
  std::vector<WatchedFile> files;
  std::string failed_message;
  bool has_terminal = false;
  ::termios terminal = {};
};
Watch watch;

void Write(std::string_view text) {
  const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
  static_cast<void>(written);
}

extern "C" void OnBusError(int, ::siginfo_t* info, void*) {
  if (info->si_code != BUS_ADRERR) {  // no file
    ::signal(SIGBUS, SIG_DFL);
    return;
  }
  if (watch.has_terminal) {
    ::tcsetattr(STDIN_FILENO, TCSANOW, &watch.terminal);
    Write("\n");
  }
  std::string_view message = watch.failed_message;
  for (const WatchedFile& file : watch.files) {
    struct ::stat status = {};
    if (::stat(file.path.c_str(), &status) != 0 || static_cast<std::uint64_t>(status.st_size) >= file.size) continue;
    message = file.message;
    break;
  }
  Write(message);
  ::_exit(1);
}

}  // namespace

void ReportLostFile(std::string_view program, const ModelFile& file) {
  const std::string prefix = std::string(program) + ": ";
  watch.failed_message = prefix + "a file could not be read any more, probably that of the model, " +
                         Escaped(file.parts().front().path) + ": is its disk all right?\n";
  for (const FilePart& part : file.parts()) {
    watch.files.push_back(
        {.path = part.path,
         .size = part.size,
         .message = prefix + "the model's file " + Escaped(part.path) + " was cut while it was read: it had " +
                    std::to_string(part.size) +
                    " bytes. Get it again; to replace the file of a running model, rename another over "
                    "it instead of writing into it.\n"});
  }
  watch.has_terminal = ::isatty(STDERR_FILENO) != 0 && ::tcgetattr(STDIN_FILENO, &watch.terminal) == 0;
  struct ::sigaction action = {};
  action.sa_sigaction = OnBusError;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGBUS, &action, nullptr);
}

}  // namespace slm::tools
