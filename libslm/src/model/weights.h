// The weights of a model, bound to the tensors of its file.

#ifndef SLM_MODEL_WEIGHTS_H_
#define SLM_MODEL_WEIGHTS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "file/gguf.h"
#include "formats.h"
#include "model/model_config.h"
#include "slm/log.h"
#include "slm/status.h"

namespace slm {

// A matrix of the file: `rows` rows of `columns` weights, read where the file is mapped. y = W x has `rows` entries.
struct Matrix {
  const FormatInfo* format = nullptr;
  const std::byte* data = nullptr;
  std::int64_t columns = 0;
  std::int64_t rows = 0;
  std::size_t row_bytes = 0;

  bool present() const { return data != nullptr; }
  std::size_t bytes() const { return static_cast<std::size_t>(rows) * row_bytes; }
  bool multiplies_floats() const { return format->activation == Activation::kFloat; }  // and int8 blocks otherwise
};

// A small tensor, kept as floats whatever its format. Empty where an optional tensor is absent.
using Vector = std::vector<float>;

// What a layer of ResidualWiring::kAltUp has besides; `n` is the number of streams.
struct AltUpWeights {
  Vector router_norm;    // [d]
  Vector router;         // [n, d]
  Vector predict_coef;   // [n * n, n]
  Vector correct_coef;   // [n, n]
  Vector correct_scale;  // [d]
  Matrix laurel_l;       // [rank, d]
  Matrix laurel_r;       // [d, rank]
  Vector laurel_post_norm;
};

// One of the experts of a layer's feed-forward.
struct Expert {
  Matrix gate;      // [expert ff, d]
  Matrix up;        // [expert ff, d]
  Matrix down;      // [d, expert ff]
  float scale = 1;  // of its output
};

// Where a file has experts. Each is read where it is mapped; nothing says that they follow each other.
struct ExpertWeights {
  Matrix router;                // [experts, d]
  std::vector<Expert> experts;  // empty: the layer has none
  // Of experts beside a dense feed-forward: the norms of what the router and the experts read from the stream, and of
  // what the dense feed-forward and the experts give.
  Vector router_norm;      // [d]
  Vector input_norm;       // [d]
  Vector dense_post_norm;  // [d]
  Vector post_norm;        // [d]
};

struct LayerWeights {
  Vector attn_norm;    // [d]
  Matrix attn_q;       // [heads * key_length, d]
  Matrix attn_k;       // [kv_heads * key_length, d]; absent, with the next, where another layer's cache is read
  Matrix attn_v;       // [kv_heads * value_length, d]; absent where keys are the values
  Matrix attn_output;  // [d, heads * value_length]
  Vector attn_q_bias;  // optional, as long as the product's rows; likewise the next three
  Vector attn_k_bias;
  Vector attn_v_bias;
  Vector attn_output_bias;
  Vector attn_q_norm;          // [key_length], with query_key_norm
  Vector attn_k_norm;          // [key_length], with query_key_norm
  Vector post_attention_norm;  // [d], with post_norms
  Vector ffn_norm;             // [d]
  Matrix ffn_gate;             // [ff, d], unless experts take its place; likewise the next two
  Matrix ffn_up;               // [ff, d]
  Matrix ffn_down;             // [d, ff]
  ExpertWeights ffn_experts;
  Vector post_ffw_norm;  // [d], with post_norms
  Matrix inp_gate;       // [per_layer_width, d], with per-layer inputs; likewise the next two
  Matrix proj;           // [d, per_layer_width]
  Vector post_norm;      // [d]
  Vector output_scale;   // [1], with layer_output_scale
  AltUpWeights altup;
};

struct Weights {
  Matrix token_embd;   // [vocab, d]
  Matrix output;       // [vocab, d]; the embedding where the file has no output.weight of its own
  Vector output_norm;  // [d]
  // [rope dimensions / 2], optional: divide the angle of each pair where scaling does. The factors come together, one
  // for contexts longer than the original and one for others, and give way to rope_freqs.
  Vector rope_freqs;
  Vector rope_factors_long;
  Vector rope_factors_short;
  Matrix per_layer_token_embd;     // [vocab, layers * per_layer_width], with per-layer inputs; likewise the next two
  Matrix per_layer_model_proj;     // [layers * per_layer_width, d]
  Vector per_layer_proj_norm;      // [per_layer_width]
  std::vector<Matrix> altup_proj;  // [d, d] for each stream but the first; likewise the next
  std::vector<Matrix> altup_unembd_proj;
  std::vector<LayerWeights> layers;

  // Counted where tensors are bound, so that none can be left out.
  std::int64_t most_columns = 0;      // of a row of any tensor: no product needs more scratch than one of these
  std::uint64_t bytes_per_token = 0;  // read to generate one
};

// Third fence: finds every tensor the configuration asks for and checks its shape, format and size. kCorruptFile names
// the tensor, the shape wanted and found; kUnsupported names a format that is not known, or a tensor the graph has no
// use for. What belongs to vision or audio, by its prefix, is left aside with one warning.
Result<Weights> BindWeights(const GgufFile& file, const ModelConfig& config, const LogCallback& log = {});

}  // namespace slm

#endif  // SLM_MODEL_WEIGHTS_H_
