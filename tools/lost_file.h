// What happens when a model's file becomes shorter, or its disk fails, while it is read.

#ifndef SLM_TOOLS_LOST_FILE_H_
#define SLM_TOOLS_LOST_FILE_H_

#include <string_view>

#include "slm/model_file.h"

namespace slm::tools {

// Weights are mapped, and what is mapped can't report errors: the system ends the process with SIGBUS. From now on that
// is a sentence on standard error, which names the file, the terminal as it was now, and exit code 1.
void ReportLostFile(std::string_view program, const ModelFile& file);

}  // namespace slm::tools

#endif  // SLM_TOOLS_LOST_FILE_H_
