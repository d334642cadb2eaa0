// Runs a command-line tool as a user's shell would, and keeps what it says.

#ifndef SLM_TESTS_SUPPORT_RUN_PROGRAM_H_
#define SLM_TESTS_SUPPORT_RUN_PROGRAM_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace slm::test {

struct ProgramResult {
  int exit_code = -1;  // 128 + number if a signal ended the program
  std::string out;
  std::string err;
};

// `arguments` begins with the program's path. `environment` holds "NAME=value" to set beside the test's own.
ProgramResult RunProgram(std::vector<std::string> arguments, std::string_view input = {},
                         const std::vector<std::string>& environment = {});

// A new folder that is removed with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // Writes a file into the folder and returns its path.
  std::string Write(const std::string& name, std::string_view bytes) const;

 private:
  std::filesystem::path path_;
};

// Writes a copy of a llama model that claims to be trained for `length` tokens, and returns its path.
std::string WithContextLength(const std::string& model, const TemporaryFolder& folder, std::uint32_t length);

}  // namespace slm::test

#endif  // SLM_TESTS_SUPPORT_RUN_PROGRAM_H_
