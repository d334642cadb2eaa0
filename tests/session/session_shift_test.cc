// Context shift. What is expected comes from a cache that never held the forgotten tokens: where keys and values depend
// on a token and its position alone, both must hold the same.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/format.h"
#include "file/gguf.h"
#include "forward/cache_cell.h"
#include "forward/forward.h"
#include "model/model_impl.h"
#include "support/fixture.h"
#include "support/random_model.h"
#include "support/tiny_architecture.h"
#include "support/tiny_model.h"

namespace slm::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::vector<Token> Without(std::span<const Token> tokens, std::int64_t keep, std::int64_t discard) {
  std::vector<Token> rest(tokens.begin(), tokens.begin() + keep);
  rest.insert(rest.end(), tokens.begin() + keep + discard, tokens.end());
  return rest;
}

std::vector<Token> Text(std::size_t length) {
  std::vector<Token> tokens;
  for (std::size_t i = 0; i < length; ++i) tokens.push_back(static_cast<Token>(3 + i * 7 % 37));
  return tokens;
}

struct KvCase {
  KvType type;
  CacheFormat format;
  // Of the largest number in a head, what a shift may change. Three roundings are in between: of the key before it was
  // turned (which spreads over two numbers of up to root 2 times the size), after, and of the key compared with. Half a
  // step is 2^-12 of a number in float16, and 1/254 of the largest of 32 in Q8_0, whose scale is rounded too.
  double key_bound;
  // Of logits, in their standard deviations.
  double logits_bound;
};
constexpr KvCase kKvCases[] = {{KvType::kF32, CacheFormat::kF32, 1e-6, 1e-5},
                               {KvType::kF16, CacheFormat::kF16, 1e-3, 1e-2},
                               {KvType::kQ8_0, CacheFormat::kQ8_0, 1.8e-2, 0.16}};

class ShiftArchitectureTest : public testing::TestWithParam<std::string> {};
std::vector<std::string> ArchitectureNames() {
  std::vector<std::string> names;
  for (const Architecture& architecture : AllArchitectures()) names.emplace_back(architecture.name);
  return names;
}
INSTANTIATE_TEST_SUITE_P(, ShiftArchitectureTest, testing::ValuesIn(ArchitectureNames()),
                         [](const auto& instance) { return instance.param; });

// Without what attention adds to the stream, keys and values of every layer depend on the token and its position alone.
void SilenceAttention(std::string& gguf) {
  const GgufFile file = GgufFile::Parse(std::as_bytes(std::span(gguf)), "random").value();
  for (const GgufTensor& tensor : file.tensors()) {
    if (!tensor.name.ends_with("attn_output.weight")) continue;
    const auto offset = reinterpret_cast<const char*>(tensor.data.data()) - gguf.data();
    std::fill_n(gguf.begin() + offset, tensor.data.size(), '\0');
  }
}

// A cache and what fills and shifts it.
class Reader {
 public:
  Reader(const Model& model, std::int64_t context, CacheFormat format)
      : team_(1),
        cache_(KvCache::Create(Internal::Impl(model).config, context, kBatch, format).value()),
        forward_(Forward::Create(Internal::Impl(model), team_, {.max_rows = kBatch}).value()) {}

  void Read(std::span<const Token> tokens) {
    for (const Token token : tokens) forward_.Run(std::vector<Row>{{token, position_++, &cache_}});
  }
  Status Shift(std::int32_t keep, std::int32_t discard) {
    const ContextShift shift = {.keep = keep, .discard = discard, .end = position_};
    const Status status = cache_.CheckShift(shift);
    if (!status.ok()) return status;
    forward_.Shift(cache_, shift);
    position_ -= discard;
    return {};
  }
  const KvCache& cache() const { return cache_; }
  std::int32_t position() const { return position_; }

 private:
  static constexpr std::int64_t kBatch = 5;
  Team team_;
  KvCache cache_;
  Forward forward_;
  std::int32_t position_ = 0;
};

