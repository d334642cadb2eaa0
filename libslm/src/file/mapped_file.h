// A file mapped read-only into memory, or read into it.

#ifndef SLM_FILE_MAPPED_FILE_H_
#define SLM_FILE_MAPPED_FILE_H_

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

#include "slm/status.h"

namespace slm {

// Movable owner of a mapping: read-only, and shared with the page cache and with every other process that maps the
// file. Pages are read when first touched and may be dropped again at any time, so a file larger than memory can be
// used: that is why nothing is read ahead, locked or copied here, and the kernel is given no advice (its own read-ahead
// suits weights, which are read from front to back for every token). The bytes stay at one address for the life of the
// object, also when it is moved. Truncating the file while it is mapped is outside this class's power (SIGBUS).
class MappedFile {
 public:
  // kNotFound, kIoError (also for a folder or an empty file; the message carries the path and the system's reason).
  static Result<MappedFile> Open(const std::filesystem::path& path);
  // The same bytes in memory of their own, read at once: what happens to the file afterwards changes nothing. Fails
  // also with kOutOfMemory, and with kIoError if the file gets shorter meanwhile.
  static Result<MappedFile> Load(const std::filesystem::path& path);
  // Of an open descriptor, which stays the caller's and need not stay open. Its position is neither used nor changed.
  // `name` stands for the path in messages.
  static Result<MappedFile> FromDescriptor(int descriptor, std::string_view name);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  MappedFile(const std::byte* data, std::size_t size) : data_(data), size_(size) {}
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace slm

#endif  // SLM_FILE_MAPPED_FILE_H_
