#include "chat_parallel.h"

#include <algorithm>
#include <exception>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace slm::tools {

std::int64_t CountOthers(std::int64_t at_a_time, std::int64_t tasks, std::uint64_t bytes,
                         std::uint64_t available_bytes) {
  constexpr std::uint64_t kMost = 8;  // the weights' bytes are shared by then, and arithmetic is what takes time
  if (at_a_time == 0) at_a_time = static_cast<std::int64_t>(std::min(kMost, 1 + available_bytes / 2 / bytes));
  return std::max<std::int64_t>(std::min(at_a_time, tasks) - 1, 0);
}

Result<Record> OutcomeOf(const std::function<Result<Record>()>& call) try {
  return call();
} catch (const std::bad_alloc&) {
  return Status(StatusCode::kOutOfMemory, "out of memory");
} catch (const std::exception& error) {
  return Status(StatusCode::kIoError, std::string("an error that was not foreseen: ") + error.what());
}

void RunTogether(std::span<const std::function<void()>> workers) {
  std::vector<std::thread> threads;
  threads.reserve(workers.size());
  try {
    for (const std::function<void()>& worker : workers.subspan(1)) threads.emplace_back(worker);
  } catch (const std::system_error&) {  // the others do all of it
  }
  workers.front()();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace slm::tools
