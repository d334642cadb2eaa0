// Models split into several files.
//
// Parts are named PREFIX-00001-of-00003.gguf and so on, and are GGUF files of their own. The keys split.no (from 0) and
// split.count say which part a file is, split.tensors.count how many tensors all parts hold together. Metadata is in
// the first part, tensors in any.

#ifndef SLM_FILE_SPLIT_FILE_H_
#define SLM_FILE_SPLIT_FILE_H_

#include <filesystem>
#include <span>
#include <vector>

#include "file/gguf.h"
#include "file/mapped_file.h"
#include "slm/status.h"

namespace slm {

struct GgufPart {
  std::filesystem::path path;
  MappedFile mapping;
  GgufFile gguf;  // views into the mapping
};
// Where the bytes are: in a mapping of the file, or in memory of their own.
enum class BytesFrom { kMapping, kCopy };
Result<GgufPart> OpenPart(const std::filesystem::path& path, BytesFrom from);

// Opens the parts that go with the one given, whichever that is, and returns all in order; the given one alone if it is
// no part. kNotFound names the parts that are missing; kCorruptFile says what does not fit together, expected and
// found.
Result<std::vector<GgufPart>> OpenAllParts(GgufPart given, BytesFrom from);

// OK unless the file is one part of several.
Status RefusePart(const GgufFile& file);

}  // namespace slm

#endif  // SLM_FILE_SPLIT_FILE_H_
