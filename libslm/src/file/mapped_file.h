// A file mapped read-only into memory.

#ifndef SLM_FILE_MAPPED_FILE_H_
#define SLM_FILE_MAPPED_FILE_H_

#include <cstddef>
#include <filesystem>
#include <span>

#include "slm/status.h"

namespace slm {

// Movable owner of a mapping. Pages are read when first touched; the bytes stay at one address for the life of the
// object, also when it is moved. Truncating the file while it is mapped is outside this class's power (SIGBUS).
class MappedFile {
 public:
  // kNotFound, kIoError (also for a folder or an empty file; the message carries the path and the system's reason).
  static Result<MappedFile> Open(const std::filesystem::path& path);

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
