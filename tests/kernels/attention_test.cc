// Attention against sums in double. Whatever a query does not see is NaN: other cells of the ring, gaps between cells
// and between heads.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <ostream>
#include <vector>

#include "base/aligned_buffer.h"
#include "kernels/kernel_test.h"

namespace slm::test {
namespace {

struct Shape {
  std::int64_t rows = 1;
  std::int64_t heads = 1;
  std::int64_t head_dim = 64;
  std::int64_t value_dim = 64;
  std::int64_t first_position = 0;
  std::int64_t window = 0;
  std::int64_t spare_cells = 0;  // beyond those the queries see
  CacheFormat cache_format = CacheFormat::kF32;
  float softcap = 0;

  std::int64_t FirstKey(std::int64_t position) const {
    return window > 0 ? std::max<std::int64_t>(0, position - window + 1) : 0;
  }
  std::int64_t EndPosition() const { return first_position + rows; }
};

constexpr CacheFormat kCacheFormats[] = {CacheFormat::kF32, CacheFormat::kF16, CacheFormat::kQ8_0};
constexpr const char* kCacheFormatNames[] = {"F32", "F16", "Q8_0"};

std::ostream& operator<<(std::ostream& os, const Shape& s) {
  return os << s.rows << " rows from position " << s.first_position << ", window " << s.window << ", " << s.heads
            << " heads of " << s.head_dim << " and " << s.value_dim << ", "
            << kCacheFormatNames[static_cast<std::size_t>(s.cache_format)] << " cache with " << s.spare_cells
            << " spare cells, softcap " << s.softcap;
}

// Keys or values of one head in a ring of cells, as the cache stores them and as floats. Every byte that is not set is
// 0xFF, which makes a NaN of a float, a half or the scale of a block.
class Ring {
 public:
  Ring(std::int64_t cells, std::int64_t dim, std::int64_t gap_bytes, CacheFormat format)
      : cells_(cells),
        stride_(static_cast<std::int64_t>(CacheBytes(format, dim)) + gap_bytes),
        dim_(dim),
        format_(format),
        floats_(static_cast<std::size_t>(cells * dim), NAN),
        bytes_(static_cast<std::size_t>((cells - 1) * stride_) + CacheBytes(format, dim), std::byte{0xFF}) {}

  void Set(std::int64_t position, const std::vector<float>& x) {
    std::byte* cell = bytes_.data() + position % cells_ * stride_;
    float* floats = floats_.data() + position % cells_ * dim_;
    switch (format_) {
      case CacheFormat::kF32:
        std::memcpy(cell, x.data(), CacheBytes(format_, dim_));
        std::copy_n(x.begin(), dim_, floats);
        break;
      case CacheFormat::kF16:
        FindKernelSet("scalar")->to_half(x.data(), dim_, reinterpret_cast<Half*>(cell));
        std::transform(reinterpret_cast<Half*>(cell), reinterpret_cast<Half*>(cell) + dim_, floats, HalfToFloat);
        break;
      case CacheFormat::kQ8_0:
        FindKernelSet("scalar")->to_q8_0(x.data(), dim_, reinterpret_cast<BlockQ8_0*>(cell));
        FindFormat(static_cast<std::uint32_t>(Format::kQ8_0))->to_float(cell, dim_, floats);
        break;
    }
  }
  double At(std::int64_t position, std::int64_t i) const {
    return floats_[static_cast<std::size_t>(position % cells_ * dim_ + i)];
  }
  const std::byte* Data() const { return bytes_.data(); }
  std::int64_t cells() const { return cells_; }
  std::int64_t stride() const { return stride_; }

