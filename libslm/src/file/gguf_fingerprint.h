// Tells models apart.

#ifndef SLM_FILE_GGUF_FINGERPRINT_H_
#define SLM_FILE_GGUF_FINGERPRINT_H_

#include <cstdint>

#include "file/gguf.h"

namespace slm {

// A hash of the metadata, the table of tensors, and a sample of each tensor's bytes: without reading gigabytes, another
// model, quantization or fine-tuning of one gives another number. The same for a file in memory as on disk.
std::uint64_t Fingerprint(const GgufFile& file);

}  // namespace slm

#endif  // SLM_FILE_GGUF_FINGERPRINT_H_
