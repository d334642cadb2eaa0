#include "support/run_program.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include "support/test_data.h"

namespace slm::test {

namespace fs = std::filesystem;

namespace {

// What runs a program built for another processor: words separated by semicolons; empty for this processor.
std::vector<std::string> Emulator() {
  std::vector<std::string> words;
  std::istringstream list(SLM_TEST_EMULATOR);
  for (std::string word; std::getline(list, word, ';');) words.push_back(word);
  return words;
}

// In the child process only: connects a standard stream to a file.
void Connect(int stream, const fs::path& path, int flags) {
  const int file = ::open(path.c_str(), flags, 0600);
  if (file < 0 || ::dup2(file, stream) < 0) ::_exit(126);
  ::close(file);
}

[[noreturn]] void Execute(const std::vector<std::string>& arguments, const std::vector<std::string>& environment) {
  std::vector<char*> pointers;
  pointers.reserve(arguments.size() + 1);
  for (const std::string& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  for (const std::string& variable : environment) ::putenv(const_cast<char*>(variable.c_str()));
  ::execvp(pointers[0], pointers.data());
  ::_exit(127);
}

}  // namespace

ProgramResult RunProgram(std::vector<std::string> arguments, std::string_view input,
                         const std::vector<std::string>& environment) {
  const std::vector<std::string> emulator = Emulator();
  arguments.insert(arguments.begin(), emulator.begin(), emulator.end());
  // Files rather than pipes: no program can block on output that nobody reads yet.
  const TemporaryFolder folder;
  const fs::path in = folder.Write("in", input);
  const fs::path out = folder.path() / "out";
  const fs::path err = folder.path() / "err";

  const ::pid_t child = ::fork();
  if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (child == 0) {
    Connect(STDIN_FILENO, in, O_RDONLY);
    Connect(STDOUT_FILENO, out, O_WRONLY | O_CREAT);
    Connect(STDERR_FILENO, err, O_WRONLY | O_CREAT);
    Execute(arguments, environment);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "waitpid");
  }
  ProgramResult result;
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = ReadFile(out);
  result.err = ReadFile(err);
  return result;
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "slm-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), name);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;  // a leftover in the temporary folder is no reason to fail
  fs::remove_all(path_, ignored);
}

std::string TemporaryFolder::Write(const std::string& name, std::string_view bytes) const {
  const fs::path path = path_ / name;
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
  return path.string();
}

std::string WithContextLength(const std::string& model, const TemporaryFolder& folder, std::uint32_t length) {
  std::string bytes = ReadFile(model);
  const std::string key = "llama.context_length";
  const std::size_t value = bytes.find(key) + key.size() + 4;  // behind the value's type
  std::memcpy(bytes.data() + value, &length, sizeof(length));
  return folder.Write("model.gguf", bytes);
}

}  // namespace slm::test