 private:
  std::int64_t cells_, stride_, dim_;
  CacheFormat format_;
  std::vector<float> floats_;
  std::vector<std::byte> bytes_;
};

struct Problem {
  Problem(const Shape& shape_in, Random& random)
      : shape(shape_in),
        query_stride(shape.heads * shape.head_dim + 5),
        out_stride(shape.heads * shape.value_dim + 3),
        scale(1 / std::sqrt(static_cast<float>(shape.head_dim))),
        queries(static_cast<std::size_t>((shape.rows - 1) * query_stride + shape.heads * shape.head_dim), NAN),
        keys(Cells(), shape.head_dim, 4, shape.cache_format),
        values(Cells(), shape.value_dim, 8, shape.cache_format) {
    for (std::int64_t row = 0; row < shape.rows; ++row) {
      const std::vector<float> x = RandomFloats(static_cast<std::size_t>(shape.heads * shape.head_dim), random);
      std::copy(x.begin(), x.end(), queries.begin() + row * query_stride);
    }
    for (std::int64_t position = shape.FirstKey(shape.first_position); position < shape.EndPosition(); ++position) {
      keys.Set(position, RandomFloats(static_cast<std::size_t>(shape.head_dim), random));
      values.Set(position, RandomFloats(static_cast<std::size_t>(shape.value_dim), random));
    }
  }

  std::int64_t Cells() const { return shape.EndPosition() - shape.FirstKey(shape.first_position) + shape.spare_cells; }

  Shape shape;
  std::int64_t query_stride;
  std::int64_t out_stride;
  float scale;
  std::vector<float> queries;
  Ring keys;
  Ring values;
};

// The whole of a kernel's work on a task.
using Run = std::function<void(const AttentionTask&)>;

// Some rows of the problem, at their places in out[rows][out_stride]; the rest of it are canaries.
std::vector<float> Attend(const Run& run, const Problem& problem, std::int64_t first_row, std::int64_t rows) {
  const Shape& shape = problem.shape;
  std::vector<float> out(static_cast<std::size_t>(shape.rows * problem.out_stride), Canary());
  AlignedBuffer<std::byte> scratch;
  EXPECT_TRUE(scratch.Allocate(AttentionScratchBytes(shape.head_dim, shape.value_dim)));
  std::memset(scratch.data(), 0xFF, scratch.size());
  AttentionTask task;
  task.queries = problem.queries.data() + first_row * problem.query_stride;
  task.query_stride = problem.query_stride;
  task.out = out.data() + first_row * problem.out_stride;
  task.out_stride = problem.out_stride;
  task.rows = rows;
  task.heads = shape.heads;
  task.head_dim = shape.head_dim;
  task.value_dim = shape.value_dim;
  task.first_position = shape.first_position + first_row;
  task.window = shape.window;
  task.keys = problem.keys.Data();
  task.values = problem.values.Data();
  task.key_stride = problem.keys.stride();
  task.value_stride = problem.values.stride();
  task.cells = problem.keys.cells();
  task.cache_format = shape.cache_format;
  task.scale = problem.scale;
  task.softcap = shape.softcap;
  task.scratch = scratch.data();
  run(task);
  return out;
}

// A task of one row part by part, the last part first, merged `at_once` (2 or more) at a time.
void AttendParts(const KernelSet& kernels, const AttentionTask& task, std::int64_t at_once) {
  const std::int64_t first_key = task.window > 0 ? std::max<std::int64_t>(0, task.first_position - task.window + 1) : 0;
  const std::int64_t first = first_key / kAttentionPart;
  const std::int64_t parts = task.first_position / kAttentionPart + 1 - first;
  const std::int64_t stride = task.heads * AttentionSumsFloats(task.value_dim);
  AlignedBuffer<float> sums;
  ASSERT_TRUE(sums.Allocate(static_cast<std::size_t>(parts * stride)));
  std::memset(sums.data(), 0xFF, sums.size() * sizeof(float));
  for (std::int64_t part = parts - 1; part >= 0; --part)
    kernels.attention_part(task, first + part, sums.data() + part * stride);
  std::int64_t merged = 1;
  do {
    // The sums so far stand before the next parts.
    float* next = sums.data() + (merged - 1) * stride;
    if (merged > 1) std::copy_n(sums.data(), stride, next);
    const std::int64_t count = std::min(at_once, parts - merged + 1);
    kernels.attention_merge(task, next, stride, count);
    std::copy_n(next, merged > 1 ? stride : 0, sums.data());
    merged += count - 1;
  } while (merged < parts);
}

// What one query head at one row has to give, and how far off it may be.
struct Expected {
  std::vector<double> out;
  std::vector<double> bounds;
};

Expected ExactAttention(const Problem& problem, std::int64_t row, std::int64_t head) {
  const Shape& shape = problem.shape;
  const float* query = problem.queries.data() + row * problem.query_stride + head * shape.head_dim;
  const std::int64_t position = shape.first_position + row;
  const std::int64_t first = shape.FirstKey(position);
  std::vector<double> scores;
  double magnitude = 0;  // of the terms of a score
  for (std::int64_t p = first; p <= position; ++p) {
    double dot = 0;
    double terms = 0;
    for (std::int64_t i = 0; i < shape.head_dim; ++i) {
      dot += query[i] * problem.keys.At(p, i);
      terms += std::abs(query[i] * problem.keys.At(p, i));
    }
    magnitude = std::max(magnitude, problem.scale * terms);
    const double score = problem.scale * dot;
    scores.push_back(shape.softcap > 0 ? shape.softcap * std::tanh(score / shape.softcap) : score);
  }
  const double max = *std::max_element(scores.begin(), scores.end());
  double total = 0;
  for (double& score : scores) total += score = std::exp(score - max);

  Expected expected;
  // A score's error moves its weight by as much, relatively, and the total too; sums over keys add a rounding each.
  const double score_error = (static_cast<double>(shape.head_dim) + 8) * kRounding * magnitude;
  const double error = 2 * score_error + (static_cast<double>(scores.size()) + 16) * kRounding;
  for (std::int64_t i = 0; i < shape.value_dim; ++i) {
    double sum = 0;
    double terms = 0;
    for (std::int64_t p = first; p <= position; ++p) {
      const double term = scores[static_cast<std::size_t>(p - first)] / total * problem.values.At(p, i);
      sum += term;
      terms += std::abs(term);
    }
    expected.out.push_back(sum);
    expected.bounds.push_back(error * terms);
  }
  return expected;
}

class AttentionTest : public KernelSetTest {
 protected:
  void Check(const Shape& shape, Random& random) const {
    SCOPED_TRACE(::testing::Message() << shape);
    const Problem problem(shape, random);
    const std::vector<float> out = Attend(kernels().attention, problem, 0, shape.rows);
    ExpectExact(problem, out);
    ExpectRowsOneByOne(problem, out);
  }

