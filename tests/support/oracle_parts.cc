#include "support/oracle_parts.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>
#include <vector>

namespace slm::test::oracle {

namespace {

using std::numbers::pi;

// Yarn's magnitude of a scaling factor.
double YarnMagnitude(double factor, double multiplier) {
  return factor <= 1 ? 1 : 0.1 * multiplier * std::log(factor) + 1;
}

// The (fractional) pair that turns `rotations` times within the original context.
double YarnPair(double rotations, double original_context, double base, Index dimensions) {
  return static_cast<double>(dimensions) * std::log(original_context / (2 * pi * rotations)) / (2 * std::log(base));
}

Rope ScaledByYarn(const OracleFile& file, Rope rope, double base, double factor) {
  const Index dimensions = 2 * rope.angles.size();
  const double original = file.Number("rope.scaling.original_context_length", file.Number("context_length"));
  const double beta_fast = file.Number("rope.scaling.yarn_beta_fast", 32);
  const double beta_slow = file.Number("rope.scaling.yarn_beta_slow", 1);
  const double low = std::max(0.0, std::floor(YarnPair(beta_fast, original, base, dimensions)));
  const double high =
      std::min(static_cast<double>(dimensions - 1), std::ceil(YarnPair(beta_slow, original, base, dimensions)));
  for (Index i = 0; i < rope.angles.size(); ++i) {
    const double ramp = (static_cast<double>(i) - low) / std::max(0.001, high - low);
    const double keep = 1 - std::clamp(ramp, 0.0, 1.0);
    rope.angles[i] = rope.angles[i] / factor * (1 - keep) + rope.angles[i] * keep;
  }
  const double multiplier = file.Number("rope.scaling.yarn_log_multiplier", 0);
  rope.magnitude *= YarnMagnitude(factor, 1);
  if (multiplier != 0) rope.magnitude /= YarnMagnitude(factor, multiplier);
  return rope;
}

// A divisor for each pair: Llama 3's factors, or one of longrope's two tables.
Vector RopeDivisors(const OracleFile& file, Index pairs, Index context_length) {
  if (file.HasTensor("rope_freqs.weight")) return file.Values("rope_freqs.weight");
  if (!file.HasTensor("rope_factors_long.weight")) return Vector::Ones(pairs);
  const bool is_long =
      context_length > file.Count("rope.scaling.original_context_length", file.Count("context_length"));
  return file.Values(is_long ? "rope_factors_long.weight" : "rope_factors_short.weight");
}

}  // namespace

Matrix Silu(const Matrix& x) { return x.array() / (1 + (-x.array()).exp()); }

Matrix GeluTanh(const Matrix& x) {
  return 0.5 * x.array() * (1 + (std::sqrt(2 / pi) * (x.array() + 0.044715 * x.array().cube())).tanh());
}

Matrix Softcap(const Matrix& x, double cap) { return cap * (x.array() / cap).tanh(); }

Matrix Softmax(const Matrix& x) {
  Matrix y(x.rows(), x.cols());
  for (Index row = 0; row < x.rows(); ++row) {
    y.row(row) = (x.row(row).array() - x.row(row).maxCoeff()).exp();
    y.row(row) /= y.row(row).sum();
  }
  return y;
}

Matrix RmsNorm(const Matrix& x, const Vector& weight, double epsilon) {
  Matrix y(x.rows(), x.cols());
  for (Index row = 0; row < x.rows(); ++row) {
    const double mean_square = x.row(row).squaredNorm() / static_cast<double>(x.cols());
    y.row(row) = x.row(row).cwiseProduct(weight) / std::sqrt(mean_square + epsilon);
  }
  return y;
}

Matrix RmsNorm(const Matrix& x, double epsilon) { return RmsNorm(x, Vector::Ones(x.cols()), epsilon); }

Matrix RmsNormHeads(const Matrix& x, const Vector& weight, double epsilon) {
  Matrix y(x.rows(), x.cols());
  for (Index at = 0; at < x.cols(); at += weight.size()) {
    y.middleCols(at, weight.size()) = RmsNorm(x.middleCols(at, weight.size()), weight, epsilon);
  }
  return y;
}

Matrix Linear(const OracleFile& file, const Matrix& x, const std::string& name) {
  Matrix y = x * file.Weight(name + ".weight").transpose();
  if (file.HasTensor(name + ".bias")) y.rowwise() += file.Values(name + ".bias");
  return y;
}

Vector RopeAngles(double base, Index dimensions) {
  Vector angles(dimensions / 2);
  for (Index i = 0; i < angles.size(); ++i) {
    angles[i] = std::pow(base, -2 * static_cast<double>(i) / static_cast<double>(dimensions));
  }
  return angles;
}

Rope ScaledRope(const OracleFile& file, Rope::Pairs pairs, double base, Index dimensions, Index context_length) {
  Rope rope = {.pairs = pairs, .angles = RopeAngles(base, dimensions)};
  rope.magnitude = file.Number("rope.scaling.attn_factor", 1);
  const std::string type = file.Text("rope.scaling.type", "linear");
  double factor = file.Number("rope.scaling.factor", file.Number("rope.scale_linear", 0));
  if (factor == 0) factor = 1;
  if (type == "linear") {
    rope.angles /= factor;
  } else if (type == "yarn") {
    rope = ScaledByYarn(file, rope, base, factor);
  } else if (type != "none" && type != "longrope") {
    throw std::runtime_error("oracle: unknown rope.scaling.type " + type);
  }
  rope.angles = rope.angles.cwiseQuotient(RopeDivisors(file, rope.angles.size(), context_length)).eval();
  return rope;
}

Matrix Rotate(const Matrix& x, Index head_length, const Rope& rope) {
  Matrix y = x;
  const Index pairs = rope.angles.size();
  const bool halves = rope.pairs == Rope::kHalves;
  for (Index position = 0; position < x.rows(); ++position) {
    for (Index head = 0; head < x.cols(); head += head_length) {
      for (Index i = 0; i < pairs; ++i) {
        const Index first = head + (halves ? i : 2 * i);
        const Index second = head + (halves ? i + pairs : 2 * i + 1);
        const double angle = static_cast<double>(position) * rope.angles[i];
        const double cosine = rope.magnitude * std::cos(angle);
        const double sine = rope.magnitude * std::sin(angle);
        y(position, first) = x(position, first) * cosine - x(position, second) * sine;
        y(position, second) = x(position, first) * sine + x(position, second) * cosine;
      }
    }
  }
  return y;
}

Matrix Attention(const Matrix& queries, const Matrix& keys, const Matrix& values, const AttentionShape& shape,
                 const AttentionRule& rule) {
  const Index tokens = queries.rows();
  const Index group = shape.heads / shape.kv_heads;
  Matrix output(tokens, shape.heads * shape.value_length);
  for (Index head = 0; head < shape.heads; ++head) {
    const auto q = queries.middleCols(head * shape.key_length, shape.key_length);
    const auto k = keys.middleCols(head / group * shape.key_length, shape.key_length);
    const auto v = values.middleCols(head / group * shape.value_length, shape.value_length);
    Matrix scores = rule.scale * (q * k.transpose());
    if (rule.softcap != 0) scores = Softcap(scores, rule.softcap);
    for (Index p = 0; p < tokens; ++p) {
      for (Index t = 0; t < tokens; ++t) {
        const bool visible = t <= p && (rule.window == 0 || p - t < rule.window);
        if (!visible) scores(p, t) = -std::numeric_limits<double>::infinity();
      }
    }
    output.middleCols(head * shape.value_length, shape.value_length) = Softmax(scores) * v;
  }
  return output;
}

bool SlidesInGroups(Index layer, Index group) { return group == 0 || layer % group < group - 1; }

bool Slides(const OracleFile& file, Index layer, Index default_group) {
  const char* key = "attention.sliding_window_pattern";
  if (file.IsArray(key)) return file.LayerNumber(key, layer) != 0;
  return SlidesInGroups(layer, file.Count(key, default_group));
}

Matrix FeedForward(const OracleFile& file, const Matrix& x, Index layer, Activation activation) {
  const Matrix gate = Linear(file, x, LayerTensor(layer, "ffn_gate"));
  const Matrix up = Linear(file, x, LayerTensor(layer, "ffn_up"));
  return Linear(file, activation(gate).cwiseProduct(up), LayerTensor(layer, "ffn_down"));
}

Matrix TopExperts(const Matrix& probabilities, Index used) {
  Matrix weights = Matrix::Zero(probabilities.rows(), probabilities.cols());
  for (Index token = 0; token < probabilities.rows(); ++token) {
    Vector left = probabilities.row(token);
    for (Index i = 0; i < used; ++i) {
      Index best = 0;
      left.maxCoeff(&best);
      weights(token, best) = probabilities(token, best);
      left[best] = -1;
    }
    weights.row(token) /= weights.row(token).sum();
  }
  return weights;
}

namespace {

struct Expert {
  Matrix gate;
  Matrix up;
  Matrix down;
};

Expert ReadExpert(const OracleFile& file, Index layer, Index index) {
  const auto stacked = [&](const char* name) { return file.Weight(LayerTensor(layer, name), index); };
  const auto single = [&](const std::string& name) {
    return file.Weight(LayerTensor(layer, name + "." + std::to_string(index) + ".weight"));
  };
  if (file.HasTensor(LayerTensor(layer, "ffn_gate_up_exps.weight"))) {
    const Matrix both = stacked("ffn_gate_up_exps.weight");
    const Index width = both.rows() / 2;
    return {both.topRows(width), both.bottomRows(width), stacked("ffn_down_exps.weight")};
  }
  if (file.HasTensor(LayerTensor(layer, "ffn_gate_exps.weight"))) {
    return {stacked("ffn_gate_exps.weight"), stacked("ffn_up_exps.weight"), stacked("ffn_down_exps.weight")};
  }
  return {single("ffn_gate"), single("ffn_up"), single("ffn_down")};
}

}  // namespace

Matrix Experts(const OracleFile& file, const Matrix& x, const Matrix& weights, Index layer, Activation activation) {
  Matrix sum = Matrix::Zero(x.rows(), x.cols());
  for (Index e = 0; e < weights.cols(); ++e) {
    const Expert expert = ReadExpert(file, layer, e);
    const Matrix gate = x * expert.gate.transpose();
    const Matrix up = x * expert.up.transpose();
    const Matrix output = activation(gate).cwiseProduct(up) * expert.down.transpose();
    sum += weights.col(e).asDiagonal() * output;
  }
  return sum;
}

Matrix OutputLogits(const OracleFile& file, const Matrix& x, double epsilon, double softcap) {
  const Matrix normed = RmsNorm(x, file.Values("output_norm.weight"), epsilon);
  const bool tied = !file.HasTensor("output.weight");
  const Matrix logits = Linear(file, normed, tied ? "token_embd" : "output");
  return softcap == 0 ? logits : Softcap(logits, softcap);
}

}  // namespace slm::test::oracle
