// The ring of a sliding layer: its size, how far back a session can go, and that going back leaves no trace.

#include "forward/kv_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/format.h"
#include "model/model_impl.h"
#include "support/fixture.h"
#include "support/tiny_architecture.h"
#include "support/tiny_model.h"

namespace slm::test {
namespace {

constexpr std::uint32_t kWindow = 4;

// Two layers, the first sliding.
Model SlidingModel(std::uint32_t head_dim = 16) {
  return TinyModel({.architecture = "gemma3", .head_dim = head_dim, .context = 64})
      .Set("gemma3.attention.sliding_window", kWindow)
      .Set("gemma3.attention.sliding_window_pattern", 2u)
      .Open()
      .value();
}

std::vector<Token> Text(std::size_t length) {
  std::vector<Token> tokens;
  for (std::size_t i = 0; i < length; ++i) tokens.push_back(static_cast<Token>(3 + i * 7 % 37));
  return tokens;
}

TEST(KvCacheTest, SlidingLayersHaveCellsForTheWindowAndABatch) {
  const Model model = SlidingModel();
  for (const std::int64_t batch : {1, 3, 16}) {
    const KvCache cache = KvCache::Create(Internal::Impl(model).config, 40, batch, CacheFormat::kF16).value();
    EXPECT_EQ(cache.layer(0).cells, kWindow + batch - 1);
    EXPECT_EQ(cache.layer(1).cells, 40);
  }
  // Never more than the context.
  const KvCache small = KvCache::Create(Internal::Impl(model).config, 5, 4, CacheFormat::kF16).value();
  EXPECT_EQ(small.layer(0).cells, 5);
}

TEST(KvCacheTest, BytesAreTheCellsOfAllLayers) {
  const Model model = SlidingModel(32);
  // Keys and values of 2 heads of 32, which in Q8_0 are a block of 34 bytes each.
  struct Case {
    CacheFormat format;
    KvType type;
    std::uint64_t head_bytes;
  };
  constexpr Case kCases[] = {{CacheFormat::kF32, KvType::kF32, 128},
                             {CacheFormat::kF16, KvType::kF16, 64},
                             {CacheFormat::kQ8_0, KvType::kQ8_0, 34}};
  for (const Case& c : kCases) {
    const KvCache cache = KvCache::Create(Internal::Impl(model).config, 40, 3, c.format).value();
    const std::uint64_t expected = (kWindow + 3 - 1 + 40) * 2 * 2 * c.head_bytes;
    EXPECT_GE(cache.bytes(), expected);
    EXPECT_LE(cache.bytes(), expected + 4 * 64);  // each part may be padded to 64 bytes
    const Session session =
        SessionOrThrow(model, {.context_length = 40, .kv_type = c.type, .threads = 1, .batch_size = 3});
    EXPECT_EQ(session.kv_bytes(), cache.bytes());
  }
}

TEST(KvCacheTest, CellsOfAHeadAreNextToEachOther) {
  const Model model = SlidingModel(32);
  for (const CacheFormat format : {CacheFormat::kF32, CacheFormat::kF16, CacheFormat::kQ8_0}) {
    const KvCache cache = KvCache::Create(Internal::Impl(model).config, 40, 3, format).value();
    const KvCache::Layer& layer = cache.layer(1);
    const auto bytes = static_cast<std::ptrdiff_t>(CacheBytes(format, 32));
    EXPECT_EQ(layer.Key(0, 1) - layer.Key(0, 0), bytes);
    EXPECT_EQ(layer.Key(1, 0) - layer.Key(0, 0), 40 * bytes);
    EXPECT_EQ(layer.Value(1, 39) - layer.Value(0, 0), 79 * bytes);
    EXPECT_GE(layer.Value(0, 0) - layer.Key(1, 39), bytes);
  }
}

// A layer that reads another's keys and values has its ring and takes no memory.
TEST(KvCacheTest, SharedLayersTakeNoMemory) {
  TinyModel tiny = TinyArchitecture("gemma4");
  const auto create = [](const Model& model) {
    return KvCache::Create(Internal::Impl(model).config, 40, 3, CacheFormat::kF16).value();
  };
  const Model own = tiny.Open().value();
  const Model shared = tiny.Set("gemma4.attention.shared_kv_layers", 2u).Open().value();
  const KvCache cache = create(shared);
  EXPECT_EQ(cache.layer(4).keys, cache.layer(3).keys);
  EXPECT_EQ(cache.layer(4).cells, kWindow + 3 - 1);
  EXPECT_EQ(cache.layer(5).values, cache.layer(2).values);
  EXPECT_EQ(cache.layer(5).cells, 40);
  const std::uint64_t saved = (kWindow + 3 - 1 + 40) * 2 * 2 * 16 * sizeof(Half);
  EXPECT_GE(create(own).bytes(), cache.bytes() + saved);
}

// Global and sliding layers may have heads of different lengths.
TEST(KvCacheTest, HeadsOfEachLayer) {
  TinyModel tiny = TinyArchitecture("gemma4");
  tiny.Set("gemma4.attention.key_length", 64u).Set("gemma4.attention.value_length", 32u);
  const std::string bytes = tiny.Set("gemma4.attention.key_length_swa", 32u).Build();
  const GgufFile file = GgufFile::Parse(std::as_bytes(std::span(bytes)), "tiny").value();
  const ModelConfig config = ReadModelConfig(file).value();
  const KvCache cache = KvCache::Create(config, 40, 3, CacheFormat::kF16).value();
  EXPECT_EQ(cache.layer(0).key_bytes, 64);
  EXPECT_EQ(cache.layer(2).key_bytes, 128);
  EXPECT_EQ(cache.layer(2).value_bytes, 64);
}

TEST(KvCacheTest, Q8NeedsHeadsOfWholeBlocks) {
  const Model model = SlidingModel(16);
  const Result<Session> session = Session::Create(model, {.kv_type = KvType::kQ8_0, .threads = 1});
  ASSERT_FALSE(session.ok());
  EXPECT_EQ(session.status().code(), StatusCode::kUnsupported);
  EXPECT_THAT(session.status().message(),
              testing::AllOf(testing::HasSubstr("heads of 16 dimensions"), testing::HasSubstr("multiples of 32"),
                             testing::HasSubstr("f16")));
}

TEST(KvCacheTest, FirstRewindPositionFollowsTheOldestCell) {
  const Model model = SlidingModel();
  KvCache cache = KvCache::Create(Internal::Impl(model).config, 40, 3, CacheFormat::kF16).value();  // 6 cells
  for (const std::int64_t end : {0, 1, 6}) {
    cache.Wrote(end);
    EXPECT_EQ(cache.FirstRewindPosition(), 0) << end;
  }
  // Position 0 is gone: going on at 4 would look at 1, 2 and 3.
  cache.Wrote(7);
  EXPECT_EQ(cache.FirstRewindPosition(), 4);
  cache.Wrote(20);
  EXPECT_EQ(cache.FirstRewindPosition(), 17);
  // Writing below what was written before does not bring back what is lost.
  cache.Wrote(18);
  EXPECT_EQ(cache.FirstRewindPosition(), 17);
  cache.Clear();
  EXPECT_EQ(cache.FirstRewindPosition(), 0);
}

TEST(KvCacheTest, WithoutSlidingLayersNothingIsLost) {
  const Model model = TinyModel().Open().value();
  KvCache cache = KvCache::Create(Internal::Impl(model).config, 64, 3, CacheFormat::kF16).value();
  cache.Wrote(64);
  EXPECT_EQ(cache.FirstRewindPosition(), 0);
}

class RewindTest : public testing::TestWithParam<std::int32_t> {  // batch size
 protected:
  Session Make() const { return SessionOrThrow(model_, {.threads = 1, .batch_size = GetParam()}); }
  const Model model_ = SlidingModel();
  const std::vector<Token> text_ = Text(40);
  const std::size_t vocab_ = static_cast<std::size_t>(model_.vocab_size());
};
INSTANTIATE_TEST_SUITE_P(, RewindTest, testing::Values(1, 3, 16, 64), testing::PrintToStringParamName());

// From every length to every position: either the rest reads as if nothing had happened, or the first position that is
// possible is named, and is.
TEST_P(RewindTest, LeavesNoTraceOrIsRefused) {
  const std::vector<float> expected = AllLogits(model_, {.threads = 1}, text_);
  std::vector<Token> other(text_.rbegin(), text_.rend());
  int refused = 0;
  for (std::int32_t length = 1; length <= 40; length += 3) {
    for (std::int32_t position = 0; position <= length; ++position) {
      SCOPED_TRACE(Cat(length, " -> ", position));
      Session session = Make();
      // What comes after `position` is another text, which must be forgotten.
      const auto kept = static_cast<std::size_t>(position);
      std::vector<Token> read(text_.begin(), text_.begin() + position);
      read.insert(read.end(), other.begin(), other.begin() + (length - position));
      ASSERT_TRUE(session.Append(read).ok());
      const Status status = session.Rewind(position);
      if (!status.ok()) {
        ++refused;
        EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
        EXPECT_EQ(session.position(), length);
        // The cells a length needs: its last window + batch - 1 positions, of which going on uses a window.
        const std::int32_t first = std::max(0, length - (static_cast<std::int32_t>(kWindow) + GetParam() - 1)) +
                                   static_cast<std::int32_t>(kWindow) - 1;
        EXPECT_LT(position, std::min(first, length));
        EXPECT_THAT(status.message(), testing::HasSubstr(Cat("the first position possible is ", first)));
        EXPECT_TRUE(session.Rewind(std::min(first, length)).ok());
        continue;
      }
      EXPECT_EQ(session.position(), position);
      EXPECT_TRUE(std::ranges::equal(session.tokens(), std::span(text_).first(kept)));
      EXPECT_TRUE(
          SameBits(AllLogits(session, std::span(text_).subspan(kept)), std::span(expected).subspan(kept * vocab_)));
    }
  }
  EXPECT_EQ(refused > 0, GetParam() < 37);  // with 4 + 36 cells nothing of 40 tokens is lost
}

TEST_P(RewindTest, ManyInARow) {
  const std::vector<float> expected = AllLogits(model_, {.threads = 1}, text_);
  Session session = Make();
  ASSERT_TRUE(session.Append(text_).ok());
  // A step back is possible as long as the window before it has not been overwritten since.
  for (std::int32_t position = 39; session.Rewind(position).ok() && position > 0; --position) {
    const auto at = static_cast<std::size_t>(position);
    const std::vector<float> logits = AllLogits(session, std::span(text_).subspan(at, 1));
    EXPECT_TRUE(SameBits(logits, std::span(expected).subspan(at * vocab_, vocab_))) << position;
  }
  ASSERT_TRUE(session.Rewind(0).ok());
  EXPECT_TRUE(SameBits(AllLogits(session, text_), expected));
}

TEST_P(RewindTest, OutsideWhatTheSessionHolds) {
  Session session = Make();
  ASSERT_TRUE(session.Append(std::span(text_).first(3)).ok());
  for (const std::int32_t position : {-1, 4, 1000}) {
    const Status status = session.Rewind(position);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), testing::HasSubstr("holds 3 tokens"));
  }
  EXPECT_TRUE(session.Rewind(3).ok());  // nothing to forget
  EXPECT_EQ(session.position(), 3);
}

}  // namespace
}  // namespace slm::test