  static void ExpectExact(const Problem& problem, const std::vector<float>& out) {
    const Shape& shape = problem.shape;
    for (std::int64_t row = 0; row < shape.rows; ++row) {
      const float* out_row = out.data() + row * problem.out_stride;
      for (std::int64_t head = 0; head < shape.heads; ++head) {
        const Expected expected = ExactAttention(problem, row, head);
        for (std::int64_t i = 0; i < shape.value_dim; ++i) {
          const auto at = static_cast<std::size_t>(i);
          ASSERT_NEAR(out_row[head * shape.value_dim + i], expected.out[at], expected.bounds[at])
              << "row " << row << ", head " << head << ", dimension " << i;
        }
      }
      for (std::int64_t i = shape.heads * shape.value_dim; i < problem.out_stride; ++i) {
        ASSERT_TRUE(IsCanary(out_row[i])) << "row " << row << " wrote behind its heads";
      }
    }
  }

 private:
  // Each row alone gives the same bits, in one piece and in parts, and writes nothing but that row.
  void ExpectRowsOneByOne(const Problem& problem, const std::vector<float>& whole) const {
    const std::int64_t at_once = 2 + problem.shape.first_position % 3;
    const auto in_parts = [&](const AttentionTask& task) { AttendParts(kernels(), task, at_once); };
    for (std::int64_t row = 0; row < problem.shape.rows; ++row) {
      ExpectRow(problem, row, Attend(kernels().attention, problem, row, 1), whole);
      ExpectRow(problem, row, Attend(in_parts, problem, row, 1), whole);
    }
  }

