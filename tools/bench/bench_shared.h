// Steps that several rows share: of one text, of several conversations, and of a text with its guesses.

#ifndef SLM_TOOLS_BENCH_SHARED_H_
#define SLM_TOOLS_BENCH_SHARED_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench_result.h"
#include "bench_run.h"
#include "slm/draft.h"
#include "slm/session.h"
#include "slm/status.h"

namespace slm::tools {

struct SharedOptions {
  std::vector<std::int32_t> rows;      // steps of so many tokens of one text, with the logits of each
  std::vector<std::int32_t> parallel;  // so many conversations at a time
  std::string speculate;               // file of the text that is gone on with; empty: none
  std::string draft;                   // file of the model that guesses, too; empty: none
};

// BenchOptions::generate tokens in all for each number of rows, and as many for each conversation and text.
Result<SharedReport> MeasureShared(BenchOptions options, const SharedOptions& shared);

// Goes on with `prompt`, which `session` has room for and BenchOptions::generate more: greedily, and by chance with a
// fixed seed. Each run has a session of its own that has read the prompt, as new to guessing as a user's is. `draft`
// may be null; it reads the prompt in a run that isn't counted.
Result<std::vector<Speculation>> MeasureSpeculation(Session& session, Draft* draft, const BenchOptions& options,
                                                    const std::vector<Token>& prompt);

// Guesses must not change a text: where `text` is another one than `expected`, says where they part.
Status CheckSameText(std::string_view expected, std::string_view text, const std::string& what);

}  // namespace slm::tools

#endif  // SLM_TOOLS_BENCH_SHARED_H_
