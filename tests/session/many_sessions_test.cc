// Eight threads, one model, eight sessions: each text is as it would be alone.

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "slm/generate.h"
#include "support/fixture.h"

namespace slm::test {
namespace {

constexpr int kSessions = 8;

std::string Write(const Model& model, int seed, const Workers* workers) {
  Session session = SessionOrThrow(model, {.context_length = 400, .threads = 2, .workers = workers});
  Sampler sampler({.temperature = 0.9f, .seed = static_cast<std::uint64_t>(seed)}, &model.tokenizer());
  const std::vector<Token> prompt = model.tokenizer().Encode("Text " + std::to_string(seed)).value();
  return Generate(session, sampler, prompt, {.max_tokens = 200, .ignore_end = true}, {}).value().text;
}

void ExpectTextsAsAlone(const std::string& fixture, const Workers* workers) {
  const Model model = OpenOrThrow(FindFixture(fixture).model());
  std::vector<std::string> alone;
  for (int i = 0; i < kSessions; ++i) alone.push_back(Write(model, i, workers));
  std::vector<std::string> together(kSessions);
  std::vector<std::thread> threads;
  for (int i = 0; i < kSessions; ++i) {
    threads.emplace_back([&, i] { together[static_cast<std::size_t>(i)] = Write(model, i, workers); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(together, alone);
  EXPECT_NE(alone[0], alone[1]);
}

TEST(ManySessionsTest, OnTheSharedPool) { ExpectTextsAsAlone("gemma3", nullptr); }
TEST(ManySessionsTest, OnAPoolOfTheApplication) {
  const Workers workers = Workers::Create({.threads = 4}).value();
  ExpectTextsAsAlone("llama_f16", &workers);
}

}  // namespace
}  // namespace slm::test
