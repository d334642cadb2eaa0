// Answers as lines of JSON, for programs that go on with them.

#ifndef SLM_TOOLS_CHAT_REPORT_H_
#define SLM_TOOLS_CHAT_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "energy_meter.h"
#include "slm/generate.h"
#include "text_split.h"

namespace slm::tools {

// A part of a text that was too long to be read at once, and what answering it took.
struct PartRecord {
  TextRange range;
  std::int32_t prompt_tokens = 0;  // read or cached
  std::int32_t generated_tokens = 0;
};

// An answer and what it took. docs/chat.md tells what the keys of the JSON mean.
struct Record {
  std::string model = {};
  std::string file = {};    // the text's, empty if it has none
  std::string output = {};  // where the answer was written to, empty if nowhere
  std::string error = {};   // why there is no answer, of which nothing is told then
  GenerateResult result = {};
  // Of a long text; result then has the sums of all answers and how the last one ended.
  std::vector<PartRecord> parts = {};
  std::optional<double> joules = {};
  std::uint64_t seed = 0;
  std::int32_t answer = 0;  // of several to one prompt, from 1; 0: of one
};

// One line with a line break at its end. Bytes that are not UTF-8, which paths may have, become U+FFFD.
std::string ToJsonLine(const Record& record);
// One line for people about an answer, for --stats.
std::string StatsLine(const GenerateResult& result);

// Adds what a further answer took to `*sum`, which takes text and finish reason from it.
void AddResult(const GenerateResult& result, GenerateResult* sum);

// Joules used since it was made; nothing where they can't be measured.
class EnergySpan {
 public:
  explicit EnergySpan(const EnergyMeter& meter) : meter_(meter), begin_(meter.Joules()) {}
  std::optional<double> Joules() const;

 private:
  const EnergyMeter& meter_;
  const double begin_;
};

}  // namespace slm::tools

#endif  // SLM_TOOLS_CHAT_REPORT_H_
