// A GGUF file, looked into: its metadata and the table of its tensors, whether or not this library can run the model.
//
//   slm::Result<slm::ModelFile> file = slm::ModelFile::Open("gemma-3-270m.gguf");
//   if (!file.ok()) { /* file.status().message() says what, where, expected and found */ }
//   for (const slm::TensorInfo& tensor : file->tensors()) { ... }
//   slm::Result<slm::Model> model = slm::Model::Open(*file);
//
// A model that was split into several files (NAME-00001-of-00003.gguf, ...) is one ModelFile: opening any part opens
// all.
//
// Opening checks every count, length and offset of the file, and reads nothing else. Weights are mapped read-only and
// read where they lie when they are first used; they are shared with the page cache, so that a second process costs
// nothing and a file larger than memory can be used, slowly. Therefore the bytes must not change while a ModelFile, or
// a Model opened from it, lives. Replacing the file by renaming another over it is safe. Shortening it, or a disk that
// fails, ends the process with SIGBUS when the lost bytes are read: what is mapped can't report errors. Programs that
// can't take that risk use Load.
//
// Thread-safety: immutable after opening. A ModelFile is a cheap handle: copies share the mapping, which goes with the
// last of them and of the Models opened from it.

#ifndef SLM_MODEL_FILE_H_
#define SLM_MODEL_FILE_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "slm/status.h"

namespace slm {

struct TensorInfo {
  std::string_view name;
  // "Q4_K", "F32", ...; a format this library can't read has its name too, or else "unknown (id 99)".
  std::string format;
  std::vector<std::uint64_t> shape;  // GGUF order: shape[0] is the contiguous dimension
  std::size_t part = 0;              // index into ModelFile::parts()
  std::uint64_t file_offset = 0;     // bytes, from the beginning of that part
  // Bytes; 0 if this library can't read the format, and so doesn't know.
  std::uint64_t size = 0;
};

// One metadata entry, rendered for people; arrays are shortened.
struct MetadataEntry {
  std::string_view key;
  std::string type;
  std::string value;
};

// The first number of a tensor that is not finite.
struct BadNumber {
  std::string tensor;
  std::uint64_t block = 0;    // index of the quantization block (of the element, for unquantized formats)
  std::uint64_t element = 0;  // index of the block's first element in the tensor
};

struct FilePart {
  std::string path;  // or the name given for memory or a descriptor
  std::uint64_t size = 0;
};

class ModelFile {
 public:
  // Fails with kNotFound (also if a part of a split model is missing: says which) or kIoError (the file can't be
  // opened), kCorruptFile (damaged or truncated: says by how much; or parts that don't belong together: expected and
  // found), or kUnsupported (no GGUF, or a version not known: says what the file is instead).
  static Result<ModelFile> Open(const std::filesystem::path& path);

  // The same with the bytes in memory of the ModelFile's own, so that nothing that happens to the file afterwards is
  // noticed. Costs what Open spares: reading the whole file before anything else (seconds for each gigabyte, from most
  // disks), and as much memory as it has bytes, shared with no other process and, without swap, never given back before
  // the end. Fails also with kOutOfMemory; a machine that promises more memory than it has may end the process instead.
  static Result<ModelFile> Load(const std::filesystem::path& path);

  // Of bytes in memory, at any address, which stay the caller's: they must outlive the ModelFile, its copies and every
  // Model opened from it. Nothing is copied. `name` stands for the path in messages. A part of a split model is
  // kUnsupported: the others would be missing.
  static Result<ModelFile> FromMemory(std::span<const std::byte> bytes, std::string_view name);

  // Of a descriptor open for reading on a regular file, from its first byte to its last. The descriptor stays the
  // caller's and may be closed at once. Otherwise as FromMemory.
  static Result<ModelFile> FromDescriptor(int descriptor, std::string_view name);

  std::string_view name() const;          // general.name, or the file's name
  std::string_view architecture() const;  // general.architecture; "" if the file has none
  // Jinja source of the chat template, or of the one of that name among several; "" if the file has none.
  std::string_view chat_template(std::string_view name = {}) const;
  std::uint32_t version() const;          // of the GGUF format
  std::uint64_t size() const;             // bytes of all parts together
  std::uint64_t parameter_count() const;  // weights in all tensors
  const std::vector<FilePart>& parts() const;

  std::vector<TensorInfo> tensors() const;
  std::vector<MetadataEntry> metadata() const;
  // Reads every weight of a format this library knows and reports NaN and infinity; empty means they are sound.
  std::vector<BadNumber> FindBadNumbers() const;

 private:
  friend struct Internal;
  struct Impl;
  explicit ModelFile(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

}  // namespace slm

#endif  // SLM_MODEL_FILE_H_
