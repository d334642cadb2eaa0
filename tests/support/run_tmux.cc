#include "support/run_tmux.h"

#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include "support/test_data.h"

namespace slm::test {

namespace {

constexpr std::chrono::seconds kPatience(60);
constexpr std::chrono::milliseconds kBetweenLooks(20);

// tmux itself can miss a program's end. So a shell that outlives Ctrl-C writes down the exit code, and one that becomes
// the program its process id. $1 is the folder; what follows is the command.
constexpr char kOuter[] =
    R"(folder=$1; shift; trap : INT; "$@"; echo $? >"$folder/new"; mv "$folder/new" "$folder/code")";
constexpr char kInner[] = R"(echo $$ >"$1/process"; shift; exec "$@")";

bool Poll(const std::function<bool()>& done) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(kBetweenLooks);
  }
  return true;
}

}  // namespace

bool Tmux::IsInstalled() { return RunProgram({"/bin/sh", "-c", "command -v tmux"}).exit_code == 0; }

Tmux::Tmux(const std::vector<std::string>& arguments, const std::vector<std::string>& environment) {
  // A program's screen stays when it has ended.
  const std::string configuration = folder_.Write("tmux.conf",
                                                  "set -g remain-on-exit on\n"
                                                  "set -g remain-on-exit-format ''\n"
                                                  "set -g status off\n"
                                                  "set -g history-limit 10000\n"
                                                  "set -g default-terminal screen\n"
                                                  "set -s escape-time 0\n");
  tmux_ = {"tmux", "-u", "-S", (folder_.path() / "socket").string(), "-f", configuration};
  const std::string folder = folder_.path().string();
  std::vector<std::string> command = {"new-session", "-d",   "-x",      "80", "-y",   "24", "/bin/sh", "-c", kOuter,
                                      "sh",          folder, "/bin/sh", "-c", kInner, "sh", folder,    "env"};
  command.insert(command.end(), environment.begin(), environment.end());
  command.insert(command.end(), arguments.begin(), arguments.end());
  Run(command);
}

Tmux::~Tmux() {
  std::vector<std::string> command = tmux_;
  command.push_back("kill-server");
  RunProgram(command);
}

std::string Tmux::Run(std::vector<std::string> command, std::string_view input) const {
  command.insert(command.begin(), tmux_.begin(), tmux_.end());
  const ProgramResult result = RunProgram(command, input, {"LC_ALL=C.UTF-8"});
  if (result.exit_code != 0) throw std::runtime_error("tmux: " + result.err);
  return result.out;
}

void Tmux::Type(const std::string& text) { Run({"send-keys", "-l", "--", text}); }

void Tmux::Press(const std::vector<std::string>& keys) {
  std::vector<std::string> command = {"send-keys", "--"};
  command.insert(command.end(), keys.begin(), keys.end());
  Run(command);
}

void Tmux::Paste(std::string_view text) {
  Run({"load-buffer", "-"}, text);
  Run({"paste-buffer", "-p"});
}

void Tmux::Resize(int columns, int rows) {
  Run({"resize-window", "-x", std::to_string(columns), "-y", std::to_string(rows)});
}

std::string Tmux::Screen() const {
  std::string screen = Run({"capture-pane", "-p", "-S", "-"});
  while (screen.ends_with("\n\n")) screen.pop_back();
  return screen;
}

bool Tmux::WaitFor(std::string_view text) const {
  return WaitUntil([&](const std::string& screen) { return screen.find(text) != std::string::npos; });
}

bool Tmux::WaitUntil(const std::function<bool(const std::string& screen)>& is_right) const {
  return Poll([&] { return is_right(Screen()); });
}

int Tmux::Wait() const {
  const std::filesystem::path code = folder_.path() / "code";
  return Poll([&] { return std::filesystem::exists(code); }) ? std::stoi(ReadFile(code)) : -1;
}

int Tmux::process() const { return std::stoi(ReadFile(folder_.path() / "process")); }

}  // namespace slm::test