// Compares what both still hold of a layer: values to the bit, keys within `bound`.
void ExpectSameCells(const ModelConfig& config, const Reader& actual, const Reader& expected, double bound) {
  ASSERT_EQ(actual.position(), expected.position());
  const CacheFormat format = actual.cache().format();
  for (std::size_t i = 0; i < config.layers.size(); ++i) {
    const KvCache::Layer& layer = actual.cache().layer(i);
    const KvCache::Layer& other = expected.cache().layer(i);
    const std::int64_t length = config.layers[i].key_length;
    std::vector<float> key(static_cast<std::size_t>(length)), wanted(key.size());
    const std::int64_t first = std::max(actual.cache().FirstHeld(i), expected.cache().FirstHeld(i));
    for (std::int64_t head = 0; head < layer.heads; ++head) {
      for (std::int64_t position = first; position < actual.position(); ++position) {
        const std::int64_t cell = position % layer.cells;
        EXPECT_EQ(std::memcmp(layer.Value(head, cell), other.Value(head, cell), layer.value_bytes), 0)
            << "value of layer " << i << ", position " << position;
        LoadCell(format, layer.Key(head, cell), length, key.data());
        LoadCell(format, other.Key(head, cell), length, wanted.data());
        double largest = 0, error = 0;
        for (std::size_t d = 0; d < key.size(); ++d) {
          largest = std::max(largest, std::abs(static_cast<double>(wanted[d])));
          error = std::max(error, std::abs(static_cast<double>(key[d]) - wanted[d]));
        }
        ASSERT_LE(error, bound * largest) << "key of layer " << i << ", position " << position;
      }
    }
  }
}

// Several shifts in a row, with text in between.
void ExpectCellsOfTheRemainingText(std::string gguf, std::int64_t context, std::span<const Token> all) {
  SilenceAttention(gguf);
  const Model model = Model::Open(ModelFile::FromMemory(std::as_bytes(std::span(gguf)), "silent").value()).value();
  for (const KvCase& c : kKvCases) {
    if (c.type == KvType::kQ8_0 && !HeadsFitQ8(model)) continue;
    SCOPED_TRACE(Cat("cache format ", int(c.format)));
    Reader shifted(model, context, c.format);
    std::vector<Token> text;
    int shifts = 0;
    std::size_t read = 0;
    for (const auto& [more, keep, discard] : {std::tuple(22, 1, 5), {5, 0, 3}, {2, 4, 1}}) {
      const std::span<const Token> added = all.subspan(read, static_cast<std::size_t>(more));
      read += added.size();
      shifted.Read(added);
      text.insert(text.end(), added.begin(), added.end());
      if (!shifted.Shift(keep, discard).ok()) continue;
      ++shifts;
      text = Without(text, keep, discard);
      Reader fresh(model, context, c.format);
      fresh.Read(text);
      ExpectSameCells(Internal::Impl(model).config, shifted, fresh, shifts * c.key_bound);
    }
    EXPECT_GE(shifts, 2);
  }
}

// Everything a RoPE can be: bases and scaling of each kind of layer, divisors, YaRN, partial rotation, layers that do
// not rotate or share their keys.
TEST_P(ShiftArchitectureTest, EveryLayersCellsAreThoseOfTheRemainingText) {
  for (std::uint32_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE(seed);
    const RandomModel random = MakeRandomModel(GetParam(), seed).value();
    ExpectCellsOfTheRemainingText(random.gguf, random.context_length, random.tokens);
  }
}

// Heads that a Q8_0 cache can hold.
TEST_P(ShiftArchitectureTest, EveryLayersCellsInWholeBlocks) {
  const TinyModel tiny = TinyArchitecture(FindRow(GetParam()), {.layers = kTinyLayers, .head_dim = 32});
  ExpectCellsOfTheRemainingText(tiny.Build(), 64, Text(32));
}

// One layer, global or sliding, whose keys and values are always those of the tokens alone. Every cache format.
TEST_P(ShiftArchitectureTest, OneLayerGoesOnAsIfTheTokensHadNeverBeen) {
  const std::vector<Token> text = Text(40);
  for (const bool sliding : {false, true}) {
    const std::string window = GetParam() + ".attention.sliding_window";
    TinyModel tiny = TinyArchitecture(FindRow(GetParam()), {.layers = 1, .head_dim = 32});
    tiny.Set(window, 6u).Set(window + "_pattern", std::vector<bool>{sliding});
    for (const KernelSet* set : RunnableKernelSets()) {
      const Model model = tiny.Open({.kernels = set->name}).value();
      for (const KvCase& c : kKvCases) {
        SCOPED_TRACE(Cat(set->name, sliding ? " sliding" : " global", ", cache format ", int(c.format)));
        const SessionOptions options = {.context_length = 40, .kv_type = c.type, .threads = 1, .batch_size = 4};
        Session session = SessionOrThrow(model, options);
        const std::span<const Token> read = std::span(text).first(30);
        ASSERT_TRUE(session.Append(read).ok());
        const Status status = session.Shift(3, 11);
        ASSERT_TRUE(status.ok()) << status.message();
        const std::vector<Token> rest = Without(read, 3, 11);
        EXPECT_TRUE(std::ranges::equal(session.tokens(), rest));
        Session fresh = SessionOrThrow(model, options);
        ASSERT_TRUE(fresh.Append(rest).ok());
        const std::span<const Token> next = std::span(text).last(10);
        const Deviation deviation = Compare(AllLogits(session, next), AllLogits(fresh, next));
        EXPECT_LE(deviation.max_abs, c.logits_bound);
      }
    }
  }
}

