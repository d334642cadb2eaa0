// Logits and greedy continuations of tiny models against HF transformers, for every kernel set. docs/numerics.md gives
// the reason for each bound.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>

#include "kernels.h"
#include "model/model_impl.h"
#include "support/fixture.h"
#include "support/json.h"
#include "support/test_data.h"

namespace slm::test {
namespace {

// Unquantized weights of any width: what is left is the rounding of float sums.
constexpr double kMaxFloatDeviation = 1e-4;
// Quantized weights: this times the largest deviation of llama.cpp, which quantizes activations too; it is one logit of
// thousands. The RMS over all must not be above llama.cpp's.
constexpr double kMaxTimesLlamaCpp = 1.25;
// Keys and values rounded to f16, by up to 2^-12 of their size; for quantized models that is lost in the bound above.
// Where scores are not divided by the root of the heads' length, or RoPE makes vectors longer, they are that much
// larger, and so is what rounding does to them.
constexpr double kMaxHalfCacheDeviation = 1e-2;
double MaxHalfCacheDeviation(const Model& model) {
  const ModelConfig& config = Internal::Impl(model).config;
  const double longer = std::max(config.rope_global.magnitude, config.rope_sliding.magnitude);
  double factor = 1;
  for (const LayerConfig& layer : config.layers) {
    const double scale = static_cast<double>(layer.attention_scale) * std::sqrt(layer.key_length);
    factor = std::max(factor, scale * longer * longer);
  }
  return factor * kMaxHalfCacheDeviation;
}
// Rounded to half of 1/127 of the largest of 32, by up to 2^-8 of it.
constexpr double kQ8OverHalf = 16;

// What of `fixture` must hold with keys and values in F32.
Deviation Bound(const Fixture& fixture) {
  if (!fixture.quantized) return {.max_abs = kMaxFloatDeviation, .rms = kMaxFloatDeviation};
  const auto peer = ParseJson(ReadFile(fixture.folder / "llamacpp.json"));
  return {.max_abs = kMaxTimesLlamaCpp * peer.at("max_abs").get<double>(), .rms = peer.at("rms").get<double>()};
}

Deviation DeviationFromReference(const Model& model, const Fixture& fixture, KvType kv_type) {
  const NpyArray reference = fixture.Logits();
  const auto prompt = fixture.Prompt();
  EXPECT_EQ(reference.shape, (std::vector<std::size_t>{prompt.size(), static_cast<std::size_t>(model.vocab_size())}));
  return Compare(AllLogits(model, {.kv_type = kv_type, .threads = 1}, prompt), reference.values);
}

class ReferenceTest : public testing::TestWithParam<std::tuple<const KernelSet*, Fixture>> {
 protected:
  const Fixture& fixture() const { return std::get<1>(GetParam()); }
  const Model model_ = OpenOrThrow(fixture().model(), std::get<0>(GetParam())->name);
};

std::string InstanceName(const testing::TestParamInfo<ReferenceTest::ParamType>& info) {
  return std::string(std::get<0>(info.param)->name) + "_" + std::get<1>(info.param).name;
}
INSTANTIATE_TEST_SUITE_P(, ReferenceTest, testing::Combine(RunnableSets(), testing::ValuesIn(AllFixtures())),
                         InstanceName);

TEST_P(ReferenceTest, Logits) {
  const Deviation deviation = DeviationFromReference(model_, fixture(), KvType::kF32);
  EXPECT_LE(deviation.max_abs, Bound(fixture()).max_abs);
  EXPECT_LE(deviation.rms, Bound(fixture()).rms);
}

TEST_P(ReferenceTest, LogitsWithHalfCache) {
  const Deviation deviation = DeviationFromReference(model_, fixture(), KvType::kF16);
  EXPECT_LE(deviation.max_abs, fixture().quantized ? Bound(fixture()).max_abs : MaxHalfCacheDeviation(model_));
}

TEST_P(ReferenceTest, LogitsWithQ8Cache) {
  if (!HeadsFitQ8(model_)) {
    EXPECT_EQ(Session::Create(model_, {.kv_type = KvType::kQ8_0}).status().code(), StatusCode::kUnsupported);
    return;
  }
  EXPECT_LE(DeviationFromReference(model_, fixture(), KvType::kQ8_0).max_abs,
            Bound(fixture()).max_abs + kQ8OverHalf * MaxHalfCacheDeviation(model_));
}

TEST_P(ReferenceTest, GreedyContinuation) {
  const auto expected = fixture().Greedy();
  ASSERT_EQ(expected.size(), 24u);
  for (const KvType kv_type : {KvType::kF32, KvType::kF16}) {
    Session session = SessionOrThrow(model_, {.kv_type = kv_type, .threads = 1});
    EXPECT_EQ(GreedyContinuation(session, fixture().Prompt(), expected.size()), expected);
  }
}

// The shared fixtures hold these models and those of other architectures, formats and features.
TEST(SharedFixtures, AllAreComputedRight) {
  const auto root = SharedFixture(".");
  if (!root) GTEST_SKIP() << "the shared fixtures are not beside this checkout";
  int computed = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(*root)) {
    if (entry.path().filename() != "model.gguf") continue;
    const Fixture fixture = {.name = entry.path().parent_path().filename().string(),
                             .folder = entry.path().parent_path(),
                             .quantized = std::filesystem::exists(entry.path().parent_path() / "llamacpp.json")};
    SCOPED_TRACE(fixture.folder);
    const Result<Model> model = Model::Open(fixture.model());
    ASSERT_TRUE(model.ok()) << model.status().message();
    const SessionOptions options = {.kv_type = KvType::kF32, .threads = 2};
    const std::vector<float> logits = AllLogits(*model, options, fixture.Prompt());
    EXPECT_LE(Compare(logits, fixture.Logits().values).max_abs, Bound(fixture).max_abs);
    EXPECT_TRUE(SameBits(AllLogits(*model, options, fixture.Prompt(), 7), logits));
    Session session = SessionOrThrow(*model, options);
    EXPECT_EQ(GreedyContinuation(session, fixture.Prompt(), fixture.Greedy().size()), fixture.Greedy());
    ++computed;
  }
  EXPECT_GE(computed, 45);
}

}  // namespace

// gtest prints parameters by this.
void PrintTo(const Fixture& fixture, std::ostream* os) { *os << fixture.name; }

}  // namespace slm::test
