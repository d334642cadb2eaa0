// Every width of every architecture made far larger than the others in turn: no buffer's size may rest on another one.
// A buffer that is too small shows under AddressSanitizer, and where its neighbour is another row's, in the logits of
// the same text split otherwise.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "model/model_config.h"
#include "support/fixture.h"
#include "support/tiny_architecture.h"

namespace slm::test {
namespace {

struct Width {
  const char* name;
  TinyShape shape;
};

// A product's scratch is also attention's, which covers some thousand columns.
const Width kWidths[] = {
    {"stream", {.width = 512}},
    {"heads", {.heads = 512}},
    {"key/value heads", {.heads = 128, .kv_heads = 128}},
    {"keys", {.head_dim = 2048, .value_dim = 32}},
    {"values", {.value_dim = 2048}},
    {"feed-forward", {.ffn_width = 8192, .expert_width = 64}},
    {"experts' feed-forward", {.expert_width = 8192}},
    {"experts", {.experts = 256, .experts_used = 40, .expert_width = 32}},
    {"vocabulary", {.vocab = 4096}},
    {"layer inputs", {.input_width = 8192}},
    {"low-rank path", {.width = 256, .rank = 256}},
    {"streams", {.streams = kMaxAltUpStreams}},
};

class WidthsTest : public testing::TestWithParam<Architecture> {
 protected:
  static void ExpectWorks(const TinyModel& tiny) {
    const std::vector<Token> text = {3, 30, 7, 22, 39, 3, 11, 17, 5};
    const auto rows = static_cast<std::int32_t>(text.size());
    for (const KernelSet* set : RunnableKernelSets()) {
      const Model model = tiny.Open({.kernels = set->name}).value();
      // Room for no row more than there are.
      const std::vector<float> logits = AllLogits(model, {.threads = 1, .batch_size = rows}, text);
      EXPECT_TRUE(std::ranges::all_of(logits, [](float x) { return std::isfinite(x); })) << set->name;
      for (const std::int32_t batch : {rows - 1, 1}) {
        EXPECT_TRUE(SameBits(AllLogits(model, {.threads = 1, .batch_size = batch}, text), logits))
            << set->name << ", batch: " << batch;
      }
    }
  }
};
INSTANTIATE_TEST_SUITE_P(, WidthsTest, testing::ValuesIn(AllArchitectures()),
                         [](const auto& instance) { return std::string(instance.param.name); });

TEST_P(WidthsTest, AreIndependent) {
  const Architecture& row = GetParam();
  for (const bool experts : {false, true}) {
    if (row.experts == (experts ? Experts::kNone : Experts::kAlways)) continue;
    for (const auto& [name, wide] : kWidths) {
      SCOPED_TRACE(name);
      TinyShape shape = wide;
      shape.layers = 3;
      shape.experts = experts ? std::max(3u, wide.experts) : 0;
      ExpectWorks(TinyArchitecture(row, shape).Quantize());
    }
  }
}

}  // namespace
}  // namespace slm::test
