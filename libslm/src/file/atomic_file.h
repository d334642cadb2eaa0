// Writes a file that appears whole or not at all.

#ifndef SLM_FILE_ATOMIC_FILE_H_
#define SLM_FILE_ATOMIC_FILE_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "file/descriptor.h"
#include "slm/status.h"

namespace slm {

// Bytes go to a temporary file in the same folder, which Commit flushes to the disk and renames: until then, and after
// any failure, a file that was there before is untouched. A process that is killed on the way leaves the temporary
// file, PATH and six more characters after a dot.
class AtomicFile {
 public:
  enum class Readers : std::uint8_t { kOwner, kAsUsual };  // who can read it: as the umask says

  // Fails with kNotFound (no such folder) or kIoError (the system's reason; or `path` is something else than a file).
  static Result<AtomicFile> Create(const std::filesystem::path& path, Readers readers = Readers::kOwner);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();  // without a Commit nothing stays

  // Fails with kIoError, for example when the disk is full.
  Status Write(std::span<const std::byte> bytes);
  Status Commit();

 private:
  explicit AtomicFile(std::filesystem::path path);
  Status Flush();
  Status WriteThrough(std::span<const std::byte> bytes);
  Status Failed(const char* action) const;

  std::filesystem::path path_;
  std::string temporary_;  // empty: there is none any more
  Descriptor file_;
  std::vector<std::byte> buffer_;
};

}  // namespace slm

#endif  // SLM_FILE_ATOMIC_FILE_H_
