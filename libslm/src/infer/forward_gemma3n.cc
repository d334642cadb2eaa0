// Layers of ResidualWiring::kAltUp, as in Gemma 3n: several streams, of which a layer computes the first. The layer
// predicts all of them from what they were, computes, and corrects all by what the first turned out to be. A low-rank
// path (LAuReL) runs beside attention, and the layer's own input of the token joins the other streams at the end.

#include <algorithm>
#include <array>
#include <cmath>

#include "infer/forward.h"
#include "infer/rows.h"

namespace slm {

namespace {

constexpr double kLowestMeanSquare = 1e-5;

double MeanSquare(const float* x, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum / static_cast<double>(n);
}

// The factor that gives x the root mean square of `like`.
float FactorToMatch(const float* x, const float* like, std::int64_t n) {
  return static_cast<float>(std::sqrt(MeanSquare(like, n) / std::max(MeanSquare(x, n), kLowestMeanSquare)));
}

}  // namespace

bool Forward::AllocateAltUp() {
  const std::int64_t streams = config_->altup_streams;
  if (streams == 0) return true;
  const std::int64_t d = config_->embedding_length;
  return streams_.Allocate(static_cast<std::size_t>(streams * max_rows_ * d)) &&
         predictions_.Allocate(static_cast<std::size_t>(streams * max_rows_ * d)) &&
         AllocateInput(laurel_narrow_, laurel_rank_) && laurel_.Allocate(static_cast<std::size_t>(max_rows_ * d));
}

float* Forward::Stream(std::int64_t stream, std::int64_t row) {
  return streams_.data() + (stream * max_rows_ + row) * config_->embedding_length;
}

float* Forward::Prediction(std::int64_t stream, std::int64_t row) {
  return predictions_.data() + (stream * max_rows_ + row) * config_->embedding_length;
}

// The first stream is the embedding, which normed_ holds too; the others are projections of it, as large as it is.
void Forward::BeginStreams(Worker& worker) {
  const std::int64_t d = config_->embedding_length;
  const std::vector<Matrix>& projections = model_->weights.altup_proj;
  for (std::size_t i = 0; i < projections.size(); ++i) {
    Product(worker, projections[i], {}, normed_, rows_, {Stream(static_cast<std::int64_t>(i) + 1, 0), d});
  }
  ForEachRow(worker, rows_, [&](std::int64_t row) {
    std::copy_n(stream_.data() + row * d, d, Stream(0, row));
    for (std::int64_t i = 1; i < config_->altup_streams; ++i) {
      kernels_->scale(Stream(i, row), FactorToMatch(Stream(i, row), Stream(0, row), d), d);
    }
    PredictRow(worker, 0, row);
  });
}

// Each of these begins where the one before has left normed_; predictions of the first layer are made in BeginStreams.
void Forward::RunAltUpLayer(Worker& worker, std::size_t index) {
  Attention(worker, index);
  Laurel(worker, index);
  JoinLaurel(worker, index);
  FeedForward(worker, index);
  CorrectStreams(worker, index);
  LayerInput(worker, index);
  AddLayerInput(worker, index);
}

// modes = tanh(router (norm(x) / d))
void Forward::Route(Worker& worker, const AltUpWeights& altup, const float* x, float* modes) {
  const std::int64_t d = config_->embedding_length;
  const std::int64_t streams = config_->altup_streams;
  float* routed = Temporary(worker);
  kernels_->rms_norm(x, altup.router_norm.data(), d, config_->norm_epsilon, routed);
  kernels_->scale(routed, 1 / static_cast<float>(d), d);
  kernels_->matmul[static_cast<std::size_t>(Format::kF32)](
      {.weights = reinterpret_cast<const std::byte*>(altup.router.data()),
       .row_bytes = static_cast<std::size_t>(d) * sizeof(float),
       .columns = d,
       .row_end = streams,
       .activations = routed,
       .activation_stride = d,
       .tokens = 1,
       .out = modes,
       .out_stride = streams,
       .scratch = Scratch(worker)});
  for (std::int64_t i = 0; i < streams; ++i) modes[i] = std::tanh(modes[i]);
}

// prediction i = stream i + sum over j of (predict_coef modes)[i, j] * stream j; normed_ = norm(prediction 0)
void Forward::PredictRow(Worker& worker, std::size_t index, std::int64_t row) {
  const LayerWeights& layer = model_->weights.layers[index];
  const std::int64_t d = config_->embedding_length;
  const std::int64_t streams = config_->altup_streams;
  std::array<float, kMaxAltUpStreams> modes;
  Route(worker, layer.altup, Stream(0, row), modes.data());
  const float* coefficients = layer.altup.predict_coef.data();
  for (std::int64_t i = 0; i < streams; ++i) {
    float* prediction = Prediction(i, row);
    std::copy_n(Stream(i, row), d, prediction);
    for (std::int64_t j = 0; j < streams; ++j, coefficients += streams) {
      float share = 0;
      for (std::int64_t k = 0; k < streams; ++k) share += coefficients[k] * modes[static_cast<std::size_t>(k)];
      const float* stream = Stream(j, row);
      for (std::int64_t at = 0; at < d; ++at) prediction[at] += share * stream[at];
    }
  }
  NormRow(Prediction(0, row), layer.attn_norm, normed_, row);
}

// laurel_ = right (left normed)
void Forward::Laurel(Worker& worker, std::size_t index) {
  const AltUpWeights& altup = model_->weights.layers[index].altup;
  ProfileScope scope = Measure(worker, Operation::kLaurel, index);
  for (const Matrix* matrix : {&altup.laurel_l, &altup.laurel_r}) scope.AddCost(CostOf(*matrix, rows_));
  Product(worker, altup.laurel_l, {}, normed_, rows_, {laurel_narrow_.values.data(), laurel_narrow_.stride});
  ForEachRow(worker, rows_, [&](std::int64_t row) { Quantize(laurel_narrow_, row, altup.laurel_l.rows); });
  Product(worker, altup.laurel_r, {}, laurel_narrow_, rows_, {laurel_.data(), config_->embedding_length});
}

// stream_ = (prediction 0 + norm(attention) + normed + norm(laurel)) / sqrt(2); normed_ = norm(stream_)
void Forward::JoinLaurel(Worker& worker, std::size_t index) {
  const LayerWeights& layer = model_->weights.layers[index];
  const ProfileScope scope = Measure(worker, Operation::kAttnAddNorm, index);
  const std::int64_t d = config_->embedding_length;
  const float epsilon = config_->norm_epsilon;
  ForEachRow(worker, rows_, [&](std::int64_t row) {
    float* x = stream_.data() + row * d;
    float* attention = product_.data() + row * d;
    float* laurel = laurel_.data() + row * d;
    kernels_->rms_norm(attention, layer.post_attention_norm.data(), d, epsilon, attention);
    kernels_->rms_norm(laurel, layer.altup.laurel_post_norm.data(), d, epsilon, laurel);
    std::copy_n(Prediction(0, row), d, x);
    kernels_->add(x, attention, d);
    kernels_->add(x, normed_.values.data() + row * normed_.stride, d);
    kernels_->add(x, laurel, d);
    kernels_->scale(x, std::sqrt(0.5f), d);
    NormRow(x, layer.ffn_norm, normed_, row);
  });
}

void Forward::CorrectStreams(Worker& worker, std::size_t index) {
  const ProfileScope scope = Measure(worker, Operation::kFfnAddNorm, index);
  ForEachRow(worker, rows_, [&](std::int64_t row) { CorrectRow(worker, index, row); });
}

// computed = stream_ + norm(ffn); stream i = prediction i + (correct_coef modes + 1)[i] * (computed - prediction 0);
// normed_ = stream 0 * correct_scale, the gate of the layer's input.
void Forward::CorrectRow(Worker& worker, std::size_t index, std::int64_t row) {
  const LayerWeights& layer = model_->weights.layers[index];
  const std::int64_t d = config_->embedding_length;
  const std::int64_t streams = config_->altup_streams;
  float* innovation = stream_.data() + row * d;
  float* ffn = product_.data() + row * d;
  kernels_->rms_norm(ffn, layer.post_ffw_norm.data(), d, config_->norm_epsilon, ffn);
  kernels_->add(innovation, ffn, d);
  std::array<float, kMaxAltUpStreams> modes;
  Route(worker, layer.altup, innovation, modes.data());
  const float* predicted = Prediction(0, row);
  for (std::int64_t at = 0; at < d; ++at) innovation[at] -= predicted[at];
  for (std::int64_t i = 0; i < streams; ++i) {
    float share = 1;
    for (std::int64_t k = 0; k < streams; ++k)
      share += layer.altup.correct_coef[static_cast<std::size_t>(i * streams + k)] * modes[static_cast<std::size_t>(k)];
    const float* prediction = Prediction(i, row);
    float* stream = Stream(i, row);
    for (std::int64_t at = 0; at < d; ++at) stream[at] = prediction[at] + share * innovation[at];
  }
  float* gate = normed_.values.data() + row * normed_.stride;
  for (std::int64_t at = 0; at < d; ++at)
    gate[at] = Stream(0, row)[at] * layer.altup.correct_scale[static_cast<std::size_t>(at)];
  Quantize(normed_, row, d);
}

// All streams but the first += norm(product_); then the next layer's predictions.
void Forward::AddLayerInput(Worker& worker, std::size_t index) {
  const LayerWeights& layer = model_->weights.layers[index];
  const ProfileScope scope = Measure(worker, Operation::kLayerInput, index);
  const std::int64_t d = config_->embedding_length;
  ForEachRow(worker, rows_, [&](std::int64_t row) {
    float* input = product_.data() + row * d;
    kernels_->rms_norm(input, layer.post_norm.data(), d, config_->norm_epsilon, input);
    for (std::int64_t i = 1; i < config_->altup_streams; ++i) kernels_->add(Stream(i, row), input, d);
    if (index + 1 < config_->layers.size()) PredictRow(worker, index + 1, row);
  });
}

// stream_ = mean of the first stream and projections of the others, as large as it is; for `count` rows from `first`
// on.
void Forward::MergeStreams(Worker& worker, std::int64_t first, std::int64_t count) {
  const std::int64_t d = config_->embedding_length;
  const std::int64_t streams = config_->altup_streams;
  ForEachRow(worker, count,
             [&](std::int64_t i) { std::copy_n(Stream(0, first + i), d, stream_.data() + (first + i) * d); });
  for (std::int64_t stream = 1; stream < streams; ++stream) {
    ForEachRow(worker, count, [&](std::int64_t i) { NormRow(Stream(stream, first + i), {}, head_input_, i); });
    const Matrix& projection = model_->weights.altup_unembd_proj[static_cast<std::size_t>(stream) - 1];
    Product(worker, projection, {}, head_input_, count, {product_.data(), d});
    ForEachRow(worker, count, [&](std::int64_t i) {
      float* projected = product_.data() + i * d;
      kernels_->scale(projected, FactorToMatch(projected, Stream(0, first + i), d), d);
      kernels_->add(stream_.data() + (first + i) * d, projected, d);
    });
  }
  ForEachRow(worker, count, [&](std::int64_t i) {
    kernels_->scale(stream_.data() + (first + i) * d, 1 / static_cast<float>(streams), d);
  });
}

}  // namespace slm
