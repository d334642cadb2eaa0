// slm-bench's measurements: what is run and timed.
//
// Generation is timed as chat does it, one token a call, but with fixed ids in place of sampled ones: every run, kernel
// set and thread count then computes the same tokens, and their last logits can be compared by a hash.

#ifndef SLM_TOOLS_BENCH_RUN_H_
#define SLM_TOOLS_BENCH_RUN_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "bench_result.h"
#include "slm/session.h"
#include "slm/status.h"
#include "slm/tokenizer.h"
#include "tool_main.h"

namespace slm::tools {

inline constexpr char kBench[] = "slm-bench";

struct BenchOptions {
  std::string model;
  std::int32_t prompt = 512;  // tokens; 0 skips the test
  std::int32_t generate = 64;
  std::int32_t repetitions = 5;
  std::vector<std::int32_t> depths = {0};  // ascending
  ComputeOptions compute;
  bool peaks = true;  // measure what the machine can do, and hold the rates against it
  // Count multiply-adds and bytes, and the time of every operation, in one more run of each test; `peaks` asks for it
  // too.
  bool profile = false;
  std::string energy_root;                                     // of the powercap interface; empty: the system's
  std::function<void(const std::string& what)> progress = {};  // called before each run
};

class Timer {
 public:
  double Seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

// FNV-1a, 64 bits.
class Hash {
 public:
  void Add(std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) hash_ = (hash_ ^ static_cast<std::uint64_t>(byte)) * 0x100000001b3u;
  }
  std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325u;
};

// The same ids on every machine; fewer of them are the beginning of more.
std::vector<Token> FixedTokens(std::int32_t count, std::int32_t vocab_size, std::uint32_t seed);

BenchConditions DescribeConditions(const Session& session, const BenchOptions& options);

// Says that run `count` begins; 0 is the one that isn't counted.
void ReportProgress(const BenchOptions& options, const std::string& what, std::int32_t count);

// Times prompt and generation at every depth.
Result<BenchReport> RunBench(BenchOptions options);

// One prompt and one token, with nothing warmed up: what a user waits for after starting a program.
struct FirstToken {
  double seconds = 0;  // all of it
  double load_seconds = 0;
  std::int32_t prompt_tokens = 0;
  Token token = 0;
  std::string kernels;
  std::int32_t threads = 0;
  std::int32_t prompt_threads = 0;
  std::uint64_t peak_resident_bytes = 0;
};
Result<FirstToken> MeasureFirstToken(BenchOptions options);

}  // namespace slm::tools

#endif  // SLM_TOOLS_BENCH_RUN_H_
