#include "forward/forward_gemma3n.h"

#include <algorithm>
#include <array>
#include <cmath>

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

bool AltUpLayers::Allocate(WorkingMemory& memory) {
  const std::int64_t streams = context_->config.altup_streams;
  if (streams == 0) return true;
  std::int64_t rank = 0;
  for (const LayerWeights& layer : context_->weights.layers) rank = std::max(rank, layer.altup.laurel_l.rows);
  const std::int64_t d = context_->config.embedding_length;
  const auto floats = static_cast<std::size_t>(context_->max_rows * d);
  return memory.Allocate(streams_, static_cast<std::size_t>(streams) * floats) &&
         memory.Allocate(predictions_, static_cast<std::size_t>(streams) * floats) &&
         narrow_.Allocate(memory, context_->max_rows, rank) && memory.Allocate(laurel_, floats) &&
         memory.Allocate(routed_, static_cast<std::size_t>(context_->max_threads * d));
}

float* AltUpLayers::Stream(std::int64_t stream, std::int64_t row) {
  return streams_.data() + (stream * context_->max_rows + row) * context_->config.embedding_length;
}

float* AltUpLayers::Prediction(std::int64_t stream, std::int64_t row) {
  return predictions_.data() + (stream * context_->max_rows + row) * context_->config.embedding_length;
}

// The first stream is the embedding, which the input holds too; the others are projections of it, as large as it is.
void AltUpLayers::Begin(Worker& worker) {
  const std::int64_t d = context_->config.embedding_length;
  const std::vector<Matrix>& projections = context_->weights.altup_proj;
  for (std::size_t i = 0; i < projections.size(); ++i) {
    context_->Product(worker, projections[i], {}, context_->normed.rows(), context_->rows,
                      {Stream(static_cast<std::int64_t>(i) + 1, 0), d});
  }
  ForEachRow(worker, context_->rows, [&](std::int64_t row) {
    std::copy_n(context_->StreamRow(row), d, Stream(0, row));
    for (std::int64_t i = 1; i < context_->config.altup_streams; ++i) {
      context_->kernels.scale(Stream(i, row), FactorToMatch(Stream(i, row), Stream(0, row), d), d);
    }
    PredictRow(worker, 0, row);
  });
}

// Whoever wrote the streams last has predicted what they become.
void AltUpLayers::RunLayer(Worker& worker, std::size_t index, SubLayers& parts) {
  const ActivationRows input = context_->normed.rows();
  float* out = context_->product.data();
  Laurel(worker, index);
  parts.attention.Run(worker, index, input, out);
  AddAttention(worker, index);
  parts.feed_forward.Run(worker, index, input, out);
  Correct(worker, index);
  parts.layer_inputs.Run(worker, index, input, out);
  AddLayerInput(worker, index);
}

// modes = tanh(router (norm(x) / d))
void AltUpLayers::Route(const Worker& worker, const AltUpWeights& altup, const float* x, float* modes) {
  const std::int64_t d = context_->config.embedding_length;
  const std::int64_t streams = context_->config.altup_streams;
  float* routed = routed_.data() + worker.rank() * d;
  context_->kernels.rms_norm(x, altup.router_norm.data(), d, context_->config.norm_epsilon, routed);
  context_->kernels.scale(routed, 1 / static_cast<float>(d), d);
  const Matrix router = {.format = FindFormat(static_cast<std::uint32_t>(Format::kF32)),
                         .data = reinterpret_cast<const std::byte*>(altup.router.data()),
                         .columns = d,
                         .rows = streams,
                         .row_bytes = static_cast<std::size_t>(d) * sizeof(float)};
  context_->MatMul(worker, router, {}, {routed, d}, {0, streams}, 1, {modes, streams});
  for (std::int64_t i = 0; i < streams; ++i) modes[i] = std::tanh(modes[i]);
}

// prediction i = stream i + sum over j of (predict_coef modes)[i, j] * stream j; the input = norm(prediction 0)
void AltUpLayers::PredictRow(const Worker& worker, std::size_t index, std::int64_t row) {
  const LayerWeights& layer = context_->weights.layers[index];
  const std::int64_t d = context_->config.embedding_length;
  const std::int64_t streams = context_->config.altup_streams;
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
  context_->SetInput(Prediction(0, row), layer.attn_norm, row);
}

// laurel_ = right (left normed)
void AltUpLayers::Laurel(Worker& worker, std::size_t index) {
  const AltUpWeights& altup = context_->weights.layers[index].altup;
  ProfileScope scope = context_->Measure(worker, Operation::kLaurel, index);
  for (const Matrix* matrix : {&altup.laurel_l, &altup.laurel_r}) scope.AddCost(CostOf(*matrix, context_->rows));
  context_->Product(worker, altup.laurel_l, {}, context_->normed.rows(), context_->rows,
                    {narrow_.Row(0), narrow_.stride()});
  ForEachRow(worker, context_->rows,
             [&](std::int64_t row) { narrow_.Quantize(context_->kernels, row, altup.laurel_l.rows); });
  context_->Product(worker, altup.laurel_r, {}, narrow_.rows(), context_->rows,
                    {laurel_.data(), context_->config.embedding_length});
}