  static void ExpectRow(const Problem& problem, std::int64_t row, const std::vector<float>& out,
                        const std::vector<float>& whole) {
    for (std::size_t i = 0; i < out.size(); ++i) {
      const bool in_row = static_cast<std::int64_t>(i) / problem.out_stride == row;
      ASSERT_EQ(std::bit_cast<std::uint32_t>(out[i]), in_row ? std::bit_cast<std::uint32_t>(whole[i]) : kCanaryBits)
          << "row " << row << " alone, float " << i;
    }
  }
};
INSTANTIATE_TEST_SUITE_P(, AttentionTest, EverySet(), InstanceName());

TEST_P(AttentionTest, EveryHeadDimensionAndCacheFormat) {
  Random random(1);
  for (const std::int64_t head_dim : {12, 16, 20, 64, 80, 96, 256}) {
    for (const CacheFormat format : kCacheFormats) {
      for (const std::int64_t value_dim : {head_dim, head_dim / 2 + 3, head_dim / 3}) {
        if (format == CacheFormat::kQ8_0 && (head_dim % 32 != 0 || value_dim % 32 != 0)) continue;
        Check({.rows = 3,
               .heads = 2,
               .head_dim = head_dim,
               .value_dim = value_dim,
               .first_position = 70,
               .cache_format = format},
              random);
      }
    }
  }
}

TEST_P(AttentionTest, EveryNumberOfRowsAndHeads) {
  Random random(2);
  for (const std::int64_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 70}) {
    for (std::int64_t heads = 1; heads <= 4; ++heads) {
      Check({.rows = rows, .heads = heads, .head_dim = 20, .value_dim = 20, .cache_format = CacheFormat::kF16}, random);
      Check({.rows = rows, .heads = heads, .head_dim = 16, .value_dim = 16, .first_position = 61}, random);
    }
  }
  Check({.rows = 2, .heads = 103, .head_dim = 16, .value_dim = 16, .first_position = 5}, random);
}

TEST_P(AttentionTest, EveryPositionFromTheFirst) {
  Random random(3);
  for (std::int64_t first = 0; first <= 260; ++first) {
    Check({.rows = 1, .heads = 1, .head_dim = 16, .value_dim = 16, .first_position = first, .spare_cells = first % 3},
          random);
  }
  Check({.rows = 40, .heads = 3, .head_dim = 32, .value_dim = 32, .first_position = 1000}, random);
}

// With a window the ring wraps: positions are far beyond the number of cells.
TEST_P(AttentionTest, WindowsInRings) {
  Random random(4);
  for (const std::int64_t window : {1, 2, 5, 33, 128, 129, 300}) {
    for (const std::int64_t first : {0, 3, 60, 127, 128, 257, 1000003}) {
      for (const std::int64_t rows : {1, 2, 7, 70}) {
        Check({.rows = rows,
               .heads = 2,
               .head_dim = 12,
               .value_dim = 12,
               .first_position = first,
               .window = window,
               .spare_cells = (first + rows) % 2 * 7,
               .cache_format = CacheFormat::kF16},
              random);
      }
    }
  }
}

TEST_P(AttentionTest, Softcap) {
  Random random(5);
  for (const float softcap : {0.5f, 5.0f, 50.0f}) {
    for (const std::int64_t window : {0, 7}) {
      for (const std::int64_t rows : {1, 5, 70}) {
        Check({.rows = rows,
               .heads = 3,
               .head_dim = 64,
               .value_dim = 64,
               .first_position = 40,
               .window = window,
               .softcap = softcap},
              random);
      }
    }
  }
}

// Scores of thousands overflow an exp that forgets the maximum.
TEST_P(AttentionTest, LargeScores) {
  Random random(6);
  for (const float factor : {1e3f, -1e3f, 1e4f}) {
    Problem problem({.rows = 4, .heads = 2, .head_dim = 32, .value_dim = 32, .first_position = 90}, random);
    for (float& q : problem.queries) q *= factor;
    ExpectExact(problem, Attend(kernels().attention, problem, 0, 4));
  }
}

// A key or value that is no number shows in every row that sees it. It may show in others of the same call too, through
// a weight of zero.
TEST_P(AttentionTest, NanShowsWhereItIsSeen) {
  Random random(7);
  const Shape shape = {
      .rows = 9, .heads = 2, .head_dim = 16, .value_dim = 16, .first_position = 60, .window = 4, .softcap = 0};
  for (const bool in_keys : {true, false}) {
    for (const float softcap : {0.0f, 30.0f}) {
      Problem problem(shape, random);
      problem.shape.softcap = softcap;
      (in_keys ? problem.keys : problem.values).Set(62, std::vector<float>(16, NAN));
      const std::vector<float> out = Attend(kernels().attention, problem, 0, shape.rows);
      for (std::int64_t row = 2; row < 6; ++row) {
        for (std::int64_t i = 0; i < shape.heads * shape.value_dim; ++i) {
          ASSERT_TRUE(std::isnan(out[static_cast<std::size_t>(row * problem.out_stride + i)]))
              << "row " << row << ", NaN in a " << (in_keys ? "key" : "value") << ", softcap " << softcap;
        }
      }
    }
  }
}

std::vector<BlockQ8_0> ToQ8_0(const KernelSet& kernels, const std::vector<float>& x) {
  std::vector<BlockQ8_0> blocks(x.size() / 32);
  kernels.to_q8_0(x.data(), static_cast<std::int64_t>(x.size()), blocks.data());
  return blocks;
}

TEST_P(AttentionTest, Q8CellsHaveTheScalarSetsBits) {
  Random random(8);
  // Ordinary rows, and some whose scales are subnormal halves, zero or infinite.
  for (const float factor : {1.0f, 1e3f, 1e-4f, 1e-6f, 1e-8f, 0.0f, 1e7f, 1e38f}) {
    std::vector<float> x = RandomFloats(32 * 40, random);
    for (float& value : x) value *= factor;
    const std::vector<BlockQ8_0> blocks = ToQ8_0(kernels(), x);
    EXPECT_EQ(std::memcmp(blocks.data(), ToQ8_0(*FindKernelSet("scalar"), x).data(), blocks.size() * sizeof(BlockQ8_0)),
              0)
        << factor;
  }
}

TEST_P(AttentionTest, Q8CellsAreWithinHalfAStep) {
  Random random(9);
  const std::vector<float> x = RandomFloats(32 * 40, random);
  const std::vector<BlockQ8_0> blocks = ToQ8_0(kernels(), x);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float d = HalfToFloat(blocks[i / 32].d);
    // A scale rounded down puts the largest number of a block, by 2^-11 of it, beyond 127 steps.
    EXPECT_NEAR(d * static_cast<float>(blocks[i / 32].qs[i % 32]), x[i], 0.5625f * d) << i;
  }
}

TEST_P(AttentionTest, Q8CellsShowWhatIsNotFinite) {
  for (const float bad : {NAN, INFINITY, -INFINITY, 1e30f}) {
    std::vector<float> x(64, 1.0f);
    x[40] = bad;
    const std::vector<BlockQ8_0> blocks = ToQ8_0(kernels(), x);
    EXPECT_EQ(HalfToFloat(blocks[0].d) * static_cast<float>(blocks[0].qs[0]),
              HalfToFloat(FloatToHalf(1 / 127.0f)) * 127);
    for (const std::int8_t q : blocks[1].qs) EXPECT_TRUE(std::isnan(HalfToFloat(blocks[1].d) * static_cast<float>(q)));
  }
}

}  // namespace
}  // namespace slm::test
