#include <array>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "support/oracle_families.h"
#include "support/oracle_gemma_parts.h"
#include "support/oracle_parts.h"

namespace slm::test::oracle {

namespace {

constexpr double kMeanSquareFloor = 1e-5;
constexpr Index kDefaultWindowGroup = 5;
using Streams = std::vector<Matrix>;

// One layer's view of the file.
struct Layer {
  const OracleFile& file;
  Index index = 0;
  double epsilon = 0;

  std::string Name(const char* name) const { return LayerTensor(index, name); }
  Matrix Norm(const Matrix& x, const char* name) const { return RmsNorm(x, file.Values(Name(name)), epsilon); }
  Matrix Linear(const Matrix& x, const char* name) const { return oracle::Linear(file, x, Name(name)); }
};

Vector MeanSquares(const Matrix& x) { return x.rowwise().squaredNorm().transpose() / static_cast<double>(x.cols()); }

// x with each row as large as that of `like`.
Matrix Rescaled(const Matrix& x, const Matrix& like) {
  const Vector target = MeanSquares(like).cwiseSqrt();
  const Vector current = MeanSquares(x).cwiseMax(kMeanSquareFloor).cwiseSqrt();
  return target.cwiseQuotient(current).asDiagonal() * x;
}

Streams SplitStreams(const OracleFile& file, const Matrix& embedded) {
  Streams streams = {embedded};
  for (Index i = 1; i < file.Count("altup.num_inputs"); ++i) {
    streams.push_back(Rescaled(embedded * file.Weight("altup_proj.weight", i - 1).transpose(), embedded));
  }
  return streams;
}

Matrix MergeStreams(const OracleFile& file, const Streams& streams) {
  Matrix sum = streams[0];
  for (std::size_t i = 1; i < streams.size(); ++i) {
    const Matrix weight = file.Weight("altup_unembd_proj.weight", static_cast<Index>(i) - 1);
    sum += Rescaled(streams[i] * weight.transpose(), streams[0]);
  }
  return sum / static_cast<double>(streams.size());
}

// tanh(router(rms(x) / d)): a number for each stream.
Matrix Route(const Layer& layer, const Matrix& x) {
  const Matrix normed = layer.Norm(x, "altup_router_norm.weight") / static_cast<double>(x.cols());
  return layer.Linear(normed, "altup_router").array().tanh();
}

// p_i = H_i + sum_j C[i][j] H_j
Streams Predict(const Layer& layer, const Streams& streams) {
  const auto count = static_cast<Index>(streams.size());
  const Matrix coefficients = layer.Linear(Route(layer, streams[0]), "altup_predict_coef");
  Streams predictions = streams;
  for (Index i = 0; i < count; ++i) {
    for (Index j = 0; j < count; ++j) {
      predictions[static_cast<std::size_t>(i)] +=
          coefficients.col(i * count + j).asDiagonal() * streams[static_cast<std::size_t>(j)];
    }
  }
  return predictions;
}

// H_i = p_i + c_i * (output - p_0)
Streams Correct(const Layer& layer, const Streams& predictions, const Matrix& output) {
  const Matrix coefficients = layer.Linear(Route(layer, output), "altup_correct_coef").array() + 1;
  const Matrix innovation = output - predictions[0];
  Streams streams = predictions;
  for (std::size_t i = 0; i < streams.size(); ++i) {
    streams[i] += coefficients.col(static_cast<Index>(i)).asDiagonal() * innovation;
  }
  return streams;
}

Matrix Laurel(const Layer& layer, const Matrix& x) {
  const Matrix low_rank = layer.Linear(layer.Linear(x, "laurel_l"), "laurel_r");
  return x + layer.Norm(low_rank, "laurel_post_norm.weight");
}

// Gates below `multiplier` standard deviations above their mean become 0.
Matrix Sparsified(const Matrix& gates, double multiplier) {
  Matrix y(gates.rows(), gates.cols());
  for (Index row = 0; row < gates.rows(); ++row) {
    const auto g = gates.row(row).array();
    const double deviation = std::sqrt((g - g.mean()).square().mean());
    y.row(row) = (g - (g.mean() + multiplier * deviation)).max(0);
  }
  return y;
}

double Sparsity(const OracleFile& file, Index layer) {
  const double multiplier = file.LayerNumber("activation_sparsity_scale", layer);
  return std::isfinite(multiplier) ? multiplier : 0;  // the multiplier of no sparsity is -infinity, also written as 0
}

Matrix SparseFeedForward(const Layer& layer, const Matrix& x) {
  Matrix gate = layer.Linear(x, "ffn_gate");
  if (const double multiplier = Sparsity(layer.file, layer.index); multiplier != 0) {
    gate = Sparsified(gate, multiplier);
  }
  return layer.Linear(GeluTanh(gate).cwiseProduct(layer.Linear(x, "ffn_up")), "ffn_down");
}

// Attention of n, with keys and values computed here or, in the last layers, those of an earlier one.
Matrix SharedAttention(const Layer& layer, const Matrix& n, std::vector<KeysAndValues>& cache) {
  const OracleFile& file = layer.file;
  const Index head_length = file.Count("attention.key_length");
  const Index heads = file.LayerCount("attention.head_count", layer.index);
  const AttentionShape shape = {.heads = heads,
                                .kv_heads = file.LayerCount("attention.head_count_kv", layer.index, heads),
                                .key_length = head_length,
                                .value_length = head_length};
  const bool slides = Slides(file, layer.index, kDefaultWindowGroup);
  const Rope rope = {
      .pairs = Rope::kHalves,
      .angles =
          RopeAngles(slides ? file.Number("rope.freq_base_swa", 10000) : file.Number("rope.freq_base"), head_length)};
  const auto rotated = [&](const char* projection, const char* norm) {
    const Vector weight = file.Values(layer.Name(norm));
    return Rotate(RmsNormHeads(layer.Linear(n, projection), weight, layer.epsilon), head_length, rope);
  };
  const Index source = KeyValueSource(file, layer.index, kDefaultWindowGroup);
  if (source == layer.index) {
    cache.push_back({rotated("attn_k", "attn_k_norm.weight"),
                     RmsNormHeads(layer.Linear(n, "attn_v"), Vector::Ones(head_length), layer.epsilon)});
  }
  const KeysAndValues& kv = cache[static_cast<std::size_t>(source)];
  const AttentionRule rule = {.scale = 1, .window = slides ? file.Count("attention.sliding_window") : 0};
  const Matrix queries = rotated("attn_q", "attn_q_norm.weight");
  return layer.Linear(Attention(queries, kv.keys, kv.values, shape, rule), "attn_output");
}

// The first stream's way through attention, LAuReL and the feed-forward network.
Matrix ActiveOutput(const Layer& layer, const Matrix& predicted, std::vector<KeysAndValues>& cache) {
  const Matrix n = layer.Norm(predicted, "attn_norm.weight");
  const Matrix laurel = Laurel(layer, n);
  const Matrix attended = layer.Norm(SharedAttention(layer, n, cache), "post_attention_norm.weight");
  const Matrix t = (predicted + attended + laurel) / std::numbers::sqrt2;
  const Matrix fed = SparseFeedForward(layer, layer.Norm(t, "ffn_norm.weight"));
  return t + layer.Norm(fed, "post_ffw_norm.weight");
}

// What the layer's own embedding of the tokens adds to all streams but the first.
Matrix FromPerLayerInput(const Layer& layer, const Matrix& first, const Matrix& per_layer_input) {
  Matrix z = first * layer.file.Values(layer.Name("altup_correct_scale.weight")).asDiagonal();
  z = GeluTanh(layer.Linear(z, "inp_gate")).cwiseProduct(per_layer_input);
  return layer.Norm(layer.Linear(z, "proj"), "post_norm.weight");
}

}  // namespace

Matrix Gemma3nLogits(const OracleFile& file, std::span<const Token> tokens) {
  const double epsilon = file.Number("attention.layer_norm_rms_epsilon");
  const auto d = static_cast<double>(file.Count("embedding_length"));
  const Index per_layer_length = file.Count("embedding_length_per_layer_input");

  const Matrix embedded = std::sqrt(d) * file.Rows("token_embd.weight", tokens);
  const std::vector<Matrix> per_layer = PerLayerInputs(file, embedded, tokens, per_layer_length, epsilon);
  Streams streams = SplitStreams(file, embedded);
  std::vector<KeysAndValues> cache;
  for (Index index = 0; index < file.layers(); ++index) {
    const Layer layer = {.file = file, .index = index, .epsilon = epsilon};
    const Streams predictions = Predict(layer, streams);
    streams = Correct(layer, predictions, ActiveOutput(layer, predictions[0], cache));
    const Matrix extra = FromPerLayerInput(layer, streams[0], per_layer[static_cast<std::size_t>(index)]);
    for (std::size_t i = 1; i < streams.size(); ++i) streams[i] += extra;
  }
  return OutputLogits(file, MergeStreams(file, streams), epsilon, file.Number("final_logit_softcapping"));
}

}  // namespace slm::test::oracle
