// Files of bytes, as they are.

#ifndef SLM_TOOLS_READ_INPUT_H_
#define SLM_TOOLS_READ_INPUT_H_

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "slm/status.h"

namespace slm::tools {

// How a message calls the source `path`.
inline std::string SourceName(const std::string& path) { return path == "-" ? "standard input" : path; }

// All bytes of a file, or of standard input for "-".
inline Result<std::string> ReadInput(const std::string& path) {
  const auto close = [](std::FILE* file) { return file == stdin ? 0 : std::fclose(file); };
  const std::unique_ptr<std::FILE, decltype(close)> file(path == "-" ? stdin : std::fopen(path.c_str(), "rb"), close);
  if (file == nullptr) {
    const StatusCode code = errno == ENOENT ? StatusCode::kNotFound : StatusCode::kIoError;
    return Status(code, "cannot open " + path + ": " + std::strerror(errno));
  }
  std::string bytes;
  char buffer[1 << 16];
  while (const std::size_t read = std::fread(buffer, 1, sizeof(buffer), file.get())) bytes.append(buffer, read);
  if (std::ferror(file.get()) != 0) {
    return Status(StatusCode::kIoError, "cannot read " + SourceName(path) + ": " + std::strerror(errno));
  }
  return bytes;
}

}  // namespace slm::tools

#endif  // SLM_TOOLS_READ_INPUT_H_
