// The files of --each: what goes in, what comes out, and what is known of earlier runs.

#ifndef SLM_TOOLS_CHAT_EACH_FILES_H_
#define SLM_TOOLS_CHAT_EACH_FILES_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "slm/status.h"

namespace slm::tools {

struct EachFile {
  std::string path;              // as it was given
  std::filesystem::path output;  // below the folder of answers, relative to it
};

// Files with the names of their answers: the file's own, with ".md" after it unless that is how it ends. Files of the
// same name get those folders before it in which they differ. A file given twice is there once. Fails if an answer
// would replace one of the files or of `inputs`, or take the place of another answer.
Result<std::vector<EachFile>> NameAnswers(const std::vector<std::string>& paths, const std::filesystem::path& folder,
                                          const std::vector<std::string>& inputs = {});

// As ReadTextFile. Fails, with the reason, also for what is no regular file and for files that are empty.
Result<std::string> ReadDocument(const std::string& path, bool warn);

// 64 bits of a text, the same on all machines (XXH3).
std::uint64_t Fingerprint(std::string_view text);

inline constexpr std::string_view kLogName = ".slm-chat.jsonl";

// Which answers a folder has, and of what: the file of this name in it, a line for every answer.
class AnswerLog {
 public:
  // Lines that are not whole, as a crash may leave, are ignored.
  static Result<AnswerLog> Open(const std::filesystem::path& folder);

  enum class State {
    kNone,     // there is no answer
    kSame,     // there is one, of exactly this
    kOther,    // there is one of something else
    kUnknown,  // there is one this log does not know
  };
  State Find(const std::filesystem::path& output, std::uint64_t fingerprint) const;
  // To be called once the answer is in its place.
  Status Add(const std::filesystem::path& output, std::uint64_t fingerprint);

 private:
  explicit AnswerLog(std::filesystem::path folder) : folder_(std::move(folder)) {}
  std::filesystem::path path() const { return folder_ / kLogName; }

  std::filesystem::path folder_;
  std::map<std::string, std::string> fingerprints_;
  bool line_open_ = false;  // the file does not end with a line break
};

}  // namespace slm::tools

#endif  // SLM_TOOLS_CHAT_EACH_FILES_H_
