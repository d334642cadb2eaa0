#include "file_identity.h"

#include <optional>
#include <string>
#include <system_error>

namespace slm::tools {

namespace fs = std::filesystem;

namespace {

// The path with its first link replaced by what that says; nothing if there is none. In a path that weakly_canonical
// gave, such a link leads nowhere.
std::optional<fs::path> FollowFirstLink(const fs::path& path) {
  fs::path before;
  for (auto name = path.begin(); name != path.end(); ++name) {
    std::error_code error;
    const fs::path target = fs::read_symlink(before / *name, error);
    if (error) {
      before /= *name;
      continue;
    }
    fs::path followed = before / target;
    for (++name; name != path.end(); ++name) followed /= *name;
    return followed;
  }
  return std::nullopt;
}

}  // namespace

Result<fs::path> ResolvePath(const fs::path& path) {
  constexpr int kMostLinks = 40;  // as systems have it
  const auto fail = [&path](const std::string& reason) {
    return Status(StatusCode::kIoError, "There can be no file " + path.string() + ": " + reason + ".");
  };
  std::error_code error;
  // Of a relative path that is not there, weakly_canonical would make no absolute one.
  fs::path resolved = fs::absolute(path, error);
  for (int links = 0; links < kMostLinks && !error; ++links) {
    resolved = fs::weakly_canonical(resolved, error);
    if (error) break;
    std::optional<fs::path> followed = FollowFirstLink(resolved);
    if (!followed) return resolved;
    resolved = *std::move(followed);
  }
  return fail(error ? error.message() : "its links lead nowhere");
}

bool IsSameFile(const fs::path& a, const fs::path& b) {
  std::error_code not_there;
  return a == b || fs::equivalent(a, b, not_there);
}

Status CheckOutput(const fs::path& output, std::span<const std::string> inputs) {
  const Result<fs::path> target = ResolvePath(output);
  if (!target.ok()) return target.status();
  for (const std::string& input : inputs) {
    if (input.empty() || input == "-") continue;
    const Result<fs::path> source = ResolvePath(input);
    if (!source.ok() || !IsSameFile(*target, *source)) continue;
    return {StatusCode::kInvalidArgument,
            "The result would replace " + input + ", which is read; give another name than " + output.string() + "."};
  }
  return {};
}

}  // namespace slm::tools
