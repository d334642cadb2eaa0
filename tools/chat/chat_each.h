// One prompt, many files: an answer for each, written to a folder. Runs can be stopped and go on.

#ifndef SLM_TOOLS_CHAT_EACH_H_
#define SLM_TOOLS_CHAT_EACH_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "chat_each_files.h"
#include "chat_prompts.h"
#include "chat_report.h"
#include "slm/message.h"
#include "slm/status.h"

namespace slm::tools {

struct EachOptions {
  std::filesystem::path folder;          // where the answers go
  std::vector<std::string> inputs = {};  // besides the files to answer: what no answer may replace
  bool overwrite = false;                // answer also what is answered
  // All that decides an answer besides prompt and text: the model, sampling, limits. Answers of other settings are done
  // anew.
  std::string settings;
  // What prompt a file's text is put into; empty: `text` itself. Gets the file's name and text.
  std::function<std::string(const std::string& path, const std::string& text)> wrap = {};
};

struct EachTask {
  EachFile file;
  Status problem;           // why it can't be done, if it can't
  bool done = false;        // its answer is there
  std::int32_t tokens = 0;  // of the prompt with the file's text
};

// What a run is going to do, known before the model answers anything.
struct EachPlan {
  std::vector<EachTask> tasks;   // in the order of the files
  std::int32_t most_tokens = 0;  // of those to do
};

// Reads every file. `count`: see Responder::Count. `say` gets sentences about answers that are kept though it is not
// known what they answer. Fails if no answer could be written at all.
Result<EachPlan> PlanEach(const std::vector<std::string>& paths, const ChatPrompt& prompt, const EachOptions& options,
                          const std::function<Result<std::int32_t>(const std::vector<Message>&)>& count,
                          const std::function<void(const std::string&)>& say);

// What a run has to be given.
struct EachCalls {
  // An answer to the prompt about a text, by each of those who answer, at the same time; the path is for messages.
  using Answer = std::function<Result<Record>(const std::string& path, const std::string& text)>;
  std::vector<Answer> answer;
  // Gets what became of a file, with its path as in EachFile::path: an answer that is in its place, and how far the run
  // is ("3 of 20", and what is known of the time left), or an error.
  std::function<void(const Record& record, const std::string& progress)> done;
};

struct EachSummary {
  int answered = 0;
  int skipped = 0;
  int failed = 0;
  int left = 0;  // not begun, or stopped
  bool interrupted = false;
};

// Answers what is planned. Files are told of in their order; what fails is told and doesn't end it. An answer that was
// cancelled does.
Result<EachSummary> RunEach(const EachPlan& plan, const ChatPrompt& prompt, const EachOptions& options,
                            const EachCalls& calls);

}  // namespace slm::tools

#endif  // SLM_TOOLS_CHAT_EACH_H_
