#include "chat_terminal.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "terminal_text.h"

namespace slm::tools {

namespace {

// What the signal handler looks at; lock-free, as a handler needs it.
CancelToken cancel_token;
std::atomic<bool> answer_running{false};
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void OnInterrupt(int) {
  if (answer_running.load(std::memory_order_relaxed) && !cancel_token.cancelled()) {
    cancel_token.Cancel();
    return;
  }
  if (::isatty(STDERR_FILENO) != 0) {
    const ssize_t written = ::write(STDERR_FILENO, "\n", 1);
    static_cast<void>(written);
  }
  ::_exit(kExitInterrupted);
}

}  // namespace

bool IsSmartTerminal(int stream) {
  const char* const terminal = std::getenv("TERM");
  return ::isatty(stream) != 0 && terminal != nullptr && std::string_view(terminal) != "dumb";
}

void HandleInterrupts() {
  struct sigaction action = {};
  ::sigaction(SIGINT, nullptr, &action);
  if (action.sa_handler == SIG_IGN) return;  // a background job of a shell
  action = {};
  action.sa_handler = OnInterrupt;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGINT, &action, nullptr);
}

RunningAnswer::RunningAnswer() {
  cancel_token.Reset();
  answer_running = true;
}
RunningAnswer::~RunningAnswer() { answer_running = false; }
const CancelToken& RunningAnswer::cancel() { return cancel_token; }

Style::Style(std::string_view mode) : enabled_(mode == "always") {
  if (mode != "auto") return;
  const char* const no_color = std::getenv("NO_COLOR");
  enabled_ = (no_color == nullptr || *no_color == '\0') && IsSmartTerminal(STDERR_FILENO);
}

void Style::Note(std::string_view text) const {
  const std::string shown = Escaped(text);
  const std::string line = (enabled_ ? "\x1b[2m" + shown + "\x1b[0m" : shown) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

ProgressLine::ProgressLine() : enabled_(IsSmartTerminal(STDERR_FILENO)) {}

void ProgressLine::Show(std::int64_t done, std::int64_t total) {
  constexpr double kShortSeconds = 1;
  if (done >= total) Clear();
  if (!enabled_ || done <= 0 || done >= total) return;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  const double rate = static_cast<double>(done) / seconds;
  const double left = static_cast<double>(total - done) / rate;
  if (!shown_ && seconds + left < kShortSeconds) return;
  std::fprintf(stderr, "\r\x1b[KReading: %d%% of %lld tokens, %.0f tokens/s, %.0f s left",
               static_cast<int>(100 * done / total), static_cast<long long>(total), rate, left);
  std::fflush(stderr);
  shown_ = true;
}

void ProgressLine::Clear() {
  if (!shown_) return;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
  shown_ = false;
}

StreamAction AnswerWriter::Write(std::string_view piece) {
  if (piece.empty()) return kContinue;
  WriteText(piece);
  line_open_ = !piece.ends_with('\n');
  return std::fflush(stdout) == 0 ? kContinue : kStop;
}

void AnswerWriter::End() {
  if (line_open_) Write("\n");
}

}  // namespace slm::tools
