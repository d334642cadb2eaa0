#include "replace_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <functional>
#include <string>
#include <system_error>

#include "file_identity.h"

namespace slm::tools {

namespace fs = std::filesystem;

namespace {

constexpr mode_t kMode = 0666;  // what the umask leaves of it

// Writes all of it and closes the file.
bool WriteAndClose(int file, std::string_view contents) {
  bool written = true;
  while (written && !contents.empty()) {
    const ssize_t size = ::write(file, contents.data(), contents.size());
    if (size < 0 && errno == EINTR) continue;
    written = size > 0;
    if (written) contents.remove_prefix(static_cast<std::size_t>(size));
  }
  if (written && ::fsync(file) == 0) return ::close(file) == 0;
  const int reason = errno;
  ::close(file);
  errno = reason;
  return false;
}

}  // namespace

Status SystemError(const std::string& what, const fs::path& path, int error) {
  return Status(StatusCode::kIoError, what + " " + path.string() + ": " + std::generic_category().message(error) + ".");
}

fs::path PartOf(const fs::path& path) {
  char name[32];
  std::snprintf(name, sizeof name, ".%016zx.part", std::hash<std::string>()(path.filename().string()));
  return path.parent_path() / name;
}

Status ReplaceFile(const fs::path& name, std::string_view contents) {
  const Result<fs::path> resolved = ResolvePath(name);
  if (!resolved.ok()) return resolved.status();
  const fs::path& path = *resolved;
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) return SystemError("Cannot make the folder", path.parent_path(), error.value());
  if (fs::exists(path, error) && !fs::is_regular_file(path, error)) {
    return Status(StatusCode::kIoError, path.string() + " is no regular file, and stays.");
  }
  const fs::path part = PartOf(path);
  ::unlink(part.c_str());  // a link or a device, too: nobody else's file is written to
  const int file = ::open(part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kMode);
  if (file < 0) return SystemError("Cannot write", part, errno);
  if (!WriteAndClose(file, contents)) {
    const int reason = errno;
    ::unlink(part.c_str());
    return SystemError("Cannot write", path, reason);
  }
  fs::rename(part, path, error);
  if (!error) return {};
  ::unlink(part.c_str());
  return SystemError("Cannot write", path, error.value());
}

Status AppendToFile(const fs::path& path, std::string_view contents) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, kMode);
  struct ::stat status = {};
  if (file < 0) return SystemError("Cannot write", path, errno);
  if (::fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(file);
    return Status(StatusCode::kIoError, path.string() + " is no regular file, and stays.");
  }
  return WriteAndClose(file, contents) ? Status() : SystemError("Cannot write", path, errno);
}

}  // namespace slm::tools
