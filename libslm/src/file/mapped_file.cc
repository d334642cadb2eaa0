#include "file/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/format.h"

namespace slm {
namespace {

// Closes its file descriptor. A mapping outlives the descriptor it was made from.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

// For right after a failed system call: reads errno.
Status SystemError(const char* action, std::string_view path) {
  const std::error_code error(errno, std::generic_category());
  const bool missing = error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory;
  return Status(missing ? StatusCode::kNotFound : StatusCode::kIoError,
                Cat("cannot ", action, " ", path, ": ", error.message()));
}

}  // namespace

Result<MappedFile> MappedFile::Open(const std::filesystem::path& path) {
  const std::string name = path.string();
  // Non-blocking, because opening a named pipe would otherwise wait for a writer; for regular files it means nothing.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) return SystemError("open", name);
  return FromDescriptor(file.get(), name);
}

Result<MappedFile> MappedFile::FromDescriptor(int descriptor, std::string_view name) {
  struct stat info {};
  if (::fstat(descriptor, &info) != 0) return SystemError("examine", name);
  if (S_ISDIR(info.st_mode)) return Status(StatusCode::kIoError, Cat(name, " is a folder; a file is needed"));
  if (!S_ISREG(info.st_mode)) {
    return Status(StatusCode::kIoError, Cat(name, " is not a regular file, so it cannot be mapped into memory"));
  }
  if (info.st_size == 0) return Status(StatusCode::kIoError, Cat(name, " is empty (0 bytes)"));
  if (!std::in_range<std::size_t>(info.st_size)) {
    return Status(StatusCode::kIoError,
                  Cat(name, " is larger than this process can address (", info.st_size, " bytes)"));
  }
  const std::size_t size = static_cast<std::size_t>(info.st_size);
  void* const data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (data == MAP_FAILED) return SystemError("map", name);
  return MappedFile(static_cast<const std::byte*>(data), size);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  // What this object held goes to `other`, whose destructor unmaps it.
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace slm
