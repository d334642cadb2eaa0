#include "support/random_writer.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace slm::test {

double Random::LogReal(double low, double high) { return std::exp(Real(std::log(low), std::log(high))); }

std::string LayerPrefix(std::uint32_t layer) { return "blk." + std::to_string(layer) + "."; }

RandomWriter::RandomWriter(std::string_view architecture, std::uint32_t seed)
    : architecture_(architecture), seed_(seed), random_(seed) {
  file_.Set("general.architecture", architecture);
}

void RandomWriter::PerLayerKey(std::string_view name, const PerLayer& values) {
  const bool all_equal = std::adjacent_find(values.begin(), values.end(), std::not_equal_to<>()) == values.end();
  if (all_equal && random_.Chance(0.8)) {
    Key(name, values[0]);
  } else {
    Key(name, std::vector<std::int32_t>(values.begin(), values.end()));
  }
}

void RandomWriter::Numbers(std::string_view name, std::vector<std::uint64_t> shape, double low, double high) {
  std::size_t count = 1;
  for (const std::uint64_t extent : shape) count *= extent;
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random_.Real(low, high));
  file_.AddF32(name, std::move(shape), values);
}

void RandomWriter::Matrix(std::string_view name, std::vector<std::uint64_t> shape, double gain) {
  const double limit = gain * std::sqrt(3 / static_cast<double>(shape[0]));  // of a uniform distribution
  Numbers(name, std::move(shape), -limit, limit);
}

void RandomWriter::Vector(std::string_view name, std::uint64_t size, double mean, double spread) {
  Numbers(name, {size}, (1 - spread) * mean, (1 + spread) * mean);
}

PerLayer RandomWriter::DrawFfnWidths(std::uint32_t layers) {
  PerLayer widths(layers, random_.Int(9, 60));
  if (random_.Chance(0.3)) {
    for (std::uint32_t& width : widths) width = random_.Int(9, 60);
  }
  return widths;
}

RandomShape RandomWriter::DrawShape(std::uint32_t layers, bool value_length_may_differ) {
  RandomShape shape;
  shape.vocab = random_.Int(40, 90);
  shape.layers = layers;
  const std::uint32_t kv_heads = random_.Int(1, 3);
  const std::uint32_t group = random_.Int(1, 3);
  shape.kv_heads.assign(layers, kv_heads);
  shape.heads.assign(layers, kv_heads * group);
  shape.key_length = random_.Even(4, 20);
  shape.value_length = shape.key_length;
  shape.head_lengths_in_file = random_.Chance(0.7);
  if (shape.head_lengths_in_file) {
    shape.width = random_.Int(20, 60);
    if (value_length_may_differ && random_.Chance(0.3)) shape.value_length = random_.Int(3, 20);
    if (random_.Chance(0.3)) {
      for (std::uint32_t i = 0; i < layers; ++i) {
        shape.kv_heads[i] = random_.Int(1, 3);
        shape.heads[i] = shape.kv_heads[i] * random_.Int(1, 3);
      }
    }
  } else {
    shape.width = shape.heads[0] * shape.key_length;
  }
  shape.ffn_width = DrawFfnWidths(layers);
  return shape;
}

void RandomWriter::WriteShape(const RandomShape& shape) {
  Key("context_length", kRandomContextLength);
  Key("embedding_length", shape.width);
  Key("block_count", shape.layers);
  PerLayerKey("feed_forward_length", shape.ffn_width);
  PerLayerKey("attention.head_count", shape.heads);
  if (shape.kv_heads != shape.heads || random_.Chance(0.5)) PerLayerKey("attention.head_count_kv", shape.kv_heads);
  if (shape.head_lengths_in_file) {
    Key("attention.key_length", shape.key_length);
    Key("attention.value_length", shape.value_length);
  }
  Number("attention.layer_norm_rms_epsilon", random_.LogReal(1e-6, 0.1));
}

void RandomWriter::WriteTables(const RandomShape& shape, double embedding_size, bool may_be_untied) {
  std::vector<std::string> texts = {"<unk>", "<s>", "</s>"};
  std::vector<std::int32_t> types = {2, 3, 3};
  std::vector<float> scores(shape.vocab, 0.0f);
  for (std::uint32_t i = 3; i < shape.vocab; ++i) {
    texts.push_back(std::to_string(i));
    types.push_back(1);
    scores[i] = -static_cast<float>(i);
  }
  file_.Set("tokenizer.ggml.model", "llama").Set("tokenizer.ggml.tokens", texts);
  file_.Set("tokenizer.ggml.scores", scores).Set("tokenizer.ggml.token_type", types);
  Matrix("token_embd.weight", {shape.width, shape.vocab}, embedding_size);
  Vector("output_norm.weight", shape.width);
  if (may_be_untied && random_.Chance(0.5)) Matrix("output.weight", {shape.width, shape.vocab}, 2);
}

RandomModel RandomWriter::Finish(const RandomShape& shape, std::int32_t context_length) {
  RandomModel model;
  model.architecture = architecture_;
  model.gguf = file_.Build();
  for (std::uint32_t i = 0; i < kRandomTextLength; ++i) {
    model.tokens.push_back(static_cast<Token>(random_.Int(0, shape.vocab - 1)));
  }
  model.context_length = context_length;
  model.split = random_.Int(1, kRandomTextLength);
  return model;
}

}  // namespace slm::test
