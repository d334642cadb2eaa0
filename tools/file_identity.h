// Which file a path means, however it is spelled.

#ifndef SLM_TOOLS_FILE_IDENTITY_H_
#define SLM_TOOLS_FILE_IDENTITY_H_

#include <filesystem>
#include <span>
#include <string>

#include "slm/status.h"

namespace slm::tools {

// The absolute path, through all links, of the file that `path` means or will mean once it is written: a link that
// leads to what is not there yet stays a link. Replacing a file by renaming another over it needs this path. Fails with
// kIoError where links go round in a circle or folders can't be read.
Result<std::filesystem::path> ResolvePath(const std::filesystem::path& path);

// Whether both paths, which ResolvePath gave, are one file: the same path, or one place on the disk.
bool IsSameFile(const std::filesystem::path& a, const std::filesystem::path& b);

// kInvalidArgument if writing `output` would replace one of the files that are read. Empty paths and "-" are none.
Status CheckOutput(const std::filesystem::path& output, std::span<const std::string> inputs);

}  // namespace slm::tools

#endif  // SLM_TOOLS_FILE_IDENTITY_H_
