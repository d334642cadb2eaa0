// The tensors of whole models against figures that were not computed by this code.

#include "model_shapes.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace slm::bench {
namespace {

std::vector<MadeTensor> WholeModel(const char* name, Mixture mixture) {
  const ModelShape* shape = FindShape(name);
  if (shape == nullptr) return {};
  return TensorsOf(*shape, shape->layers, mixture);
}

// What llama.cpp's quantizer made of F16 files in these shapes (llama-quantize --dry-run, October 2026, with metadata
// as in published files): tensors by format, and "quant size" in MiB.
struct Quantized {
  const char* shape;
  Mixture mixture;
  std::map<std::string, int> tensors;
  double mebibytes;
};
const Quantized kQuantized[] = {
    {"gemma3-1b", Mixture::kQ4_K_M, {{"F32", 157}, {"Q8_0", 14}, {"Q5_0", 117}, {"Q4_K", 39}, {"Q6_K", 13}}, 762.49},
    {"gemma3-1b", Mixture::kQ4_0, {{"F32", 157}, {"Q8_0", 1}, {"Q4_0", 182}}, 680.82},
    {"gemma3-4b", Mixture::kQ4_K_M, {{"F32", 205}, {"Q4_K", 204}, {"Q6_K", 35}}, 2368.18},
    {"gemma3-4b", Mixture::kQ4_0, {{"F32", 205}, {"Q4_0", 238}, {"Q6_K", 1}}, 2247.65},
    {"llama3.1-8b", Mixture::kQ4_K_M, {{"F32", 66}, {"Q4_K", 193}, {"Q6_K", 33}}, 4685.30},
    {"llama3.1-8b", Mixture::kQ4_0, {{"F32", 66}, {"Q4_0", 225}, {"Q6_K", 1}}, 4437.80},
    {"mistral-7b", Mixture::kQ4_K_M, {{"F32", 65}, {"Q4_K", 193}, {"Q6_K", 33}}, 4165.37},
    {"mistral-7b", Mixture::kQ4_0, {{"F32", 65}, {"Q4_0", 225}, {"Q6_K", 1}}, 3917.87},
    {"llama2-70b", Mixture::kQ4_K_M, {{"F32", 161}, {"Q4_K", 441}, {"Q5_K", 40}, {"Q6_K", 81}}, 39503.23},
    {"llama2-70b", Mixture::kQ4_0, {{"F32", 161}, {"Q4_0", 561}, {"Q6_K", 1}}, 37070.73},
    {"mixtral-8x7b",
     Mixture::kQ4_K_M,
     {{"F32", 97}, {"Q8_0", 64}, {"Q4_K", 113}, {"Q5_K", 32}, {"Q6_K", 17}},
     27129.87},
    {"mixtral-8x7b", Mixture::kQ4_0, {{"F32", 97}, {"Q8_0", 64}, {"Q4_0", 161}, {"Q6_K", 1}}, 25217.87},
};

TEST(ModelShapes, AreQuantizedAsLlamaCppDoes) {
  std::set<std::string> shapes;
  for (const Quantized& expected : kQuantized) {
    SCOPED_TRACE(std::string(expected.shape) + (expected.mixture == Mixture::kQ4_0 ? " Q4_0" : " Q4_K_M"));
    shapes.insert(expected.shape);
    std::map<std::string, int> tensors;
    std::uint64_t bytes = 0;
    for (const MadeTensor& tensor : WholeModel(expected.shape, expected.mixture)) {
      ++tensors[FindFormat(static_cast<std::uint32_t>(tensor.format))->name];
      bytes += tensor.bytes();
    }
    EXPECT_EQ(tensors, expected.tensors);
    EXPECT_NEAR(static_cast<double>(bytes) / (1 << 20), expected.mebibytes, 0.005);
  }
  EXPECT_EQ(shapes.size(), AllShapes().size()) << "a shape without expected figures";
}

// Millions of weights that a token is multiplied with, worked out by hand from the published configurations, for the
// body and the output head.
TEST(ModelShapes, HaveTheWeightsOfTheirModels) {
  struct Row {
    const char* shape;
    double body;
    double head;
  };
  for (const Row& row : {Row{"gemma3-1b", 698, 302}, Row{"mistral-7b", 6979, 131}}) {
    SCOPED_TRACE(row.shape);
    double body = 0;
    double head = 0;
    for (const MadeTensor& tensor : WholeModel(row.shape, Mixture::kQ4_K_M)) {
      if (tensor.content != Content::kWeights) continue;
      const bool outside = !tensor.name.starts_with("blk.");
      if (!outside) body += static_cast<double>(tensor.elements()) / 1e6;
      if (outside) head = static_cast<double>(tensor.elements()) / 1e6;
    }
    EXPECT_NEAR(body, row.body, 0.5);
    EXPECT_NEAR(head, row.head, 0.5);
  }
}

std::map<Format, std::set<int>> LayersByFormat(const std::vector<MadeTensor>& tensors, const std::string& matrix) {
  std::map<Format, std::set<int>> layers;
  for (const MadeTensor& tensor : tensors) {
    if (tensor.name.ends_with("." + matrix + ".weight")) layers[tensor.format].insert(std::stoi(tensor.name.substr(4)));
  }
  return layers;
}

TEST(ModelShapes, HalfOfTheLayersHaveMoreBits) {
  const std::vector<MadeTensor> tensors = WholeModel("mistral-7b", Mixture::kQ4_K_M);
  const std::set<int> more = {0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31};
  for (const char* matrix : {"attn_v", "ffn_down"}) EXPECT_EQ(LayersByFormat(tensors, matrix)[Format::kQ6_K], more);
  for (const char* matrix : {"attn_q", "attn_k", "attn_output", "ffn_gate", "ffn_up"}) {
    EXPECT_EQ(LayersByFormat(tensors, matrix)[Format::kQ4_K].size(), 32u) << matrix;
  }
}

TEST(ModelShapes, FewLayersOfALargeModelKeepItsMixture) {
  const std::vector<MadeTensor> llama70b = TensorsOf(*FindShape("llama2-70b"), 4, Mixture::kQ4_K_M);
  EXPECT_EQ(LayersByFormat(llama70b, "attn_v"),
            (std::map<Format, std::set<int>>{{Format::kQ5_K, {0, 1}}, {Format::kQ6_K, {2, 3}}}));
  const std::vector<MadeTensor> mixtral = TensorsOf(*FindShape("mixtral-8x7b"), 1, Mixture::kQ4_K_M);
  for (const MadeTensor& tensor : mixtral) {
    if (tensor.name == "blk.0.ffn_down_exps.weight") {
      EXPECT_EQ(tensor.shape, (std::vector<std::uint64_t>{14336, 4096, 8}));
    }
  }
  EXPECT_EQ(LayersByFormat(mixtral, "ffn_down_exps").size(), 1u);
  EXPECT_EQ(LayersByFormat(mixtral, "attn_k")[Format::kQ8_0].size(), 1u);
  EXPECT_EQ(LayersByFormat(mixtral, "attn_output")[Format::kQ5_K].size(), 1u);
}

TEST(ModelShapes, AreFoundByName) {
  for (const ModelShape& shape : AllShapes()) EXPECT_EQ(FindShape(shape.name), &shape);
  EXPECT_EQ(FindShape("gemma"), nullptr);
}

}  // namespace
}  // namespace slm::bench
