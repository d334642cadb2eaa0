// What an architecture's keys do to the logits, on models small enough to tell: how far a layer sees, which layers a
// RoPE key reaches, what the soft-cap does.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "support/fixture.h"
#include "support/tiny_architecture.h"
#include "support/tiny_model.h"

namespace slm::test {
namespace {

constexpr std::size_t kWindow = 4;
constexpr std::size_t kLength = 13;

std::vector<Token> Text() {
  std::vector<Token> tokens;
  for (std::size_t i = 0; i < kLength; ++i) tokens.push_back(static_cast<Token>(3 + i * 5 % 37));
  return tokens;
}

class ArchitectureTest : public KernelSetSuite {
 protected:
  Model Open(const TinyModel& tiny) const { return tiny.Open({.kernels = kernels()}).value(); }
  std::vector<float> Logits(const TinyModel& tiny, const std::vector<Token>& tokens = Text()) const {
    return AllLogits(Open(tiny), {.threads = 1}, tokens);
  }
};
INSTANTIATE_TEST_SUITE_P(, ArchitectureTest, RunnableSets(), KernelSetName);

// One layer that slides (pattern 0) or is global (pattern 1).
TinyModel OneLayer(const char* architecture, std::uint32_t pattern) {
  const std::string prefix = std::string(architecture) + ".attention.sliding_window";
  TinyModel tiny({.architecture = architecture, .layers = 1});
  tiny.Set(prefix, static_cast<std::uint32_t>(kWindow)).Set(prefix + "_pattern", pattern);
  return tiny;
}

// The positions whose logits change, in any bit, with the token at `changed`.
std::vector<bool> Reach(const Model& model, std::size_t changed, const SessionOptions& options, std::size_t split) {
  std::vector<Token> tokens = Text();
  const std::vector<float> before = AllLogits(model, options, tokens, split);
  tokens[changed] = tokens[changed] == 20 ? 21 : 20;
  const std::vector<float> after = AllLogits(model, options, tokens, split);
  const auto vocab = static_cast<std::size_t>(model.vocab_size());
  std::vector<bool> reached;
  for (std::size_t position = 0; position < kLength; ++position) {
    const auto row = [&](const std::vector<float>& logits) {
      return std::span(logits).subspan(position * vocab, vocab);
    };
    reached.push_back(!SameBits(row(after), row(before)));
  }
  return reached;
}

// A sliding layer sees exactly the last `window` positions, its own included; a global layer all. Whole prompts, parts
// of them and single tokens agree.
TEST_P(ArchitectureTest, ReachOfOneLayer) {
  for (const char* architecture : {"gemma3", "llama"}) {
    for (const bool sliding : {true, false}) {
      const Model model = Open(OneLayer(architecture, sliding ? 0 : 1));
      for (const std::size_t changed : {std::size_t{0}, std::size_t{3}}) {
        std::vector<bool> expected;
        for (std::size_t position = 0; position < kLength; ++position) {
          expected.push_back(position >= changed && (!sliding || position < changed + kWindow));
        }
        for (const std::size_t split : {kLength, kWindow + 1, kWindow, kWindow - 1, std::size_t{1}}) {
          EXPECT_EQ(Reach(model, changed, {.threads = 1, .batch_size = 3}, split), expected)
              << architecture << (sliding ? " sliding" : " global") << ", token " << changed << ", split " << split;
        }
      }
    }
  }
}

// Two sliding layers see twice as far, less the position they share.
TEST_P(ArchitectureTest, ReachAddsUpOverLayers) {
  TinyModel tiny({.architecture = "gemma3", .layers = 2});
  tiny.Set("gemma3.attention.sliding_window", static_cast<std::uint32_t>(kWindow));
  tiny.Set("gemma3.attention.sliding_window_pattern", 0u);
  std::vector<bool> expected;
  for (std::size_t position = 0; position < kLength; ++position) expected.push_back(position < 2 * kWindow - 1);
  EXPECT_EQ(Reach(Open(tiny), 0, {.threads = 1}, 0), expected);
}

// A window as long as the text hides nothing.
TEST_P(ArchitectureTest, WindowOfTheTextsLength) {
  const std::vector<float> global = Logits(OneLayer("llama", 1));
  for (const std::size_t window : {kLength - 1, kLength, kLength + 1}) {
    TinyModel tiny = OneLayer("llama", 0);
    tiny.Set("llama.attention.sliding_window", static_cast<std::uint32_t>(window));
    EXPECT_EQ(bool(SameBits(Logits(tiny), global)), window >= kLength) << window;
  }
}

// Linear scaling, and the base of global layers, leave Gemma's sliding layers alone.
TEST_P(ArchitectureTest, RopeKeysOfGlobalLayers) {
  for (const bool sliding : {true, false}) {
    const TinyModel plain = OneLayer("gemma3", sliding ? 0 : 1);
    TinyModel scaled = plain;
    scaled.Set("gemma3.rope.scaling.type", "linear").Set("gemma3.rope.scaling.factor", 8.0f);
    EXPECT_EQ(bool(SameBits(Logits(scaled), Logits(plain))), sliding);
    TinyModel other_base = plain;
    other_base.Set("gemma3.rope.freq_base", 50.0f);
    EXPECT_EQ(bool(SameBits(Logits(other_base), Logits(plain))), sliding);
    TinyModel sliding_base = plain;
    sliding_base.Set("gemma3.rope.freq_base_swa", 50.0f);
    EXPECT_EQ(bool(SameBits(Logits(sliding_base), Logits(plain))), !sliding);
  }
}

// In a llama file scaling by 4 is a RoPE of divisors 4.
TEST_P(ArchitectureTest, LinearScalingDividesPositions) {
  TinyModel scaled({.layers = 1});
  scaled.Set("llama.rope.scaling.factor", 4.0f);
  TinyModel divided({.layers = 1});
  divided.SetTensor("rope_freqs.weight", {8}, std::vector<float>(8, 4.0f));
  EXPECT_TRUE(SameBits(Logits(scaled), Logits(divided)));
  EXPECT_FALSE(SameBits(Logits(scaled), Logits(TinyModel({.layers = 1}))));
}

// The first token looks at itself only, so that RoPE can't matter to it.
TEST_P(ArchitectureTest, RopeIsRelative) {
  TinyModel tiny({.layers = 1});
  TinyModel other_base = tiny;
  other_base.Set("llama.rope.freq_base", 50.0f);
  const std::vector<Token> text = Text();
  const std::vector<float> logits = Logits(tiny);
  const std::vector<float> other = Logits(other_base);
  EXPECT_LE(Compare(std::span(other).first(40), std::span(logits).first(40)).max_abs, 1e-5);
  EXPECT_GT(Compare(other, logits).max_abs, 1e-2);
}

// Phi-3's factors for long texts are those of a session that has room for more than the model was first trained for,
// whatever the length of the text; with room for less the short ones.
TEST_P(ArchitectureTest, LongRopeFollowsTheContextOfTheSession) {
  constexpr std::int32_t kOriginal = 32;
  // A window, of all layers, as Phi-3 files have: scaling is for these too.
  TinyModel tiny = TinyArchitecture("phi3");
  tiny.Set("phi3.attention.sliding_window", 5u);
  const auto with_factor = [&](float factor) {
    TinyModel scaled = tiny;
    return AllLogits(Open(scaled.Set("phi3.rope.scaling.factor", factor)), {.threads = 1}, Text());
  };
  const std::vector<float> expected_short = with_factor(2);
  const std::vector<float> expected_long = with_factor(4);
  tiny.Set("phi3.rope.scaling.original_context_length", static_cast<std::uint32_t>(kOriginal));
  tiny.Set("phi3.rope.scaling.attn_factor", 1.0f);
  tiny.SetTensor("rope_factors_short.weight", {8}, std::vector<float>(8, 2.0f));
  tiny.SetTensor("rope_factors_long.weight", {8}, std::vector<float>(8, 4.0f));
  const Model model = Open(tiny);
  for (const std::size_t split : {std::size_t{0}, std::size_t{1}, std::size_t{5}}) {
    const auto logits = [&](std::int32_t context) {
      return AllLogits(model, {.context_length = context, .threads = 1}, Text(), split);
    };
    EXPECT_TRUE(SameBits(logits(kOriginal), expected_short));
    EXPECT_TRUE(SameBits(logits(kOriginal + 1), expected_long));
  }
  // A table for all contexts wins over both.
  tiny.SetTensor("rope_freqs.weight", {8}, std::vector<float>(8, 2.0f));
  EXPECT_TRUE(SameBits(AllLogits(Open(tiny), {.threads = 1}, Text()), expected_short));
}

// Queries grow with every `original_context_length` tokens, and not before.
TEST_P(ArchitectureTest, TemperatureBeginsAtTheOriginalLength) {
  constexpr std::size_t kOriginal = 5;
  TinyModel tiny = TinyArchitecture("mistral3");
  tiny.Set("mistral3.rope.scaling.original_context_length", static_cast<std::uint32_t>(kOriginal));
  const std::vector<float> plain = Logits(tiny);
  const std::vector<float> warm = Logits(tiny.Set("mistral3.attention.temperature_scale", 0.5f));
  for (std::size_t position = 0; position < kLength; ++position) {
    const auto row = [&](const std::vector<float>& logits) { return std::span(logits).subspan(position * 40, 40); };
    EXPECT_EQ(bool(SameBits(row(warm), row(plain))), position < kOriginal) << position;
  }
}

// YaRN leaves pairs that turn fast as they are and scales slow ones.
TEST_P(ArchitectureTest, YarnIsBetweenNoScalingAndLinear) {
  const auto yarn = [&](float beta) {
    TinyModel tiny = TinyArchitecture("llama");
    tiny.Set("llama.rope.scaling.type", "yarn").Set("llama.rope.scaling.factor", 4.0f);
    tiny.Set("llama.rope.scaling.yarn_beta_fast", 2 * beta).Set("llama.rope.scaling.yarn_beta_slow", beta);
    return Logits(tiny.Set("llama.rope.scaling.yarn_log_multiplier", 1.0f));  // no magnitude
  };
  const TinyModel plain = TinyArchitecture("llama");
  TinyModel linear = plain;
  linear.Set("llama.rope.scaling.factor", 4.0f);
  // So few turns that every pair is fast, and so many that every pair but the first, which can't be slow, is not.
  EXPECT_TRUE(SameBits(yarn(1e-6f), Logits(plain)));
  EXPECT_FALSE(SameBits(yarn(1e6f), Logits(plain)));
  EXPECT_FALSE(SameBits(yarn(1), Logits(linear)));
  EXPECT_FALSE(SameBits(yarn(1), Logits(plain)));
}

// One matrix of queries, keys and values, and one of gate and up, give what their parts do.
TEST_P(ArchitectureTest, FusedProjectionsAreTheirParts) {
  const TinyModel fused = TinyArchitecture("phi3");
  const auto rows = [&](const TinyModel& from, std::uint32_t layer, const char* name, std::size_t begin,
                        std::size_t count) {
    const std::vector<float> all = from.Values("blk." + std::to_string(layer) + "." + name);
    return std::vector<float>(all.begin() + static_cast<std::ptrdiff_t>(begin * 32),
                              all.begin() + static_cast<std::ptrdiff_t>((begin + count) * 32));
  };
  // The parts in a qwen2 file, whose biases are zero.
  TinyModel parts = TinyArchitecture("qwen2");
  for (const char* name : {"token_embd.weight", "output_norm.weight"}) {
    const std::vector<float> values = fused.Values(name);
    parts.SetTensor(name, values.size() == 32 ? std::vector<std::uint64_t>{32} : std::vector<std::uint64_t>{32, 40},
                    values);
  }
  for (std::uint32_t layer = 0; layer < kTinyLayers; ++layer) {
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    parts.SetTensor(prefix + "attn_q.weight", {32, 64}, rows(fused, layer, "attn_qkv.weight", 0, 64));
    parts.SetTensor(prefix + "attn_k.weight", {32, 32}, rows(fused, layer, "attn_qkv.weight", 64, 32));
    parts.SetTensor(prefix + "attn_v.weight", {32, 32}, rows(fused, layer, "attn_qkv.weight", 96, 32));
    parts.SetTensor(prefix + "ffn_gate.weight", {32, 64}, rows(fused, layer, "ffn_up.weight", 0, 64));
    parts.SetTensor(prefix + "ffn_up.weight", {32, 64}, rows(fused, layer, "ffn_up.weight", 64, 64));
    parts.SetTensor(prefix + "ffn_down.weight", {64, 32}, fused.Values(prefix + "ffn_down.weight"));
    parts.SetTensor(prefix + "attn_output.weight", {64, 32}, fused.Values(prefix + "attn_output.weight"));
    for (const char* name : {"attn_norm.weight", "ffn_norm.weight"})
      parts.SetTensor(prefix + name, {32}, fused.Values(prefix + name));
    for (const auto& [name, size] : {std::pair("attn_q.bias", 64u), {"attn_k.bias", 32u}, {"attn_v.bias", 32u}})
      parts.SetTensor(prefix + name, {size}, std::vector<float>(size, 0.0f));
  }
  EXPECT_TRUE(SameBits(Logits(fused), Logits(parts)));
}

// A damaged weight of a sparse gate must not look like a gate that is closed.
TEST_P(ArchitectureTest, SparseGateKeepsNan) {
  TinyModel tiny = TinyArchitecture("gemma3n");
  tiny.SetValue("blk.0.ffn_gate.weight", 0, NAN);
  Session session = SessionOrThrow(Open(tiny), {.threads = 1});
  EXPECT_EQ(session.Append(Text()).status().code(), StatusCode::kInvalidNumber);
}

TEST_P(ArchitectureTest, FinalSoftcap) {
  constexpr double kCap = 0.5;
  TinyModel tiny({.architecture = "gemma3", .layers = 1});
  const std::vector<float> plain = Logits(tiny);
  tiny.Set("gemma3.final_logit_softcapping", static_cast<float>(kCap));
  const std::vector<float> capped = Logits(tiny);
  double largest = 0;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    EXPECT_NEAR(capped[i], kCap * std::tanh(plain[i] / kCap), 1e-6);
    largest = std::max(largest, std::abs(static_cast<double>(plain[i])));
  }
  EXPECT_GT(largest, 2 * kCap);  // without the key nothing is capped
}

}  // namespace
}  // namespace slm::test
