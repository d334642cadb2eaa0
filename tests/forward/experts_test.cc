// The router's choice, and mixtures of experts against the formula in double precision and against themselves.

#include "forward/experts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <new>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "base/format.h"
#include "dispatch.h"
#include "forward/parallel.h"
#include "support/fixture.h"

namespace slm::test {
namespace {

std::vector<Choice> Choose(std::vector<float> scores, std::size_t count) {
  std::vector<Choice> chosen(count);
  ChooseExperts(scores, chosen);
  return chosen;
}

std::vector<int> Indices(const std::vector<Choice>& chosen) {
  std::vector<int> indices;
  for (const Choice& choice : chosen) indices.push_back(choice.expert);
  return indices;
}

TEST(ChooseExpertsTest, MostProbableFirst) {
  EXPECT_EQ(Indices(Choose({0.5f, 2.0f, -1.0f, 1.0f}, 2)), (std::vector<int>{1, 3}));
  EXPECT_EQ(Indices(Choose({-5, -4, -3, -2, -1}, 3)), (std::vector<int>{4, 3, 2}));
  EXPECT_EQ(Indices(Choose({5, 4, 3, 2, 1}, 3)), (std::vector<int>{0, 1, 2}));
}

// e^2 / (e^2 + e^1) and the rest.
TEST(ChooseExpertsTest, WeightsAreTheSoftmaxOfTheChosen) {
  const std::vector<Choice> chosen = Choose({0.5f, 2.0f, -1.0f, 1.0f}, 2);
  EXPECT_NEAR(chosen[0].weight, 1 / (1 + std::exp(-1.0)), 1e-6);
  EXPECT_NEAR(chosen[1].weight, 1 / (1 + std::exp(1.0)), 1e-6);
}

TEST(ChooseExpertsTest, OfEqualOnesTheFirst) {
  EXPECT_EQ(Indices(Choose({1, 1, 1, 1}, 2)), (std::vector<int>{0, 1}));
  EXPECT_EQ(Indices(Choose({0, 3, 1, 3, 3}, 2)), (std::vector<int>{1, 3}));
  EXPECT_EQ(Indices(Choose({0, 1, 3, 1, 1}, 3)), (std::vector<int>{2, 1, 3}));
  // So far behind that their probabilities are all 0.
  EXPECT_EQ(Indices(Choose({-500, -400, 0, -300}, 3)), (std::vector<int>{2, 0, 1}));
}

TEST(ChooseExpertsTest, OneExpertAndAllExperts) {
  const std::vector<Choice> only = Choose({-3.5f}, 1);
  EXPECT_EQ(only[0].expert, 0);
  EXPECT_EQ(only[0].weight, 1);
  EXPECT_EQ(Choose({1, 7, 3}, 1)[0].expert, 1);
  EXPECT_EQ(Choose({1, 7, 3}, 1)[0].weight, 1);
  const std::vector<Choice> all = Choose({1, 2, 0}, 3);
  EXPECT_EQ(Indices(all), (std::vector<int>{1, 0, 2}));
  const double total = std::exp(1.0) + std::exp(2.0) + 1;
  EXPECT_NEAR(all[0].weight, std::exp(2.0) / total, 1e-6);
  EXPECT_NEAR(all[1].weight, std::exp(1.0) / total, 1e-6);
  EXPECT_NEAR(all[2].weight, 1 / total, 1e-6);
}

TEST(ChooseExpertsTest, LargeScoresDoNotOverflow) {
  const std::vector<Choice> chosen = Choose({1e30f, 3e38f, -3e38f, 3e38f}, 3);
  EXPECT_EQ(Indices(chosen), (std::vector<int>{1, 3, 0}));
  EXPECT_EQ(chosen[0].weight, 0.5f);
  EXPECT_EQ(chosen[2].weight, 0);
}

// The fault must stay visible, and the indices must be some that exist, each once.
TEST(ChooseExpertsTest, NumbersThatAreNotFinite) {
  const float nan = std::nanf("");
  const float infinity = std::numeric_limits<float>::infinity();
  for (const std::vector<float>& scores :
       {std::vector<float>{nan, nan, nan, nan}, {1, nan, 2, 3}, {1, 2, 3, nan}, {nan, 1, 2, 3}, {1, infinity, 2, 3}}) {
    const std::vector<Choice> chosen = Choose(scores, 3);
    std::vector<int> indices = Indices(chosen);
    std::ranges::sort(indices);
    EXPECT_TRUE(std::ranges::adjacent_find(indices) == indices.end());
    EXPECT_GE(indices.front(), 0);
    EXPECT_LT(indices.back(), 4);
    for (const Choice& choice : chosen) EXPECT_TRUE(std::isnan(choice.weight));
  }
}

// Normally distributed weights of the size that keeps what they multiply.
std::vector<std::byte> RandomWeights(Format format, std::int64_t rows, std::int64_t columns, std::mt19937& random) {
  std::normal_distribution<float> normal(0, 1 / std::sqrt(static_cast<float>(columns)));
  std::vector<float> values(static_cast<std::size_t>(rows * columns));
  for (float& value : values) value = normal(random);
  if (format == Format::kF32) {
    const auto bytes = std::as_bytes(std::span(values));
    return {bytes.begin(), bytes.end()};
  }
  std::vector<BlockQ8_0> blocks(values.size() / 32);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    blocks[i].d = FloatToHalf(4 / std::sqrt(static_cast<float>(columns)) / 127);
    for (std::size_t j = 0; j < 32; ++j)
      blocks[i].qs[j] =
          static_cast<std::int8_t>(std::clamp(values[32 * i + j] / HalfToFloat(blocks[i].d), -127.f, 127.f));
  }
  const auto bytes = std::as_bytes(std::span(blocks));
  return {bytes.begin(), bytes.end()};
}

struct LayerShape {
  std::int32_t experts = 8;
  std::int32_t used = 2;
  std::int32_t width = 64;
  std::int32_t expert_width = 96;
  std::vector<Format> formats = {Format::kQ8_0};  // of the experts' matrices in turn
  Format router = Format::kF32;
};

// A layer of experts with its weights.
class Layer {
 public:
  explicit Layer(const LayerShape& shape) : random_(17) {
    architecture_.activation = FfnActivation::kSilu;
    config_.architecture = &architecture_;
    config_.embedding_length = shape.width;
    config_.expert_count = shape.experts;
    config_.expert_used_count = shape.used;
    config_.layers.resize(1);
    config_.layers[0].expert_feed_forward_length = shape.expert_width;
    weights_.layers.resize(1);
    weights_.most_columns = std::max(shape.width, shape.expert_width);
    weights().router = Make(shape.router, shape.experts, shape.width);
    std::size_t made = 0;
    const auto next = [&](std::int32_t rows, std::int32_t columns) {
      return Make(shape.formats[made++ % shape.formats.size()], rows, columns);
    };
    for (std::int32_t i = 0; i < shape.experts; ++i) {
      weights().experts.push_back({.gate = next(shape.expert_width, shape.width),
                                   .up = next(shape.expert_width, shape.width),
                                   .down = next(shape.width, shape.expert_width)});
    }
  }

