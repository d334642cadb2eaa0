// Sessions in processes that fork, and where the system makes no more threads.

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "support/fixture.h"

namespace slm::test {
namespace {

constexpr int kNobody = 65534;

// What a child process returns; -1 if it was ended.
int ExitCodeOf(const std::function<int()>& child) {
  const pid_t pid = fork();
  if (pid == 0) {
    alarm(60);
    _exit(child());
  }
  int state = 0;
  waitpid(pid, &state, 0);
  return WIFEXITED(state) ? WEXITSTATUS(state) : -1;
}

class ProcessTest : public testing::Test {
 protected:
  const Fixture fixture_ = FindFixture("llama_f16");
  const Model model_ = OpenOrThrow(fixture_.model());
  const std::vector<Token> prompt_ = fixture_.Prompt();
  const SessionOptions options_ = {.threads = 3};
};

// Python's multiprocessing and servers that fork do this: the threads of the parent are not there.
TEST_F(ProcessTest, AChildComputes) {
  Session session = SessionOrThrow(model_, options_);
  const std::vector<float> expected = AllLogits(session, prompt_);
  const auto as_expected = [&](Session& other) {
    return other.Rewind(0).ok() && SameBits(AllLogits(other, prompt_), expected) ? 0 : 1;
  };
  EXPECT_EQ(ExitCodeOf([&] { return as_expected(session); }), 0) << "the parent's session";
  EXPECT_EQ(ExitCodeOf([&] {
              Session other = SessionOrThrow(model_, options_);
              return as_expected(other) + ExitCodeOf([&] { return as_expected(other); });
            }),
            0)
      << "a session of its own, and a child's child";
  EXPECT_EQ(as_expected(session), 0) << "the parent goes on";
}

// OpenMP's runtime would end the process (metaeuk 80, ncnn 1290).
TEST_F(ProcessTest, FewerThreadsWhereNoMoreCanBeMade) {
  const std::vector<float> expected = AllLogits(model_, options_, prompt_);
  // Where the limit is above 0, some of the threads can be made.
  for (const rlim_t limit : {0u, 1u, 2u, 3u, 4u, 5u}) {
    EXPECT_EQ(
        ExitCodeOf([&] {
          const rlimit most = {limit, limit};
          if (geteuid() == 0 && setuid(kNobody) != 0) return 2;  // nothing limits root
          if (setrlimit(RLIMIT_NPROC, &most) != 0) return 3;
          std::vector<std::string> warnings;
          const LogCallback log = [&](LogLevel level, std::string_view message) {
            if (level == LogLevel::kWarning) warnings.emplace_back(message);
          };
          Result<Session> session = Session::Create(Model::Open(fixture_.model(), {.log = log}).value(), options_);
          if (!session.ok()) return 4;
          if (limit == 0 && (session->threads() != 1 || session->prompt_threads() != 1)) return 5;
          std::this_thread::sleep_for(std::chrono::milliseconds(50));  // in which a runtime that can't start ends us
          const bool said = warnings.size() == 1 && warnings[0].find("instead of 3") != std::string::npos;
          if (said != (session->prompt_threads() < 3)) return 6;
          return SameBits(AllLogits(*session, prompt_), expected) ? 0 : 7;
        }),
        0)
        << limit;
  }
}

}  // namespace
}  // namespace slm::test
