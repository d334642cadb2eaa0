// The oracle against HF transformers: two implementations of the same formulas that share nothing.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "file/gguf.h"
#include "support/fixture.h"
#include "support/oracle.h"
#include "support/test_data.h"

namespace slm::test {
namespace {

// Of the logits' standard deviation. The reference ran in float64, but transformers casts to float32 within its norms,
// rotary embedding and softmax whatever the model's type; rounding the oracle's norms and angles in the same places
// moves its logits about as far as these models deviate (1e-6 to 1.2e-5).
constexpr double kMaxDeviation = 2e-5;

constexpr std::string_view kModels[] = {
    "gemma",      "gemma2",     "gemma3",   "gemma3_256", "gemma3_linear", "gemma3n",        "gemma4_dense",
    "gemma4_e",   "gemma4_moe", "llama3",   "llama_256",  "llama_linear",  "llama_spm",      "ministral3",
    "mistral",    "mixtral",    "nemo",     "phi3",       "phi3_longrope", "mixtral_legacy", "qwen2",
    "qwen2_yarn", "qwen3",      "qwen3moe", "smollm3",    "granite"};

class OracleReferenceTest : public testing::TestWithParam<std::string_view> {};
INSTANTIATE_TEST_SUITE_P(, OracleReferenceTest, testing::ValuesIn(kModels),
                         [](const auto& instance) { return std::string(instance.param); });

// The folder of the repository, else of the shared fixtures.
std::optional<std::filesystem::path> FixtureFolder(std::string_view name) {
  const std::filesystem::path own = DataPath("models") / name;
  if (std::filesystem::exists(own)) return own;
  return SharedFixture(name);
}

TEST_P(OracleReferenceTest, Logits) {
  const auto folder = FixtureFolder(GetParam());
  if (!folder) GTEST_SKIP() << "neither in tests/data/models nor among shared fixtures beside this checkout";
  const Fixture fixture = {.name = std::string(GetParam()), .folder = *folder};
  const std::string bytes = ReadFile(fixture.model());
  const GgufFile file = GgufFile::Parse(std::as_bytes(std::span(bytes)), fixture.name).value();
  const std::vector<Token> prompt = fixture.Prompt();

  // The reference chooses between longrope's tables by the text's length.
  const oracle::Matrix logits =
      oracle::Logits(file, prompt, {.context_length = static_cast<std::int32_t>(prompt.size())});
  const NpyArray reference = fixture.Logits();
  ASSERT_EQ(reference.shape,
            (std::vector{static_cast<std::size_t>(logits.rows()), static_cast<std::size_t>(logits.cols())}));
  const std::vector<float> actual(logits.data(), logits.data() + logits.size());
  const Deviation deviation = Compare(actual, reference.values);
  RecordProperty("max_deviation", std::to_string(deviation.max_abs));
  EXPECT_LE(deviation.max_abs, kMaxDeviation);
}

}  // namespace
}  // namespace slm::test
