// A model as numbers and enums: everything the forward pass needs to know besides the weights.
//
// The table in arch_table.cc says what an architecture's graph looks like; the file says how large it is. Nothing below
// this struct asks which architecture it runs.

#ifndef SLM_MODEL_MODEL_CONFIG_H_
#define SLM_MODEL_MODEL_CONFIG_H_

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "file/gguf.h"
#include "kernels.h"
#include "slm/status.h"
#include "text/tokenizer_load.h"

namespace slm {

enum class FfnActivation : std::uint8_t { kSilu, kGeluTanh };

// How sub-layers are wired to the residual stream.
enum class ResidualWiring : std::uint8_t {
  kPlain,  // x += attention(norm(x)); x += ffn(norm(x))
  kAltUp,  // several streams, of which one is computed and the others are predicted and corrected (Gemma 3n)
};

// Whether the feed-forward sub-layers of an architecture are mixtures of experts.
enum class Experts : std::uint8_t {
  kNone,         // never: a file that counts experts is refused
  kOptional,     // where the file counts some, each as wide as feed_forward_length unless the file says otherwise
  kAlways,       // those a row uses are together as wide as feed_forward_length unless the file says otherwise
  kBesideDense,  // where the file counts some, beside a dense feed-forward
};

// In a row of the architecture table: nothing stands for this number, files must hold it.
inline constexpr std::int32_t kInFile = -1;

inline constexpr std::int32_t kMaxAltUpStreams = 8;

// One row of the architecture table: the shape of the graph, and the values files of this architecture leave out, which
// are those of its configuration class in HF transformers. A row says what differs from the plain case.
struct Architecture {
  std::string_view name;  // general.architecture
  RopePairs rope_pairs;
  FfnActivation activation;
  ResidualWiring wiring = ResidualWiring::kPlain;

  // The stream.
  bool scales_embedding = false;    // the embedding is multiplied by sqrt(embedding_length)
  bool scales_in_file = false;      // of embedding, scores, what joins the stream, and logits: none may be left out
  bool post_norms = false;          // RMS norm of each sub-layer's output before it joins the residual stream
  bool layer_output_scale = false;  // the stream is multiplied by a number of the layer at its end
  double final_softcap = 0;         // of the logits, if the file has none; 0: none
  // Width of the input that each layer gets of each token, if the file does not say; kInFile: it must.
  std::int32_t per_layer_width = 0;

  // Attention.
  bool fused_projections = false;     // queries, keys and values are one matrix; gate and up are one
  bool query_key_value_bias = false;  // must be in the file; other architectures may have them
  bool query_key_norm = false;        // RMS norm of every query and key head before RoPE
  bool value_norm = false;            // RMS norm of every value head, without weights
  bool keys_as_values = false;        // global layers without attn_v take the keys, before their norm, as values
  double attention_scale = 0;         // 0: 1 / sqrt(key_length)
  double attention_softcap = 0;       // if the file has none; 0: none
  // How many of the last layers read the cache of an earlier one, if the file does not say; kInFile: it must.
  std::int32_t shared_kv_layers = 0;
  // A model of this many layers divides its queries by sqrt(embedding_length / heads) instead of sqrt(key_length): the
  // file has no key for it. 0: none.
  std::int32_t layers_scaling_by_width = 0;

  Experts experts = Experts::kNone;

  // Windows. Sliding layers come in groups of window_pattern layers of which the last is global, unless the file says
  // otherwise; 0: every layer slides. kInFile is possible in both; the pattern counts only where there is a window.
  std::int32_t window = 0;  // positions a sliding layer sees; 0: none slides unless the file has a window
  std::int32_t window_pattern = 0;

  // RoPE.
  double rope_base = kInFile;             // base if a file without experts has none (Mixtral's is not Llama's)
  double rope_base_sliding = 0;           // base on sliding layers if the file has none; 0: as on global layers
  bool rope_scaling_global_only = false;  // scaling and divisors do not apply to sliding layers
  bool rope_divisors_in_file = false;     // rope_freqs.weight must be in the file
  bool yarn_queries_grow = false;         // a file with YaRN must have its log multiplier and a query temperature
  std::int32_t no_rope_interval = 0;      // every n-th layer does not rotate; 0: all do

