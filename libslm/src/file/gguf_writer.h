// Writes GGUF files, version 3: metadata, a table of tensors, and the tensors' data as it comes.

#ifndef SLM_FILE_GGUF_WRITER_H_
#define SLM_FILE_GGUF_WRITER_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "file/atomic_file.h"
#include "file/gguf.h"
#include "formats.h"
#include "slm/status.h"

namespace slm {

// The GGUF type of a C++ type.
template <typename T>
inline constexpr GgufType kGgufTypeOf = GgufType::kString;
template <>
inline constexpr GgufType kGgufTypeOf<bool> = GgufType::kBool;
template <>
inline constexpr GgufType kGgufTypeOf<std::uint16_t> = GgufType::kU16;
template <>
inline constexpr GgufType kGgufTypeOf<std::uint32_t> = GgufType::kU32;
template <>
inline constexpr GgufType kGgufTypeOf<std::int32_t> = GgufType::kI32;
template <>
inline constexpr GgufType kGgufTypeOf<std::uint64_t> = GgufType::kU64;
template <>
inline constexpr GgufType kGgufTypeOf<float> = GgufType::kF32;
template <typename T>
concept GgufNumber = std::is_arithmetic_v<T> && kGgufTypeOf<T>
!= GgufType::kString;

// Keys and values, ready to be written.
class GgufMetadata {
 public:
  GgufMetadata() = default;
  explicit GgufMetadata(const GgufFile& file);  // a copy of all that a file has

  // Adds an entry, or replaces the one of that key where it stands. The C++ type chooses the GGUF type; arrays are
  // vectors.
  template <GgufNumber T>
  GgufMetadata& Set(std::string_view key, T value) {
    return SetBytes(key, kGgufTypeOf<T>, {reinterpret_cast<const char*>(&value), sizeof(value)});
  }
  GgufMetadata& Set(std::string_view key, std::string_view text);
  GgufMetadata& Set(std::string_view key, const char* text) { return Set(key, std::string_view(text)); }
  GgufMetadata& Set(std::string_view key, const std::vector<std::string>& texts);
  GgufMetadata& Set(std::string_view key, const std::vector<bool>& values);
  template <GgufNumber T>
  GgufMetadata& Set(std::string_view key, const std::vector<T>& values) {
    return SetArray(key, kGgufTypeOf<T>, values.size(),
                    {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)});
  }
  void Remove(std::string_view key);
  bool Has(std::string_view key) const;

  // As it lies in a file: the entries, one after the other.
  std::string Bytes() const;
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string key;
    std::string value;  // its type included
  };
  GgufMetadata& SetBytes(std::string_view key, GgufType type, std::string_view bytes);
  GgufMetadata& SetArray(std::string_view key, GgufType element, std::size_t count, std::string_view bytes);

  std::vector<Entry> entries_;
};

struct TensorHeader {
  std::string name;
  Format format = Format::kF32;
  std::vector<std::uint64_t> shape;  // GGUF order; shape[0] a multiple of the format's block

  std::uint64_t bytes() const;
};

class GgufWriter {
 public:
  // `path` appears when Commit succeeds. With `max_part_bytes` above 0, a model of more is split as its readers expect:
  // NAME-00001-of-00003.gguf and so on for a path of NAME.gguf, each of about so many bytes, and at least of one
  // tensor. What `metadata` says of alignment and parts is replaced. Fails as AtomicFile, with kIoError too if the disk
  // has not room enough, or with kInvalidArgument (names and shapes that a reader would refuse).
  static Result<GgufWriter> Create(const std::filesystem::path& path, GgufMetadata metadata,
                                   std::vector<TensorHeader> tensors, std::uint64_t max_part_bytes = 0);

  // The tensors' data, one after the other in their order; a piece may be any part of it.
  Status Write(std::span<const std::byte> bytes);
  // After all data. Parts get their names from the last to the first, without which no reader opens a model.
  Status Commit();

  const std::vector<std::filesystem::path>& paths() const { return paths_; }
  std::uint64_t total_bytes() const { return total_bytes_; }  // of all files

 private:
  GgufWriter() = default;
  Status BeginPart(std::size_t part);
  Status EndTensor();

  std::vector<std::filesystem::path> paths_;
  std::vector<std::string> headers_;  // of each part
  std::vector<AtomicFile> files_;
  std::vector<TensorHeader> tensors_;
  std::vector<std::size_t> part_of_;  // each tensor's
  std::size_t tensor_ = 0;            // whose data is written
  std::uint64_t left_ = 0;            // of its bytes
  std::uint64_t total_bytes_ = 0;
};

}  // namespace slm

#endif  // SLM_FILE_GGUF_WRITER_H_
