// Files that are written as a whole, wherever the folder came from.

#ifndef SLM_TOOLS_REPLACE_FILE_H_
#define SLM_TOOLS_REPLACE_FILE_H_

#include <filesystem>
#include <string>
#include <string_view>

#include "slm/status.h"

namespace slm::tools {

// Replaces a file: whoever looks sees the old one or the new one, also after a crash or on a full disk. Makes its
// folder. A link stays one, also if it leads nowhere yet; what is no regular file stays, and is an error.
Status ReplaceFile(const std::filesystem::path& path, std::string_view contents);

// Where ReplaceFile writes before it renames; whatever is there is removed. The same name every time, so that what a
// crash leaves goes with the next run; as long for each file, so that any name can be replaced.
std::filesystem::path PartOf(const std::filesystem::path& path);

// Appends to a file, or makes it. A link is not followed: it is an error, as what is no regular file.
Status AppendToFile(const std::filesystem::path& path, std::string_view contents);

// A sentence: `what`, the path, and the system's reason.
Status SystemError(const std::string& what, const std::filesystem::path& path, int error);

}  // namespace slm::tools

#endif  // SLM_TOOLS_REPLACE_FILE_H_