  std::int64_t width() const { return config_.embedding_length; }
  ExpertWeights& weights() { return weights_.layers[0].ffn_experts; }

  std::vector<float> Inputs(std::int64_t rows) {
    std::normal_distribution<float> normal;
    std::vector<float> inputs(static_cast<std::size_t>(rows * width()));
    for (float& x : inputs) x = normal(random_);
    return inputs;
  }

  // Gives the experts what they have beside a dense feed-forward.
  void PutBesideDense() {
    std::uniform_real_distribution<float> uniform(0.5f, 2);
    config_.norm_epsilon = 1e-3f;
    for (Vector* norm :
         {&weights().router_norm, &weights().input_norm, &weights().dense_post_norm, &weights().post_norm}) {
      norm->resize(static_cast<std::size_t>(width()));
      for (float& weight : *norm) weight = uniform(random_);
    }
    for (Expert& expert : weights().experts) expert.scale = uniform(random_);
  }

  // A row whose first number is 1 goes to these experts, whatever else it holds.
  void SendAllTo(std::initializer_list<std::size_t> experts) {
    auto* router = reinterpret_cast<float*>(storage_[0].data());
    for (const std::size_t expert : experts) router[expert * static_cast<std::size_t>(width())] = 8;
  }

  // `dense` is the output of the dense feed-forward, if there is one.
  std::vector<float> Run(const KernelSet& kernels, std::span<const float> inputs, int threads = 1,
                         std::int64_t max_rows = 0, std::span<const float> dense = {}) const {
    const std::int64_t rows = std::ssize(inputs) / width(), stride = width() / kActivationBlock;
    std::vector<ActivationBlock> blocks(static_cast<std::size_t>(rows * stride));
    for (std::int64_t row = 0; row < rows && width() % kActivationBlock == 0; ++row)
      kernels.quantize(inputs.data() + row * width(), width(), blocks.data() + row * stride);
    ForwardContext context(config_, weights_, kernels, threads, std::max(rows, max_rows), nullptr);
    MixtureOfExperts mixture(context);
    WorkingMemory memory(WorkingMemory::Purpose::kAllocate);
    if (!context.Allocate(memory) || !mixture.Allocate(memory)) throw std::bad_alloc();
    context.rows = rows;
    context.threads = threads;
    std::ranges::copy(inputs, context.stream.data());
    std::vector<float> out;
    Team team(threads);
    // More than once, as a model's layers do.
    for (int repetition = 0; repetition < 2; ++repetition) {
      out.assign(inputs.size(), std::nanf(""));
      std::ranges::copy(dense, out.begin());
      team.Run([&](Worker& worker) {
        mixture.Run(worker, 0, {inputs.data(), width(), blocks.data(), stride}, out.data());
      });
    }
    return out;
  }