// the stream = (prediction 0 + norm(attention) + normed + norm(laurel)) / sqrt(2); the input = norm(the stream)
void AltUpLayers::AddAttention(Worker& worker, std::size_t index) {
  const LayerWeights& layer = context_->weights.layers[index];
  const ProfileScope scope = context_->Measure(worker, Operation::kAttnAddNorm, index);
  const std::int64_t d = context_->config.embedding_length;
  const float epsilon = context_->config.norm_epsilon;
  ForEachRow(worker, context_->rows, [&](std::int64_t row) {
    float* x = context_->StreamRow(row);
    float* attention = context_->ProductRow(row);
    float* laurel = laurel_.data() + row * d;
    context_->kernels.rms_norm(attention, layer.post_attention_norm.data(), d, epsilon, attention);
    context_->kernels.rms_norm(laurel, layer.altup.laurel_post_norm.data(), d, epsilon, laurel);
    std::copy_n(Prediction(0, row), d, x);
    context_->kernels.add(x, attention, d);
    context_->kernels.add(x, context_->normed.Row(row), d);
    context_->kernels.add(x, laurel, d);
    context_->kernels.scale(x, std::sqrt(0.5f), d);
    context_->SetInput(x, layer.ffn_norm, row);
  });
}

void AltUpLayers::Correct(Worker& worker, std::size_t index) {
  const ProfileScope scope = context_->Measure(worker, Operation::kFfnAddNorm, index);
  ForEachRow(worker, context_->rows, [&](std::int64_t row) { CorrectRow(worker, index, row); });
}

// computed = the stream + norm(ffn); stream i = prediction i + (correct_coef modes + 1)[i] * (computed - prediction 0);
// the input = stream 0 * correct_scale, the gate of the layer's input.
void AltUpLayers::CorrectRow(const Worker& worker, std::size_t index, std::int64_t row) {
  const LayerWeights& layer = context_->weights.layers[index];
  const std::int64_t d = context_->config.embedding_length;
  const std::int64_t streams = context_->config.altup_streams;
  float* innovation = context_->StreamRow(row);
  float* ffn = context_->ProductRow(row);
  context_->kernels.rms_norm(ffn, layer.post_ffw_norm.data(), d, context_->config.norm_epsilon, ffn);
  context_->kernels.add(innovation, ffn, d);
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
  float* gate = context_->normed.Row(row);
  for (std::int64_t at = 0; at < d; ++at)
    gate[at] = Stream(0, row)[at] * layer.altup.correct_scale[static_cast<std::size_t>(at)];
  context_->normed.Quantize(context_->kernels, row, d);
}

// All streams but the first += norm(the product); then the next layer's predictions.
void AltUpLayers::AddLayerInput(Worker& worker, std::size_t index) {
  const LayerWeights& layer = context_->weights.layers[index];
  const ProfileScope scope = context_->Measure(worker, Operation::kLayerInput, index);
  const std::int64_t d = context_->config.embedding_length;
  ForEachRow(worker, context_->rows, [&](std::int64_t row) {
    float* input = context_->ProductRow(row);
    context_->kernels.rms_norm(input, layer.post_norm.data(), d, context_->config.norm_epsilon, input);
    for (std::int64_t i = 1; i < context_->config.altup_streams; ++i) context_->kernels.add(Stream(i, row), input, d);
    if (index + 1 < context_->config.layers.size()) PredictRow(worker, index + 1, row);
  });
}

// the stream = mean of the first stream and projections of the others, as large as it is.
void AltUpLayers::Merge(Worker& worker, std::span<const LogitsRow> rows, Activations& input) {
  const auto count = std::ssize(rows);
  const auto row = [&](std::int64_t i) { return rows[static_cast<std::size_t>(i)].row; };
  const std::int64_t d = context_->config.embedding_length;
  const std::int64_t streams = context_->config.altup_streams;
  ForEachRow(worker, count, [&](std::int64_t i) { std::copy_n(Stream(0, row(i)), d, context_->StreamRow(row(i))); });
  for (std::int64_t stream = 1; stream < streams; ++stream) {
    ForEachRow(worker, count, [&](std::int64_t i) { context_->NormRow(Stream(stream, row(i)), {}, input, i); });
    const Matrix& projection = context_->weights.altup_unembd_proj[static_cast<std::size_t>(stream) - 1];
    context_->Product(worker, projection, {}, input.rows(), count, {context_->product.data(), d});
    ForEachRow(worker, count, [&](std::int64_t i) {
      float* projected = context_->ProductRow(i);
      context_->kernels.scale(projected, FactorToMatch(projected, Stream(0, row(i)), d), d);
      context_->kernels.add(context_->StreamRow(row(i)), projected, d);
    });
  }
  ForEachRow(worker, count, [&](std::int64_t i) {
    context_->kernels.scale(context_->StreamRow(row(i)), 1 / static_cast<float>(streams), d);
  });
}

}  // namespace slm
