// Several conversations at the same time: how many, and their threads.

#ifndef SLM_TOOLS_CHAT_PARALLEL_H_
#define SLM_TOOLS_CHAT_PARALLEL_H_

#include <cstdint>
#include <functional>
#include <span>

#include "chat_report.h"
#include "slm/status.h"

namespace slm::tools {

// How many conversations, each of so many bytes, do `tasks` tasks beside a first one. `at_a_time`: with that one; 0: as
// many as half of the memory that can be had is good for, and at most 8.
std::int64_t CountOthers(std::int64_t at_a_time, std::int64_t tasks, std::uint64_t bytes,
                         std::uint64_t available_bytes);

// What a call comes to, also if it throws: a thread must not.
Result<Record> OutcomeOf(const std::function<Result<Record>()>& call);

// Runs all of them, each on a thread of its own but the first, which the calling thread runs. Where the system makes no
// more threads, the last ones are left out, so what they do has to come from a common list.
void RunTogether(std::span<const std::function<void()>> workers);

}  // namespace slm::tools

#endif  // SLM_TOOLS_CHAT_PARALLEL_H_
