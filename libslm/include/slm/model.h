// A model file, opened and checked.
//
//   slm::Result<slm::Model> model = slm::Model::Open("gemma-3-270m.gguf");
//   if (!model.ok()) { /* model.status().message() says what, where, expected and found */ }
//
// Opening maps the file; weights are read where they are mapped, when they are first used. The file must not change while a
// Model lives.
//
// Thread-safety: immutable after opening. A Model is a cheap handle: copies share the mapping, and any number of sessions
// and threads may use it at once.

#ifndef SLM_MODEL_H_
#define SLM_MODEL_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "slm/status.h"
#include "slm/tokenizer.h"

namespace slm {

enum class LogLevel { kInfo, kWarning };
// Called on the thread that called into the library. The library itself never prints.
using LogCallback = std::function<void(LogLevel, std::string_view message)>;

struct ModelOptions {
  LogCallback log = {};
  // Name of the kernel set to compute with ("scalar", "avx2", ...). Empty: the environment variable SLM_KERNELS if set,
  // otherwise the fastest set this processor can run. A set that is unknown or can't run here is an error.
  std::string kernels = {};
};

// One tensor of the file, for tools that look inside.
struct TensorInfo {
  std::string_view name;
  std::string_view format;               // "Q4_K", "F32", ...
  std::vector<std::uint64_t> shape;      // GGUF order: shape[0] is the contiguous dimension
  std::uint64_t file_offset = 0;         // bytes
  std::uint64_t size = 0;                // bytes
};

// One metadata entry, rendered for people; arrays are shortened.
struct MetadataEntry {
  std::string_view key;
  std::string type;
  std::string value;
};

// A number that is not finite, found by Model::FindBadNumber.
struct BadNumber {
  std::string tensor;
  std::uint64_t block = 0;    // index of the quantization block (of the element, for unquantized formats)
  std::uint64_t element = 0;  // index of the block's first element in the tensor
};

class ModelImpl;  // private to the library

class Model {
 public:
  // Fails with kNotFound or kIoError (the file can't be opened), kCorruptFile (damaged or truncated: says by how much),
  // kUnsupported (architecture or tensor format not known: names it) or kInvalidArgument (kernels).
  static Result<Model> Open(const std::filesystem::path& path, const ModelOptions& options = {});

  const Tokenizer& tokenizer() const;

  std::string_view name() const;           // general.name, or the file's name
  std::string_view architecture() const;   // "gemma3", "llama", ...
  std::string_view chat_template() const;  // Jinja source of the file, "" if it has none
  std::string_view kernels() const;        // name of the kernel set in use
  std::int32_t vocab_size() const;
  std::int32_t context_length() const;     // tokens the model was trained for
  std::int32_t layer_count() const;
  std::uint64_t parameter_count() const;   // weights in all tensors
  std::uint64_t file_size() const;         // bytes
  // Bytes of weights read to generate one token; the bound of generation speed is memory bandwidth over this.
  std::uint64_t bytes_per_token() const;

  std::vector<TensorInfo> tensors() const;
  std::vector<MetadataEntry> metadata() const;
  // Reads every weight and reports NaN and infinity; empty means the file is sound.
  std::vector<BadNumber> FindBadNumbers() const;

  // The library's own view of the model.
  const ModelImpl& impl() const { return *impl_; }

 private:
  explicit Model(std::shared_ptr<const ModelImpl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const ModelImpl> impl_;
};

}  // namespace slm

#endif  // SLM_MODEL_H_