// One sliding layer with a window of 4, in rings of several sizes: every length, and all that can be forgotten of it.
class ShiftRingTest : public testing::TestWithParam<std::int32_t> {  // batch size
 protected:
  static constexpr std::int32_t kWindow = 4;
  static Model SlidingModel() {
    return TinyModel({.architecture = "gemma3", .layers = 1, .context = 64})
        .Set("gemma3.attention.sliding_window", static_cast<std::uint32_t>(kWindow))
        .Set("gemma3.attention.sliding_window_pattern", 0u)
        .Open()
        .value();
  }
  Session Make(std::span<const Token> text) const {
    Session session =
        SessionOrThrow(model_, {.context_length = 64, .kv_type = KvType::kF32, .threads = 1, .batch_size = GetParam()});
    EXPECT_TRUE(text.empty() || session.Append(text).ok());
    return session;
  }
  // That sessions which hold the same tokens go on alike.
  void ExpectAlike(Session& session, std::span<const Token> tokens) const {
    Session fresh = Make(tokens);
    EXPECT_LE(Compare(AllLogits(session, next_), AllLogits(fresh, next_)).max_abs, 1e-4);
  }
  // The oldest position in the ring.
  static std::int32_t FirstKept(std::int32_t length) { return std::max(0, length - (kWindow + GetParam() - 1)); }

  const Model model_ = SlidingModel();
  const std::vector<Token> text_ = Text(16);
  const std::vector<Token> next_ = {9, 30, 5, 5};
};
INSTANTIATE_TEST_SUITE_P(, ShiftRingTest, testing::Values(1, 3, 64), testing::PrintToStringParamName());

TEST_P(ShiftRingTest, GoesOnOrIsRefusedForAReason) {
  int refused = 0;
  for (std::int32_t length = 2; length <= 16; ++length) {
    const auto read = std::span(text_).first(static_cast<std::size_t>(length));
    for (std::int32_t keep = 0; keep < length; ++keep) {
      for (std::int32_t discard = 1; keep + discard < length; ++discard) {
        SCOPED_TRACE(Cat("of ", length, " tokens ", discard, " from ", keep));
        Session session = Make(read);
        const Status status = session.Shift(keep, discard);
        const std::int32_t looks_back = std::max(0, length - discard - kWindow + 1);
        EXPECT_EQ(status.ok(), looks_back >= keep || looks_back >= FirstKept(length)) << status.message();
        if (status.ok()) {
          const std::vector<Token> rest = Without(read, keep, discard);
          EXPECT_TRUE(std::ranges::equal(session.tokens(), rest));
          ExpectAlike(session, rest);
          continue;
        }
        ++refused;
        EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
        EXPECT_TRUE(std::ranges::equal(session.tokens(), read));
        const std::int32_t most = length - keep - (kWindow - 1);
        EXPECT_THAT(status.message(),
                    AllOf(HasSubstr(Cat("forget ", discard, " tokens from position ", keep)),
                          HasSubstr(most > 0 ? Cat("at most ", most, " can go") : std::string("none can go"))));
        if (most > 0) {
          EXPECT_TRUE(session.Shift(keep, most).ok());
          ExpectAlike(session, Without(read, keep, most));
        } else {
          ExpectAlike(session, read);  // nothing was harmed
        }
      }
    }
  }
  EXPECT_EQ(refused > 0, GetParam() != 64);
}

// What Rewind allows afterwards leads on as it should.
TEST_P(ShiftRingTest, CanBeRewoundAfterwards) {
  for (std::int32_t keep = 0; keep < 13; ++keep) {
    for (std::int32_t discard = 1; discard < 13; ++discard) {
      for (std::int32_t position = 0; position <= 16 - discard; ++position) {
        SCOPED_TRACE(Cat(discard, " from ", keep, ", back to ", position));
        Session session = Make(text_);
        if (keep + discard > 16 || !session.Shift(keep, discard).ok()) continue;
        const std::vector<Token> rest = Without(text_, keep, discard);
        if (!session.Rewind(position).ok()) {
          const std::int32_t looks_back = position - kWindow + 1;
          // Dropped before the shift: where it was kept, or where it is now.
          EXPECT_LT(looks_back < keep ? looks_back : looks_back + discard, FirstKept(16));
          continue;
        }
        ExpectAlike(session, std::span(rest).first(static_cast<std::size_t>(position)));
      }
    }
  }
}

