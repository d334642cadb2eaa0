#include "support/oracle.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <string_view>

#include "support/oracle_families.h"

namespace slm::test::oracle {

namespace {

template <std::size_t N>
bool IsOneOf(std::string_view name, const std::array<std::string_view, N>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

AttentionShape ReadAttentionShape(const OracleFile& file, Index layer) {
  const Index heads = file.LayerCount("attention.head_count", layer);
  const Index share = file.Count("embedding_length") / heads;
  return {.heads = heads,
          .kv_heads = file.LayerCount("attention.head_count_kv", layer, heads),
          .key_length = file.Count("attention.key_length", share),
          .value_length = file.Count("attention.value_length", share)};
}

struct Projections {
  Matrix queries;
  Matrix keys;
  Matrix values;
};

// Queries, keys and values from tensors of their own, or from one that holds the rows of all three.
Projections Project(const OracleFile& file, const Matrix& x, Index layer, const AttentionShape& shape) {
  if (!file.HasTensor(LayerTensor(layer, "attn_qkv.weight"))) {
    return {Linear(file, x, LayerTensor(layer, "attn_q")), Linear(file, x, LayerTensor(layer, "attn_k")),
            Linear(file, x, LayerTensor(layer, "attn_v"))};
  }
  const Matrix all = Linear(file, x, LayerTensor(layer, "attn_qkv"));
  const Index q = shape.heads * shape.key_length;
  const Index k = shape.kv_heads * shape.key_length;
  const Index v = shape.kv_heads * shape.value_length;
  return {all.leftCols(q), all.middleCols(q, k), all.rightCols(v)};
}

// Queries and keys of every head, if the layer has such norms.
void NormHeads(const OracleFile& file, Projections& heads, Index layer, double epsilon) {
  heads.queries = RmsNormHeads(heads.queries, file.Values(LayerTensor(layer, "attn_q_norm.weight")), epsilon);
  heads.keys = RmsNormHeads(heads.keys, file.Values(LayerTensor(layer, "attn_k_norm.weight")), epsilon);
}

double Epsilon(const OracleFile& file) { return file.Number("attention.layer_norm_rms_epsilon"); }

// Phi-3 keeps the rows of gate and up in one tensor, the gate's first.
Matrix FusedFeedForward(const OracleFile& file, const Matrix& x, Index layer) {
  const Matrix both = Linear(file, x, LayerTensor(layer, "ffn_up"));
  const Index width = both.cols() / 2;
  const Matrix gated = Silu(both.leftCols(width)).cwiseProduct(both.rightCols(width));
  return Linear(file, gated, LayerTensor(layer, "ffn_down"));
}

Matrix LlamaFeedForward(const OracleFile& file, const Matrix& x, Index layer) {
  if (file.architecture() == "phi3") return FusedFeedForward(file, x, layer);
  if (file.Count("expert_count", 0) == 0) return FeedForward(file, x, layer, Silu);
  const Matrix probabilities = Softmax(Linear(file, x, LayerTensor(layer, "ffn_gate_inp")));
  const Matrix weights = TopExperts(probabilities, file.LayerCount("expert_used_count", layer));
  return Experts(file, x, weights, layer, Silu);
}

// Mistral 3 makes queries larger with every original context's length that lies before them.
Matrix Tempered(const OracleFile& file, Matrix queries) {
  const double beta = file.Number("attention.temperature_scale", 0);
  if (beta == 0) return queries;
  const double original = file.Number("rope.scaling.original_context_length");
  for (Index p = 0; p < queries.rows(); ++p) {
    queries.row(p) *= 1 + beta * std::log(1 + std::floor(static_cast<double>(p) / original));
  }
  return queries;
}

}  // namespace

Matrix LlamaLogits(const OracleFile& file, std::span<const Token> tokens, Index context_length) {
  const std::string_view name = file.architecture();
  const bool interleaved = IsOneOf(name, std::array<std::string_view, 4>{"llama", "mistral3", "smollm3", "granite"});
  const bool head_norms = IsOneOf(name, std::array<std::string_view, 2>{"qwen3", "qwen3moe"});
  const double epsilon = Epsilon(file);
  const bool scales = name == "granite";
  const double residual_scale = scales ? file.Number("residual_scale") : 1;

  Matrix x = (scales ? file.Number("embedding_scale") : 1) * file.Rows("token_embd.weight", tokens);
  for (Index layer = 0; layer < file.layers(); ++layer) {
    const AttentionShape shape = ReadAttentionShape(file, layer);
    Projections heads =
        Project(file, RmsNorm(x, file.Values(LayerTensor(layer, "attn_norm.weight")), epsilon), layer, shape);
    if (head_norms) NormHeads(file, heads, layer, epsilon);
    if (name != "smollm3" || (layer + 1) % 4 != 0) {
      const Rope rope =
          ScaledRope(file, interleaved ? Rope::kInterleaved : Rope::kHalves, file.Number("rope.freq_base", 10000),
                     file.Count("rope.dimension_count", shape.key_length), context_length);
      heads.queries = Rotate(heads.queries, shape.key_length, rope);
      heads.keys = Rotate(heads.keys, shape.key_length, rope);
    }
    if (name == "mistral3") heads.queries = Tempered(file, heads.queries);
    const double root = std::sqrt(static_cast<double>(shape.key_length));
    const AttentionRule rule = {.scale = scales ? file.Number("attention.scale") : 1 / root,
                                .window = Slides(file, layer, 0) ? file.Count("attention.sliding_window", 0) : 0};
    const Matrix attended = Attention(heads.queries, heads.keys, heads.values, shape, rule);
    x += residual_scale * Linear(file, attended, LayerTensor(layer, "attn_output"));
    const Matrix normed = RmsNorm(x, file.Values(LayerTensor(layer, "ffn_norm.weight")), epsilon);
    x += residual_scale * LlamaFeedForward(file, normed, layer);
  }
  return OutputLogits(file, x, epsilon, 0) / (scales ? file.Number("logit_scale") : 1);
}

namespace {

// What the versions of Gemma up to 3 differ in.
struct GemmaRules {
  int version = 1;
  double attention_softcap = 0;
  double final_softcap = 0;
  Index window = 0;
  Index window_group = 1;            // of sliding layers and a global one
  Index layers_scaled_by_width = 0;  // the 27B model's number of layers
};

GemmaRules ReadGemmaRules(const OracleFile& file) {
  if (file.architecture() == "gemma") return {};
  if (file.architecture() == "gemma2") {
    return {.version = 2,
            .attention_softcap = file.Number("attn_logit_softcapping", 50),
            .final_softcap = file.Number("final_logit_softcapping", 30),
            .window = file.Count("attention.sliding_window", 4096),
            .window_group = 2,
            .layers_scaled_by_width = 46};
  }
  return {.version = 3,
          .final_softcap = file.Number("final_logit_softcapping", 0),
          .window = file.Count("attention.sliding_window"),
          .window_group = 6,
          .layers_scaled_by_width = 62};
}

// Gemma 3's scaling is for its global layers; the sliding ones have a base of their own.
Rope GemmaRope(const OracleFile& file, const GemmaRules& rules, Index key_length, bool slides, Index context_length) {
  const double base = file.Number("rope.freq_base", rules.version < 3 ? 10000 : 1e6);
  const Index dimensions = file.Count("rope.dimension_count", key_length);
  if (rules.version < 3 || !slides) return ScaledRope(file, Rope::kHalves, base, dimensions, context_length);
  return {.pairs = Rope::kHalves, .angles = RopeAngles(file.Number("rope.freq_base_swa", 10000), dimensions)};
}

}  // namespace

Matrix GemmaLogits(const OracleFile& file, std::span<const Token> tokens, Index context_length) {
  const GemmaRules rules = ReadGemmaRules(file);
  const double epsilon = Epsilon(file);
  const auto norm = [&](const Matrix& x, Index layer, const char* name) {
    return RmsNorm(x, file.Values(LayerTensor(layer, name)), epsilon);
  };
  const auto d = static_cast<double>(file.Count("embedding_length"));

  Matrix x = std::sqrt(d) * file.Rows("token_embd.weight", tokens);
  for (Index layer = 0; layer < file.layers(); ++layer) {
    const AttentionShape shape = ReadAttentionShape(file, layer);
    const bool slides = rules.window != 0 && Slides(file, layer, rules.window_group);
    Projections heads = Project(file, norm(x, layer, "attn_norm.weight"), layer, shape);
    if (rules.version == 3) NormHeads(file, heads, layer, epsilon);
    const Rope rope = GemmaRope(file, rules, shape.key_length, slides, context_length);
    const bool by_width = file.layers() == rules.layers_scaled_by_width;
    const double divisor = by_width ? d / static_cast<double>(shape.heads) : static_cast<double>(shape.key_length);
    const AttentionRule rule = {.scale = file.Number("attention.scale", 1 / std::sqrt(divisor)),
                                .softcap = rules.attention_softcap,
                                .window = slides ? rules.window : 0};
    Matrix attended = Attention(Rotate(heads.queries, shape.key_length, rope),
                                Rotate(heads.keys, shape.key_length, rope), heads.values, shape, rule);
    attended = Linear(file, attended, LayerTensor(layer, "attn_output"));
    x += rules.version == 1 ? attended : norm(attended, layer, "post_attention_norm.weight");
    const Matrix fed = FeedForward(file, norm(x, layer, "ffn_norm.weight"), layer, GeluTanh);
    x += rules.version == 1 ? fed : norm(fed, layer, "post_ffw_norm.weight");
  }
  return OutputLogits(file, x, epsilon, rules.final_softcap);
}

Matrix Logits(const GgufFile& gguf, std::span<const Token> tokens, const Options& options) {
  const OracleFile file(gguf);
  const std::string_view name = file.architecture();
  if (IsOneOf(name, std::array<std::string_view, 8>{"llama", "mistral3", "smollm3", "qwen2", "qwen3", "qwen3moe",
                                                    "phi3", "granite"}))
    return LlamaLogits(file, tokens, options.context_length);
  if (IsOneOf(name, std::array<std::string_view, 3>{"gemma", "gemma2", "gemma3"}))
    return GemmaLogits(file, tokens, options.context_length);
  if (name == "gemma3n") return Gemma3nLogits(file, tokens);
  if (name == "gemma4") return Gemma4Logits(file, tokens);
  throw std::runtime_error("oracle: unknown architecture " + std::string(name));
}

}  // namespace slm::test::oracle
