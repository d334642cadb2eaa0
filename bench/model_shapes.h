// The shapes of published models, and the format that each of their tensors has in files of a common quantization.
//
// Sizes: the models' published configurations. Formats: what llama.cpp's quantizer chooses, see "mixture" in
// model_shapes.cc.

#ifndef SLM_BENCH_MODEL_SHAPES_H_
#define SLM_BENCH_MODEL_SHAPES_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats.h"

namespace slm::bench {

enum class Family : std::uint8_t { kLlama, kGemma3 };
enum class VocabularyKind : std::uint8_t { kGemma3, kLlama2, kLlama3 };
enum class RopeScaling : std::uint8_t { kNone, kLinear, kLlama3 };
enum class Mixture : std::uint8_t { kQ4_K_M, kQ4_0 };

struct ModelShape {
  std::string_view name;   // on the command line
  std::string_view title;  // general.name
  Family family;
  std::int32_t layers;
  std::int32_t embedding_length;
  std::int32_t feed_forward_length;
  std::int32_t heads;
  std::int32_t kv_heads;
  std::int32_t head_length;  // dimensions of a query, key or value head
  std::int32_t experts;      // 0: dense
  std::int32_t experts_used;
  VocabularyKind vocabulary;
  std::int32_t vocab_size;
  std::int32_t context_length;
  float norm_epsilon;
  float rope_base;
  RopeScaling rope_scaling;
  float rope_factor;
  std::int32_t window;  // attention.sliding_window; 0: the file has none
};

std::span<const ModelShape> AllShapes();

// The shape of that name, or nullptr.
const ModelShape* FindShape(std::string_view name);

enum class Content : std::uint8_t {
  kWeights,      // mean 0, standard deviation 1 / sqrt(columns)
  kNorm,         // near 1
  kRopeFactors,  // Llama 3's divisor of each pair's angle
};

struct MadeTensor {
  std::string name;
  Format format;
  std::vector<std::uint64_t> shape;  // contiguous dimension first
  Content content;

  std::uint64_t elements() const;
  std::uint64_t bytes() const;
};

// The tensors of a model of this shape, of which only `layers` layers are made, in the order of their use.
std::vector<MadeTensor> TensorsOf(const ModelShape& shape, std::int32_t layers, Mixture mixture);

}  // namespace slm::bench

#endif  // SLM_BENCH_MODEL_SHAPES_H_
