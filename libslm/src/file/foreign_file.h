// Recognises files that people take for GGUF models.

#ifndef SLM_FILE_FOREIGN_FILE_H_
#define SLM_FILE_FOREIGN_FILE_H_

#include <cstddef>
#include <span>

#include "slm/status.h"

namespace slm {

// kUnsupported: says what a file without the GGUF magic is (a Git-LFS pointer, a web page, a checkpoint of another
// framework ...) and what to do about it, or else how it begins.
Status DescribeForeignFile(std::span<const std::byte> bytes);

}  // namespace slm

#endif  // SLM_FILE_FOREIGN_FILE_H_
