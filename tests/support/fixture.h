// What the tests of the engine share: reference models with the logits of HF transformers, kernel sets as test
// parameters, and short ways to get all logits of a text.

#ifndef SLM_TESTS_SUPPORT_FIXTURE_H_
#define SLM_TESTS_SUPPORT_FIXTURE_H_

#include <gtest/gtest.h>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "kernels.h"
#include "slm/model.h"
#include "slm/session.h"
#include "slm/tokenizer.h"
#include "support/test_data.h"

namespace slm::test {

// A folder with a model and what the reference computes with it.
struct Fixture {
  std::string name;  // of the folder
  std::filesystem::path folder;
  bool quantized = false;

  std::filesystem::path model() const { return folder / "model.gguf"; }
  std::vector<Token> Tokens(const char* file) const;  // prompt.json or greedy.json
  std::vector<Token> Prompt() const { return Tokens("prompt.json"); }
  std::vector<Token> Greedy() const { return Tokens("greedy.json"); }
  NpyArray Logits() const { return ReadNpy(folder / "logits.npy"); }  // [prompt, vocabulary]
};

// All below tests/data/models and tests/data/quantized, and the other quantized ones of the shared fixtures, by name.
std::vector<Fixture> AllFixtures();
// One of them; throws if there is none.
Fixture FindFixture(const std::string& name);

// The kernel sets this machine can run. Tests that force one do not look at SLM_KERNELS.
std::vector<const KernelSet*> RunnableKernelSets();

Model OpenOrThrow(const std::filesystem::path& path, const std::string& kernels = "");
// Whether a Q8_0 cache can hold the model's keys and values.
bool HeadsFitQ8(const Model& model);
Session SessionOrThrow(const Model& model, const SessionOptions& options);

// Logits after every token, [tokens][vocabulary], read in calls of `split` tokens (0: in one).
std::vector<float> AllLogits(Session& session, std::span<const Token> tokens, std::size_t split = 0);
std::vector<float> AllLogits(const Model& model, const SessionOptions& options, std::span<const Token> tokens,
                             std::size_t split = 0);

// The most likely `count` tokens after `prompt`, not stopped at an end token.
std::vector<Token> GreedyContinuation(Session& session, std::span<const Token> prompt, std::size_t count);

// Whether two arrays hold the same bits; says where they first differ.
testing::AssertionResult SameBits(std::span<const float> actual, std::span<const float> expected);

struct Deviation {
  double max_abs = 0;  // in standard deviations of the reference
  double rms = 0;
};
Deviation Compare(std::span<const float> actual, std::span<const float> reference);

// A test for each kernel set.
class KernelSetSuite : public testing::TestWithParam<const KernelSet*> {
 protected:
  std::string kernels() const { return GetParam()->name; }
};
inline auto RunnableSets() { return testing::ValuesIn(RunnableKernelSets()); }
inline std::string KernelSetName(const testing::TestParamInfo<const KernelSet*>& info) { return info.param->name; }

}  // namespace slm::test

#endif  // SLM_TESTS_SUPPORT_FIXTURE_H_
