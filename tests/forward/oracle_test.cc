// Every row of the architecture table against the oracle, on models with everything drawn at random: what a row says
// wrongly, or the forward pass does not do as the architecture wants it, shows in the logits even where there is no
// fixture.

#include "support/oracle.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "file/gguf.h"
#include "model/model_config.h"
#include "support/fixture.h"
#include "support/random_model.h"

namespace slm::test {
namespace {

constexpr std::uint32_t kSeeds = 40;
// Of the logits' standard deviation. Float sums alone take up to 2e-4 where norms of small numbers and thresholds of
// gates enlarge them (Gemma 3n), 3e-5 elsewhere; a wrong field takes 1e-2 and more.
constexpr double kMaxDeviation = 1e-3;

// Model::Open wants a path; the file is gone when this returns.
Result<Model> Open(const RandomModel& random, const std::string& kernels) {
  const std::filesystem::path path =
      std::filesystem::path(testing::TempDir()) / ("oracle_test_" + std::to_string(getpid()) + ".gguf");
  std::ofstream(path, std::ios::binary) << random.gguf;
  Result<Model> model = Model::Open(path, {.kernels = kernels});
  std::filesystem::remove(path);
  return model;
}

// What was drawn, for whoever has to find out why logits differ.
std::string Describe(const GgufFile& file, const RandomModel& random) {
  std::string text = "context " + std::to_string(random.context_length) + ", split " + std::to_string(random.split);
  for (const GgufFile::Entry& entry : file.entries()) {
    if (entry.key.starts_with("tokenizer.")) continue;
    text.append("\n  ").append(entry.key).append(" = ").append(entry.value.ToString(60));
  }
  text += "\n  tensors outside of layers and in the last:";
  const std::string last = "blk." + std::to_string(*file.Find(random.architecture + ".block_count")->AsInt() - 1) + ".";
  for (const GgufTensor& tensor : file.tensors()) {
    if (!tensor.name.starts_with("blk.") || tensor.name.starts_with(last)) text.append(" ").append(tensor.name);
  }
  return text;
}

std::vector<std::string> ArchitectureNames() {
  std::vector<std::string> names;
  for (const Architecture& architecture : AllArchitectures()) names.emplace_back(architecture.name);
  return names;
}

class OracleTest : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(, OracleTest, testing::ValuesIn(ArchitectureNames()),
                         [](const auto& instance) { return instance.param; });

// The largest deviation of any kernel set.
double LargestDeviation(const RandomModel& random, std::span<const float> expected) {
  double largest = 0;
  for (const KernelSet* set : RunnableKernelSets()) {
    const Result<Model> model = Open(random, set->name);
    if (!model.ok()) {
      ADD_FAILURE() << model.status().message();
      continue;
    }
    const SessionOptions options = {
        .context_length = random.context_length, .kv_type = KvType::kF32, .threads = 1, .batch_size = 7};
    const Deviation deviation = Compare(AllLogits(*model, options, random.tokens, random.split), expected);
    EXPECT_LE(deviation.max_abs, kMaxDeviation) << set->name;
    largest = std::max(largest, deviation.max_abs);
  }
  return largest;
}

TEST_P(OracleTest, LogitsOfRandomModels) {
  double largest = 0;
  for (std::uint32_t seed = 0; seed < kSeeds; ++seed) {
    const std::optional<RandomModel> random = MakeRandomModel(GetParam(), seed);
    ASSERT_TRUE(random) << "tests/support/random_model.cc can't make models of this architecture";
    const GgufFile file = GgufFile::Parse(std::as_bytes(std::span(random->gguf)), "random model").value();
    SCOPED_TRACE("seed " + std::to_string(seed) + ", " + Describe(file, *random));
    const oracle::Matrix logits = oracle::Logits(file, random->tokens, {.context_length = random->context_length});
    const std::vector<float> expected(logits.data(), logits.data() + logits.size());
    largest = std::max(largest, LargestDeviation(*random, expected));
  }
  RecordProperty("largest_deviation", std::to_string(largest));
}

}  // namespace
}  // namespace slm::test
