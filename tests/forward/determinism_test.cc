// The same tokens give the same bits: for any number of threads, any split of a text into calls and batches, beside any
// other rows, and every time.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "forward/forward.h"
#include "forward/kv_cache.h"
#include "forward/parallel.h"
#include "model/model_impl.h"
#include "support/fixture.h"
#include "support/tiny_model.h"

namespace slm::test {
namespace {

// One model of each way to compute: windows shorter than the prompt, several streams, layers that share keys and
// values, floats of each kind, experts, and every quantized format that is common and two that are not.
constexpr const char* kFixtures[] = {
    "gemma3",      "gemma3n",   "gemma4_dense",   "gemma4_e",    "ministral3",  "phi3_longrope", "llama3",
    "llama_bf16",  "llama_f16", "mixtral_legacy", "qwen3moe",    "q4_0",        "q4_1",          "q5_0",
    "q5_1_gemma3", "q8_0",      "q4_k_gemma3",    "q5_k_gemma3", "q6_k_gemma3", "q3_k",          "tq1_0"};

class DeterminismTest : public testing::TestWithParam<std::tuple<const KernelSet*, const char*>> {
 protected:
  std::vector<float> Logits(const SessionOptions& options, std::size_t split) const {
    return AllLogits(model_, options, prompt_, split);
  }

  const Fixture fixture_ = FindFixture(std::get<1>(GetParam()));
  const Model model_ = OpenOrThrow(fixture_.model(), std::get<0>(GetParam())->name);
  const std::vector<Token> prompt_ = fixture_.Prompt();
};

std::string InstanceName(const testing::TestParamInfo<DeterminismTest::ParamType>& info) {
  return std::string(std::get<0>(info.param)->name) + "_" + std::get<1>(info.param);
}
INSTANTIATE_TEST_SUITE_P(, DeterminismTest, testing::Combine(RunnableSets(), testing::ValuesIn(kFixtures)),
                         InstanceName);

struct Way {
  std::int32_t threads = 1;
  std::int32_t batch_size = 512;
  std::size_t split = 0;  // tokens in a call; 0: all
};

TEST_P(DeterminismTest, ThreadsSplitsAndBatches) {
  constexpr Way kWays[] = {
      {.threads = 2}, {.threads = 3}, {.batch_size = 1},          {.batch_size = 7},
      {.split = 7},   {.split = 1},   {.threads = 2, .split = 1}, {.threads = 3, .batch_size = 20, .split = 29},
  };
  for (const auto& [kv_type, name] :
       {std::pair(KvType::kF16, "f16"), std::pair(KvType::kF32, "f32"), std::pair(KvType::kQ8_0, "q8_0")}) {
    if (kv_type == KvType::kQ8_0 && !HeadsFitQ8(model_)) continue;
    const std::vector<float> expected = Logits({.kv_type = kv_type, .threads = 1}, 0);
    for (const Way& way : kWays) {
      const SessionOptions options = {.kv_type = kv_type, .threads = way.threads, .batch_size = way.batch_size};
      EXPECT_TRUE(SameBits(Logits(options, way.split), expected))
          << name << " cache, threads: " << way.threads << ", batch: " << way.batch_size << ", split: " << way.split;
    }
  }
}

// Appending gives the logits AppendVisiting does after the last token, for every length of the text.
TEST_P(DeterminismTest, AppendEqualsAppendVisiting) {
  const std::vector<float> expected = Logits({.threads = 1}, 0);
  const auto vocab = static_cast<std::size_t>(model_.vocab_size());
  Session session = SessionOrThrow(model_, {.threads = 1});
  for (std::size_t length = 1; length <= prompt_.size(); ++length) {
    ASSERT_TRUE(session.Rewind(0).ok());
    const auto logits = session.Append(std::span(prompt_).first(length));
    ASSERT_TRUE(logits.ok()) << logits.status().message();
    EXPECT_TRUE(SameBits(*logits, std::span(expected).subspan((length - 1) * vocab, vocab))) << length;
  }
}

TEST_P(DeterminismTest, InterleavedSessionsDoNotMeet) {
  std::vector<Token> other(prompt_.rbegin(), prompt_.rend());
  const std::vector<float> expected = Logits({.threads = 1}, 0);
  const std::vector<float> expected_other = AllLogits(model_, {.threads = 1}, other);

  Session a = SessionOrThrow(model_, {.threads = 1});
  Session b = SessionOrThrow(model_, {.threads = 1, .batch_size = 3});
  std::vector<float> logits;
  std::vector<float> logits_other;
  for (std::size_t i = 0; i < prompt_.size(); i += 15) {
    const std::size_t count = std::min<std::size_t>(15, prompt_.size() - i);
    for (const float x : AllLogits(a, std::span(prompt_).subspan(i, count))) logits.push_back(x);
    for (const float x : AllLogits(b, std::span(other).subspan(i, count))) logits_other.push_back(x);
  }
  EXPECT_TRUE(SameBits(logits, expected));
  EXPECT_TRUE(SameBits(logits_other, expected_other));
}

// Rows of several sequences in one run, of several lengths and at several positions, as a server would batch them.
TEST_P(DeterminismTest, RowsOfSeveralCaches) {
  const ModelImpl& impl = Internal::Impl(model_);
  const auto vocab = static_cast<std::size_t>(model_.vocab_size());
  const std::vector<std::vector<Token>> texts = {
      prompt_, {prompt_.rbegin(), prompt_.rend()}, {prompt_.begin() + 9, prompt_.end()}};
  const std::size_t steps[] = {7, 1, 4};
  for (const int threads : {1, 2, 3}) {
    Team team(threads);
    Result<Forward> forward = Forward::Create(impl, team, {.max_rows = 12});
    ASSERT_TRUE(forward.ok());
    std::vector<KvCache> caches;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      caches.push_back(KvCache::Create(impl.config, 64, 12, CacheFormat::kF16).value());
    }
    std::vector<std::vector<float>> logits(texts.size());
    std::vector<std::size_t> read(texts.size());
    while (read[0] < texts[0].size()) {
      std::vector<Row> rows;
      std::vector<std::size_t> owner;
      for (std::size_t i = 0; i < texts.size(); ++i) {
        for (std::size_t n = 0; n < steps[i] && read[i] < texts[i].size(); ++n, ++read[i]) {
          rows.push_back({texts[i][read[i]], static_cast<std::int32_t>(read[i]), &caches[i]});
          owner.push_back(i);
        }
      }
      forward->Run(rows);
      std::vector<float> out(rows.size() * vocab);
      forward->Logits(0, static_cast<std::int64_t>(rows.size()), out.data());
      for (std::size_t row = 0; row < rows.size(); ++row) {
        const auto begin = out.begin() + static_cast<std::ptrdiff_t>(row * vocab);
        logits[owner[row]].insert(logits[owner[row]].end(), begin, begin + static_cast<std::ptrdiff_t>(vocab));
      }
    }
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const std::vector<float> alone = AllLogits(model_, {.threads = 1}, std::span(texts[i]).first(read[i]));
      EXPECT_TRUE(SameBits(logits[i], alone)) << "text " << i << ", threads: " << threads;
    }
  }
}

