// The architectures, a row each. Formulas and defaults: the models' reference implementations and GGUF files; see
// docs/add-an-architecture.md.

#include <array>

#include "model/model_config.h"

namespace slm {

namespace {

constexpr std::array kArchitectures = {
    Architecture{
        .name = "gemma3",
        .rope_pairs = RopePairs::kHalves,
        .activation = FfnActivation::kGeluTanh,
        .scales_embedding = true,
        .query_key_norm = true,
        .post_norms = true,
        .window_pattern = 6,
        .rope_base_sliding = 10000,
        .rope_scaling_global_only = true,
        .layers_scaling_by_width = 62,  // 27B
    },
    Architecture{
        .name = "llama",
        .rope_pairs = RopePairs::kInterleaved,
        .activation = FfnActivation::kSilu,
        .scales_embedding = false,
        .query_key_norm = false,
        .post_norms = false,
        .window_pattern = 0,
        .rope_base_sliding = 0,
        .rope_scaling_global_only = false,
        .layers_scaling_by_width = 0,
        .experts = Experts::kOptional,  // Mixtral
    },
    Architecture{
        .name = "qwen3moe",
        .rope_pairs = RopePairs::kHalves,
        .activation = FfnActivation::kSilu,
        .scales_embedding = false,
        .query_key_norm = true,
        .post_norms = false,
        .window_pattern = 0,
        .rope_base_sliding = 0,
        .rope_scaling_global_only = false,
        .layers_scaling_by_width = 0,
        .experts = Experts::kAlways,
    },
};

}  // namespace

std::span<const Architecture> AllArchitectures() { return kArchitectures; }

}  // namespace slm
