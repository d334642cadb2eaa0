// Open files of the operating system, and what it says when it refuses.

#ifndef SLM_FILE_DESCRIPTOR_H_
#define SLM_FILE_DESCRIPTOR_H_

#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/format.h"
#include "slm/status.h"

namespace slm {

// Closes its file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

// For right after a failed system call: reads errno.
inline Status SystemError(const char* action, std::string_view path) {
  const std::error_code error(errno, std::generic_category());
  const bool missing = error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory;
  return Status(missing ? StatusCode::kNotFound : StatusCode::kIoError,
                Cat("cannot ", action, " ", path, ": ", error.message()));
}

}  // namespace slm

#endif  // SLM_FILE_DESCRIPTOR_H_
