#include "file/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/format.h"
#include "base/status_macros.h"
#include "file/descriptor.h"

namespace slm {

namespace {

// Non-blocking, because opening a named pipe would otherwise wait for a writer; for regular files it means nothing.
Descriptor OpenToRead(const std::filesystem::path& path) {
  return Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
}

// Of a regular file that holds something.
Result<std::size_t> SizeOf(int descriptor, std::string_view name) {
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
  return static_cast<std::size_t>(info.st_size);
}

Status ReadAll(int descriptor, std::span<std::byte> bytes, std::string_view name) {
  while (!bytes.empty()) {
    const ssize_t count = ::read(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return SystemError("read", name);
    if (count == 0) {
      return Status(StatusCode::kIoError,
                    Cat(name, " became shorter while it was read: the last ", bytes.size(), " bytes are missing"));
    }
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

}  // namespace

Result<MappedFile> MappedFile::Open(const std::filesystem::path& path) {
  const std::string name = path.string();
  const Descriptor file = OpenToRead(path);  // the mapping outlives it
  if (file.get() < 0) return SystemError("open", name);
  return FromDescriptor(file.get(), name);
}

Result<MappedFile> MappedFile::Load(const std::filesystem::path& path) {
  const std::string name = path.string();
  const Descriptor file = OpenToRead(path);
  if (file.get() < 0) return SystemError("open", name);
  SLM_ASSIGN_OR_RETURN(const std::size_t size, SizeOf(file.get(), name));
  void* const data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED)
    return Status(StatusCode::kOutOfMemory, Cat("there is not enough memory for the ", size, " bytes of ", name));
  MappedFile loaded(static_cast<const std::byte*>(data), size);
  SLM_RETURN_IF_ERROR(ReadAll(file.get(), {static_cast<std::byte*>(data), size}, name));
  return loaded;
}

Result<MappedFile> MappedFile::FromDescriptor(int descriptor, std::string_view name) {
  SLM_ASSIGN_OR_RETURN(const std::size_t size, SizeOf(descriptor, name));
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
