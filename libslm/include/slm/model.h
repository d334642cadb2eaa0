// A model, ready to run.
//
//   slm::Result<slm::Model> model = slm::Model::Open("gemma-3-270m.gguf");
//   if (!model.ok()) { /* model.status().message() says what, where, expected and found */ }
//
// Opening maps the file; weights are read where they are mapped, when they are first used. What that asks of the file,
// and how to open memory or a descriptor instead of a path, is told in model_file.h; EstimateMemory in session.h tells
// what running it takes.
//
// Thread-safety: immutable after opening. A Model is a cheap handle: copies share the mapping, and any number of
// sessions and threads may use it at once.

#ifndef SLM_MODEL_H_
#define SLM_MODEL_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "slm/log.h"
#include "slm/model_file.h"
#include "slm/status.h"
#include "slm/tokenizer.h"

namespace slm {

struct ModelOptions {
  // Kept as long as the model: creating a Chat may have something to say, too.
  // Kept by the model, for what is found out later: sessions and chats may call it, on the threads that create them.
  LogCallback log = {};
  // Name of the kernel set to compute with ("scalar", "avx2", ...). Empty: the environment variable SLM_KERNELS if set,
  // otherwise the fastest set this processor can run. A set that is unknown or can't run here is an error.
  std::string kernels = {};
};

class Model {
 public:
  // Fails as ModelFile::Open does, and as below.
  static Result<Model> Open(const std::filesystem::path& path, const ModelOptions& options = {});
  // Fails with kUnsupported (an architecture, tensor format or kind of file that is not known: names it), kCorruptFile
  // (numbers or tensors that contradict each other or are missing) or kInvalidArgument (kernels). The model shares the
  // file's mapping; `file` itself need not live on.
  static Result<Model> Open(const ModelFile& file, const ModelOptions& options = {});

  const ModelFile& file() const;
  const Tokenizer& tokenizer() const;

  std::string_view name() const;          // as ModelFile::name
  std::string_view architecture() const;  // "gemma3", "llama", ...
  std::string_view kernels() const;       // name of the kernel set in use
  std::int32_t vocab_size() const;
  std::int32_t context_length() const;  // tokens the model was trained for
  std::int32_t layer_count() const;
  // Bytes of weights read to generate one token; the bound of generation speed is memory bandwidth over this.
  std::uint64_t bytes_per_token() const;

 private:
  friend struct Internal;
  struct Impl;
  explicit Model(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

}  // namespace slm

#endif  // SLM_MODEL_H_
