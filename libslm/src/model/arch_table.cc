// The architectures, a row each. Formulas and defaults: the models' reference implementations and GGUF files; see
// docs/add-an-architecture.md.

#include <array>

#include "model/model_config.h"

namespace slm {

namespace {

constexpr SpecialIds kGemmaTokens = {.bos = 2, .eos = 1, .unknown = 3};

constexpr std::array kArchitectures = {
    Architecture{
        .name = "gemma",
        .rope_pairs = RopePairs::kHalves,
        .activation = FfnActivation::kGeluTanh,
        .scales_embedding = true,
        .rope_base = 10000,
        .tokenizer = {.expects_no_space_prefix = true, .special = kGemmaTokens},
    },
    Architecture{
        .name = "gemma2",
        .rope_pairs = RopePairs::kHalves,
        .activation = FfnActivation::kGeluTanh,
        .scales_embedding = true,
        .post_norms = true,
        .final_softcap = 30,
        .attention_softcap = 50,
        .layers_scaling_by_width = 46,  // 27B
        .window = 4096,
        .window_pattern = 2,
        .rope_base = 10000,
        .tokenizer = {.expects_no_space_prefix = true, .special = kGemmaTokens},
    },
    Architecture{
        .name = "gemma3",
        .rope_pairs = RopePairs::kHalves,
        .activation = FfnActivation::kGeluTanh,
        .scales_embedding = true,
        .post_norms = true,
        .query_key_norm = true,
        .layers_scaling_by_width = 62,  // 27B
        .window = kInFile,
        .window_pattern = 6,
        .rope_base = 1000000,
        .rope_base_sliding = 10000,
        .rope_scaling_global_only = true,
        .tokenizer = {.expects_no_space_prefix = true, .special = kGemmaTokens},
    },
    Architecture{
        .name = "gemma3n",
        .rope_pairs = RopePairs::kHalves,
        .activation = FfnActivation::kGeluTanh,
        .wiring = ResidualWiring::kAltUp,
        .scales_embedding = true,
        .post_norms = true,
        .final_softcap = 30,
        .per_layer_width = kInFile,
        .query_key_norm = true,
        .value_norm = true,
        .attention_scale = 1,
        .shared_kv_layers = kInFile,
        .window = kInFile,
        .window_pattern = 5,
        .rope_base_sliding = 10000,
        .rope_scaling_global_only = true,
        .tokenizer = {.expects_no_space_prefix = true, .special = kGemmaTokens},
    },
    Architecture{
        .name = "gemma4",
        .rope_pairs = RopePairs::kHalves,
        .activation = FfnActivation::kGeluTanh,
        .scales_embedding = true,
        .post_norms = true,
        .layer_output_scale = true,
        .per_layer_width = kInFile,
        .query_key_norm = true,
        .value_norm = true,
        .keys_as_values = true,
        .attention_scale = 1,
        .experts = Experts::kBesideDense,  // 26B-A4B
        .window = kInFile,
        .window_pattern = kInFile,
        .rope_base_sliding = 10000,
        .rope_scaling_global_only = true,
        .rope_divisors_in_file = true,
        .tokenizer = {.special = kGemmaTokens},
    },
    Architecture{
        .name = "granite",
        .rope_pairs = RopePairs::kInterleaved,
        .activation = FfnActivation::kSilu,
        .scales_in_file = true,
    },
    Architecture{
        .name = "llama",
        .rope_pairs = RopePairs::kInterleaved,
        .activation = FfnActivation::kSilu,
        .experts = Experts::kOptional,  // Mixtral
        .rope_base = 10000,
    },
    Architecture{
        .name = "mistral3",
        .rope_pairs = RopePairs::kInterleaved,
        .activation = FfnActivation::kSilu,
        .yarn_queries_grow = true,
    },
    Architecture{
        .name = "phi3",
        .rope_pairs = RopePairs::kHalves,
        .activation = FfnActivation::kSilu,
        .fused_projections = true,
        .rope_base = 10000,
        .tokenizer = {.strips_after_special = true},
    },
    Architecture{
        .name = "qwen2",
        .rope_pairs = RopePairs::kHalves,
        .activation = FfnActivation::kSilu,
        .query_key_value_bias = true,
        .window_pattern = kInFile,
    },
    Architecture{
        .name = "qwen3",
        .rope_pairs = RopePairs::kHalves,
        .activation = FfnActivation::kSilu,
        .query_key_norm = true,
        .window_pattern = kInFile,
    },
    Architecture{
        .name = "qwen3moe",
        .rope_pairs = RopePairs::kHalves,
        .activation = FfnActivation::kSilu,
        .query_key_norm = true,
        .experts = Experts::kAlways,
    },
    Architecture{
        .name = "smollm3",
        .rope_pairs = RopePairs::kInterleaved,
        .activation = FfnActivation::kSilu,
        .window_pattern = kInFile,
        .no_rope_interval = 4,
    },
};

}  // namespace

std::span<const Architecture> AllArchitectures() { return kArchitectures; }

}  // namespace slm