// The same request, again and again, in one session that goes back and in new ones.
TEST_P(DeterminismTest, SameRequestSameTokens) {
  constexpr std::size_t kCount = 4;
  constexpr Way kWays[] = {{.batch_size = 1},
                           {.batch_size = 32},
                           {.threads = 2, .batch_size = 32},
                           {.threads = 2},
                           {.threads = 4, .batch_size = 32},
                           {.threads = 4}};
  Session kept = SessionOrThrow(model_, {.threads = 1});
  const std::vector<Token> expected = GreedyContinuation(kept, prompt_, kCount);
  for (int run = 0; run < 2; ++run) {
    ASSERT_TRUE(kept.Rewind(0).ok());
    EXPECT_EQ(GreedyContinuation(kept, prompt_, kCount), expected);
  }
  for (const Way& way : kWays) {
    Session session = SessionOrThrow(model_, {.threads = way.threads, .batch_size = way.batch_size});
    EXPECT_EQ(GreedyContinuation(session, prompt_, kCount), expected);
  }
}

class LongTextDeterminismTest : public KernelSetSuite {};
INSTANTIATE_TEST_SUITE_P(, LongTextDeterminismTest, RunnableSets(), KernelSetName);

// Attention takes keys in blocks, and rows of one task begin their windows in different ones.
TEST_P(LongTextDeterminismTest, WindowsAcrossBlocksOfKeys) {
  TinyModel tiny({.architecture = "gemma3", .layers = 3, .head_dim = 32, .context = 512});
  tiny.Set("gemma3.attention.sliding_window", 70u).Set("gemma3.attention.sliding_window_pattern", 3u);
  const Model model = tiny.Open({.kernels = kernels()}).value();
  std::vector<Token> text;
  for (int i = 0; i < 300; ++i) text.push_back(3 + i * i % 37);
  constexpr Way kWays[] = {{.split = 1},      {.split = 7},       {.split = 64},
                           {.split = 65},     {.threads = 2},     {.threads = 3, .batch_size = 33},
                           {.batch_size = 1}, {.batch_size = 71}, {.threads = 3, .split = 1}};
  for (const KvType kv_type : {KvType::kF16, KvType::kF32, KvType::kQ8_0}) {
    const std::vector<float> expected = AllLogits(model, {.kv_type = kv_type, .threads = 1}, text);
    for (const Way& way : kWays) {
      const SessionOptions options = {.kv_type = kv_type, .threads = way.threads, .batch_size = way.batch_size};
      EXPECT_TRUE(SameBits(AllLogits(model, options, text, way.split), expected))
          << "threads: " << way.threads << ", batch: " << way.batch_size << ", split: " << way.split;
    }
  }
}

// A row that comes alone takes its keys in more parts than are merged at once.
TEST_P(LongTextDeterminismTest, OneRowAfterThousands) {
  const TinyModel tiny({.layers = 1, .heads = 2, .kv_heads = 1, .context = 8192});
  const Model model = tiny.Open({.kernels = kernels()}).value();
  std::vector<Token> text;
  for (int i = 0; i < 4300; ++i) text.push_back(3 + i * i % 37);
  for (const std::int32_t threads : {1, 3}) {
    Session session = SessionOrThrow(model, {.context_length = 8192, .threads = threads});
    const std::span<const float> logits = session.Append(text).value();
    const std::vector<float> expected(logits.begin(), logits.end());
    const std::span<const Token> last = std::span(text).last(1);
    ASSERT_TRUE(session.Rewind(static_cast<std::int32_t>(text.size()) - 1).ok());
    EXPECT_TRUE(SameBits(session.Append(last).value(), expected)) << "threads: " << threads;
  }
}

}  // namespace
}  // namespace slm::test