class ShiftTest : public testing::Test {
 protected:
  const Model model_ = OpenOrThrow(FindFixture("gemma3").model());
  const std::vector<Token> prompt_ = FindFixture("gemma3").Prompt();
};

TEST_F(ShiftTest, RefusesNumbersThatMakeNoSense) {
  constexpr std::int32_t kMost = std::numeric_limits<std::int32_t>::max();
  constexpr std::int32_t kLeast = std::numeric_limits<std::int32_t>::min();
  Session session = SessionOrThrow(model_, {.context_length = 64, .threads = 1});
  ASSERT_TRUE(session.Append(std::span(prompt_).first(20)).ok());
  for (const auto& [keep, discard] : {std::pair(0, -1),
                                      {-1, 3},
                                      {21, 0},
                                      {64, 1},
                                      {0, 21},
                                      {20, 1},
                                      {kMost, kMost},
                                      {1, kMost},
                                      {kMost, 1},
                                      {kLeast, kLeast},
                                      {0, kLeast},
                                      {kLeast, 5}}) {
    const Status status = session.Shift(keep, discard);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), AllOf(HasSubstr(Cat("forget ", discard, " tokens from position ", keep)),
                                        HasSubstr("holds 20 tokens")));
  }
  EXPECT_EQ(session.position(), 20);
  // Nothing to forget, and everything.
  EXPECT_TRUE(session.Shift(7, 0).ok());
  EXPECT_EQ(session.position(), 20);
  EXPECT_TRUE(session.Shift(0, 20).ok());
  EXPECT_EQ(session.position(), 0);
}

TEST_F(ShiftTest, UpToTheEndIsARewind) {
  Session session = SessionOrThrow(model_, {.threads = 1, .batch_size = 512});
  Session rewound = SessionOrThrow(model_, {.threads = 1, .batch_size = 512});
  ASSERT_TRUE(session.Append(prompt_).ok());
  ASSERT_TRUE(rewound.Append(prompt_).ok());
  ASSERT_TRUE(session.Shift(30, session.position() - 30).ok());
  ASSERT_TRUE(rewound.Rewind(30).ok());
  const std::span<const Token> next = std::span(prompt_).last(5);
  EXPECT_TRUE(SameBits(AllLogits(session, next), AllLogits(rewound, next)));
}

// Generates in a context of 64 tokens, halving what follows the first 8 whenever it is full.
std::vector<Token> GenerateWithShifts(const Model& model, const SessionOptions& options, std::span<const Token> prompt,
                                      std::vector<float>& last_logits) {
  Session session = SessionOrThrow(model, options);
  std::vector<Token> tokens = {prompt.begin(), prompt.end()};
  std::vector<Token> held = tokens;
  for (std::size_t read = 0; tokens.size() < prompt.size() + 200;) {
    const std::int32_t free = session.context_length() - session.position();
    if (free < static_cast<std::int32_t>(tokens.size() - read)) {
      const std::int32_t discard = (session.position() - 8) / 2;
      EXPECT_TRUE(session.Shift(8, discard).ok());
      held = Without(held, 8, discard);
      EXPECT_TRUE(std::ranges::equal(session.tokens(), std::span(held).first(session.tokens().size())));
    }
    const auto logits = session.Append(std::span(tokens).subspan(read));  // fails unless all are finite
    if (!logits.ok()) throw std::runtime_error(logits.status().message());
    read = tokens.size();
    tokens.push_back(static_cast<Token>(std::ranges::max_element(*logits) - logits->begin()));
    held.push_back(tokens.back());
    last_logits.assign(logits->begin(), logits->end());
  }
  return tokens;
}

// Sliding and global layers with bases of their own: generation goes on, and any number of threads gives the same bits.
TEST_F(ShiftTest, GenerationGoesOnBeyondTheContext) {
  const auto prompt = std::span(prompt_).first(24);
  for (const KvType type : {KvType::kF16, KvType::kF32}) {
    std::vector<float> expected_logits;
    const std::vector<Token> expected =
        GenerateWithShifts(model_, {.context_length = 64, .kv_type = type, .threads = 1}, prompt, expected_logits);
    EXPECT_EQ(expected.size(), 224u);
    for (const SessionOptions& options :
         {SessionOptions{.context_length = 64, .kv_type = type, .threads = 1, .batch_size = 1},
          SessionOptions{.context_length = 64, .kv_type = type, .threads = 2},
          SessionOptions{.context_length = 64, .kv_type = type, .threads = 3, .prompt_threads = 2, .batch_size = 8}}) {
      std::vector<float> logits;
      EXPECT_EQ(GenerateWithShifts(model_, options, prompt, logits), expected);
      EXPECT_TRUE(SameBits(logits, expected_logits));
    }
  }
}

}  // namespace
}  // namespace slm::test
