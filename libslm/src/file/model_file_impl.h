// What a ModelFile handle shares.

#ifndef SLM_FILE_MODEL_FILE_IMPL_H_
#define SLM_FILE_MODEL_FILE_IMPL_H_

#include <string>
#include <utility>
#include <vector>

#include "base/internal.h"  // IWYU pragma: export
#include "file/gguf.h"
#include "file/mapped_file.h"
#include "slm/model_file.h"

namespace slm {

struct ModelFile::Impl {
  Impl(std::string source_name, std::vector<FilePart> file_parts, std::vector<MappedFile> maps, GgufFile contents)
      : source(std::move(source_name)),
        parts(std::move(file_parts)),
        mappings(std::move(maps)),
        gguf(std::move(contents)) {}

  const std::string source;  // what messages call the file
  const std::vector<FilePart> parts;
  const std::vector<MappedFile> mappings;  // one for each part; none if the bytes are the caller's
  const GgufFile gguf;                     // of all parts; views into their bytes
};
using ModelFileImpl = ImplOf<ModelFile>;

}  // namespace slm

#endif  // SLM_FILE_MODEL_FILE_IMPL_H_
