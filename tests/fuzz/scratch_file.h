// A file in memory that has a path.

#ifndef SLM_TESTS_FUZZ_SCRATCH_FILE_H_
#define SLM_TESTS_FUZZ_SCRATCH_FILE_H_

#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "fuzz/fuzz_target.h"

namespace slm::test {

class ScratchFile {
 public:
  explicit ScratchFile(std::string_view bytes) : descriptor_(memfd_create("input", 0)) {
    Require(write(descriptor_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()), "memory for a file");
  }
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  ~ScratchFile() { close(descriptor_); }

  std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

}  // namespace slm::test

#endif  // SLM_TESTS_FUZZ_SCRATCH_FILE_H_