  // The formula.
  std::vector<float> Reference(std::span<const float> inputs, std::span<const float> dense = {}) const {
    const ExpertWeights& layer = weights_.layers[0].ffn_experts;
    const auto d = static_cast<std::size_t>(width());
    std::vector<float> out;
    for (std::size_t at = 0; at < inputs.size(); at += d) {
      const auto row = inputs.subspan(at, d);
      const std::vector<double> x(row.begin(), row.end());
      std::vector<double> y =
          dense.empty() ? ReferenceRow(x, x)
                        : Norm(ReferenceRow(Norm(x, layer.router_norm), Norm(x, layer.input_norm)), layer.post_norm);
      if (!dense.empty()) {
        const auto beside = dense.subspan(at, d);
        const std::vector<double> other = Norm({beside.begin(), beside.end()}, layer.dense_post_norm);
        for (std::size_t i = 0; i < d; ++i) y[i] += other[i];
      }
      for (const double value : y) out.push_back(static_cast<float>(value));
    }
    return out;
  }

 private:
  Matrix Make(Format format, std::int64_t rows, std::int64_t columns) {
    const FormatInfo* info = FindFormat(static_cast<std::uint32_t>(format));
    storage_.push_back(RandomWeights(format, rows, columns, random_));
    return {.format = info,
            .data = storage_.back().data(),
            .columns = columns,
            .rows = rows,
            .row_bytes = RowBytes(*info, columns)};
  }

  static std::vector<double> Times(const Matrix& matrix, const std::vector<double>& x) {
    std::vector<float> row(static_cast<std::size_t>(matrix.columns));
    std::vector<double> product;
    for (std::int64_t r = 0; r < matrix.rows; ++r) {
      matrix.format->to_float(matrix.data + static_cast<std::size_t>(r) * matrix.row_bytes, matrix.columns, row.data());
      double sum = 0;
      for (std::size_t i = 0; i < row.size(); ++i) sum += row[i] * x[i];
      product.push_back(sum);
    }
    return product;
  }

