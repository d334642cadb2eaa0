#include "file/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "base/format.h"
#include "base/status_macros.h"

namespace slm {

namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 18;
// The most a system call is asked to write: some file systems make a longer one wait past any signal.
constexpr std::size_t kMaxWriteBytes = std::size_t{1} << 26;

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) { buffer_.reserve(kBufferBytes); }

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      file_(std::move(other.file_)),
      buffer_(std::move(other.buffer_)) {}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Result<AtomicFile> AtomicFile::Create(const std::filesystem::path& path, Readers readers) {
  struct stat info {};
  // Renaming over a device or a pipe would take its place.
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    return Status(StatusCode::kIoError,
                  Cat("cannot write ", path.string(), ": it is a folder or device; a file's name is needed"));
  }
  AtomicFile made(path);
  std::string temporary = path.string() + ".XXXXXX";
  made.file_ = Descriptor(::mkostemp(temporary.data(), O_CLOEXEC));  // readable for its owner only
  if (made.file_.get() >= 0 && readers == Readers::kAsUsual) {
    ::unlink(temporary.c_str());  // only what is made by open() gets the modes that the umask allows
    made.file_ = Descriptor(::open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  }
  if (made.file_.get() < 0) return SystemError("write", path.string());
  made.temporary_ = std::move(temporary);
  return made;
}

Status AtomicFile::Write(std::span<const std::byte> bytes) {
  if (bytes.size() > kBufferBytes - buffer_.size()) SLM_RETURN_IF_ERROR(Flush());
  if (bytes.size() > kBufferBytes) return WriteThrough(bytes);
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  return {};
}

Status AtomicFile::Flush() {
  SLM_RETURN_IF_ERROR(WriteThrough(buffer_));
  buffer_.clear();
  return {};
}

Status AtomicFile::WriteThrough(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto written = ::write(file_.get(), bytes.data(), std::min(bytes.size(), kMaxWriteBytes));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Failed("write");
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

Status AtomicFile::Commit() {
  const std::filesystem::path folder = path_.has_parent_path() ? path_.parent_path() : ".";
  const Descriptor opened(::open(folder.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY));
  SLM_RETURN_IF_ERROR(Flush());
  if (::fsync(file_.get()) != 0) return Failed("write");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return Failed("rename a temporary file to");
  temporary_.clear();
  // Makes the rename last. The file is there whether or not this works: not every file system can do it.
  if (opened.get() >= 0) ::fsync(opened.get());
  return {};
}

Status AtomicFile::Failed(const char* action) const {
  const Status error = SystemError(action, path_.string());
  return Status(error.code(), Cat(error.message(), "; if there was such a file before, it is unchanged"));
}

}  // namespace slm
