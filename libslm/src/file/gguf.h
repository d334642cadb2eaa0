// The GGUF container, versions 2 and 3, little endian: a dictionary of metadata and a table of tensors over a block of
// bytes. Knows no model. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
//
// First of the three fences: what passes Parse has every count, length, offset and size checked against the bytes there
// are, so that whoever follows the views below stays inside them.

#ifndef SLM_FILE_GGUF_H_
#define SLM_FILE_GGUF_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/keyed_hash.h"
#include "formats.h"
#include "slm/status.h"

namespace slm {

class ByteReader;

enum class GgufType : std::uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};
// "u32", "string", ...
const char* GgufTypeName(GgufType type);
// Bytes of a number or bool; 0 for strings and arrays, and for ids that are no type.
std::size_t GgufScalarBytes(GgufType type);

// A metadata value: a view into the file's bytes, decoded when asked for.
class GgufValue {
 public:
  GgufValue() = default;
  // `data` holds exactly the value's bytes: of a string its text, of an array its elements.
  GgufValue(GgufType type, GgufType element_type, std::uint64_t count, std::span<const std::byte> data)
      : type_(type), element_type_(element_type), count_(count), data_(data) {}

  GgufType type() const { return type_; }
  // As they lie in the file.
  std::span<const std::byte> data() const { return data_; }
  // For arrays only.
  GgufType element_type() const { return element_type_; }
  std::uint64_t count() const { return count_; }

  // Any integer type (or bool) whose value fits; nothing otherwise.
  std::optional<std::int64_t> AsInt() const;
  std::optional<std::uint64_t> AsUnsigned() const;
  // Any float or integer type.
  std::optional<double> AsDouble() const;
  // A bool (any byte but 0 is true), or any integer type that holds 0 or 1.
  std::optional<bool> AsBool() const;
  std::optional<std::string_view> AsString() const;

  // Array elements in order; empty optional unless the element type fits (as above). Numbers are copied, strings are
  // views into the file.
  std::optional<std::vector<std::int64_t>> AsInts() const;
  std::optional<std::vector<float>> AsFloats() const;
  std::optional<std::vector<bool>> AsBools() const;
  std::optional<std::vector<std::string_view>> AsStrings() const;

  // "3", "[1, 2, 3, ... 262144 in all]" or "text shortened ...": for people, at most about max_chars long. Control
  // characters are escaped.
  std::string ToString(std::size_t max_chars) const;
  // "u32" or "array of string".
  std::string TypeName() const;

 private:
  GgufType type_ = GgufType::kU8;
  GgufType element_type_ = GgufType::kU8;
  std::uint64_t count_ = 0;
  std::span<const std::byte> data_;
};

struct GgufTensor {
  std::string_view name;
  std::uint32_t type = 0;                          // a Format id, or one this library does not know
  int dimensions = 0;                              // 0..4; unused entries of shape are 1
  std::array<std::uint64_t, 4> shape{1, 1, 1, 1};  // shape[0] is contiguous
  int part = 0;                                    // which file of a split model it lies in, from 0
  std::uint64_t offset = 0;                        // of the first byte, from the beginning of that file
  // nullptr if the type is unknown: then size and data are not known either, and the tensor must not be used.
  const FormatInfo* format = nullptr;
  std::span<const std::byte> data;

  std::uint64_t elements() const { return shape[0] * shape[1] * shape[2] * shape[3]; }
};

class GgufFile {
 public:
  // `bytes` must outlive the result and everything taken from it. `source` names the file in messages.
  // Tensors may lie in any order and apart, but not overlap; bytes after the last are ignored. Refused although other
  // readers differ: dimensions of 0, names that are empty or hold a NUL, an alignment above 1 MiB.
  // kCorruptFile: says what is wrong, at which byte, expected and found; "file truncated" says by how much.
  // kUnsupported: not GGUF at all (a Git-LFS pointer, an HTML page, safetensors are recognised and named), version 1 or
  // newer than 3, big endian.
  static Result<GgufFile> Parse(std::span<const std::byte> bytes, std::string_view source);

  // Adds the tensors of the next part of a split model, whose bytes must outlive this too. Metadata is the first part's
  // alone. Fails, naming the tensor, if there is one of that name already.
  Status AddPart(const GgufFile& part);

  std::uint32_t version() const { return version_; }
  std::uint64_t alignment() const { return alignment_; }

  const GgufValue* Find(std::string_view key) const;
  const GgufTensor* FindTensor(std::string_view name) const;

  // In file order.
  struct Entry {
    std::string_view key;
    GgufValue value;
  };
  std::span<const Entry> entries() const { return entries_; }
  std::span<const GgufTensor> tensors() const { return tensors_; }

 private:
  GgufFile() = default;
  Status Read(std::span<const std::byte> bytes);
  Status ReadEntries(ByteReader& in, std::uint64_t count);
  Status ReadTensors(std::span<const std::byte> bytes, ByteReader& in, std::uint64_t count);

  std::uint32_t version_ = 0;
  std::uint64_t alignment_ = 32;
  int parts_ = 1;
  std::vector<Entry> entries_;
  std::vector<GgufTensor> tensors_;
  using Index = std::unordered_map<std::string_view, std::size_t, KeyedHasher>;
  Index entry_index_;
  Index tensor_index_;
};

}  // namespace slm

#endif  // SLM_FILE_GGUF_H_
