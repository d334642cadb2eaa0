// A float32 matrix written row by row to a NumPy file (.npy version 1.0, C order, little endian).
// Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

#ifndef SLM_TOOLS_NPY_WRITER_H_
#define SLM_TOOLS_NPY_WRITER_H_

#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "file_identity.h"
#include "slm/status.h"

namespace slm::tools {

static_assert(std::endian::native == std::endian::little, "rows are written as they lie in memory");

// Writes beside the final name and renames at the end, so that the final name never holds half an array. Not finished,
// the file is removed.
class NpyWriter {
 public:
  static Result<NpyWriter> Create(const std::filesystem::path& path, std::int64_t rows, std::int64_t columns) {
    std::error_code error;
    // Renaming over a link would replace the link, and over a device the device.
    Result<std::filesystem::path> resolved = ResolvePath(path);
    if (!resolved.ok()) return resolved.status();
    std::filesystem::path target = *std::move(resolved);
    if (std::filesystem::exists(target, error) && !std::filesystem::is_regular_file(target, error)) {
      return Status(StatusCode::kIoError, path.string() + " exists and is not a regular file; name another output");
    }
    std::filesystem::path temporary = target;
    temporary += ".part-" + std::to_string(::getpid());
    ::unlink(temporary.c_str());  // a link of a stranger's, too
    std::FILE* file = std::fopen(temporary.c_str(), "wbx");
    if (file == nullptr) {
      return Status(StatusCode::kIoError, "cannot create " + path.string() + ": " + std::strerror(errno));
    }
    NpyWriter writer(file, std::move(target), std::move(temporary), columns);
    const std::string header = Header(rows, columns);
    writer.Write(header.data(), header.size());
    return writer;
  }

  NpyWriter(NpyWriter&& other) noexcept
      : file_(std::exchange(other.file_, nullptr)),
        target_(std::move(other.target_)),
        temporary_(std::move(other.temporary_)),
        columns_(other.columns_),
        status_(std::move(other.status_)) {}
  NpyWriter& operator=(NpyWriter&&) = delete;
  ~NpyWriter() {
    if (file_ == nullptr) return;
    std::fclose(file_);
    std::remove(temporary_.c_str());
  }

  // After a failure, later rows are ignored. `row` has as many elements as the array has columns.
  const Status& Append(std::span<const float> row) {
    if (static_cast<std::int64_t>(row.size()) != columns_ && status_.ok()) {
      status_ = Status(StatusCode::kInvalidArgument, "a row of " + std::to_string(row.size()) +
                                                         " numbers was given to an array of " +
                                                         std::to_string(columns_) + " columns");
    }
    Write(row.data(), row.size_bytes());
    return status_;
  }

  Status Finish() {
    if (status_.ok() && std::fclose(std::exchange(file_, nullptr)) != 0) SetWriteError();
    if (status_.ok() && std::rename(temporary_.c_str(), target_.c_str()) != 0) SetWriteError();
    if (!status_.ok()) std::remove(temporary_.c_str());
    return status_;
  }

 private:
  NpyWriter(std::FILE* file, std::filesystem::path target, std::filesystem::path temporary, std::int64_t columns)
      : file_(file), target_(std::move(target)), temporary_(std::move(temporary)), columns_(columns) {}

  static std::string Header(std::int64_t rows, std::int64_t columns) {
    std::string dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) + ", " +
                             std::to_string(columns) + "), }";
    constexpr std::size_t kPrefix = 10;  // magic, version, length
    constexpr std::size_t kAlignment = 64;
    const std::size_t size = (kPrefix + dictionary.size() + 1 + kAlignment - 1) / kAlignment * kAlignment;
    dictionary.append(size - kPrefix - dictionary.size() - 1, ' ');
    dictionary += '\n';
    std::string header("\x93NUMPY\x01\x00", 8);
    header += static_cast<char>(dictionary.size() & 0xff);
    header += static_cast<char>(dictionary.size() >> 8);
    return header + dictionary;
  }

  void Write(const void* bytes, std::size_t size) {
    if (status_.ok() && std::fwrite(bytes, 1, size, file_) != size) SetWriteError();
  }

  void SetWriteError() {
    status_ = Status(StatusCode::kIoError, "cannot write " + target_.string() + ": " + std::strerror(errno));
  }

  std::FILE* file_;
  std::filesystem::path target_;
  std::filesystem::path temporary_;
  std::int64_t columns_;
  Status status_;
};

}  // namespace slm::tools

#endif  // SLM_TOOLS_NPY_WRITER_H_