  std::vector<double> Norm(std::vector<double> x, const Vector& weight) const {
    double squares = 0;
    for (const double value : x) squares += value * value;
    const double root = std::sqrt(squares / static_cast<double>(x.size()) + static_cast<double>(config_.norm_epsilon));
    for (std::size_t i = 0; i < x.size(); ++i) x[i] *= weight[i] / root;
    return x;
  }

  std::vector<double> ReferenceRow(const std::vector<double>& router_input, const std::vector<double>& x) const {
    const ExpertWeights& weights = weights_.layers[0].ffn_experts;
    const std::vector<double> scores = Times(weights.router, router_input);
    std::vector<std::size_t> order(scores.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::ranges::stable_sort(order, std::greater(), [&](std::size_t i) { return scores[i]; });
    order.resize(static_cast<std::size_t>(config_.expert_used_count));
    double total = 0;
    for (const std::size_t expert : order) total += std::exp(scores[expert] - scores[order[0]]);
    std::vector<double> out(x.size());
    for (const std::size_t expert : order) {
      std::vector<double> hidden = Times(weights.experts[expert].gate, x);
      const std::vector<double> up = Times(weights.experts[expert].up, x);
      for (std::size_t i = 0; i < hidden.size(); ++i) hidden[i] *= up[i] / (1 + std::exp(-hidden[i]));
      const std::vector<double> down = Times(weights.experts[expert].down, hidden);
      for (std::size_t i = 0; i < out.size(); ++i)
        out[i] += std::exp(scores[expert] - scores[order[0]]) / total * weights.experts[expert].scale * down[i];
    }
    return out;
  }

  Architecture architecture_ = {};
  std::mt19937 random_;
  ModelConfig config_;
  Weights weights_;
  std::vector<std::vector<std::byte>> storage_;
};

class MixtureOfExpertsTest : public KernelSetSuite {
 protected:
  const KernelSet& set() const { return *GetParam(); }
};
INSTANTIATE_TEST_SUITE_P(, MixtureOfExpertsTest, RunnableSets(), KernelSetName);

// One expert and all experts; more experts than a part of the router and fewer rows than experts; widths that are no
// multiple of anything; formats of both kinds of activations in one expert.
const LayerShape kShapes[] = {
    {.experts = 1, .used = 1},
    {.experts = 5, .used = 5},
    {.experts = 8, .used = 2, .formats = {Format::kF32}},
    {.experts = 8, .used = 2, .width = 44, .expert_width = 37, .formats = {Format::kF32}},
    {.experts = 70, .used = 6, .width = 32, .expert_width = 64},
    {.experts = 70, .used = 6, .width = 40, .expert_width = 72, .formats = {Format::kF32}},
    {.experts = 6, .used = 3, .width = 96, .expert_width = 1056},
    {.experts = 4, .used = 2, .formats = {Format::kF32, Format::kQ8_0, Format::kF32, Format::kF32, Format::kQ8_0}},
};
constexpr std::int64_t kRows[] = {1, 2, 9, 67};

// Floats: rounding of sums. Int8: of activations, by up to half of 1/127 of the largest of 8; a maximum over thousands
// scatters, the RMS does not.
void ExpectClose(std::span<const float> actual, std::span<const float> expected, bool floats) {
  const Deviation deviation = Compare(actual, expected);
  EXPECT_LE(deviation.rms, floats ? 1e-6 : 1e-2);
  EXPECT_LE(deviation.max_abs, floats ? 1e-5 : 1e-1);
}

TEST_P(MixtureOfExpertsTest, ComputesTheFormula) {
  for (const LayerShape& shape : kShapes) {
    Layer layer(shape);
    for (const std::int64_t rows : kRows) {
      const std::vector<float> inputs = layer.Inputs(rows);
      const std::vector<float> expected = layer.Reference(inputs);
      for (const int threads : {1, 3}) {
        SCOPED_TRACE(Cat(shape.experts, " experts, ", rows, " rows, ", threads, " threads"));
        ExpectClose(layer.Run(set(), inputs, threads), expected, shape.formats == std::vector{Format::kF32});
      }
    }
  }
}

TEST_P(MixtureOfExpertsTest, ARowsBitsDoNotDependOnOtherRowsOrThreads) {
  for (const LayerShape& shape : kShapes) {
    Layer layer(shape);
    const std::vector<float> inputs = layer.Inputs(67);
    const std::vector<float> expected = layer.Run(set(), inputs);
    for (const int threads : {2, 3, 5}) EXPECT_TRUE(SameBits(layer.Run(set(), inputs, threads), expected));
    const auto d = static_cast<std::size_t>(layer.width());
    for (const auto& [first, count] : {std::pair(0u, 1u), {66u, 1u}, {13u, 2u}, {30u, 37u}}) {
      for (const int threads : {1, 3}) {
        EXPECT_TRUE(SameBits(layer.Run(set(), std::span(inputs).subspan(first * d, count * d), threads, 67),
                             std::span(expected).subspan(first * d, count * d)))
            << shape.experts << " experts, rows " << first << " to " << first + count << ", " << threads << " threads";
      }
    }
  }
}

// All rows at two of eight experts; the others have no weights to read.
TEST_P(MixtureOfExpertsTest, ReadsTheChosenExpertsOnly) {
  Layer layer({});
  layer.SendAllTo({3, 6});
  for (std::size_t expert = 0; expert < 8; ++expert) {
    Expert& weights = layer.weights().experts[expert];
    if (expert == 3 || expert == 6) continue;
    weights.gate.data = weights.up.data = weights.down.data = nullptr;
  }
  for (const std::int64_t rows : kRows) {
    std::vector<float> inputs = layer.Inputs(rows);
    for (std::size_t i = 0; i < inputs.size(); i += static_cast<std::size_t>(layer.width())) inputs[i] = 1;
    ExpectClose(layer.Run(set(), inputs, 2), layer.Reference(inputs), /*floats=*/false);
  }
}

// As many chosen at each row, but the one expert has all rows and the others share: every weight row is still computed.
TEST_P(MixtureOfExpertsTest, UnevenGroups) {
  Layer layer({.experts = 30, .used = 2, .width = 64, .expert_width = 160, .formats = {Format::kF32}});
  layer.SendAllTo({17});
  std::vector<float> inputs = layer.Inputs(200);
  for (std::size_t i = 0; i < inputs.size(); i += 64) inputs[i] = 1;
  const std::vector<float> expected = layer.Reference(inputs);
  for (const int threads : {1, 2, 7}) ExpectClose(layer.Run(set(), inputs, threads), expected, /*floats=*/true);
}

TEST_P(MixtureOfExpertsTest, BesideADenseFeedForward) {
  for (const Format format : {Format::kF32, Format::kQ8_0}) {
    Layer layer({.experts = 6, .used = 2, .formats = {format}, .router = format});
    layer.PutBesideDense();
    for (const std::int64_t rows : kRows) {
      const std::vector<float> stream = layer.Inputs(rows);
      const std::vector<float> dense = layer.Inputs(rows);
      const std::vector<float> expected = layer.Reference(stream, dense);
      for (const int threads : {1, 3})
        ExpectClose(layer.Run(set(), stream, threads, 0, dense), expected, format == Format::kF32);
    }
  }
}

TEST_P(MixtureOfExpertsTest, AFaultStaysVisible) {
  Layer layer({});
  std::vector<float> inputs = layer.Inputs(3);
  inputs[64 + 5] = std::nanf("");
  const std::vector<float> out = layer.Run(set(), inputs, 2);
  EXPECT_TRUE(std::ranges::all_of(std::span(out).first(64), [](float x) { return std::isfinite(x); }));
  EXPECT_TRUE(std::ranges::all_of(std::span(out).subspan(64, 64), [](float x) { return std::isnan(x); }));
  EXPECT_TRUE(std::ranges::all_of(std::span(out).last(64), [](float x) { return std::isfinite(x); }));
}

}  // namespace
}  // namespace slm::test
