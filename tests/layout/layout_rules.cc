#include "layout/layout_rules.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <optional>
#include <regex>
#include <span>
#include <string_view>

namespace slm::test {

namespace fs = std::filesystem;

namespace {

using Names = std::vector<std::string_view>;

// A folder and what its files may include. Names ending in '/' stand for everything below.
struct Area {
  std::string_view folder;
  Names project;  // files of this project, from its root; "/" is all of it
  Names foreign;  // headers in angle brackets besides the C++ standard library's; "*" is any
};

// The first row whose folder holds a file is the one that counts.
std::span<const Area> Areas() {
  static const Names kPublic = {"libslm/include/"};
  static const auto with = [](Names names, const Names& more) {
    names.insert(names.end(), more.begin(), more.end());
    return names;
  };
  static const Names kLibrary = with(kPublic, {"kernels/dispatch.h", "kernels/formats.h", "kernels/kernels.h"});
  static const Names kBase = with(kLibrary, {"libslm/src/base/"});
  static const Names kFile = with(kBase, {"libslm/src/file/"});
  static const Names kText = with(kFile, {"libslm/src/text/"});
  static const Names kModel = with(kText, {"libslm/src/model/"});
  static const Names kInfer = with(kModel, {"libslm/src/infer/"});
  static const Names kChat = with(kInfer, {"libslm/src/chat/"});
  static const std::array kAreas = {
      Area{"libslm/include/", kPublic, {}},
      Area{"libslm/src/base/", kBase, {"sched.h", "xxhash.h"}},
      Area{"libslm/src/file/", kFile, {"fcntl.h", "sys/mman.h", "sys/stat.h", "unistd.h"}},
      Area{"libslm/src/text/", kText, {}},
      Area{"libslm/src/model/", kModel, {}},
      Area{"libslm/src/infer/", kInfer, {"omp.h", "sched.h", "unistd.h"}},
      Area{"libslm/src/chat/", kChat, {"nlohmann/"}},
      Area{"kernels/",
           {"kernels/"},
           {"xsimd/", "immintrin.h", "arm_neon.h", "cpuid.h", "sys/auxv.h", "sys/sysctl.h", "asm/hwcap.h"}},
      Area{"tools/",
           with(kPublic, {"tools/"}),
           {"CLI/", "nlohmann/", "xxhash.h", "yaml-cpp/", "histedit.h", "fcntl.h", "poll.h", "signal.h", "sys/",
            "termios.h", "unistd.h"}},
      Area{"tests/", {"/"}, {"*"}},
      Area{"bench/", {"/"}, {"*"}},
  };
  return kAreas;
}

// Where the compiler looks for a file in quotation marks, after the including file's own folder.
constexpr std::array kIncludeRoots = {"libslm/include", "libslm/src", "kernels", "tools",
                                      "tools/bench",    "tools/chat", "tests",   "bench"};

// Where CMake files are looked for, besides the root itself.
constexpr std::array kCMakeFolders = {"kernels", "libslm", "tools", "tests", "bench", "cmake", "third_party"};

bool Matches(const Names& names, std::string_view path) {
  return std::any_of(names.begin(), names.end(), [&](std::string_view name) {
    if (name == "*" || name == "/") return true;
    return name.ends_with('/') ? path.starts_with(name) : path == name;
  });
}

std::string Join(const Names& names) {
  std::string joined;
  for (std::string_view name : names) joined.append(joined.empty() ? "" : ", ").append(name);
  return joined.empty() ? "nothing" : joined;
}

std::string ReadText(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::vector<fs::path> FilesBelow(const fs::path& folder) {
  std::vector<fs::path> files;
  if (!fs::exists(folder)) return files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

bool IsSource(const fs::path& path) {
  static constexpr std::array kSuffixes = {".h", ".hpp", ".inc", ".cc", ".cpp", ".c"};
  return std::find(kSuffixes.begin(), kSuffixes.end(), path.extension()) != kSuffixes.end();
}

bool IsCMake(const fs::path& path) {
  const std::string name = path.filename().string();
  return name == "CMakeLists.txt" || name == "CMakePresets.json" || name.ends_with(".cmake") ||
         name.ends_with(".cmake.in");
}

// The file that `name` in quotation marks means in `file`, from the root; nothing if there is none in this tree.
std::optional<std::string> Resolve(const fs::path& root, const fs::path& file, const std::string& name) {
  std::vector<fs::path> folders = {file.parent_path()};
  for (const char* folder : kIncludeRoots) folders.push_back(root / folder);
  for (const fs::path& folder : folders) {
    const fs::path path = (folder / name).lexically_normal();
    if (!fs::is_regular_file(path)) continue;
    std::string relative = path.lexically_relative(root.lexically_normal()).generic_string();
    if (!relative.starts_with("..")) return relative;
  }
  return std::nullopt;
}

// What is wrong with one line of `file`; "" if nothing.
std::string CheckLine(const fs::path& root, const fs::path& file, const Area& area, const std::string& line) {
  static const std::regex kDirective(R"(^\s*#\s*include\b.*)");
  static const std::regex kNamed(R"(^\s*#\s*include\s*(["<])([^">]+)[">].*)");
  if (line.find("include") == std::string::npos || !std::regex_match(line, kDirective)) return "";
  std::smatch match;
  if (!std::regex_match(line, match, kNamed)) return "an #include must name a file, not a macro";
  const std::string name = match[2];
  if (match[1] == "<") {
    const bool standard = name.find_first_of("/.") == std::string::npos;
    if (standard || Matches(area.foreign, name)) return "";
    return "<" + name + "> does not belong in " + std::string(area.folder) +
           "; besides the C++ standard library it may use " + Join(area.foreign);
  }
  const std::optional<std::string> target = Resolve(root, file, name);
  if (!target) return "\"" + name + "\" is no file of this project; other libraries are included with <...>";
  if (Matches(area.project, *target)) return "";
  return *target + " must not be included from " + std::string(area.folder) + "; allowed there: " + Join(area.project);
}

// Flags that no target may have, and how those begin that only a file under kernels/isa may have.
constexpr char kInexact[] =
    "ffast-math|Ofast|funsafe-math-optimizations|fassociative-math|ffinite-math-only|freciprocal-math";
constexpr char kInstructionSet[] = "m(arch|cpu|tune|fpu|avx|sse|ssse|fma|f16c|bmi|lzcnt|popcnt|amx|sve)";

std::string CheckFlag(const std::string& flag, const std::string& relative, std::string_view command) {
  static const std::regex kNever(std::string("-(") + kInexact + "|m(arch|cpu|tune)=native)");
  if (std::regex_match(flag, kNever)) {
    return flag + " makes results depend on the compiler or the building machine; no target may have it";
  }
  const bool for_isa_file = relative == "kernels/CMakeLists.txt" && command.find("isa/") != std::string_view::npos;
  if (for_isa_file) return "";
  return flag +
         " is an instruction-set flag; only a file under kernels/isa may have one, by set_source_files_properties";
}

void CheckCMakeFile(const fs::path& path, const std::string& relative, LayoutReport& report) {
  static const std::regex kComment(R"((^|\s)#[^\n]*)");
  static const std::regex kFlag(std::string("-(") + kInexact + "|" + kInstructionSet + R"([\w=.+-]*))");
  ++report.files;
  const std::string text = std::regex_replace(ReadText(path), kComment, "$1");
  for (auto it = std::sregex_iterator(text.begin(), text.end(), kFlag); it != std::sregex_iterator(); ++it) {
    const auto at = static_cast<std::size_t>(it->position());
    const std::size_t begin = text.rfind('(', at);
    const std::string_view command = begin == std::string::npos
                                         ? std::string_view()
                                         : std::string_view(text).substr(begin, text.find(')', at) - begin);
    const std::string problem = CheckFlag(it->str(), relative, command);
    if (!problem.empty()) report.violations.push_back(relative + ": " + problem);
  }
}

}  // namespace

LayoutReport CheckIncludes(const fs::path& root) {
  LayoutReport report;
  for (const Area& area : Areas()) {
    for (const fs::path& file : FilesBelow(root / area.folder)) {
      if (!IsSource(file)) continue;
      ++report.files;
      std::ifstream in(file);
      int number = 0;
      for (std::string line; std::getline(in, line);) {
        ++number;
        const std::string problem = CheckLine(root, file, area, line);
        if (problem.empty()) continue;
        const std::string relative = file.lexically_relative(root).generic_string();
        report.violations.push_back(relative + ":" + std::to_string(number) + ": " + problem);
      }
    }
  }
  return report;
}

LayoutReport CheckCompilerFlags(const fs::path& root) {
  LayoutReport report;
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(root)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  for (const char* folder : kCMakeFolders) {
    for (const fs::path& file : FilesBelow(root / folder)) files.push_back(file);
  }
  for (const fs::path& file : files) {
    if (IsCMake(file)) CheckCMakeFile(file, file.lexically_relative(root).generic_string(), report);
  }
  return report;
}

}  // namespace slm::test
