// A model as numbers and enums: everything the forward pass needs to know besides the weights.
//
// The table in arch_table.cc says what an architecture's graph looks like; the file says how large it is. Nothing below
// this struct asks which architecture it runs.

#ifndef SLM_MODEL_MODEL_CONFIG_H_
#define SLM_MODEL_MODEL_CONFIG_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "file/gguf.h"
#include "kernels.h"
#include "slm/status.h"

namespace slm {

enum class FfnActivation : std::uint8_t { kSilu, kGeluTanh };

// Whether the feed-forward sub-layers of an architecture are mixtures of experts.
enum class Experts : std::uint8_t {
  kNone,         // never: a file that counts experts is refused
  kOptional,     // where the file counts some, each as wide as feed_forward_length unless the file says otherwise
  kAlways,       // those a row uses are together as wide as feed_forward_length unless the file says otherwise
  kBesideDense,  // where the file counts some, beside a dense feed-forward
};

// One row of the architecture table: the shape of the graph, and the values files of this architecture leave out.
struct Architecture {
  std::string_view name;  // general.architecture
  RopePairs rope_pairs;
  FfnActivation activation;
  bool scales_embedding;  // the embedding is multiplied by sqrt(embedding_length)
  bool query_key_norm;    // RMS norm of every query and key head before RoPE
  bool post_norms;        // RMS norm of each sub-layer's output before it joins the residual stream
  // Sliding layers come in groups of this many of which the last is global, unless the file says otherwise; 0: every
  // layer slides.
  std::int32_t window_pattern;
  double rope_base_sliding;       // base on sliding layers if the file has none; 0: as on global layers
  bool rope_scaling_global_only;  // rope.scaling.* does not apply to sliding layers
  // A model of this many layers divides its queries by sqrt(embedding_length / heads) instead of sqrt(head_dim): the
  // file has no key for it. 0: none.
  std::int32_t layers_scaling_by_width;
  Experts experts = Experts::kNone;
};

std::span<const Architecture> AllArchitectures();

// The angles of rotary position embedding: position * base^(-2i / dimensions) * position_scale for pair i.
struct RopeConfig {
  double base = 10000;
  double position_scale = 1;  // 1 / factor of linear scaling
};

struct LayerConfig {
  std::int32_t heads = 0;
  std::int32_t kv_heads = 0;
  std::int32_t feed_forward_length = 0;         // 0: experts take its place
  std::int32_t expert_feed_forward_length = 0;  // 0: no experts
  bool sliding = false;
};

struct ModelConfig {
  const Architecture* architecture = nullptr;

  std::int32_t vocab_size = 0;        // rows of the embedding table
  std::int32_t context_length = 0;    // tokens trained for
  std::int32_t embedding_length = 0;  // d
  std::int32_t key_length = 0;        // dimensions of a query and key head
  std::int32_t value_length = 0;      // dimensions of a value head
  std::int32_t rope_dimensions = 0;   // rotated dimensions of a head, even, <= key_length
  float norm_epsilon = 0;
  std::int32_t expert_count = 0;       // of a layer; 0: no layer has experts
  std::int32_t expert_used_count = 0;  // of these, by each row
  std::vector<LayerConfig> layers;

  RopeConfig rope_global;
  RopeConfig rope_sliding;
  std::int32_t window = 0;  // positions a sliding layer sees, the current one included; 0: no layer slides

  float embedding_scale = 1;
  float attention_scale = 1;
  float final_softcap = 0;  // 0: none
};

// Second fence: reads <arch>.* of the file and checks the numbers against each other. kUnsupported for an architecture
// or feature that is not known (names it and what is), kCorruptFile for numbers that are missing or make no sense
// (names the key, wanted and found).
Result<ModelConfig> ReadModelConfig(const GgufFile& file);

}  // namespace slm

#endif  // SLM_MODEL_MODEL_CONFIG_H_
