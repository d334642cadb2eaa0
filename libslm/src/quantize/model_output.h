// Writes a model, tensor by tensor, from wherever its numbers come.

#ifndef SLM_QUANTIZE_MODEL_OUTPUT_H_
#define SLM_QUANTIZE_MODEL_OUTPUT_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "file/gguf_writer.h"
#include "slm/session.h"
#include "slm/status.h"

namespace slm {

// A tensor to be written.
struct SourceTensor {
  TensorHeader header;  // format: what it is to become
  // Rows first..first + count - 1 (of shape[0] numbers each, all other dimensions counted through) to `out`. Called on
  // several threads at once.
  std::function<Status(std::uint64_t first, std::uint64_t count, float* out)> read;
  // The tensor's data where it is in that format already: copied as it is, and `read` is not called. May be mapped.
  std::span<const std::byte> stored;
  // [shape[0]] or, for tensors of several matrices, [shape[2]][shape[0]]: the importance of each column. Empty: none.
  std::span<const float> importance;
};

struct OutputOptions {
  std::int32_t threads = 0;          // 0: what suits the machine
  std::uint64_t max_part_bytes = 0;  // GgufWriter::Create
  const CancelToken* cancel = nullptr;
  ProgressCallback progress = {};  // in bytes written, on the calling thread
};

struct WrittenModel {
  std::vector<std::filesystem::path> paths;
  std::uint64_t bytes = 0;
};

// Takes memory for a few pieces of rows for each thread, however large the model is. The same file for any number of
// threads. Fails as GgufWriter and `read` do, with kInvalidNumber (a number that is not finite, or that the format
// can't hold: names the tensor and where) or kCancelled; then no file stays, and one that was there is untouched.
Result<WrittenModel> WriteModel(const std::filesystem::path& path, GgufMetadata metadata,
                                std::vector<SourceTensor> tensors, const OutputOptions& options);

}  // namespace slm

#endif  // SLM_QUANTIZE_MODEL_OUTPUT_H_