  TokenizerQuirks tokenizer = {};
};

std::span<const Architecture> AllArchitectures();
// The row of what the file names; kUnsupported if `table` has none.
Result<const Architecture*> FindArchitecture(const GgufFile& file,
                                             std::span<const Architecture> table = AllArchitectures());

// Where YaRN blends scaled and unscaled angles: pairs up to `first` turn fast enough to be left alone, pairs from
// `last` on are scaled, in between the share of scaling grows.
struct YarnRamp {
  double first = 0;
  double last = 0;
};

// The angles of rotary position embedding: position * base^(-2i / dimensions) * position_scale for pair i, divided by
// the entry of a table where the file has one, and blended by YaRN.
struct RopeConfig {
  std::int32_t dimensions = 0;  // rotated dimensions of a head, even, <= key_length
  double base = 10000;
  double position_scale = 1;  // 1 / factor
  std::optional<YarnRamp> yarn;
  double magnitude = 1;  // of what was rotated
};

struct LayerConfig {
  std::int32_t heads = 0;
  std::int32_t kv_heads = 0;
  std::int32_t key_length = 0;                  // dimensions of a query and key head
  std::int32_t value_length = 0;                // dimensions of a value head
  std::int32_t feed_forward_length = 0;         // 0: experts take its place
  std::int32_t expert_feed_forward_length = 0;  // 0: no experts
  bool sliding = false;
  bool rotates = true;        // queries and keys get RoPE
  std::int32_t kv_layer = 0;  // whose keys and values it reads: its own index, or an earlier layer's
  float attention_scale = 1;  // of scores
  float gate_sparsity = 0;    // the gate keeps what is this many standard deviations above its mean; 0: all
};

struct ModelConfig {
  const Architecture* architecture = nullptr;

  std::int32_t vocab_size = 0;        // rows of the embedding table
  std::int32_t context_length = 0;    // tokens trained for
  std::int32_t embedding_length = 0;  // d
  float norm_epsilon = 0;
  std::int32_t expert_count = 0;       // of a layer; 0: no layer has experts
  std::int32_t expert_used_count = 0;  // of these, by each row
  std::vector<LayerConfig> layers;

  RopeConfig rope_global;
  RopeConfig rope_sliding;
  // Tokens trained for before RoPE was scaled: the long factors of LongRoPE are those of longer contexts, and query
  // temperature begins there.
  std::int32_t original_context_length = 0;
  bool long_rope = false;   // the file has LongRoPE's factors, or says so
  std::int32_t window = 0;  // positions a sliding layer sees, the current one included; 0: no layer slides

  float embedding_scale = 1;
  float residual_scale = 1;  // of what a sub-layer adds to the stream
  float logit_scale = 1;
  float attention_softcap = 0;       // 0: none
  double temperature_scale = 0;      // queries times 1 + this * ln(1 + position / original_context_length); 0: none
  float final_softcap = 0;           // 0: none
  std::int32_t per_layer_width = 0;  // of the input each layer gets of each token; 0: none
  std::int32_t altup_streams = 0;    // of ResidualWiring::kAltUp

  bool owns_kv(std::size_t layer) const { return layers[layer].kv_layer == static_cast<std::int32_t>(layer); }
};

// Second fence: reads <arch>.* of the file and checks the numbers against each other. kUnsupported for an architecture
// or feature that is not known (names it and what is), kCorruptFile for numbers that are missing or make no sense
// (names the key, wanted and found).
//
// `table` has the architectures known. `absent`, if given, gets the keys that were asked for and are not in the file,
// without the architecture's name.
Result<ModelConfig> ReadModelConfig(const GgufFile& file, std::span<const Architecture> table = AllArchitectures(),
                                    std::set<std::string>* absent = nullptr);

}  // namespace slm

#endif  // SLM_MODEL_MODEL_CONFIG_H_
